//! Settings of topics and brokers.
//!
//! Owns: which settings there are, their defaults (those of Kafka 4.3), which values they take.
//! Promises: a topic's settings are always valid.
//! Does not know: who asks.

use std::collections::BTreeMap;

use super::codec::Codec;
use super::inspect::Rules;

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer { least: i64 },
    Fraction,
    OneOf(&'static [&'static str]),
    ListOf(&'static [&'static str]),
    Anything,
}

/// A setting that exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const UNLIMITED: &str = "9223372036854775807";
const COUNT: Kind = Kind::Integer { least: 0 };
const COUNT_OR_NONE: Kind = Kind::Integer { least: -1 };

/// The settings of topics.
pub(crate) const TOPIC: &[Setting] = &[
    setting("cleanup.policy", Kind::ListOf(&["compact", "delete"]), "delete"),
    setting("compression.gzip.level", COUNT_OR_NONE, "-1"),
    setting("compression.lz4.level", COUNT, "9"),
    setting("compression.type", Kind::OneOf(CODECS), "producer"),
    setting("compression.zstd.level", Kind::Integer { least: -131_072 }, "3"),
    setting("delete.retention.ms", COUNT, "86400000"),
    setting("file.delete.delay.ms", COUNT, "60000"),
    setting("flush.messages", COUNT, UNLIMITED),
    setting("flush.ms", COUNT, UNLIMITED),
    setting("follower.replication.throttled.replicas", Kind::Anything, ""),
    setting("index.interval.bytes", COUNT, "4096"),
    setting("leader.replication.throttled.replicas", Kind::Anything, ""),
    setting("local.retention.bytes", Kind::Integer { least: -2 }, "-2"),
    setting("local.retention.ms", Kind::Integer { least: -2 }, "-2"),
    setting("max.compaction.lag.ms", Kind::Integer { least: 1 }, UNLIMITED),
    setting("max.message.bytes", COUNT, "1048588"),
    setting("message.timestamp.after.max.ms", COUNT, "3600000"),
    setting("message.timestamp.before.max.ms", COUNT, UNLIMITED),
    setting("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime"),
    setting("min.cleanable.dirty.ratio", Kind::Fraction, "0.5"),
    setting("min.compaction.lag.ms", COUNT, "0"),
    setting("min.insync.replicas", Kind::Integer { least: 1 }, "1"),
    setting("preallocate", Kind::Boolean, "false"),
    setting("remote.log.copy.disable", Kind::Boolean, "false"),
    setting("remote.log.delete.on.disable", Kind::Boolean, "false"),
    setting("remote.storage.enable", Kind::Boolean, "false"),
    setting("retention.bytes", COUNT_OR_NONE, "-1"),
    setting("retention.ms", COUNT_OR_NONE, "604800000"),
    setting("segment.bytes", Kind::Integer { least: 1 << 20 }, "1073741824"),
    setting("segment.index.bytes", Kind::Integer { least: 4 }, "10485760"),
    setting("segment.jitter.ms", COUNT, "0"),
    setting("segment.ms", Kind::Integer { least: 1 }, "604800000"),
    setting("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// The settings of brokers that somebody may ask for or change while they run.
pub(crate) const BROKER: &[Setting] = &[
    setting("auto.create.topics.enable", Kind::Boolean, "false"),
    setting("default.replication.factor", Kind::Integer { least: 1 }, "1"),
    setting("group.initial.rebalance.delay.ms", COUNT, "0"),
    setting("group.max.session.timeout.ms", COUNT, "1800000"),
    setting("group.min.session.timeout.ms", COUNT, "6000"),
    setting("log.cleanup.policy", Kind::ListOf(&["compact", "delete"]), "delete"),
    setting("log.cleaner.delete.retention.ms", COUNT, "86400000"),
    setting("log.retention.bytes", COUNT_OR_NONE, "-1"),
    setting("log.retention.check.interval.ms", Kind::Integer { least: 1 }, "300000"),
    setting("log.retention.ms", COUNT_OR_NONE, "604800000"),
    setting("log.roll.ms", Kind::Integer { least: 1 }, "604800000"),
    setting("log.segment.bytes", Kind::Integer { least: 1 << 20 }, "1073741824"),
    setting("message.max.bytes", COUNT, "1048588"),
    setting("min.insync.replicas", Kind::Integer { least: 1 }, "1"),
    setting("num.partitions", Kind::Integer { least: 1 }, "1"),
    setting("offsets.retention.minutes", Kind::Integer { least: 1 }, "10080"),
    setting("producer.id.expiration.check.interval.ms", Kind::Integer { least: 1 }, "600000"),
    setting("producer.id.expiration.ms", Kind::Integer { least: 1 }, "86400000"),
    setting("replica.lag.time.max.ms", Kind::Integer { least: 1 }, "30000"),
    setting("transaction.max.timeout.ms", Kind::Integer { least: 1 }, "900000"),
    setting("transactional.id.expiration.ms", Kind::Integer { least: 1 }, "604800000"),
];

/// Values that were set, by name.
pub(crate) type Overrides = BTreeMap<String, String>;

/// Why a value can't be set; `None`: it can.
pub(crate) fn objection(known: &[Setting], name: &str, value: &str) -> Option<String> {
    let Some(setting) = known.iter().find(|setting| setting.name == name) else {
        return Some(format!("Unknown topic config name: {name}"));
    };
    let is_good = match setting.kind {
        Kind::Boolean => matches!(value, "true" | "false"),
        Kind::Integer { least } => value.parse::<i64>().is_ok_and(|number| number >= least),
        Kind::Fraction => value.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number)),
        Kind::OneOf(allowed) => allowed.contains(&value),
        Kind::ListOf(allowed) => value.split(',').all(|one| allowed.contains(&one.trim())),
        Kind::Anything => true,
    };
    (!is_good).then(|| format!("Invalid value {value} for configuration {name}"))
}

/// The value that holds: the one set, or the default.
pub(crate) fn value<'a>(known: &'a [Setting], overrides: &'a Overrides, name: &str) -> &'a str {
    let default = || known.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
    overrides.get(name).map_or_else(default, String::as_str)
}

/// The same as a number. Only asked of settings that are numbers.
pub(crate) fn number(known: &[Setting], overrides: &Overrides, name: &str) -> i64 {
    value(known, overrides, name).parse().unwrap_or(i64::MAX)
}

/// A topic's settings as the log needs them.
#[derive(Debug, Clone)]
pub(crate) struct TopicSettings {
    pub(crate) rules: Rules,
    pub(crate) is_deleted_from: bool,
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) dirty_ratio_min: f64,
    pub(crate) in_sync_min: usize,
    pub(crate) is_unclean_election_allowed: bool,
}

impl TopicSettings {
    pub(crate) fn of(overrides: &Overrides) -> Self {
        let number = |name| number(TOPIC, overrides, name);
        let text = |name| value(TOPIC, overrides, name);
        let has_policy = |policy: &str| text("cleanup.policy").split(',').any(|one| one.trim() == policy);
        Self {
            rules: Rules {
                is_compacted: has_policy("compact"),
                is_log_append_time: text("message.timestamp.type") == "LogAppendTime",
                before_max_ms: number("message.timestamp.before.max.ms"),
                after_max_ms: number("message.timestamp.after.max.ms"),
                max_message_bytes: number("max.message.bytes"),
                codec: Codec::of_setting(text("compression.type")),
            },
            is_deleted_from: has_policy("delete"),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            segment_bytes: number("segment.bytes").unsigned_abs(),
            segment_ms: number("segment.ms"),
            delete_retention_ms: number("delete.retention.ms"),
            dirty_ratio_min: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            in_sync_min: usize::try_from(number("min.insync.replicas")).unwrap_or(1),
            is_unclean_election_allowed: text("unclean.leader.election.enable") == "true",
        }
    }
}
