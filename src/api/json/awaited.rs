//! The answer to waiting for an offset.

use serde::{Deserialize, Serialize};

use crate::types::{PartitionIndex, SourceOffset, TargetOffset, TopicName};

/// Whether a source offset is on the target: `GET /v1/links/{link}/await`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The topic's name at the source.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// What was waited for.
    pub source_offset: SourceOffset,
    /// Whether the target's in-sync replicas have acknowledged everything up to it, itself included.
    pub reached: bool,
    /// The next source offset to copy; `null`: not known yet.
    pub source_position: Option<SourceOffset>,
    /// How many offsets are missing, the one waited for included; 0 when it is reached.
    pub missing: Option<u64>,
    /// Where it lies on the target, once it is reached.
    pub target_offset: Option<TargetOffset>,
    /// How long this call waited, milliseconds.
    pub waited_ms: u64,
}
