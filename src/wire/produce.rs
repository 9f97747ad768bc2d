//! The Produce request, written by hand so that record bytes are not copied into it.

use std::time::Duration;

use bytes::Bytes;

use crate::types::{PartitionIndex, TopicId, TopicName};

/// One Produce request with `acks=all`.
#[derive(Debug, Clone)]
pub struct ProduceRequest {
    /// How long the broker may wait for its in-sync replicas.
    pub timeout: Duration,
    /// By topic; a topic stands here once.
    pub topics: Vec<TopicAppends>,
}

/// What to append to one topic.
#[derive(Debug, Clone)]
pub struct TopicAppends {
    /// Used up to Produce 12.
    pub name: TopicName,
    /// Used from Produce 13 on. Without an id the request is sent at 12 or lower.
    pub id: Option<TopicId>,
    /// Exactly one batch per partition.
    pub partitions: Vec<PartitionAppend>,
}

/// One batch for one partition: its 61-byte header, and the record bytes as they came from the source.
#[derive(Debug, Clone)]
pub struct PartitionAppend {
    /// The partition.
    pub partition: PartitionIndex,
    /// The batch header.
    pub header: [u8; 61],
    /// The bytes after the header.
    pub body: Bytes,
}
