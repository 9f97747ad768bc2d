//! `CreatePartitions` 0 to 3.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Api, Call, text};
use crate::emulator::partition::Partition;
use crate::emulator::state::{Objection, State};

pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const SHAPE: &'static str = "(s4([4]))41";

    async fn answer(call: Call, request: CreatePartitionsRequest) -> Option<CreatePartitionsResponse> {
        let now_ms = call.cluster.now_ms();
        let one = |topic: CreatePartitionsTopic| {
            let grown = match call.check() {
                Ok(()) => grow(&mut call.lock(), &topic, request.validate_only, now_ms),
                Err(code) => Err((code, code.to_string())),
            };
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            match grown {
                Ok(()) => result,
                Err((code, why)) => result.with_error_code(code.code()).with_error_message(Some(text(&why))),
            }
        };
        let results = request.topics.into_iter().map(one).collect();
        call.cluster.changed();
        Some(CreatePartitionsResponse::default().with_results(results))
    }
}

fn grow(state: &mut State, asked: &CreatePartitionsTopic, is_trial: bool, now_ms: i64) -> Result<(), Objection> {
    let name = asked.name.as_str();
    let unknown = || (ResponseError::UnknownTopicOrPartition, "This server does not host this topic.".to_owned());
    let (have, replicas) = {
        let topic = state.topics.get(name).ok_or_else(unknown)?;
        (topic.partitions.len(), topic.partitions.first().map_or(1, |first| first.replicas.len()))
    };
    let want = usize::try_from(asked.count).unwrap_or(0);
    if want <= have {
        let why =
            format!("The topic {name} currently has {have} partition(s); {} would not be an increase.", asked.count);
        return Err((ResponseError::InvalidPartitions, why));
    }
    if want > 10_000 {
        return Err((ResponseError::InvalidPartitions, "Number of partitions is out of range.".to_owned()));
    }
    let given = asked.assignments.as_ref().map(|all| {
        all.iter().map(|one| one.broker_ids.iter().map(|id| id.0).collect::<Vec<i32>>()).collect::<Vec<_>>()
    });
    let is_known = |one: &Vec<i32>| !one.is_empty() && one.iter().all(|id| state.brokers.contains_key(id));
    if given.as_ref().is_some_and(|given| given.len() != want - have || !given.iter().all(is_known)) {
        return Err((ResponseError::InvalidReplicaAssignment, "The manual assignment does not fit.".to_owned()));
    }
    if is_trial {
        return Ok(());
    }
    let first = state.partition_count();
    let spread = |index: usize| {
        let given = given.as_ref().and_then(|given| given.get(index).cloned());
        given.unwrap_or_else(|| state.spread(first + index, replicas))
    };
    let alive = state.alive();
    let new: Vec<Partition> = (0..want - have).map(|index| Partition::new(spread(index), &alive, now_ms)).collect();
    if let Some(topic) = state.topics.get_mut(name) {
        topic.partitions.extend(new);
    }
    Ok(())
}
