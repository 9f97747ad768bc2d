//! Which settings a mirror topic should have. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::ConfigEntry;
use crate::store::SettingsRecord;

/// Settings that depend on the cluster, or that a mirror topic has values of its own for.
const LOCAL: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.message.bytes",
    "message.downconversion.enable",
    "message.format.version",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.difference.max.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
    "unclean.leader.election.enable",
];

/// Retention, switched off while history arrives.
const RETENTION: &[&str] = &["retention.ms", "retention.bytes"];
const UNLIMITED: &str = "-1";
pub(super) const SIZE: &str = "max.message.bytes";
/// The largest `long`: timestamps are never out of range.
const WIDE: &str = "9223372036854775807";

/// Names that Kafka has had for the limits on timestamps: two since 3.6, one before.
const TIMESTAMP_LIMITS: &[&str] = &["message.timestamp.before.max.ms", "message.timestamp.after.max.ms"];
const TIMESTAMP_LIMIT_BEFORE_3_6: &str = "message.timestamp.difference.max.ms";

/// What Kafka has for `max.message.bytes` when nobody says otherwise.
pub(super) const BATCH_BYTES_MAX_DEFAULT: usize = 1_048_588;

/// Where a mirror topic is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It exists, and is about to become a mirror topic.
    Adopting,
    /// Its history is not all there yet.
    CatchingUp,
    /// All partitions have caught up.
    CaughtUp,
}

/// What to change, and what to remember once it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changes {
    /// Settings to set (`Some`) or to reset.
    pub(super) alter: BTreeMap<String, Option<String>>,
    pub(super) record: SettingsRecord,
}

/// The settings to create a mirror topic with. `known` are the names that the target knows, where that is known.
pub(super) fn at_creation(
    source: &[ConfigEntry],
    known: Option<&BTreeSet<String>>,
) -> (BTreeMap<String, String>, SettingsRecord) {
    let is_history_held = is_retention_in_force(source);
    let mut configs = copied(source, known, is_history_held);
    let copied = configs.keys().cloned().collect();
    let mut record = SettingsRecord { is_history_held, copied, values: configs.clone() };
    if let Some(size) = set_value(source, SIZE) {
        configs.insert(SIZE.to_owned(), size.to_owned());
        record.values.insert(SIZE.to_owned(), size.to_owned());
    }
    configs.extend(own(known));
    if is_history_held {
        configs.extend(RETENTION.iter().map(|name| ((*name).to_owned(), UNLIMITED.to_owned())));
    }
    (configs, record)
}

/// The settings to create a topic with that applications on both sides write to: the source's, as they are, and what
/// mirroring needs. Retention is not held back: the opposite link would take that for what the source has.
pub(super) fn at_creation_for_all(
    source: &[ConfigEntry],
    known: Option<&BTreeSet<String>>,
) -> (BTreeMap<String, String>, SettingsRecord) {
    let mut configs = copied(source, known, false);
    if let Some(size) = set_value(source, SIZE) {
        configs.insert(SIZE.to_owned(), size.to_owned());
    }
    configs.extend(own(known));
    (configs, SettingsRecord::default())
}

impl Changes {
    /// Leaves retention to whoever looks after the topic, unless this link holds it back already: that is undone as
    /// ever.
    pub(super) fn leave_retention(&mut self, before: &SettingsRecord) {
        if !before.is_history_held {
            self.alter.retain(|name, _| !RETENTION.contains(&name.as_str()));
            self.record.is_history_held = false;
        }
    }
}

/// What is to be changed of a target topic's settings. With `is_sync_on` off, only what mirroring needs.
pub(super) fn changes(
    source: &[ConfigEntry],
    target: &[ConfigEntry],
    before: &SettingsRecord,
    phase: Phase,
    is_sync_on: bool,
) -> Changes {
    let known: BTreeSet<String> = target.iter().map(|entry| entry.name.clone()).collect();
    let mut record = before.clone();
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    match phase {
        Phase::Adopting => {
            record.is_history_held = is_retention_in_force(source);
            wanted.extend(own(Some(&known)).into_iter().map(|(name, value)| (name, Some(value))));
            if record.is_history_held {
                wanted.extend(RETENTION.iter().map(|name| ((*name).to_owned(), Some(UNLIMITED.to_owned()))));
            }
        }
        Phase::CaughtUp if before.is_history_held => {
            record.is_history_held = false;
            for name in RETENTION {
                let value = set_value(source, name).map(str::to_owned);
                if value.is_some() {
                    record.copied.insert((*name).to_owned());
                }
                wanted.insert((*name).to_owned(), value);
            }
        }
        Phase::CatchingUp | Phase::CaughtUp => {}
    }
    if is_sync_on {
        let copied = copied(source, Some(&known), record.is_history_held);
        let is_held = |name: &str| record.is_history_held && RETENTION.contains(&name);
        for name in before.copied.iter().filter(|name| set_value(source, name).is_none() && !is_held(name)) {
            wanted.insert(name.clone(), None);
        }
        record.copied = copied.keys().cloned().collect();
        record.values = copied.clone();
        record.values.extend(set_value(source, SIZE).map(|size| (SIZE.to_owned(), size.to_owned())));
        wanted.extend(copied.into_iter().map(|(name, value)| (name, Some(value))));
    }
    wanted.extend(size_to_set(source, target, is_sync_on));
    wanted.retain(|name, value| differs(target, name, value.as_deref()));
    Changes { alter: wanted, record }
}

/// The size that has to be set so that the source's batches fit.
fn size_to_set(source: &[ConfigEntry], target: &[ConfigEntry], is_sync_on: bool) -> Option<(String, Option<String>)> {
    let at_source = value(source, SIZE)?;
    let is_to_be_copied = is_sync_on && set_value(source, SIZE).is_some();
    let is_too_small = batch_bytes_max(source) > batch_bytes_max(target);
    (is_to_be_copied || is_too_small).then(|| (SIZE.to_owned(), Some(at_source.to_owned())))
}

/// What is in force for `max.message.bytes`.
pub(super) fn batch_bytes_max(configs: &[ConfigEntry]) -> usize {
    value(configs, SIZE).and_then(|value| value.parse().ok()).unwrap_or(BATCH_BYTES_MAX_DEFAULT)
}

/// What a mirror topic has whatever the source has.
pub(super) fn own(known: Option<&BTreeSet<String>>) -> BTreeMap<String, String> {
    let is_known = |name: &str| known.is_none_or(|known| known.contains(name));
    let mut configs = BTreeMap::new();
    let mut set = |name: &str, value: &str| configs.insert(name.to_owned(), value.to_owned());
    set("compression.type", "producer");
    set("message.timestamp.type", "CreateTime");
    if TIMESTAMP_LIMITS.iter().all(|name| is_known(name)) {
        for name in TIMESTAMP_LIMITS {
            set(name, WIDE);
        }
    } else if is_known(TIMESTAMP_LIMIT_BEFORE_3_6) {
        set(TIMESTAMP_LIMIT_BEFORE_3_6, WIDE);
    }
    configs
}

/// What is set on the source topic and belongs on the target topic too.
fn copied(source: &[ConfigEntry], known: Option<&BTreeSet<String>>, is_history_held: bool) -> BTreeMap<String, String> {
    source
        .iter()
        .filter(|entry| entry.is_set_on_topic && !LOCAL.contains(&entry.name.as_str()))
        .filter(|entry| !(is_history_held && RETENTION.contains(&entry.name.as_str())))
        .filter(|entry| known.is_none_or(|known| known.contains(&entry.name)))
        .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
        .collect()
}

/// Whether a topic's old records are deleted at some time.
fn is_retention_in_force(configs: &[ConfigEntry]) -> bool {
    value(configs, "cleanup.policy").is_none_or(|policy| policy.split(',').any(|part| part.trim() == "delete"))
}

fn value<'c>(configs: &'c [ConfigEntry], name: &str) -> Option<&'c str> {
    configs.iter().find(|entry| entry.name == name)?.value.as_deref()
}

pub(super) fn set_value<'c>(configs: &'c [ConfigEntry], name: &str) -> Option<&'c str> {
    configs.iter().find(|entry| entry.name == name && entry.is_set_on_topic)?.value.as_deref()
}

/// Whether the target topic has another value than this one; a reset differs where anything is set.
pub(super) fn differs(target: &[ConfigEntry], name: &str, wanted: Option<&str>) -> bool {
    match (wanted, set_value(target, name)) {
        (None, None) => false,
        (Some(wanted), Some(is)) => !is_same(wanted, is),
        (None, Some(_)) | (Some(_), None) => true,
    }
}

/// Brokers print numbers in their own way: `0.50` comes back as `0.5`.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a == b,
        (_, _) => a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() < 1e-9),
    }
}

/// Splits off the settings that a refusal names, as in `Unknown topic config name: retention.foo`.
pub(super) fn named_in<'c>(message: &str, names: impl Iterator<Item = &'c String>) -> BTreeSet<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let words: BTreeSet<&str> =
        message.split(|letter| !is_of_name(letter)).map(|word| word.trim_matches('.')).collect();
    names.filter(|name| words.contains(name.as_str())).cloned().collect()
}
