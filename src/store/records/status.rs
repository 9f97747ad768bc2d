//! What is told of a mirror partition to those who don't work on it.

use serde::{Deserialize, Serialize};

use super::StopRecord;
use crate::types::SourceOffset;

/// What was last seen of a mirror partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// State of the partition.
    pub state: PartitionState,
    /// The daemon that owns it.
    pub daemon: String,
    /// Wall clock of this observation, milliseconds.
    pub at_ms: i64,
    /// The source's log start.
    pub source_log_start: Option<SourceOffset>,
    /// The source's high watermark.
    pub source_high_watermark: Option<SourceOffset>,
    /// The source's last stable offset.
    pub source_last_stable: Option<SourceOffset>,
    /// Age of the oldest high watermark not yet reached.
    pub lag_ms: Option<u64>,
    /// Time since the source last answered about this partition.
    pub source_contact_age_ms: Option<u64>,
    /// How long until the source's retention would overtake the mirror, where known.
    #[serde(default)]
    pub retention_left_ms: Option<u64>,
    /// The open transaction that holds readers back at the source.
    #[serde(default)]
    pub held_by: Option<HolderRecord>,
    /// Why it stopped.
    pub stop: Option<StopRecord>,
}

impl StatusRecord {
    /// What is known by now of somebody from whom nothing was heard since.
    #[must_use]
    pub fn aged(&self, now_ms: i64) -> Self {
        let age_ms = u64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(0);
        Self {
            // What had arrived has arrived; what had not is as late as it was, and by that time more.
            lag_ms: self.lag_ms.map(|lag| if lag == 0 { 0 } else { lag.saturating_add(age_ms) }),
            source_contact_age_ms: self.source_contact_age_ms.map(|age| age.saturating_add(age_ms)),
            retention_left_ms: self.retention_left_ms.map(|left| left.saturating_sub(age_ms)),
            ..self.clone()
        }
    }
}

/// An open transaction at the source, behind which nothing can be read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderRecord {
    /// Its producer, once it was looked up.
    pub producer_id: Option<i64>,
    /// How long the last stable offset has stood where it is, milliseconds.
    pub age_ms: u64,
}

/// State of a mirror partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// Mirroring.
    Mirroring,
    /// Being brought to the offset where the copy begins.
    FastForwarding,
    /// Taking over, not yet mirroring.
    Starting,
    /// Paused by a person.
    Paused,
    /// Stopped; see `stop`.
    Stopped,
}
