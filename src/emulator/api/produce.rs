//! Produce 3 to 13 (0 to 2 are offered and refused, as by Kafka 4), by name and from 13 on by id. Transactions of the
//! second kind (KIP-890), where a first batch announces its partition by itself, are not there.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Api, Call, text};
use crate::emulator::clock::duration;
use crate::emulator::inspect::{self, Inspected, Refusal};
use crate::emulator::partition::Appended;
use crate::emulator::state::State;

pub(crate) struct Produce;

/// What the leader must have seen replicated before a partition is answered.
struct Awaited {
    topic: String,
    id: Uuid,
    index: i32,
    offset: i64,
}

/// One partition of the request on its way through.
struct Part {
    index: i32,
    outcome: Result<Appended, Refusal>,
    log_start: i64,
    awaited: Option<Awaited>,
}

impl Api for Produce {
    type Request = ProduceRequest;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    const SHAPE: &'static str = "s24(s@3-12u@13(4b))";

    async fn answer(call: Call, request: ProduceRequest) -> Option<ProduceResponse> {
        let deadline = Instant::now() + duration(request.timeout_ms);
        let acks = request.acks;
        let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
        let mut topics = Vec::new();
        let mut has_leaders_to_tell = false;
        for topic in request.topic_data {
            let named = (call.version < 13).then(|| topic.name.to_string());
            let parts = topic.partition_data.into_iter().map(|data| {
                let (index, inspected) = (data.index, look(&call, acks, data));
                append(&call, named.as_deref(), topic.topic_id, index, inspected, (acks, transactional_id))
            });
            let parts: Vec<Part> = parts.collect();
            topics.push((topic.name, topic.topic_id, parts));
        }
        call.cluster.changed();
        if acks == -1 {
            await_replicas(&call, topics.iter_mut().flat_map(|(_, _, parts)| parts), deadline).await;
        }
        if acks == 0 {
            return None;
        }
        let state = call.lock();
        let mut responses = Vec::new();
        for (name, id, parts) in topics {
            let known = if call.version < 13 { Some(name.to_string()) } else { state.name_of(id).cloned() };
            let partitions = parts.iter().map(|part| {
                let told = told(part);
                let is_moved = told.error_code == ResponseError::NotLeaderOrFollower.code() && call.version >= 10;
                has_leaders_to_tell |= is_moved;
                if is_moved { told.with_current_leader(leader(&state, known.as_deref(), part.index)) } else { told }
            });
            let partitions = partitions.collect();
            responses.push(
                TopicProduceResponse::default().with_name(name).with_topic_id(id).with_partition_responses(partitions),
            );
        }
        let endpoints = if has_leaders_to_tell { endpoints(&state) } else { Vec::new() };
        Some(ProduceResponse::default().with_responses(responses).with_node_endpoints(endpoints))
    }
}

fn look(call: &Call, acks: i16, data: PartitionProduceData) -> Result<Inspected, Refusal> {
    call.check()?;
    if !(-1..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks.into());
    }
    inspect::inspect(data.records, call.version)
}

fn append(
    call: &Call,
    name: Option<&str>,
    id: Uuid,
    index: i32,
    inspected: Result<Inspected, Refusal>,
    (acks, transactional_id): (i16, Option<&str>),
) -> Part {
    let now_ms = call.cluster.now_ms();
    let mut part = Part { index, outcome: Err(ResponseError::UnknownTopicId.into()), log_start: -1, awaited: None };
    let mut state = call.lock();
    let Some(topic) = name.map(str::to_owned).or_else(|| state.name_of(id).cloned()) else { return part };
    part.outcome =
        append_to(&mut state, call.broker, (&topic, index), inspected, (acks == -1, transactional_id), now_ms);
    let id = state.topics.get(&topic).map(|topic| topic.id).unwrap_or_default();
    if let (Ok(appended), Some((partition, _))) = (&part.outcome, state.partition_mut(&topic, index)) {
        part.log_start = partition.log.start();
        part.awaited = Some(Awaited { topic, id, index, offset: appended.last_offset + 1 });
    }
    part
}

fn append_to(
    state: &mut State,
    broker: i32,
    (topic, index): (&str, i32),
    inspected: Result<Inspected, Refusal>,
    (is_all_acks, transactional_id): (bool, Option<&str>),
    now_ms: i64,
) -> Result<Appended, Refusal> {
    let now = state.now(now_ms);
    state.partition_mut(topic, index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let inspected = inspected?;
    let header = inspected.header;
    let unverified = match (header.is_transactional(), transactional_id) {
        (false, _) => ResponseError::InvalidTxnState,
        (true, None) => return Err(ResponseError::TransactionalIdAuthorizationFailed.into()),
        (true, Some(id)) => state.why_unverified(id, &header, topic, index),
    };
    let is_announced = state.is_announced(header.producer_id, header.producer_epoch, topic, index);
    let (partition, settings) = state.led(broker, topic, index, -1)?;
    if header.is_transactional() && !is_announced && !partition.is_in_transaction(&header) {
        return Err(unverified.into());
    }
    let appended = partition.append(inspected, settings, is_all_acks, now)?;
    if !appended.is_duplicate {
        state.appended(topic, index, now_ms);
    }
    Ok(appended)
}

/// Waits until what was appended is replicated, or until it can't be told any more.
async fn await_replicas<'a>(call: &Call, parts: impl Iterator<Item = &'a mut Part>, deadline: Instant) {
    let mut waiting: Vec<&mut Part> = parts.filter(|part| part.awaited.is_some()).collect();
    let mut changes = call.cluster.changes();
    loop {
        {
            let mut state = call.lock();
            waiting.retain_mut(|part| {
                match part.awaited.as_ref().map(|awaited| decided(&mut state, call.broker, awaited)) {
                    Some(None) => true,
                    Some(Some(Err(code))) => {
                        part.outcome = Err(code.into());
                        false
                    }
                    Some(Some(Ok(()))) | None => false,
                }
            });
        }
        if waiting.is_empty() {
            return;
        }
        if timeout_at(deadline, changes.changed()).await.is_err() {
            for part in waiting {
                part.outcome = Err(ResponseError::RequestTimedOut.into());
            }
            return;
        }
    }
}

fn decided(state: &mut State, broker: i32, awaited: &Awaited) -> Option<Result<(), ResponseError>> {
    let gone = Some(Err(ResponseError::UnknownTopicOrPartition));
    if state.topics.get(&awaited.topic).is_none_or(|topic| topic.id != awaited.id) {
        return gone;
    }
    let Some((partition, settings)) = state.partition_mut(&awaited.topic, awaited.index) else { return gone };
    if partition.leader != Some(broker) {
        return Some(Err(ResponseError::NotLeaderOrFollower));
    }
    let has_enough = partition.in_sync.len() >= settings.in_sync_min;
    let done = if has_enough { Ok(()) } else { Err(ResponseError::NotEnoughReplicasAfterAppend) };
    (partition.high_watermark() >= awaited.offset).then_some(done)
}

fn told(part: &Part) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(part.index).with_log_start_offset(part.log_start);
    match &part.outcome {
        Ok(appended) => {
            response.with_base_offset(appended.base_offset).with_log_append_time_ms(appended.log_append_time)
        }
        Err(refusal) => {
            let of_record = |index: i32| {
                let message = Some(text(refusal.message));
                BatchIndexAndErrorMessage::default().with_batch_index(index).with_batch_index_error_message(message)
            };
            response
                .with_error_code(refusal.code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_record_errors(refusal.record.map(of_record).into_iter().collect())
                .with_error_message((!refusal.message.is_empty()).then(|| text(refusal.message)))
        }
    }
}

fn leader(state: &State, topic: Option<&str>, index: i32) -> LeaderIdAndEpoch {
    let found = topic.and_then(|topic| state.topics.get(topic)?.partitions.get(usize::try_from(index).ok()?));
    match found {
        Some(partition) => LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
            .with_leader_epoch(partition.leader_epoch),
        None => LeaderIdAndEpoch::default(),
    }
}

fn endpoints(state: &State) -> Vec<NodeEndpoint> {
    let up = state.brokers.iter().filter(|(_, broker)| broker.is_up);
    let endpoint = |(id, broker): (&i32, &crate::emulator::state::Broker)| {
        let (host, port) = (text(&broker.host), i32::from(broker.port));
        NodeEndpoint::default().with_node_id(BrokerId(*id)).with_host(host).with_port(port)
    };
    up.map(endpoint).collect()
}
