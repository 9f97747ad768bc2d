//! `CreateTopics` 2 to 7. Any broker takes it, as KRaft brokers forward it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::{Api, Call, text};
use crate::emulator::configs;
use crate::emulator::state::{NewTopic, Objection, State};

pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=7;
    const SHAPE: &'static str = "(s42(4[4])(ss))41";

    async fn answer(call: Call, request: CreateTopicsRequest) -> Option<CreateTopicsResponse> {
        let now_ms = call.cluster.now_ms();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for topic in &request.topics {
            *seen.entry(topic.name.to_string()).or_default() += 1;
        }
        let mut results = Vec::new();
        for topic in request.topics {
            let name = topic.name.clone();
            let outcome = match call.check() {
                Err(code) => Err((code, code.to_string())),
                Ok(()) if seen.get(name.as_str()).is_some_and(|times| *times > 1) => {
                    Err((ResponseError::InvalidRequest, "Duplicate topic name.".to_owned()))
                }
                Ok(()) => create(&mut call.lock(), topic, request.validate_only, now_ms),
            };
            let result = outcome.unwrap_or_else(|(code, why)| {
                let result = CreatableTopicResult::default().with_error_code(code.code());
                result.with_error_message(Some(text(&why))).with_num_partitions(-1).with_replication_factor(-1)
            });
            results.push(result.with_name(name));
        }
        call.cluster.changed();
        Some(CreateTopicsResponse::default().with_topics(results))
    }
}

fn create(
    state: &mut State,
    topic: CreatableTopic,
    is_trial: bool,
    now_ms: i64,
) -> Result<CreatableTopicResult, Objection> {
    let mut assignment: Vec<(i32, Vec<i32>)> = topic
        .assignments
        .into_iter()
        .map(|one| (one.partition_index, one.broker_ids.into_iter().map(|id| id.0).collect()))
        .collect();
    assignment.sort();
    if assignment.iter().zip(0..).any(|((index, _), expected)| *index != expected) {
        let why = "Partitions must be consecutive, from 0.".to_owned();
        return Err((ResponseError::InvalidReplicaAssignment, why));
    }
    let overrides = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string).unwrap_or_default()));
    let new = NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignment: assignment.into_iter().map(|(_, replicas)| replicas).collect(),
        overrides: overrides.collect(),
    };
    if let Some(objection) = state.object_to(&new) {
        return Err(objection);
    }
    let (partitions, replicas) = state.counts(&new);
    let told = configs::TOPIC.iter().map(|setting| {
        let is_set = new.overrides.contains_key(setting.name);
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(configs::value(configs::TOPIC, &new.overrides, setting.name))))
            .with_config_source(if is_set { 1 } else { 5 })
    });
    let result = CreatableTopicResult::default()
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX))
        .with_configs(Some(told.collect()));
    if is_trial {
        return Ok(result);
    }
    Ok(result.with_topic_id(state.create_topic(new, now_ms)))
}
