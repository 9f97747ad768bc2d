//! `[[link.NAME.topics]]`.

use std::collections::BTreeMap;

use super::keys;
use super::report::{Place, Report};
use super::settings::Offsets;
use super::tree::{Table, Value};
use crate::selection::{Entry, EntryFault, ExistingTarget, FaultReason, Naming, Rule, Selection, Which};

/// Where an entry and its values stand.
#[derive(Debug)]
pub(super) struct EntryPlaces {
    pub(super) place: Place,
    pub(super) values: BTreeMap<&'static str, Place>,
    pub(super) exclude: Vec<Place>,
}

impl EntryPlaces {
    /// Where a field's value stands; the entry itself where the field isn't there.
    pub(super) fn of(&self, field: &str) -> &Place {
        self.values.get(field).unwrap_or(&self.place)
    }
}

/// Reads the entries of a link and compiles them. The selection is `None` only after something was reported.
pub(super) fn read<'t>(report: &mut Report<'t>, link: &Table<'t>) -> (Vec<EntryPlaces>, Option<Selection>) {
    let Some(list) = link.get("topics") else {
        if link.was_tried("topics") {
            return (Vec::new(), None);
        }
        let help = "add [[link.NAME.topics]] with `match` or `name`; match = \".*\" is all topics".to_owned();
        report.refuse(&link.place, "the link has no `topics`, so it would mirror nothing", Some(help));
        return (Vec::new(), None);
    };
    let values = list.tables(report);
    if values.is_empty() && list.parsed.is_array() {
        report.refuse(&list.place, "`topics` has no entry, so the link would mirror nothing", None);
    }
    let mut places = Vec::new();
    let mut entries = Vec::new();
    let mut is_clean = !values.is_empty();
    for value in &values {
        let mut of_entry = EntryPlaces { place: value.key.clone(), values: BTreeMap::new(), exclude: Vec::new() };
        let (entry, is_entry_clean) = read_entry(report, value, &mut of_entry);
        is_clean &= is_entry_clean;
        // One that can't be read selects nothing, and keeps the others' numbers, so that their faults are found too.
        entries.push(entry.unwrap_or_else(|| Entry::matching("")));
        places.push(of_entry);
    }
    match Selection::new(entries) {
        Ok(selection) => (places, is_clean.then_some(selection)),
        Err(error) => {
            for fault in &error.faults {
                refuse_fault(report, &places, fault);
            }
            (places, None)
        }
    }
}

pub(super) fn refuse_fault(report: &mut Report<'_>, places: &[EntryPlaces], fault: &EntryFault) {
    use crate::selection::EntryField;
    let Some(entry) = places.get(fault.entry) else { return };
    let place = match fault.field {
        EntryField::Exclude(index) => entry.exclude.get(index).unwrap_or(&entry.place),
        field => entry.of(field.key()),
    };
    let sentence = match &fault.reason {
        FaultReason::SameTarget { this, other, entry, target } => {
            let line = places.get(*entry).map_or(0, |other| report.line(other.of("name")));
            format!("`{this}` would have the name `{target}` on the target, as `{other}` in line {line} has")
        }
        FaultReason::Pattern(_) => format!("`{}` is {}", fault.field, fault.reason),
        reason => reason.to_string(),
    };
    let help = match &fault.reason {
        FaultReason::Pattern(_) => {
            Some("the syntax is that of https://docs.rs/regex; write a dot as `\\\\.`".to_owned())
        }
        _ => None,
    };
    report.refuse(place, sentence, help);
}

/// Reads an entry as far as it can be read, and whether nothing was reported.
fn read_entry<'t>(report: &mut Report<'t>, value: &Value<'t>, places: &mut EntryPlaces) -> (Option<Entry>, bool) {
    let before = report.count();
    let entry = Table::open(report, value, &keys::TOPICS).and_then(|table| read_fields(report, &table, places));
    (entry, report.count() == before)
}

fn read_fields<'t>(report: &mut Report<'t>, table: &Table<'t>, places: &mut EntryPlaces) -> Option<Entry> {
    for row in keys::TOPICS.rows {
        if let Some(value) = table.get(row.key) {
            places.values.insert(row.key, value.place.clone());
        }
    }
    let which = which(report, table);
    let naming = naming(report, table);
    let exclude = exclude(report, table, places);
    let priority = table.get("priority").map_or(Some(0), |value| value.integer(report, i32::MIN..=i32::MAX));
    let replication_factor = match table.get("replication_factor") {
        None => None,
        Some(value) => value.integer(report, 1..=i16::MAX),
    };
    let has_local_writers = table.get("local_writers").map_or(Some(false), |value| value.boolean(report));
    let existing_target = match table.get("existing_target") {
        None => Some(ExistingTarget::Refuse),
        Some(value) => {
            let options = [("refuse", ExistingTarget::Refuse), ("translate", ExistingTarget::Translate)];
            value.text(report).and_then(|text| report.choose(&value.place, text, &options))
        }
    };
    Some(Entry {
        rule: Rule { which: which?, exclude: exclude?, naming: naming? },
        priority: priority.unwrap_or_default(),
        replication_factor,
        existing_target: existing_target.unwrap_or_default(),
        has_local_writers: has_local_writers?,
    })
}

/// Among other writers' records nothing can be kept at a given offset.
pub(super) fn check_offsets(report: &mut Report<'_>, places: &[EntryPlaces], topics: &Selection, offsets: Offsets) {
    if offsets.may_differ() {
        return;
    }
    let with_writers = topics.entries().iter().zip(places).filter(|(entry, _)| entry.has_local_writers);
    for (_, places) in with_writers {
        let sentence = "`local_writers = true` can't go with offsets that are kept as they are on the source";
        let help = "write offsets = \"translate\" on the link, or give these topics a link of their own".to_owned();
        report.refuse(places.of("local_writers"), sentence, Some(help));
    }
}

pub(super) fn exclude<'t>(report: &mut Report<'t>, table: &Table<'t>, places: &mut EntryPlaces) -> Option<Vec<String>> {
    let Some(value) = table.get("exclude") else { return Some(Vec::new()) };
    let texts = value.texts(report)?;
    places.exclude = texts.iter().map(|(_, place)| place.clone()).collect();
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}

pub(super) fn which<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Option<Which> {
    match (table.get("match"), table.get("name")) {
        (Some(pattern), None) => pattern.full_text(report).map(|text| Which::Match(text.to_owned())),
        (None, Some(name)) => name.full_text(report).map(|text| Which::Name(text.to_owned())),
        (Some(_), Some(name)) => {
            let help = "keep one: `match` selects by a regular expression, `name` exactly one".to_owned();
            report.refuse(&name.key, "the entry has both `match` and `name`", Some(help));
            None
        }
        (None, None) if table.was_tried("match") || table.was_tried("name") => None,
        (None, None) => {
            let help = "add match = \"...\" (a regular expression for the whole name) or name = \"...\"".to_owned();
            report.refuse(&table.place, "the entry has neither `match` nor `name`", Some(help));
            None
        }
    }
}

pub(super) fn naming<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Option<Naming> {
    match (table.get("rename"), table.get("prefix")) {
        (None, None) => Some(Naming::Same),
        (Some(rename), None) => rename.full_text(report).map(|text| Naming::Rename(text.to_owned())),
        (None, Some(prefix)) => prefix.full_text(report).map(|text| Naming::Prefix(text.to_owned())),
        (Some(rename), Some(prefix)) => {
            let help = rename
                .parsed
                .as_str()
                .zip(prefix.parsed.as_str())
                .map(|(rename, prefix)| format!("write rename = \"{prefix}{rename}\" alone"));
            report.refuse(&prefix.key, "the entry has both `rename` and `prefix`", help);
            None
        }
    }
}
