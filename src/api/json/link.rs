//! Links.

use serde::{Deserialize, Serialize};

use crate::types::{ClusterName, LinkName};

/// All links of the daemon's configuration and of its group, by name: `GET /v1/links`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// One for each link.
    pub links: Vec<Link>,
}

/// One link: `GET /v1/links/{link}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// The source cluster's name in the configuration.
    pub source: ClusterName,
    /// The target cluster's name in the configuration.
    pub target: ClusterName,
    /// Kafka's id of the source cluster; `null` until it was reached once.
    #[serde(default)]
    pub source_cluster_id: Option<String>,
    /// Kafka's id of the target cluster; `null` until it was reached once.
    #[serde(default)]
    pub target_cluster_id: Option<String>,
    /// What the link as a whole does.
    pub state: LinkState,
    /// How offsets are treated.
    pub offsets: OffsetsMode,
    /// Whether this daemon reaches the link's target directly, so that its group does the work.
    pub served_here: bool,
    /// The first key of this daemon's file that differs from the settings the link works by; `null`: none.
    #[serde(default)]
    pub config_mismatch: Option<String>,
    /// What a person should look at: unreachable clusters, missing permissions, refused settings.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// How many mirror topics.
    pub topics: u64,
    /// How many mirror partitions.
    pub partitions: u64,
    /// How many of them are stopped.
    pub partitions_stopped: u64,
    /// Records not yet mirrored, all partitions together; `null` with the source unreachable.
    #[serde(default)]
    pub lag_records: Option<u64>,
    /// The largest lag in time of any partition, milliseconds.
    #[serde(default)]
    pub lag_ms: Option<u64>,
    /// The longest time since the source last answered about any partition, milliseconds.
    #[serde(default)]
    pub source_contact_age_ms: Option<u64>,
    /// Its consumer groups; `null` without any selected, or before anything is known.
    #[serde(default)]
    pub groups: Option<LinkGroups>,
    /// The link's data producer id, which marks every batch it writes; `null` before the first start.
    #[serde(default)]
    pub producer_id: Option<i64>,
    /// The epoch of that producer id; rises only at promote and fail over.
    #[serde(default)]
    pub producer_epoch: Option<i16>,
}

/// The consumer groups of a link in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkGroups {
    /// How many are synchronised.
    pub groups: u64,
    /// Their positions in mirrored topics.
    pub positions: u64,
    /// Of these: the target has the translated position.
    pub synced: u64,
    /// Of these: read further at the source than is copied.
    pub ahead_of_data: u64,
    /// Of these: not written yet.
    pub pending: u64,
    /// Of these: the group has members on the target.
    pub active_on_target: u64,
    /// Of these: somebody else committed another position on the target.
    pub conflict: u64,
    /// Of these: older than the offset map.
    pub below_map: u64,
    /// Of these: came from the target by a link in the other direction.
    pub from_target: u64,
    /// Of these: the target did not take it.
    pub failed: u64,
    /// How long ago everything was read at the source and was on the target, milliseconds; `null`: not yet, or told by
    /// the daemon that keeps the link only.
    pub complete_age_ms: Option<u64>,
    /// The last comparison of next records; `null`: none yet, or told by the daemon that keeps the link only.
    pub rehearsal: Option<LinkRehearsal>,
}

/// The last comparison of the next records of groups on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRehearsal {
    /// How long ago, milliseconds.
    pub age_ms: u64,
    /// Positions whose next record is the same on both sides.
    pub matching: u64,
    /// Positions at the end of both sides.
    pub at_end: u64,
    /// Positions of which nothing can be said: one side has deleted records there meanwhile.
    pub not_compared: u64,
    /// Positions whose next record differs.
    pub mismatching: u64,
    /// Some of them.
    pub mismatches: Vec<String>,
}

/// What a link as a whole does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Not yet taken up: a cluster was never reached, or the state is still being read.
    Starting,
    /// Mirroring.
    Active,
    /// Paused by a person, all topics.
    Paused,
    /// It can't work as configured; `problems` say why.
    Stopped,
}

/// How a link treats offsets: the setting `offsets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffsetsMode {
    /// The same offsets on the target; exact translation where that is impossible.
    Preserve,
    /// The same offsets on the target, or the partition stops.
    PreserveOrStop,
    /// Offsets as the target gives them, with an exact map.
    Translate,
}

/// Something a person should look at. What is known of cluster, broker, principal, resource and operation is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Problem {
    /// A fixed word for programs, such as `cluster_unreachable` or `permission_missing`.
    pub kind: String,
    /// A sentence with the particulars and the remedy.
    pub message: String,
    /// Since when, milliseconds since 1970.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// The cluster's name in the configuration.
    #[serde(default)]
    pub cluster: Option<ClusterName>,
    /// The broker, as host and port.
    #[serde(default)]
    pub broker: Option<String>,
    /// As whom we logged in.
    #[serde(default)]
    pub principal: Option<String>,
    /// What it is about, such as `topic orders`.
    #[serde(default)]
    pub resource: Option<String>,
    /// What was not allowed or failed, such as `Describe`.
    #[serde(default)]
    pub operation: Option<String>,
}

impl LinkState {
    /// The state as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl OffsetsMode {
    /// The mode as it stands in the JSON and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preserve => "preserve",
            Self::PreserveOrStop => "preserve-or-stop",
            Self::Translate => "translate",
        }
    }
}
