//! State records as types.

mod acls;
mod groups;
mod peers;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use acls::{AclEntry, AclsRecord};
pub use groups::{GroupPositionRecord, GroupRecord};
pub use peers::PeerSeenRecord;
pub use status::{HolderRecord, PartitionState, StatusRecord};

use crate::types::{
    GroupName, LeaderEpoch, LinkName, PartitionIndex, PeerName, ProducerEpoch, ProducerId, ResolveVerb, Sequence,
    SourceOffset, TargetOffset, TopicId, TopicName,
};

/// The key of a state record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Key {
    /// One link.
    Link {
        /// Its name.
        link: LinkName,
    },
    /// One mirror topic of a link.
    Topic {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
    },
    /// How far a mirror partition is.
    Position {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// What is about to be produced to a mirror partition.
    Plan {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// A closed chunk of the offset map of a mirror partition.
    Map {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// Chunks count up from 0; a later one holds later offsets.
        chunk: u32,
    },
    /// A person's decision about a stopped partition.
    Resolution {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// One consumer group of a link.
    Group {
        /// The link.
        link: LinkName,
        /// Its name at the source.
        group: GroupName,
    },
    /// Written by a new owner of a shard before it acts.
    Takeover {
        /// The shard: the state topic's partition.
        shard: i32,
    },
    /// An order, written by anyone, carried out by the owner of the link's shard.
    Request {
        /// The link it is about.
        link: LinkName,
        /// Its own id.
        id: Uuid,
    },
    /// A daemon of the group.
    Daemon {
        /// Its `daemon.id`.
        id: String,
    },
    /// What we have added to the ACLs of a mirror topic.
    Acls {
        /// The link.
        link: LinkName,
        /// The source topic.
        topic: TopicName,
    },
}

/// The value of a state record; which one belongs to which key is told by the names.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are as many positions as all other records together")]
pub enum Value {
    /// Of [`Key::Link`].
    Link(LinkRecord),
    /// Of [`Key::Topic`].
    Topic(TopicRecord),
    /// Of [`Key::Position`].
    Position(PositionRecord),
    /// Of [`Key::Plan`].
    Plan(PlanRecord),
    /// Of [`Key::Map`].
    Map(MapRecord),
    /// Of [`Key::Resolution`].
    Resolution(ResolutionRecord),
    /// Of [`Key::Group`].
    Group(GroupRecord),
    /// Of [`Key::Takeover`].
    Takeover(TakeoverRecord),
    /// Of [`Key::Request`].
    Request(RequestRecord),
    /// Of [`Key::Daemon`].
    Daemon(DaemonRecord),
    /// Of [`Key::Acls`].
    Acls(AclsRecord),
}

/// A link as the group knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Kafka's id of the source cluster.
    pub source_cluster_id: String,
    /// Kafka's id of the target cluster.
    pub target_cluster_id: String,
    /// The data producer id: stored before its first use, kept for ever.
    pub producer_id: ProducerId,
    /// Its epoch; rises only at promote and fail over.
    pub producer_epoch: ProducerEpoch,
    /// Producer ids that write filler and nothing else, where offsets are preserved: the first one records, the
    /// others markers. Stored before their first use, kept for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fillers: Vec<ProducerId>,
    /// Whether the link works or was paused by a person.
    pub state: LinkState,
    /// Digest of the settings that the owner of the link works by.
    pub digest: String,
    /// Those settings by key, so that a daemon with another file can name the key that differs.
    #[serde(default)]
    pub meaning: BTreeMap<String, String>,
    /// When the link first started, by the owner's clock.
    pub created_at_ms: i64,
}

/// Lifecycle of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Mirroring.
    Active,
    /// Paused by a person, all topics.
    Paused,
}

/// One mirror topic: the published mapping "source topic -> target topic", and its lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicRecord {
    /// The life of the source topic that is mirrored.
    pub source_topic_id: Option<TopicId>,
    /// The target topic's name.
    pub target_topic: TopicName,
    /// The life of the target topic.
    pub target_topic_id: Option<TopicId>,
    /// How many partitions are mirrored: those that exist on both sides.
    pub partitions: i32,
    /// Lifecycle.
    pub state: TopicState,
    /// Priority of its entry in the configuration; higher first.
    pub priority: i32,
    /// Whether applications on the target write to the mirror topic as well.
    #[serde(default)]
    pub has_local_writers: bool,
    /// `max.message.bytes` of the target topic.
    pub batch_bytes_max: usize,
    /// Where partitions without a position begin, as far as they are among the first `start_partitions`.
    pub start: StartAt,
    /// How many partitions the source topic had when it was first published; those that came later begin at their
    /// log start.
    #[serde(default)]
    pub start_partitions: i32,
    /// What the settings of the target topic have from us.
    #[serde(default)]
    pub settings: SettingsRecord,
    /// Why the topic as a whole can't be mirrored; `None` when it can.
    pub stop: Option<StopRecord>,
}

/// What was done to the settings of a target topic, so that it can be undone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRecord {
    /// Whether retention is switched off until the history has arrived.
    pub is_history_held: bool,
    /// Whether `cleanup.policy` is `delete` until then, although the source topic is compacted: a compacted topic takes
    /// no filler, and records can't be deleted from it.
    #[serde(default)]
    pub is_policy_held: bool,
    /// Names of the settings that were copied from the source topic: reset when they are reset there.
    pub copied: BTreeSet<String>,
    /// The values that the source topic had when they were copied: what differs on the target while the source still
    /// has them was changed there.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// Where a partition begins that was never mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// At the source's log start.
    Earliest,
    /// At the source's high watermark.
    Latest,
    /// At the first record with this timestamp (milliseconds) or later.
    Timestamp(i64),
}

/// Lifecycle of a mirror topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicState {
    /// Mirroring.
    Mirroring,
    /// Paused by a person.
    Paused,
    /// Can't be mirrored; see `stop`.
    Stopped,
}

/// Why something stopped, as shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    /// A fixed word such as `batch_too_large`.
    pub reason: String,
    /// A sentence with the particulars and the remedy.
    pub message: String,
    /// Since when, milliseconds of the owner's wall clock.
    pub since_ms: i64,
    /// The source offset it is about.
    pub source_offset: Option<SourceOffset>,
    /// What `resolve --with` may be told.
    pub resolve: Vec<ResolveVerb>,
}

/// How far a mirror partition is: a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionRecord {
    /// The life of the source topic the offsets are of.
    pub source_topic_id: Option<TopicId>,
    /// The life of the target topic the offsets are of.
    pub target_topic_id: Option<TopicId>,
    /// All records before it are acknowledged.
    pub source_position: SourceOffset,
    /// Leader epoch of the last source batch before the position.
    pub source_leader_epoch: Option<LeaderEpoch>,
    /// The target offset of the next record.
    pub target_position: TargetOffset,
    /// The sequence of the next record.
    pub sequence: Sequence,
    /// How many target offsets before the position were taken by local writers: plans count without them.
    #[serde(default)]
    pub others: u64,
    /// Where the copy of this life of the source topic began on the target: what this link wrote before is of a former
    /// life.
    #[serde(default)]
    pub begun_at: Option<TargetOffset>,
    /// Where the map begins, source and target; older offsets are below it.
    #[serde(default)]
    pub map_start: Option<(SourceOffset, TargetOffset)>,
    /// The map's runs since the last closed chunk, in the form of `OffsetMap::encode`.
    pub open_runs: String,
    /// The number of the chunk that they will become part of.
    pub open_chunk: u32,
    /// The id of the last resolution that was carried out.
    pub resolution: Option<Uuid>,
    /// How target offsets relate to source offsets; `None`: translated from the start, by an older version.
    #[serde(default)]
    pub offsets: Option<OffsetsRecord>,
    /// What is shown to people.
    pub status: StatusRecord,
}

/// How the offsets of a mirror partition relate to those at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "relation", rename_all = "snake_case")]
pub enum OffsetsRecord {
    /// Every record has its source offset on the target.
    Identical {
        /// The coordinator epoch that markers are written with: rises with every owner.
        counter: i32,
        /// Offsets filled lately.
        filled: u64,
        /// Records copied in the same time.
        copied: u64,
        /// Where the copy begins: what the target's log has before it is filler.
        #[serde(default)]
        begins_at: Option<TargetOffset>,
        /// The producer id of the partition's transactional id, where gaps are filled by empty transactions.
        #[serde(default)]
        transactional: Option<ProducerId>,
    },
    /// The empty mirror partition is being brought to the offset where the copy begins.
    FastForwarding {
        /// That offset.
        to: SourceOffset,
    },
    /// Offsets differ; the map translates.
    Translated {
        /// The source offset from which on they differ.
        since: Option<SourceOffset>,
        /// Why; `None` where the configuration says so.
        because: Option<String>,
    },
}

/// What is about to be produced: every record that may lie on the target behind the checkpoint stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The life of the target topic.
    pub target_topic_id: Option<TopicId>,
    /// Planned runs, in the form of `OffsetMap::encode`. Sequences rise with target offsets from the position on.
    pub runs: String,
    /// What a former owner planned beyond the log end that its successor found, in the same form.
    #[serde(default)]
    pub inherited: String,
    /// With identical offsets, where runs have gaps between them that are filled without sequences: the sequences of
    /// the first record of `runs` and of `inherited`.
    #[serde(default)]
    pub sequences: Option<(Sequence, Sequence)>,
}

/// A closed chunk of an offset map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRecord {
    /// In the form of `OffsetMap::encode`.
    pub runs: String,
}

/// A person's decision about a stopped partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolutionRecord {
    /// The request it came from.
    pub id: Uuid,
    /// What to do.
    pub verb: ResolveVerb,
    /// The reason of the stop that it is about.
    pub reason: String,
    /// The source offset of the stop that it is about.
    pub source_offset: Option<SourceOffset>,
    /// Who said so.
    pub who: String,
    /// When, milliseconds.
    pub at_ms: i64,
}

/// A new owner of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverRecord {
    /// Its `daemon.id`.
    pub daemon: String,
    /// Tells this takeover from every other one.
    pub nonce: Uuid,
}

/// An order to a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// What to do.
    pub action: RequestAction,
    /// Source topics it is about; `None`: all.
    pub topics: Option<Vec<TopicName>>,
    /// Who asked.
    pub who: String,
    /// When, milliseconds.
    pub at_ms: i64,
}

/// What an order says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestAction {
    /// Stop copying, keep the position.
    Pause,
    /// Go on.
    Resume,
    /// Deal with a stopped partition.
    Resolve {
        /// `None`: all stopped partitions of the topics.
        partition: Option<PartitionIndex>,
        /// How.
        verb: ResolveVerb,
    },
}

/// A daemon of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonRecord {
    /// causeway's version.
    pub version: String,
    /// Digest of each link's settings in its file.
    pub digests: BTreeMap<LinkName, String>,
    /// When it started, milliseconds.
    pub started_at_ms: i64,
    /// Where its API listens.
    pub listen: String,
    /// Which peers it has a session with.
    #[serde(default)]
    pub peers: BTreeMap<PeerName, PeerSeenRecord>,
    /// When this was written, milliseconds; 0: not told.
    #[serde(default)]
    pub at_ms: i64,
}
