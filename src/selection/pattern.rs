//! A regular expression for a whole name.

use regex::{Captures, Regex};

use super::error::FaultReason;

/// A regular expression that matches a whole name or not at all.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, FaultReason> {
        // Compiled alone first: `a)|(b` is no regular expression, but would become one between the anchors.
        Regex::new(text).map_err(|error| FaultReason::Pattern(in_one_sentence(&error)))?;
        let anchored = format!(r"\A(?:{text})\z");
        Regex::new(&anchored).map(Self).map_err(|error| FaultReason::Pattern(in_one_sentence(&error)))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    pub(super) fn captures<'n>(&self, name: &'n str) -> Option<Captures<'n>> {
        self.0.captures(name)
    }

    /// How many numbered captures there are, without the whole name.
    pub(super) fn capture_count(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    pub(super) fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }
}

/// The last line of a regex error is the sentence; those before it draw the pattern.
fn in_one_sentence(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
