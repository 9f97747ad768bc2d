//! Producer ids: getting one, and what a leader knows of it.

use std::time::Duration;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{DescribeProducersRequest, InitProducerIdRequest};

use super::error::Call;
use super::offsets::partition_resource;
use super::{Cluster, ClusterError, Remedy, wire_name};
use crate::tasks::Backoff;
use crate::types::{ProducerEpoch, ProducerId, Sequence, TopicPartition};
use crate::wire::{Leader, Route};

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

const ALLOCATE_ATTEMPTS: usize = 8;

const DESCRIBE: Call = Call::new("DescribeProducers", "Read");
const ALLOCATE: Call = Call::new("InitProducerId", "IdempotentWrite");

impl Cluster {
    /// What the broker `leader.broker` knows of a producer id on this partition. One attempt. `None`: nothing.
    pub async fn producer_state(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        producer_id: ProducerId,
    ) -> Result<Option<ProducerState>, ClusterError> {
        let of_topic = TopicRequest::default()
            .with_name(wire_name(&partition.topic))
            .with_partition_indexes(vec![partition.partition.0]);
        let request = DescribeProducersRequest::default().with_topics(vec![of_topic]);
        let response = self.call(Route::Broker(leader.broker), &request).await?;
        let told = response
            .topics
            .into_iter()
            .filter(|topic| topic.name.as_str() == partition.topic.as_str())
            .flat_map(|topic| topic.partitions)
            .find(|told| told.partition_index == partition.partition.0)
            .ok_or_else(|| self.left_out(DESCRIBE, &partition.to_string()))?;
        self.accepted(DESCRIBE, || partition_resource(partition), told.error_code, told.error_message.as_deref())?;
        let Some(state) = told.active_producers.into_iter().find(|state| state.producer_id.0 == producer_id.0) else {
            return Ok(None);
        };
        // The field is wider than the epochs that exist.
        let epoch = i16::try_from(state.producer_epoch)
            .map_err(|_| self.left_out(DESCRIBE, &format!("the epoch of producer id {producer_id}")))?;
        Ok(Some(ProducerState {
            epoch: ProducerEpoch(epoch),
            last_sequence: Sequence::from_kafka(state.last_sequence),
            last_timestamp: state.last_timestamp,
        }))
    }

    /// Allocates a producer id that belongs to no transactional id. A broker that has to get a block of them first
    /// says that it is loading, so it is asked again, some 5 s; an id that is never used harms nobody.
    pub async fn allocate_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), ClusterError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut attempt = 1;
        loop {
            match self.allocate_producer_id_once().await {
                Err(error) if error.remedy() == Remedy::Retry && attempt < ALLOCATE_ATTEMPTS => {
                    attempt += 1;
                    backoff.pause().await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn allocate_producer_id_once(&self) -> Result<(ProducerId, ProducerEpoch), ClusterError> {
        // The codec's default is an empty transactional id, which brokers refuse. Without one they don't look at the
        // time-out, but they do check that it is positive.
        let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
        let response = self.call(Route::Any, &request).await?;
        self.accepted(ALLOCATE, || "the cluster".to_owned(), response.error_code, None)?;
        Ok((ProducerId(response.producer_id.0), ProducerEpoch(response.producer_epoch)))
    }
}
