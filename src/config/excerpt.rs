//! The line of the file that a message shows, without what could be a secret.
//!
//! A message may be about a misspelt `sasl.pasword`, so it is not enough to hide the values of known secrets: only
//! the values of keys that are known and not secret are shown.

use super::{kafka_names, keys};

/// What stands in place of a hidden value.
const HIDDEN: &str = "…";

/// A line for a message. `is_syntax` when the text could not be parsed, so that a line may lie inside a string.
pub(super) fn excerpt(line: &str, is_syntax: bool) -> String {
    let line = line.trim_end();
    if !line.contains('=') {
        let is_plain = !is_syntax || line.trim_start().starts_with(['[', '#']);
        return if is_plain { line.to_owned() } else { HIDDEN.to_owned() };
    }
    let mut rest = line;
    let mut shown = String::new();
    while let Some((before, after)) = rest.split_once('=') {
        shown.push_str(before);
        shown.push('=');
        let key = before.rsplit(['{', ',', '[']).next().unwrap_or_default().trim();
        let value = after.trim_start();
        if !value.starts_with('{') && !is_shown(key) {
            shown.push(' ');
            shown.push_str(HIDDEN);
            return shown;
        }
        let value_end = after.len() - value.len() + string_length(value);
        let (value, after_value) = after.split_at_checked(value_end).unwrap_or((after, ""));
        shown.push_str(value);
        rest = after_value;
    }
    shown.push_str(rest);
    shown
}

/// Whether the values of a key may be shown. Keys are recognised by their end, because a table's name may come first.
fn is_shown(key: &str) -> bool {
    let bare: String = key.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | '\t')).collect();
    let mut end = bare.as_str();
    loop {
        if matches!(end, "env" | "file") || keys::is_public(end) || kafka_names::is_public(end) {
            return true;
        }
        match end.split_once('.') {
            Some((_, shorter)) => end = shorter,
            None => return false,
        }
    }
}

/// The length in bytes of the string that a text begins with, so that a `=` inside it is not taken for a key's; 0
/// where it begins with something else.
fn string_length(text: &str) -> usize {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return 0 };
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return index + 1;
        }
        is_escaped = c == '\\' && quote == '"' && !is_escaped;
    }
    text.len()
}
