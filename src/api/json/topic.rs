//! Mirror topics and their partitions.

use serde::{Deserialize, Serialize};

use crate::types::{PartitionIndex, ResolveVerb, SourceOffset, TargetOffset, TopicName};

/// The mirror topics of a link, by source topic: `GET /v1/links/{link}/topics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topics {
    /// One for each mirror topic.
    pub topics: Vec<Topic>,
}

/// One mirror topic: `GET /v1/links/{link}/topics/{topic}`, where `{topic}` is the source topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// The topic's name at the source.
    pub source_topic: TopicName,
    /// The topic's name on the target.
    pub target_topic: TopicName,
    /// Its lifecycle; where it is not promoted or failed over, the worst state of its partitions.
    pub state: TopicState,
    /// Whether target offsets equal source offsets.
    pub offsets: TopicOffsets,
    /// Why the topic as a whole can't be mirrored; `null` when it can.
    #[serde(default)]
    pub error: Option<Stop>,
    /// By index.
    pub partitions: Vec<Partition>,
}

/// One mirror partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Its index.
    pub partition: PartitionIndex,
    /// What it does.
    pub state: PartitionState,
    /// Whether every record has the same offset on both sides.
    #[serde(default)]
    pub offsets: TopicOffsets,
    /// The source offset from which on they differ, where they were to be the same.
    #[serde(default)]
    pub offsets_since: Option<SourceOffset>,
    /// Why they differ, where they were to be the same.
    #[serde(default)]
    pub offsets_because: Option<String>,
    /// Where the offset map begins: source offsets before it translate to `below_map`. Beyond the source's log start
    /// where the map got too large.
    #[serde(default)]
    pub map_start: Option<SourceOffset>,
    /// The source's log start offset.
    pub source_log_start: Option<SourceOffset>,
    /// The source's high watermark.
    pub source_high_watermark: Option<SourceOffset>,
    /// The source's last stable offset.
    pub source_last_stable: Option<SourceOffset>,
    /// The next source offset to copy: all before it are acknowledged by the target.
    pub source_position: Option<SourceOffset>,
    /// The target offset of the next record.
    pub target_position: Option<TargetOffset>,
    /// High watermark minus source position; `null` with the source unreachable.
    pub lag_records: Option<u64>,
    /// Age of the oldest high watermark that is not yet acknowledged, milliseconds; 0 when all is copied.
    pub lag_ms: Option<u64>,
    /// How long until the source's retention would overtake the mirror, milliseconds; `null`: never, or not known.
    pub retention_left_ms: Option<u64>,
    /// Time since the source last answered about this partition, milliseconds.
    #[serde(default)]
    pub source_contact_age_ms: Option<u64>,
    /// What an open transaction at the source holds back; `null`: nothing.
    #[serde(default)]
    pub held_back: Option<HeldBack>,
    /// The daemon that owns the partition; `null`: none at the moment.
    #[serde(default)]
    pub daemon: Option<String>,
    /// Why it stopped; `null` when it did not.
    pub error: Option<Stop>,
}

/// Records that can't be read before an open transaction at the source ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// High watermark minus last stable offset.
    pub records: u64,
    /// The producer whose transaction is open, where known.
    pub producer_id: Option<i64>,
    /// How long the last stable offset has not moved, milliseconds.
    pub age_ms: Option<u64>,
}

/// Why something stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// A fixed word for programs, such as `batch_too_large`.
    pub reason: String,
    /// A sentence with the particulars and the remedy.
    #[serde(default)]
    pub message: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// The source offset it is about.
    pub source_offset: Option<SourceOffset>,
    /// What `resolve` may be told to do.
    pub resolve: Vec<ResolveVerb>,
}

/// Whether target offsets equal source offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicOffsets {
    /// Every record has the same offset on both sides.
    #[default]
    Identical,
    /// They differ somewhere; the offset map translates.
    Translated,
}

/// What a mirror partition does. In rising order of how much it needs a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// Mirroring.
    Mirroring,
    /// Paused by a person.
    Paused,
    /// Being brought to the source's log start before the first record.
    FastForwarding,
    /// Taking over, not yet mirroring.
    Starting,
    /// Stopped; `error` says why.
    Stopped,
}

/// The lifecycle of a mirror topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicState {
    /// At least one partition is taking over.
    Starting,
    /// At least one partition is brought to the source's log start.
    FastForwarding,
    /// All partitions mirror.
    Mirroring,
    /// Paused by a person.
    Paused,
    /// The topic, or at least one of its partitions, stopped.
    Stopped,
    /// Draining to the cut of a planned promotion.
    Promoting,
    /// Takes writes on the target after a planned promotion.
    Promoted,
    /// Being cut where it is.
    FailingOver,
    /// Takes writes on the target after a failover.
    FailedOver,
    /// Being made a mirror again.
    Restoring,
}

impl PartitionState {
    /// The state as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        TopicState::from_partition(self).name()
    }
}

impl TopicState {
    /// The state of a topic that is neither promoted nor failed over: the worst of its partitions. A topic without
    /// partitions is starting.
    #[must_use]
    pub fn worst_of(partitions: &[Partition]) -> Self {
        let worst = partitions.iter().map(|partition| partition.state).max();
        Self::from_partition(worst.unwrap_or(PartitionState::Starting))
    }

    const fn from_partition(state: PartitionState) -> Self {
        match state {
            PartitionState::Mirroring => Self::Mirroring,
            PartitionState::Paused => Self::Paused,
            PartitionState::FastForwarding => Self::FastForwarding,
            PartitionState::Starting => Self::Starting,
            PartitionState::Stopped => Self::Stopped,
        }
    }

    /// The state as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::FastForwarding => "fast_forwarding",
            Self::Mirroring => "mirroring",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Promoting => "promoting",
            Self::Promoted => "promoted",
            Self::FailingOver => "failing_over",
            Self::FailedOver => "failed_over",
            Self::Restoring => "restoring",
        }
    }
}

impl TopicOffsets {
    /// The word as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Translated => "translated",
        }
    }
}

impl Topic {
    /// Records not yet mirrored, all partitions together; `None` where any is unknown.
    #[must_use]
    pub fn lag_records(&self) -> Option<u64> {
        self.partitions.iter().try_fold(0, |sum: u64, partition| Some(sum.saturating_add(partition.lag_records?)))
    }

    /// The largest lag in time, milliseconds; `None` where none is known.
    #[must_use]
    pub fn lag_ms(&self) -> Option<u64> {
        self.partitions.iter().filter_map(|partition| partition.lag_ms).max()
    }
}
