//! Name templates: text with captures, such as `onprem.logs.${1}`.

use super::error::FaultReason;
use super::pattern::Pattern;

/// A template whose captures are known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Whole,
    Number(usize),
    Named(String),
}

impl Template {
    /// Reads a template for names that `pattern` matches; without a pattern only `${0}` is there.
    pub(super) fn new(text: &str, pattern: Option<&Pattern>) -> Result<Self, FaultReason> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            if let Some(after_dollar) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                rest = after_dollar;
                continue;
            }
            let Some((capture, after_capture)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                return Err(FaultReason::Template(explain_dollar(after)));
            };
            parts.push(part(capture, pattern)?);
            rest = after_capture;
        }
        push_text(&mut parts, rest);
        if parts.is_empty() {
            return Err(FaultReason::Template("the template is empty".to_owned()));
        }
        Ok(Self(parts))
    }

    /// The name that the template makes. A capture that took no part in the match is empty.
    pub(super) fn fill(&self, name: &str, pattern: Option<&Pattern>) -> String {
        let captures = pattern.and_then(|pattern| pattern.captures(name));
        let numbered = |index| captures.as_ref().and_then(|found| found.get(index));
        let named = |capture: &str| captures.as_ref().and_then(|found| found.name(capture));
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Whole => name,
                Part::Number(index) => numbered(*index).map_or("", |found| found.as_str()),
                Part::Named(capture) => named(capture).map_or("", |found| found.as_str()),
            })
            .collect()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn part(capture: &str, pattern: Option<&Pattern>) -> Result<Part, FaultReason> {
    let unknown = || FaultReason::UnknownCapture { capture: capture.to_owned(), known: known_captures(pattern) };
    if let Ok(index) = capture.parse::<usize>() {
        return match index {
            0 => Ok(Part::Whole),
            _ if pattern.is_some_and(|pattern| index <= pattern.capture_count()) => Ok(Part::Number(index)),
            _ => Err(unknown()),
        };
    }
    match pattern {
        Some(pattern) if pattern.capture_names().any(|name| name == capture) => Ok(Part::Named(capture.to_owned())),
        _ => Err(unknown()),
    }
}

fn known_captures(pattern: Option<&Pattern>) -> String {
    let Some(pattern) = pattern else {
        return "in an entry with `name`; only `${0}`, the whole name, is there".to_owned();
    };
    let numbers = match pattern.capture_count() {
        0 => "only `${0}`, the whole name, is there".to_owned(),
        1 => "it has `${0}` (the whole name) and `${1}`".to_owned(),
        count => format!("it has `${{0}}` (the whole name) to `${{{count}}}`"),
    };
    let names: Vec<_> = pattern.capture_names().map(|name| format!("`${{{name}}}`")).collect();
    if names.is_empty() {
        format!("in `match`; {numbers}")
    } else {
        format!("in `match`; {numbers}, {}", names.join(", "))
    }
}

fn explain_dollar(after: &str) -> String {
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    if after.starts_with('{') {
        "`${` has no closing `}`".to_owned()
    } else if digits.is_empty() {
        "`$` begins a capture such as `${1}`; a dollar sign itself is `$$`".to_owned()
    } else {
        format!("write `${{{digits}}}` in place of `${digits}`")
    }
}
