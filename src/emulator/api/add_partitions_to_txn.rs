//! AddPartitionsToTxn 0 to 3: of clients. What brokers say to each other from version 4 on is not needed here.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::{Api, Call};
use crate::emulator::groups::code;
use crate::emulator::state::State;
use crate::emulator::transactions::{Holder, Place};

pub(crate) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const SHAPE: &'static str = "s82(s[4])";

    async fn answer(call: Call, request: AddPartitionsToTxnRequest) -> Option<AddPartitionsToTxnResponse> {
        let outcome = add(&call, &request);
        let state = call.lock();
        let exists = |topic: &AddPartitionsToTxnTopic, index| is_there(&state, &topic.name, index);
        let is_complete = request.v3_and_below_topics.iter().all(|t| t.partitions.iter().all(|i| exists(t, *i)));
        let of_topic = |topic: &AddPartitionsToTxnTopic| {
            let of_partition = |index: &i32| {
                let outcome = match (outcome, is_complete) {
                    (outcome, true) => outcome,
                    (_, false) if exists(topic, *index) => Err(ResponseError::OperationNotAttempted),
                    (_, false) => Err(ResponseError::UnknownTopicOrPartition),
                };
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(code(outcome))
            };
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(topic.partitions.iter().map(of_partition).collect())
        };
        let results = request.v3_and_below_topics.iter().map(of_topic).collect();
        Some(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results))
    }
}

fn add(call: &Call, request: &AddPartitionsToTxnRequest) -> Result<(), ResponseError> {
    call.check()?;
    let id = &request.v3_and_below_transactional_id;
    let holder = Holder { producer_id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
    let now_ms = call.cluster.now_ms();
    let mut state = call.lock();
    let mut places = Vec::new();
    for topic in &request.v3_and_below_topics {
        for index in &topic.partitions {
            if !is_there(&state, &topic.name, *index) {
                return Err(ResponseError::UnknownTopicOrPartition);
            }
            places.push((topic.name.to_string(), *index));
        }
    }
    state.check_coordinator(call.broker, id)?;
    let partitions = places.iter().cloned().map(|(topic, index)| Place::Partition(topic, index)).collect();
    let added = state.coordinators.transactions.add(id, holder, partitions, now_ms);
    added.map_err(|error| older_fence(error, call.version))?;
    for (topic, index) in places {
        state.announce(holder.producer_id, holder.epoch, &topic, index);
    }
    Ok(())
}

fn is_there(state: &State, topic: &str, index: i32) -> bool {
    let topic = state.topics.get(topic);
    topic.is_some_and(|topic| usize::try_from(index).is_ok_and(|index| index < topic.partitions.len()))
}

/// Clients of older versions know a fenced producer by another number.
pub(super) fn older_fence(error: ResponseError, version: i16) -> ResponseError {
    if version < 2 && error == ResponseError::ProducerFenced { ResponseError::InvalidProducerEpoch } else { error }
}
