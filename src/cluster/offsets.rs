//! Where logs begin and end.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};

use super::error::Call;
use super::{Cluster, ClusterError, Remedy, wire_name};
use crate::tasks::Backoff;
use crate::types::{BrokerId, LeaderEpoch, PartitionIndex, TopicName, TopicPartition};
use crate::wire::{Leader, Route, WireError};

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

impl OffsetQuery {
    /// Kafka's timestamp field: real ones are not negative, -1 and -2 stand for the ends of the log.
    fn timestamp(self) -> i64 {
        match self {
            Self::LogStart => -2,
            Self::HighWatermark | Self::LastStable => -1,
            Self::Timestamp(timestamp) => timestamp.max(0),
        }
    }

    fn isolation_level(self) -> i8 {
        match self {
            Self::LastStable => 1,
            Self::LogStart | Self::HighWatermark | Self::Timestamp(_) => 0,
        }
    }
}

/// An answer to an [`OffsetQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` when no record is that young (Kafka answers -1 without an error).
    pub offset: Option<i64>,
    /// The leader epoch of that offset, where told.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Where a leader epoch ends in a log (`OffsetForLeaderEpoch`, KIP-101, KIP-279).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch in the log that is not above the one asked for; `None`: there is none.
    pub epoch: Option<LeaderEpoch>,
    /// The first offset after it, -1 when there is none. For the current leader epoch: the log end.
    pub end_offset: i64,
}

/// What came of asking about one partition.
type Answer = Result<ListedOffset, ClusterError>;

const LIST: Call = Call::new("ListOffsets", "Describe");
const EPOCH: Call = Call::new("OffsetForLeaderEpoch", "Describe");

/// How often a partition is asked about before its last error is handed out. With the pauses between: some 10 s,
/// longer than an ordinary election.
const ATTEMPTS: usize = 8;
/// A topic that brokers don't know (yet) is asked about this often: they learn of a new topic within moments.
const ATTEMPTS_UNKNOWN_TOPIC: usize = 3;
/// Time that a broker may take to look into remote storage, in milliseconds.
const REMOTE_STORAGE_TIMEOUT_MS: i32 = 20_000;

impl Cluster {
    /// Offsets of many partitions, each asked at its leader. Leaders that turn out wrong are looked up again, within
    /// bounds. Each partition that was asked about has an answer or its error.
    pub async fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        query: OffsetQuery,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset, ClusterError>>, ClusterError> {
        let mut answers: BTreeMap<TopicPartition, Answer> = BTreeMap::new();
        let mut open: Vec<TopicPartition> = partitions.to_vec();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for attempt in 1..=ATTEMPTS {
            if open.is_empty() {
                break;
            }
            if attempt > 1 {
                backoff.pause().await;
            }
            let mut again = Vec::new();
            for (partition, answer) in self.list_offsets_once(&open, query).await {
                if let Err(error) = &answer
                    && is_worth_another(error, attempt)
                {
                    self.client.forget_leader(&partition);
                    again.push(partition.clone());
                }
                answers.insert(partition, answer);
            }
            open = again;
        }
        Ok(answers)
    }

    /// One request to each leader, at the same time.
    async fn list_offsets_once(
        &self,
        partitions: &[TopicPartition],
        query: OffsetQuery,
    ) -> Vec<(TopicPartition, Answer)> {
        let mut answers = Vec::with_capacity(partitions.len());
        let mut by_broker: BTreeMap<BrokerId, Vec<(TopicPartition, Leader)>> = BTreeMap::new();
        // Asked for together, so that the client can put the unknown ones into one look-up.
        let leaders = join_all(partitions.iter().map(|partition| self.leader(partition))).await;
        for (partition, leader) in partitions.iter().zip(leaders) {
            match leader {
                Ok(leader) => by_broker.entry(leader.broker).or_default().push((partition.clone(), leader)),
                Err(error) => answers.push((partition.clone(), Err(error))),
            }
        }
        let asked = by_broker.iter().map(|(broker, partitions)| self.list_offsets_at(*broker, partitions, query));
        for of_broker in join_all(asked).await {
            answers.extend(of_broker);
        }
        answers
    }

    async fn list_offsets_at(
        &self,
        broker: BrokerId,
        partitions: &[(TopicPartition, Leader)],
        query: OffsetQuery,
    ) -> Vec<(TopicPartition, Answer)> {
        let request = list_request(partitions, query);
        let response = match self.call(Route::Broker(broker), &request).await {
            Ok(response) => response,
            Err(error) => return partitions.iter().map(|(asked, _)| (asked.clone(), Err(error.clone()))).collect(),
        };
        let told: BTreeMap<(String, i32), ListOffsetsPartitionResponse> = response
            .topics
            .into_iter()
            .flat_map(|topic| {
                let name = topic.name.to_string();
                topic.partitions.into_iter().map(move |told| ((name.clone(), told.partition_index), told))
            })
            .collect();
        let answer = |asked: &TopicPartition| match told.get(&(asked.topic.to_string(), asked.partition.0)) {
            Some(told) => self.listed(asked, told),
            None => Err(self.left_out(LIST, &asked.to_string())),
        };
        partitions.iter().map(|(asked, _)| (asked.clone(), answer(asked))).collect()
    }

    fn listed(&self, asked: &TopicPartition, told: &ListOffsetsPartitionResponse) -> Answer {
        self.accepted(LIST, || partition_resource(asked), told.error_code, None)?;
        // -1 without an error means "no such record", never an offset.
        let offset = (told.offset >= 0).then_some(told.offset);
        Ok(ListedOffset { offset, leader_epoch: known_epoch(told.leader_epoch) })
    }

    /// The high watermark at `leader`, with its epoch proved. One attempt.
    pub async fn high_watermark(&self, partition: &TopicPartition, leader: Leader) -> Result<i64, ClusterError> {
        let asked = [(partition.clone(), leader)];
        let mut answers = self.list_offsets_at(leader.broker, &asked, OffsetQuery::HighWatermark).await;
        let listed = match answers.pop() {
            Some((_, answer)) => answer?,
            None => return Err(self.left_out(LIST, &partition.to_string())),
        };
        listed.offset.ok_or_else(|| self.left_out(LIST, &partition.to_string()))
    }

    /// Where an epoch ends in the log, asked at `leader` as the current leader (a stale epoch is refused by the
    /// broker with 74, one that it does not know yet with 75). One attempt.
    pub async fn epoch_end(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ClusterError> {
        let of_partition = OffsetForLeaderPartition::default()
            .with_partition(partition.partition.0)
            .with_current_leader_epoch(leader.epoch.0)
            .with_leader_epoch(epoch.0);
        let of_topic =
            OffsetForLeaderTopic::default().with_topic(wire_name(&partition.topic)).with_partitions(vec![of_partition]);
        // A consumer's replica id: the default, -2, is a debugging follower's.
        let request = OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![of_topic]);
        let response = self.call(Route::Broker(leader.broker), &request).await?;
        let told = response
            .topics
            .into_iter()
            .filter(|topic| topic.topic.as_str() == partition.topic.as_str())
            .flat_map(|topic| topic.partitions)
            .find(|told| told.partition == partition.partition.0)
            .ok_or_else(|| self.left_out(EPOCH, &partition.to_string()))?;
        self.accepted(EPOCH, || partition_resource(partition), told.error_code, None)?;
        Ok(EpochEnd { epoch: known_epoch(told.leader_epoch), end_offset: told.end_offset })
    }
}

/// How errors name a partition. Permissions are on topics, so the topic comes first.
pub(super) fn partition_resource(partition: &TopicPartition) -> String {
    format!("topic {} (partition {})", partition.topic, partition.partition)
}

fn is_worth_another(error: &ClusterError, attempt: usize) -> bool {
    // The client has waited for a leader already, and told by a wire error that there is none.
    let is_look_up = matches!(error, ClusterError::Wire { error: WireError::NotAvailable { .. }, .. });
    let attempts = if error.is_unknown_topic() { ATTEMPTS_UNKNOWN_TOPIC } else { ATTEMPTS };
    error.remedy() == Remedy::Retry && !is_look_up && attempt < attempts
}

fn known_epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

fn list_request(partitions: &[(TopicPartition, Leader)], query: OffsetQuery) -> ListOffsetsRequest {
    let mut by_topic: BTreeMap<&TopicName, Vec<(PartitionIndex, LeaderEpoch)>> = BTreeMap::new();
    for (asked, leader) in partitions {
        by_topic.entry(&asked.topic).or_default().push((asked.partition, leader.epoch));
    }
    let of_partition = |(partition, epoch): (PartitionIndex, LeaderEpoch)| {
        ListOffsetsPartition::default()
            .with_partition_index(partition.0)
            .with_current_leader_epoch(epoch.0)
            .with_timestamp(query.timestamp())
    };
    let of_topic = |(topic, partitions): (&TopicName, Vec<(PartitionIndex, LeaderEpoch)>)| {
        ListOffsetsTopic::default()
            .with_name(wire_name(topic))
            .with_partitions(partitions.into_iter().map(of_partition).collect())
    };
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(query.isolation_level())
        .with_timeout_ms(REMOTE_STORAGE_TIMEOUT_MS)
        .with_topics(by_topic.into_iter().map(of_topic).collect())
}
