//! Reading a few batches once.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;

use super::error::Call;
use super::offsets::partition_resource;
use super::{Cluster, ClusterError, Remedy, wire_name};
use crate::tasks::Backoff;
use crate::types::TopicPartition;
use crate::wire::{Leader, ResponseError, Route};

/// Which end a read goes up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset, with the aborted transactions listed.
    ReadCommitted,
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

const FETCH: Call = Call::new("Fetch", "Read");
const ATTEMPTS: usize = 8;
/// From 13 on topics go by id. Reading once must not need one, so names are used.
const VERSION_MAX: i16 = 12;

impl Cluster {
    /// Reads some batches once, without a session and without waiting. Retries over a moved leader, some 10 s.
    pub async fn fetch_once(
        &self,
        partition: &TopicPartition,
        from: i64,
        bytes_max: usize,
        isolation: Isolation,
    ) -> Result<FetchedOnce, ClusterError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut attempt = 1;
        loop {
            // The client itself waits for a leader.
            let leader = self.leader(partition).await?;
            let fetched = self.fetch_at(partition, leader, from, bytes_max, isolation).await;
            match fetched {
                Err(error) if error.remedy() == Remedy::Retry && attempt < ATTEMPTS => {
                    self.client.forget_leader(partition);
                    attempt += 1;
                    backoff.pause().await;
                }
                Ok(_) | Err(_) => return fetched,
            }
        }
    }

    /// What to tell whoever read nothing where a leader had said that there is something: another one leads now, and
    /// does not know yet that the in-sync replicas have it, or a quota made the broker answer without records. Passing,
    /// and said by Kafka's own code for the first.
    pub(crate) fn not_shown_yet(&self, partition: &TopicPartition) -> ClusterError {
        self.refusal(FETCH, partition_resource(partition), ResponseError::OffsetNotAvailable.code(), None)
    }

    async fn fetch_at(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        from: i64,
        bytes_max: usize,
        isolation: Isolation,
    ) -> Result<FetchedOnce, ClusterError> {
        let request = request(partition, leader, from, bytes_max, isolation);
        let route = Route::Broker(leader.broker);
        let response =
            self.client.call_at_most(route, &request, VERSION_MAX).await.map_err(|error| self.unanswered(error))?;
        self.accepted(FETCH, || partition_resource(partition), response.error_code, None)?;
        let told = response
            .responses
            .into_iter()
            .filter(|topic| topic.topic.as_str() == partition.topic.as_str())
            .flat_map(|topic| topic.partitions)
            .find(|told| told.partition_index == partition.partition.0)
            .ok_or_else(|| self.left_out(FETCH, &partition.to_string()))?;
        self.accepted(FETCH, || partition_resource(partition), told.error_code, None)?;
        Ok(fetched(told))
    }
}

fn request(
    partition: &TopicPartition,
    leader: Leader,
    from: i64,
    bytes_max: usize,
    isolation: Isolation,
) -> FetchRequest {
    let bytes_max = i32::try_from(bytes_max).unwrap_or(i32::MAX);
    let of_partition = FetchPartition::default()
        .with_partition(partition.partition.0)
        .with_current_leader_epoch(leader.epoch.0)
        .with_fetch_offset(from)
        .with_partition_max_bytes(bytes_max);
    let of_topic = FetchTopic::default().with_topic(wire_name(&partition.topic)).with_partitions(vec![of_partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(bytes_max)
        .with_isolation_level(match isolation {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        })
        // Without a session.
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(vec![of_topic])
}

fn fetched(told: PartitionData) -> FetchedOnce {
    let aborted = told.aborted_transactions.unwrap_or_default();
    FetchedOnce {
        records: told.records.unwrap_or_default(),
        high_watermark: told.high_watermark,
        last_stable: told.last_stable_offset,
        log_start: told.log_start_offset,
        aborted: aborted.into_iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect(),
    }
}
