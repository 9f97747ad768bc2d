//! The daemon itself.

use serde::{Deserialize, Serialize};

/// The daemon that answers: `GET /v1/daemon`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its `daemon.id`.
    pub id: String,
    /// Its `daemon.group`.
    pub group: String,
    /// causeway's version.
    pub version: String,
    /// When it started, milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it has been running, milliseconds.
    pub uptime_ms: u64,
    /// The address that the API listens on.
    pub listen: String,
    /// How many shards it owns, all target clusters together.
    pub shards_owned: u64,
    /// How many shards there are, all target clusters together.
    pub shards: u64,
    /// The memory for records on their way.
    #[serde(default)]
    pub memory_budget: Option<MemoryBudget>,
    /// All daemons of the group that have left word, this one included.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// A daemon of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its `daemon.id`.
    pub id: String,
    /// causeway's version there.
    pub version: String,
    /// When it started, milliseconds since 1970.
    pub started_at_ms: i64,
    /// Where its API listens.
    pub listen: String,
}

/// The memory for records on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBudget {
    /// In use now.
    pub bytes_used: u64,
    /// At most.
    pub bytes_max: u64,
}

/// Whether the daemon can do its work: `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// State read to its end, membership joined, API answering. An unreachable source does not count.
    pub ready: bool,
    /// Why not, one sentence each.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready when there is no reason against it.
    #[must_use]
    pub fn of(reasons: Vec<String>) -> Self {
        Self { ready: reasons.is_empty(), reasons }
    }
}

/// The process is alive: `GET /healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always true: a daemon that is not alive does not answer.
    pub alive: bool,
    /// causeway's version.
    pub version: String,
}
