//! `[[link.NAME.groups]]`.

use std::collections::BTreeMap;

use super::keys;
use super::link_entries::{EntryPlaces, exclude, naming, refuse_fault, which};
use super::report::Report;
use super::tree::{Table, Value};
use crate::selection::{GroupSelection, Naming, Rule, Which};

/// Reads the entries of a link and compiles them. No entry is no group. `None` only after something was reported.
pub(super) fn read<'t>(report: &mut Report<'t>, link: &Table<'t>) -> Option<GroupSelection> {
    let Some(list) = link.get("groups") else {
        return (!link.was_tried("groups")).then(GroupSelection::default);
    };
    let mut places = Vec::new();
    let mut rules = Vec::new();
    let before = report.count();
    for value in &list.tables(report) {
        let mut of_entry = EntryPlaces { place: value.key.clone(), values: BTreeMap::new(), exclude: Vec::new() };
        // One that can't be read selects nothing, and keeps the others' numbers, so that their faults are found too.
        let nothing = || Rule { which: Which::Match(String::new()), exclude: Vec::new(), naming: Naming::Same };
        rules.push(read_entry(report, value, &mut of_entry).unwrap_or_else(nothing));
        places.push(of_entry);
    }
    match GroupSelection::new(rules) {
        Ok(selection) => (report.count() == before).then_some(selection),
        Err(error) => {
            for fault in &error.faults {
                refuse_fault(report, &places, fault);
            }
            None
        }
    }
}

fn read_entry<'t>(report: &mut Report<'t>, value: &Value<'t>, places: &mut EntryPlaces) -> Option<Rule> {
    let table = Table::open(report, value, &keys::GROUPS)?;
    for row in keys::GROUPS.rows {
        if let Some(value) = table.get(row.key) {
            places.values.insert(row.key, value.place.clone());
        }
    }
    let which = which(report, &table);
    let naming = naming(report, &table);
    let exclude = exclude(report, &table, places);
    Some(Rule { which: which?, exclude: exclude?, naming: naming? })
}
