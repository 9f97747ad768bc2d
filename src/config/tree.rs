//! The parsed tree with the places of its keys and values, and the report of what is wrong in it.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::Problem;
use super::excerpt::excerpt;
use super::keys::{self, Section};

/// A place in the file, and the path of the key that stands there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl Place {
    fn below(&self, key: &str, span: Range<usize>) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { key, span }
    }
}

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

    /// Says that a key is not known, what is allowed in its place, and what may have been meant.
    pub(super) fn refuse_unknown(&mut self, place: &Place, key: &str, allowed: &[&str]) {
        let list = format!("allowed here: {}", allowed.join(", "));
        let help = match keys::nearest(key, allowed.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? {list}"),
            None => list,
        };
        self.refuse(place, format!("unknown key `{key}`"), Some(help));
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
    fn whole_key(&self, span: Range<usize>) -> Range<usize> {
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

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Value<'t> {
    /// Where the value stands.
    pub(super) place: Place,
    /// Where its key stands.
    pub(super) key: Place,
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn of_key(
        report: &Report<'t>,
        parent: &Place,
        name: &str,
        key: Range<usize>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Self {
        Self {
            place: parent.below(name, value.span()),
            key: parent.below(name, report.whole_key(key)),
            value: value.get_ref(),
        }
    }

    fn wrong_type(&self, report: &mut Report<'t>, wanted: &str) {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        // A table's own span may cover many lines or none; its key is what the reader looks for.
        let place = if self.value.is_table() { &self.key } else { &self.place };
        report.refuse(place, format!("`{}` must be {wanted}, not {found}", last_part(&self.place.key)), None);
    }

    pub(super) fn text(&self, report: &mut Report<'t>) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type(report, "a string");
        }
        text
    }

    /// A string that says something.
    pub(super) fn full_text(&self, report: &mut Report<'t>) -> Option<&'t str> {
        let text = self.text(report)?;
        if text.trim().is_empty() {
            report.refuse(&self.place, format!("`{}` is empty", last_part(&self.place.key)), None);
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&self, report: &mut Report<'t>) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.wrong_type(report, "true or false");
        }
        boolean
    }

    pub(super) fn integer<T>(&self, report: &mut Report<'t>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(report, "a whole number");
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let sentence = format!("`{}` is {} to {}", last_part(&self.place.key), range.start(), range.end());
            report.refuse(&self.place, sentence, None);
        }
        number
    }

    /// A list of strings, or one string.
    pub(super) fn texts(&self, report: &mut Report<'t>) -> Option<Vec<(&'t str, Place)>> {
        match self.value {
            DeValue::String(text) => Some(vec![(text.as_ref(), self.place.clone())]),
            DeValue::Array(list) => self
                .elements(list)
                .into_iter()
                .map(|element| Some((element.text(report)?, element.place.clone())))
                .collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.wrong_type(report, "a string or a list of strings");
                None
            }
        }
    }

    pub(super) fn table(&self, report: &mut Report<'t>, wanted: &str) -> Option<&'t DeTable<'t>> {
        let table = self.value.as_table();
        if table.is_none() {
            self.wrong_type(report, wanted);
        }
        table
    }

    /// The elements of a list of tables, as `[[...]]` makes it.
    pub(super) fn tables(&self, report: &mut Report<'t>) -> Vec<Value<'t>> {
        match self.value {
            DeValue::Array(list) => self.elements(list),
            DeValue::Table(_) => {
                let help = format!("write [[{}]] with two brackets on each side", self.place.key);
                let sentence = format!("`{}` must be a list of tables, not one table", last_part(&self.place.key));
                report.refuse(&self.key, sentence, Some(help));
                Vec::new()
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                self.wrong_type(report, "a list of tables");
                Vec::new()
            }
        }
    }

    fn elements(&self, list: &'t DeArray<'t>) -> Vec<Value<'t>> {
        let element = |(index, value): (usize, &'t Spanned<DeValue<'t>>)| {
            let place = Place { key: format!("{}[{index}]", self.place.key), span: value.span() };
            Value { key: place.clone(), place, value: value.get_ref() }
        };
        list.iter().enumerate().map(element).collect()
    }

    /// The entries of a table whose keys are names that the user gave.
    pub(super) fn named(&self, report: &mut Report<'t>, wanted: &str) -> Vec<(&'t str, Value<'t>)> {
        let Some(table) = self.table(report, wanted) else { return Vec::new() };
        let entry = |(key, value): (&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let name = key.get_ref().as_ref();
            (name, Value::of_key(report, &self.place, name, key.span(), value))
        };
        table.iter().map(entry).collect()
    }
}

/// A table whose keys are ours.
#[derive(Debug)]
pub(super) struct Table<'t> {
    /// Where it begins.
    pub(super) place: Place,
    values: BTreeMap<&'t str, Value<'t>>,
}

impl<'t> Table<'t> {
    pub(super) fn open_top(report: &mut Report<'t>, root: &'t DeTable<'t>) -> Self {
        let place = Place { key: String::new(), span: 0..0 };
        Self { values: values(report, &place, root, &keys::TOP), place }
    }

    /// Reads the keys of a table and refuses those that the section doesn't have.
    pub(super) fn open(report: &mut Report<'t>, value: &Value<'t>, section: &Section) -> Option<Self> {
        let table = value.table(report, "a table")?;
        Some(Self { values: values(report, &value.place, table, section), place: value.key.clone() })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value<'t>> {
        self.values.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A value that must be there.
    pub(super) fn need(&self, report: &mut Report<'t>, key: &str, example: &str) -> Option<&Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            report.refuse(&self.place, format!("`{key}` is missing"), Some(format!("for example: {key} = {example}")));
        }
        value
    }
}

fn values<'t>(
    report: &mut Report<'t>,
    place: &Place,
    table: &'t DeTable<'t>,
    section: &Section,
) -> BTreeMap<&'t str, Value<'t>> {
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let value = Value::of_key(report, place, name, key.span(), value);
        if section.rows.iter().any(|row| row.key == name) {
            values.insert(name, value);
        } else if let Some((_, sentence)) = section.later.iter().find(|(later, _)| *later == name) {
            report.refuse(&value.key, *sentence, None);
        } else {
            let allowed: Vec<_> = section.rows.iter().map(|row| row.key).collect();
            report.refuse_unknown(&value.key, name, &allowed);
        }
    }
    values
}

/// The part of a path after the tables: what the user wrote as the key.
pub(super) fn last_part(path: &str) -> &str {
    match path.strip_prefix("cluster.").and_then(|rest| rest.split_once('.')) {
        // Kafka's names have dots of their own.
        Some((_, property)) => property,
        None => path.rsplit('.').next().unwrap_or(path),
    }
}
