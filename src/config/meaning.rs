//! What all daemons of a group must agree on about a link.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::quantity::{show_duration, show_rate};
use super::settings::{LinkConfig, Offsets, Start};
use crate::selection::{Entry, ExistingTarget, Naming, Rule, Which};
use crate::sync::Drift;

/// The link's settings by key. Values at their defaults are left out, except those whose default may change between
/// versions: so a version with more keys still agrees with one that doesn't know them.
pub(super) fn of(link: &LinkConfig) -> BTreeMap<String, String> {
    let mut meaning = BTreeMap::new();
    let mut set = |key: &str, value: String| meaning.insert(key.to_owned(), value);
    set("source", link.source.to_string());
    set("target", link.target.to_string());
    set(
        "offsets",
        match link.offsets {
            Offsets::Translate => "translate".to_owned(),
        },
    );
    set(
        "start",
        match link.start {
            Start::Earliest => "earliest".to_owned(),
            Start::Latest => "latest".to_owned(),
            Start::Timestamp(milliseconds) => format!("{milliseconds} ms"),
        },
    );
    if let Some(rate) = link.rate {
        set("rate", show_rate(rate));
    }
    if !link.sync.configs {
        set("sync.configs", "false".to_owned());
    }
    if link.sync.acls {
        set("sync.acls", "true".to_owned());
    }
    if link.sync.acls_deletions {
        set("sync.acls_deletions", "true".to_owned());
    }
    if link.sync.drift == Drift::Respect {
        set("sync.drift", "respect".to_owned());
    }
    if link.protect {
        set("protect", "true".to_owned());
    }
    if !link.own_principals.is_empty() {
        set("own_principals", format!("{:?}", link.own_principals));
    }
    if link.mirrormaker_topics {
        set("mirrormaker_topics", "true".to_owned());
    }
    set("sync.interval", show_duration(link.sync.interval));
    let group_interval = show_duration(link.sync.group_interval);
    for (index, rule) in link.groups.entries().iter().enumerate() {
        for (key, value) in of_rule(rule) {
            set(&format!("groups[{index}].{key}"), value);
        }
        set("sync.group_interval", group_interval.clone());
    }
    for (index, entry) in link.topics.entries().iter().enumerate() {
        for (key, value) in of_entry(entry) {
            set(&format!("topics[{index}].{key}"), value);
        }
    }
    meaning
}

fn of_entry(entry: &Entry) -> Vec<(&'static str, String)> {
    let mut meaning = of_rule(&entry.rule);
    if entry.priority != 0 {
        meaning.push(("priority", entry.priority.to_string()));
    }
    if let Some(factor) = entry.replication_factor {
        meaning.push(("replication_factor", factor.to_string()));
    }
    match entry.existing_target {
        ExistingTarget::Refuse => {}
        ExistingTarget::Translate => meaning.push(("existing_target", "translate".to_owned())),
    }
    if entry.has_local_writers {
        meaning.push(("local_writers", "true".to_owned()));
    }
    meaning
}

fn of_rule(rule: &Rule) -> Vec<(&'static str, String)> {
    let mut meaning = Vec::new();
    match &rule.which {
        Which::Match(pattern) => meaning.push(("match", pattern.clone())),
        Which::Name(name) => meaning.push(("name", name.clone())),
    }
    if !rule.exclude.is_empty() {
        meaning.push(("exclude", format!("{:?}", rule.exclude)));
    }
    match &rule.naming {
        Naming::Same => {}
        Naming::Rename(template) => meaning.push(("rename", template.clone())),
        Naming::Prefix(prefix) => meaning.push(("prefix", prefix.clone())),
    }
    meaning
}

/// A hash of it: the first 64 bits of SHA-256, in hex.
pub(super) fn digest(meaning: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for text in meaning.iter().flat_map(|(key, value)| [key, value]) {
        hash.update(text.as_bytes());
        // Neither a key nor a TOML string holds this byte, so no two meanings run together to the same bytes.
        hash.update([0xff]);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut digits, byte| {
        // Writing to a String can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
