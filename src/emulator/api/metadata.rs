//! Metadata 0 to 13. Creates topics where a client and `auto.create.topics.enable` both want it. No racks, no
//! authorized operations.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};

use super::{Api, Call, text, topic_name};
use crate::emulator::configs;
use crate::emulator::partition::Partition;
use crate::emulator::state::{NewTopic, State, Topic};

pub(crate) struct Metadata;

/// Kafka's number for "nobody asked for authorized operations".
const OPERATIONS_UNKNOWN: i32 = i32::MIN;

impl Api for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=13;
    const SHAPE: &'static str = "(u@10 s)1@4 1@8-10 1@8";

    async fn answer(call: Call, request: MetadataRequest) -> Option<MetadataResponse> {
        let now_ms = call.cluster.now_ms();
        let mut state = call.lock();
        // In version 0 an empty list means all of them.
        let asked = request.topics.filter(|asked| call.version > 0 || !asked.is_empty());
        let told = match asked {
            None => state.topics.iter().map(|(name, topic)| described(&state, name, topic)).collect(),
            Some(asked) => {
                let may_create = request.allow_auto_topic_creation || call.version < 4;
                let one = |asked: kafka_protocol::messages::metadata_request::MetadataRequestTopic| {
                    let name = asked.name.map(|name| name.to_string());
                    let by_id = call.version >= 10 && name.is_none();
                    let found = if by_id { state.name_of(asked.topic_id).cloned() } else { name.clone() };
                    if let Some(name) = found.as_ref().filter(|_| may_create && !by_id) {
                        create(&mut state, name, now_ms);
                    }
                    let topic = found.as_ref().and_then(|name| Some((name, state.topics.get(name)?)));
                    match (topic, call.check()) {
                        (Some((name, topic)), Ok(())) => described(&state, name, topic),
                        (_, Err(code)) => unknown(name.as_deref(), asked.topic_id, code),
                        (None, Ok(())) if by_id => unknown(None, asked.topic_id, ResponseError::UnknownTopicId),
                        (None, Ok(())) => unknown(name.as_deref(), asked.topic_id, missing(name.as_deref())),
                    }
                };
                asked.into_iter().map(one).collect()
            }
        };
        let brokers = state.brokers.iter().filter(|(_, broker)| broker.is_up);
        let brokers = brokers.map(|(id, broker)| {
            let (host, port) = (text(&broker.host), i32::from(broker.port));
            MetadataResponseBroker::default().with_node_id(BrokerId(*id)).with_host(host).with_port(port)
        });
        let response = MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(text(&state.cluster_id)))
            .with_controller_id(BrokerId(state.controller()))
            .with_topics(told);
        Some(response.with_cluster_authorized_operations(OPERATIONS_UNKNOWN))
    }
}

fn create(state: &mut State, name: &str, now_ms: i64) {
    let is_on = configs::value(configs::BROKER, &state.broker_settings, "auto.create.topics.enable") == "true";
    let new = NewTopic { name: name.to_owned(), partitions: -1, replication_factor: -1, ..NewTopic::default() };
    if is_on && state.object_to(&new).is_none() {
        state.create_topic(new, now_ms);
    }
}

fn missing(name: Option<&str>) -> ResponseError {
    match name.map(crate::types::TopicName::new) {
        Some(Ok(_)) => ResponseError::UnknownTopicOrPartition,
        Some(Err(_)) | None => ResponseError::InvalidTopicException,
    }
}

fn unknown(name: Option<&str>, id: uuid::Uuid, code: ResponseError) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_name(name.map(topic_name))
        .with_topic_id(id)
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
}

fn described(state: &State, name: &str, topic: &Topic) -> MetadataResponseTopic {
    let alive = state.alive();
    let partitions = topic.partitions.iter().zip(0..).map(|(partition, index)| of_partition(partition, index, &alive));
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_topic_id(topic.id)
        .with_is_internal(matches!(name, "__consumer_offsets" | "__transaction_state"))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
}

fn of_partition(partition: &Partition, index: i32, alive: &BTreeSet<i32>) -> MetadataResponsePartition {
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
    let offline: Vec<i32> = partition.replicas.iter().copied().filter(|id| !alive.contains(id)).collect();
    let error = if partition.leader.is_none() { ResponseError::LeaderNotAvailable.code() } else { 0 };
    MetadataResponsePartition::default()
        .with_error_code(error)
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.in_sync))
        .with_offline_replicas(ids(&offline))
}
