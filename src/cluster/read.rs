//! Questions that change nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Cluster, ClusterError};
use crate::types::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, TopicName, TopicPartition};
use crate::wire::{Leader, Metadata};

/// What a partition's offset is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The log start offset.
    LogStart,
    /// The high watermark.
    HighWatermark,
    /// The last stable offset (`read_committed`'s end).
    LastStable,
    /// The first record with this timestamp (milliseconds) or later.
    Timestamp(i64),
}

/// An answer to an [`OffsetQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` when no record is that young (Kafka answers -1 without an error).
    pub offset: Option<i64>,
    /// The leader epoch of that offset, where told.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Which end a read goes up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset, with the aborted transactions listed.
    ReadCommitted,
}

/// Where a leader epoch ends in a log (`OffsetForLeaderEpoch`, KIP-101, KIP-279).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch in the log that is not above the one asked for; `None`: there is none.
    pub epoch: Option<LeaderEpoch>,
    /// The first offset after it. For the current leader epoch: the log end.
    pub end_offset: i64,
}

/// What a leader knows of a producer id on a partition (KIP-664).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The last sequence; `None` after a marker without data.
    pub last_sequence: Option<Sequence>,
    /// Timestamp of its last record or marker, milliseconds: what its expiry goes by.
    pub last_timestamp: i64,
}

/// One Fetch of one partition.
#[derive(Debug, Clone)]
pub struct FetchedOnce {
    /// Whole batches; the last one may be cut off.
    pub records: Bytes,
    /// High watermark.
    pub high_watermark: i64,
    /// Last stable offset.
    pub last_stable: i64,
    /// Log start offset.
    pub log_start: i64,
    /// (producer id, first offset) of aborted transactions, with `ReadCommitted`.
    pub aborted: Vec<(i64, i64)>,
}

impl Cluster {
    /// Kafka's id of the cluster; asked once.
    pub async fn id(&self) -> Result<String, ClusterError> {
        todo!()
    }

    /// Metadata of these topics (`None`: all that we may see). A missing topic has error code 3 in its entry.
    pub async fn metadata(&self, _topics: Option<&[TopicName]>) -> Result<Metadata, ClusterError> {
        todo!()
    }

    /// The leader of a partition.
    pub async fn leader(&self, _partition: &TopicPartition) -> Result<Leader, ClusterError> {
        todo!()
    }

    /// Offsets of many partitions, each asked at its leader. Leaders that turn out wrong are looked up again, within
    /// the request time-out.
    pub async fn list_offsets(
        &self,
        _partitions: &[TopicPartition],
        _query: OffsetQuery,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset, ClusterError>>, ClusterError> {
        todo!()
    }

    /// Where an epoch ends in the log, asked at `leader` as the current leader (a stale epoch is refused by the
    /// broker with 74 or 76). One attempt.
    pub async fn epoch_end(
        &self,
        _partition: &TopicPartition,
        _leader: Leader,
        _epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ClusterError> {
        todo!()
    }

    /// What the broker `leader.broker` knows of a producer id on this partition. One attempt. `None`: nothing.
    pub async fn producer_state(
        &self,
        _partition: &TopicPartition,
        _leader: Leader,
        _producer_id: ProducerId,
    ) -> Result<Option<ProducerState>, ClusterError> {
        todo!()
    }

    /// The high watermark at `leader`, with its epoch proved. One attempt.
    pub async fn high_watermark(&self, _partition: &TopicPartition, _leader: Leader) -> Result<i64, ClusterError> {
        todo!()
    }

    /// Reads some batches once, without a session and without waiting. Retries over a moved leader.
    pub async fn fetch_once(
        &self,
        _partition: &TopicPartition,
        _from: i64,
        _bytes_max: usize,
        _isolation: Isolation,
    ) -> Result<FetchedOnce, ClusterError> {
        todo!()
    }

    /// All settings of these topics, with where each value comes from.
    pub async fn topic_configs(
        &self,
        _topics: &[TopicName],
    ) -> Result<BTreeMap<TopicName, Result<Vec<super::ConfigEntry>, ClusterError>>, ClusterError> {
        todo!()
    }
}
