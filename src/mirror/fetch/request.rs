//! Fetch requests as Kafka lays them out.
//!
//! Owns: which field goes into which version.
//! Promises: a request holds just what a turn of the session says.
//! Does not know: sessions' rules, connections.

use std::collections::HashMap;
use std::time::Duration;

use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::session::{Ask, Turn};
use super::slot::PartitionKey;
use crate::types::{TopicId, TopicName};

/// From here on topics go by id.
pub(super) const TOPIC_IDS_FROM: i16 = 13;
/// From here on brokers compare `last_fetched_epoch` with their log.
pub(super) const LAST_EPOCH_FROM: i16 = 12;
/// From here on brokers have sessions; before, every request is a full one.
pub(super) const SESSIONS_FROM: i16 = 7;

/// `read_committed`.
const READ_COMMITTED: i8 = 1;

/// The limits of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) version: i16,
    pub(super) wait: Duration,
    pub(super) bytes_max: usize,
}

/// Lays out a turn.
pub(super) fn fetch_request(turn: Turn<PartitionKey>, shape: &Shape) -> FetchRequest {
    let has_session = shape.version >= SESSIONS_FROM;
    let request = FetchRequest::default()
        .with_max_wait_ms(i32::try_from(shape.wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(i32::try_from(shape.bytes_max).unwrap_or(i32::MAX))
        .with_isolation_level(READ_COMMITTED)
        .with_topics(topics(turn.asks, shape.version));
    if !has_session {
        return request;
    }
    request
        .with_session_id(turn.session_id)
        .with_session_epoch(turn.session_epoch)
        .with_forgotten_topics_data(forgotten(turn.forgotten))
}

fn topics(asks: Vec<(PartitionKey, Ask)>, version: i16) -> Vec<FetchTopic> {
    let mut by_topic: HashMap<(TopicName, Option<TopicId>), Vec<FetchPartition>> = HashMap::new();
    for (key, ask) in asks {
        let partition = FetchPartition::default()
            .with_partition(key.partition)
            .with_current_leader_epoch(ask.leader_epoch)
            .with_fetch_offset(ask.offset)
            .with_last_fetched_epoch(if version >= LAST_EPOCH_FROM { ask.last_epoch } else { -1 })
            .with_partition_max_bytes(ask.bytes_max);
        by_topic.entry((key.topic, key.id)).or_default().push(partition);
    }
    let of_topic = |((name, id), partitions)| {
        FetchTopic::default().with_topic(wire_name(&name)).with_topic_id(wire_id(id)).with_partitions(partitions)
    };
    by_topic.into_iter().map(of_topic).collect()
}

fn forgotten(keys: Vec<PartitionKey>) -> Vec<ForgottenTopic> {
    let mut by_topic: HashMap<(TopicName, Option<TopicId>), Vec<i32>> = HashMap::new();
    for key in keys {
        by_topic.entry((key.topic, key.id)).or_default().push(key.partition);
    }
    let of_topic = |((name, id), partitions)| {
        ForgottenTopic::default().with_topic(wire_name(&name)).with_topic_id(wire_id(id)).with_partitions(partitions)
    };
    by_topic.into_iter().map(of_topic).collect()
}

fn wire_name(name: &TopicName) -> kafka_protocol::messages::TopicName {
    StrBytes::from_string(name.as_str().to_owned()).into()
}

fn wire_id(id: Option<TopicId>) -> Uuid {
    id.map_or(Uuid::nil(), |id| id.0)
}
