//! The parsed tree with the places of its keys and values.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys::{self, Section};
use super::report::{Place, Report, last_part};

const WHOLE: &str = "a whole number";

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Value<'t> {
    /// Where the value stands.
    pub(super) place: Place,
    /// Where its key stands.
    pub(super) key: Place,
    pub(super) parsed: &'t DeValue<'t>,
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
            parsed: value.get_ref(),
        }
    }

    fn wrong_type(&self, report: &mut Report<'t>, wanted: &str) {
        let found = match self.parsed {
            DeValue::String(_) => "a string",
            DeValue::Float(_) if wanted == WHOLE => "one with a fraction",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        // A table's own span may cover many lines or none; its key is what the reader looks for.
        let place = if self.parsed.is_table() { &self.key } else { &self.place };
        report.refuse(place, format!("`{}` must be {wanted}, not {found}", last_part(&self.place.key)), None);
    }

    pub(super) fn text(&self, report: &mut Report<'t>) -> Option<&'t str> {
        let text = self.parsed.as_str();
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
        let boolean = self.parsed.as_bool();
        if boolean.is_none() {
            self.wrong_type(report, "true or false");
        }
        boolean
    }

    pub(super) fn integer<T>(&self, report: &mut Report<'t>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let Some(integer) = self.parsed.as_integer() else {
            self.wrong_type(report, WHOLE);
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
        match self.parsed {
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
        let table = self.parsed.as_table();
        if table.is_none() {
            self.wrong_type(report, wanted);
        }
        table
    }

    /// The elements of a list of tables, as `[[...]]` makes it.
    pub(super) fn tables(&self, report: &mut Report<'t>) -> Vec<Value<'t>> {
        match self.parsed {
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
            Value { key: place.clone(), place, parsed: value.get_ref() }
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
    /// Keys that were written wrongly.
    misspelt: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn open_top(report: &mut Report<'t>, root: &'t DeTable<'t>) -> Self {
        let place = Place { key: String::new(), span: 0..0 };
        let (values, misspelt) = values(report, &place, root, &keys::TOP);
        Self { place, values, misspelt }
    }

    /// Reads the keys of a table and refuses those that the section doesn't have.
    pub(super) fn open(report: &mut Report<'t>, value: &Value<'t>, section: &Section) -> Option<Self> {
        let table = value.table(report, "a table")?;
        let (values, misspelt) = values(report, &value.place, table, section);
        Some(Self { place: value.key.clone(), values, misspelt })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value<'t>> {
        self.values.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Whether a key is there, be it misspelt.
    pub(super) fn was_tried(&self, key: &str) -> bool {
        self.has(key) || self.misspelt.contains(&key)
    }

    /// A value that must be there.
    pub(super) fn need(&self, report: &mut Report<'t>, key: &str, example: &str) -> Option<&Value<'t>> {
        let value = self.get(key);
        if !self.was_tried(key) {
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
) -> (BTreeMap<&'t str, Value<'t>>, Vec<&'static str>) {
    let mut values = BTreeMap::new();
    let mut misspelt = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let value = Value::of_key(report, place, name, key.span(), value);
        if section.rows.iter().any(|row| row.key == name) {
            values.insert(name, value);
        } else if let Some((_, sentence)) = section.later.iter().find(|(later, _)| *later == name) {
            report.refuse(&value.key, *sentence, None);
        } else {
            let allowed: Vec<_> = section.rows.iter().map(|row| row.key).collect();
            misspelt.extend(report.refuse_unknown(&value.key, name, &allowed));
        }
    }
    (values, misspelt)
}
