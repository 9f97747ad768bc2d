//! The report of what is wrong in the file.

use std::ops::Range;

use super::error::Problem;
use super::excerpt::excerpt;
use super::keys;

/// A place in the file, and the path of the key that stands there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl Place {
    pub(super) fn below(&self, key: &str, span: Range<usize>) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { key, span }
    }
}

/// A value is missing because something was reported about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported;

/// Collects what is wrong.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Report<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, problems: Vec::new() }
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems there are so far.
    pub(super) const fn count(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    pub(super) fn refuse(&mut self, place: &Place, sentence: impl Into<String>, help: Option<String>) {
        let problem = self.problem(place, sentence.into(), help, false);
        self.problems.push(problem);
    }

    pub(super) fn refuse_syntax(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = Place { key: String::new(), span };
            let problem = self.problem(&place, error.message().to_owned(), None, true);
            // One mistake often makes several complaints in its line; the first is the one that helps.
            if self.problems.iter().all(|known| known.line != problem.line) {
                self.problems.push(problem);
            }
        }
    }

    /// Says that a key is not known, what is allowed in its place, and what was probably meant. Gives back the
    /// latter, so that nobody complains a second time that it is missing.
    pub(super) fn refuse_unknown(
        &mut self,
        place: &Place,
        key: &str,
        allowed: &[&'static str],
    ) -> Option<&'static str> {
        let list = format!("allowed here: {}", allowed.join(", "));
        let near = keys::nearest(key, allowed.iter().copied());
        let help = near.map_or_else(|| list.clone(), |near| format!("did you mean `{near}`? {list}"));
        self.refuse(place, format!("unknown key `{key}`"), Some(help));
        near
    }

    /// The option that a text names, or a complaint with all of them.
    pub(super) fn choose<T: Copy>(&mut self, place: &Place, text: &str, options: &[(&str, T)]) -> Option<T> {
        let chosen = options.iter().find(|(option, _)| *option == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let names = options.iter().map(|(option, _)| *option);
            let list = format!("allowed: {}", names.clone().collect::<Vec<_>>().join(", "));
            let help = match keys::nearest(text, names) {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => list,
            };
            self.refuse(place, format!("`{text}` is not a value of `{}`", last_part(&place.key)), Some(help));
        }
        chosen
    }

    /// The line of a place, counted from 1.
    pub(super) fn line(&self, place: &Place) -> usize {
        self.text.as_bytes().iter().take(place.span.start).filter(|byte| **byte == b'\n').count() + 1
    }

    /// Where a whole dotted key begins whose last part stands at `span`.
    pub(super) fn whole_key(&self, span: Range<usize>) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '"' | '\'' | ' ' | '\t');
        let key = before.trim_end_matches(is_part).len();
        let start = before.get(key..).map_or(0, |part| part.len() - part.trim_start().len()) + key;
        start..span.end
    }

    fn problem(&self, place: &Place, sentence: String, help: Option<String>, is_syntax: bool) -> Problem {
        let start = place.span.start.min(self.text.len());
        let start = (0..=start).rev().find(|index| self.text.is_char_boundary(*index)).unwrap_or(0);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let line_text = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let excerpt = excerpt(line_text, is_syntax);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let marked = self.text.get(start..place.span.end).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default().chars().count();
        let room = excerpt.chars().count().saturating_sub(column - 1);
        let width = marked.min(room).max(1);
        Problem { line: self.line(place), column, key: place.key.clone(), sentence, help, excerpt, width }
    }
}

/// The part of a path after the tables: what the user wrote as the key.
pub(super) fn last_part(path: &str) -> &str {
    match path.strip_prefix("cluster.").and_then(|rest| rest.split_once('.')) {
        // Kafka's names have dots of their own.
        Some((_, property)) => property,
        None => path.rsplit('.').next().unwrap_or(path),
    }
}
