//! Which topics and groups a peer may know of.

use regex::Regex;

/// The topics of our own that hold the state of mirrors: a peer needs them so that nothing is mirrored in circles.
const STATE_TOPICS: &str = "__causeway.";

/// An allow-list. The default allows nothing.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    topics: Vec<Regex>,
    groups: Vec<Regex>,
}

/// A regular expression that is none.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{pattern}` is no regular expression: {reason}")]
pub struct UnusablePattern {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Exposure {
    /// Regular expressions for whole names.
    pub fn new(topics: &[String], groups: &[String]) -> Result<Self, UnusablePattern> {
        let compile = |patterns: &[String]| -> Result<Vec<Regex>, UnusablePattern> {
            patterns.iter().map(|pattern| anchored(pattern)).collect()
        };
        Ok(Self { topics: compile(topics)?, groups: compile(groups)? })
    }

    /// Whether a topic may be known and read. Kafka's internal topics only when named as a whole.
    #[must_use]
    pub fn has_topic(&self, topic: &str) -> bool {
        topic.starts_with(STATE_TOPICS) || (!topic.starts_with("__") && matches(&self.topics, topic))
    }

    /// Whether a group may be known.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        matches(&self.groups, group)
    }
}

fn matches(patterns: &[Regex], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_match(name))
}

fn anchored(pattern: &str) -> Result<Regex, UnusablePattern> {
    // Compiled alone first: `a)|(b` is no regular expression, but would become one between the anchors.
    let compiled = Regex::new(pattern).and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")));
    compiled.map_err(|error| {
        let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
        UnusablePattern { pattern: pattern.to_owned(), reason }
    })
}
