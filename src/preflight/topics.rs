//! Settings of topics that will bite. Pure.

use crate::cluster::ConfigEntry;
use crate::preflight::report::Level;

/// A mirror topic as it is, or as it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetTopic {
    Present {
        configs: Vec<ConfigEntry>,
        replicas: usize,
        partitions: usize,
        /// `None`: could not be seen.
        is_empty: Option<bool>,
    },
    Absent {
        /// Empty where the target does not tell.
        configs: Vec<ConfigEntry>,
        replicas: Option<usize>,
    },
}

/// One topic on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) source: Vec<ConfigEntry>,
    pub(super) source_partitions: usize,
    pub(super) target: TargetTopic,
    /// Whether the entry says that the target topic may hold records already.
    pub(super) may_hold_records: bool,
    /// Whether a link may have made the target topic its own: there is a state topic.
    pub(super) may_be_ours: bool,
    pub(super) target_brokers: usize,
}

/// A setting that bites. Equal ones of many topics are told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bite {
    pub(super) level: Level,
    pub(super) sentence: String,
    pub(super) remedy: String,
}

impl Bite {
    fn new(level: Level, sentence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level, sentence: sentence.into(), remedy: remedy.into() }
    }
}

/// Everything about one topic that somebody should know.
pub(super) fn bites(pair: &Pair) -> Vec<Bite> {
    let mut bites = of_source(&pair.source);
    match &pair.target {
        TargetTopic::Present { configs, replicas, partitions, is_empty } => {
            bites.extend(of_present(pair, configs, *partitions, *is_empty));
            bites.extend(of_replicas(configs, Some(*replicas), pair.target_brokers));
        }
        TargetTopic::Absent { configs, replicas } => {
            bites.extend(of_replicas(configs, *replicas, pair.target_brokers));
        }
    }
    bites
}

fn of_source(source: &[ConfigEntry]) -> Vec<Bite> {
    let mut bites = Vec::new();
    if value(source, "message.format.version").is_some_and(is_before_0_11) {
        bites.push(Bite::new(
            Level::Warn,
            "the source keeps it in a message format from before Kafka 0.11, at which a partition stops",
            "raise message.format.version at the source; what is in the old format there must expire, or be skipped",
        ));
    }
    if value(source, "message.timestamp.type") == Some("LogAppendTime") {
        bites.push(Bite::new(
            Level::Warn,
            "the source's brokers stamp its records (LogAppendTime): each batch is rebuilt to keep those stamps",
            "nothing to mend; expect more CPU for this topic",
        ));
    }
    bites
}

fn of_present(pair: &Pair, target: &[ConfigEntry], partitions: usize, is_empty: Option<bool>) -> Vec<Bite> {
    let mut bites = Vec::new();
    // What a link takes over it mends; what somebody changed afterwards it leaves alone.
    let (level, remedy) = if pair.may_be_ours {
        (Level::Fail, "set it right on the target with kafka-configs, unless the link has not started with this topic")
    } else {
        (Level::Warn, "nothing to do: the link changes it when it takes the topic over")
    };
    if value(target, "message.timestamp.type") == Some("LogAppendTime") {
        let sentence = "the target's brokers would stamp its records (message.timestamp.type=LogAppendTime)";
        bites.push(Bite::new(level, sentence, remedy));
    }
    if value(target, "compression.type").is_some_and(|codec| codec != "producer") {
        let sentence = "the target compresses it anew (compression.type is not producer), at the cost of its CPU";
        bites.push(Bite::new(Level::Warn, sentence, remedy));
    }
    let is_compacted = |configs| value(configs, "cleanup.policy").is_some_and(|policy| policy.contains("compact"));
    if is_compacted(target) && !is_compacted(&pair.source) {
        bites.push(Bite::new(
            Level::Fail,
            "the target compacts it and the source does not: records would be lost, and those without a key refused",
            "set cleanup.policy on the target as it is at the source",
        ));
    }
    if pair.may_be_ours && value(target, "message.timestamp.after.max.ms").is_some_and(|limit| limit != WIDE) {
        bites.push(Bite::new(
            Level::Warn,
            "the target refuses timestamps that lie ahead (message.timestamp.after.max.ms), at which a partition stops",
            format!("set message.timestamp.after.max.ms={WIDE} on the target"),
        ));
    }
    if is_empty == Some(false) && !pair.may_be_ours && !pair.may_hold_records {
        bites.push(Bite::new(
            Level::Fail,
            "it exists on the target and holds records, so it won't be mirrored into",
            "give the mirror topic another name, or set existing_target = \"translate\" on its entry to append",
        ));
    }
    if partitions > pair.source_partitions {
        bites.push(Bite::new(
            Level::Warn,
            "it has more partitions on the target than at the source: keys spread differently after a fail over",
            "recreate it with as many partitions, or live with it",
        ));
    }
    bites
}

const WIDE: &str = "9223372036854775807";

/// Replicas against the number that has to be in sync.
fn of_replicas(configs: &[ConfigEntry], replicas: Option<usize>, brokers: usize) -> Vec<Bite> {
    let Some(replicas) = replicas else { return Vec::new() };
    let in_sync_min: usize = value(configs, "min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1);
    if replicas < in_sync_min {
        let sentence =
            format!("on the target it has {replicas} replicas and needs {in_sync_min} in sync: no write succeeds");
        return vec![Bite::new(Level::Fail, sentence, "raise replication_factor, or lower min.insync.replicas")];
    }
    if replicas == in_sync_min && replicas > 1 {
        let sentence =
            format!("on the target all of its {replicas} replicas must be in sync: it stops with any broker");
        return vec![Bite::new(Level::Warn, sentence, "raise replication_factor, or lower min.insync.replicas")];
    }
    if replicas == 1 && brokers > 1 {
        let sentence = "on the target it has one replica: it stops, or is lost, with that broker";
        return vec![Bite::new(Level::Warn, sentence, "set replication_factor on the entry")];
    }
    Vec::new()
}

/// What is wrong with a state topic that exists.
pub(super) fn state_bites(configs: &[ConfigEntry], replicas: usize, brokers: usize) -> Vec<Bite> {
    const REPLICAS: usize = 3;
    let mut bites = Vec::new();
    if value(configs, "cleanup.policy").is_some_and(|policy| policy != "compact") {
        bites.push(Bite::new(
            Level::Fail,
            "it must be compacted and nothing else, or state is lost",
            "set cleanup.policy=compact on it",
        ));
    }
    if replicas < REPLICAS && brokers >= REPLICAS {
        bites.push(Bite::new(
            Level::Fail,
            format!("it has {replicas} replicas in a cluster of {brokers} brokers: losing it means to start anew"),
            "give it 3 replicas with kafka-reassign-partitions, and min.insync.replicas=2",
        ));
    } else if replicas >= REPLICAS && value(configs, "min.insync.replicas") == Some("1") {
        bites.push(Bite::new(
            Level::Warn,
            "one replica in sync is enough for it: an acknowledged write can be lost with a broker",
            "set min.insync.replicas=2 on it",
        ));
    }
    bites
}

/// Kafka's record batches came with 0.11; older format settings are `0.8` to `0.10`.
fn is_before_0_11(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(0)), Some(Ok(minor))) if minor < 11)
}

fn value<'c>(configs: &'c [ConfigEntry], name: &str) -> Option<&'c str> {
    configs.iter().find(|entry| entry.name == name)?.value.as_deref()
}
