//! Fetch 4 to 17, by name and from 13 on by id. Any replica answers consumers from version 11 on; no preferred
//! replicas, no quotas. Not for followers: replicas here don't fetch.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Api, Call, text, topic_name};
use crate::emulator::clock::duration;
use crate::emulator::log::Read;
use crate::emulator::partition::Partition;
use crate::emulator::producers::Aborted;
use crate::emulator::sessions::{Asked, Begun, Told, TopicKey, Wanted};
use crate::emulator::state::State;

pub(crate) struct Fetch;

/// What one partition gives.
#[derive(Default)]
struct Got {
    read: Read,
    told: Option<Told>,
    aborted: Option<Vec<Aborted>>,
    diverging: Option<(i32, i64)>,
}

/// How a request reads.
#[derive(Clone, Copy)]
struct How {
    is_committed: bool,
    bytes_min: usize,
    bytes_max: usize,
}

impl Api for Fetch {
    type Request = FetchRequest;
    const VERSIONS: RangeInclusive<i16> = 4..=17;
    const SHAPE: &'static str = "4@4-14 4 4 4 1 4@7 4@7 (s@4-12 u@13 (4 4@9 8 4@12 8@5 4))(s@7-12 u@13 [4])@7 s@11";

    async fn answer(call: Call, request: FetchRequest) -> Option<FetchResponse> {
        let deadline = Instant::now() + duration(request.max_wait_ms);
        let how = How {
            is_committed: request.isolation_level == 1,
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: usize::try_from(request.max_bytes).unwrap_or(0),
        };
        let begun = match call.check().and_then(|()| begin(&call, request)) {
            Ok(begun) => begun,
            Err(code) => return Some(FetchResponse::default().with_error_code(code.code())),
        };
        let mut changes = call.cluster.changes();
        loop {
            let is_last_try = Instant::now() >= deadline;
            if is_last_try || is_ready(&mut call.lock(), &call, &begun, how) {
                return Some(respond(&mut call.lock(), &call, begun, how));
            }
            let _ = timeout_at(deadline, changes.changed()).await;
        }
    }
}

fn begin(call: &Call, request: FetchRequest) -> Result<Begun, ResponseError> {
    let is_by_id = call.version >= 13;
    let key = |name: &str, id: Uuid| if is_by_id { TopicKey::Id(id) } else { TopicKey::Name(name.to_owned()) };
    let wanted = |topic: FetchTopic| {
        let key = key(&topic.topic, topic.topic_id);
        topic.partitions.into_iter().map(move |partition| Wanted {
            topic: key.clone(),
            index: partition.partition,
            leader_epoch: partition.current_leader_epoch,
            offset: partition.fetch_offset,
            last_epoch: partition.last_fetched_epoch,
            bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
        })
    };
    let forgotten = |topic: ForgottenTopic| {
        let key = key(&topic.topic, topic.topic_id);
        topic.partitions.into_iter().map(move |index| (key.clone(), index))
    };
    let asked = Asked {
        id: request.session_id,
        epoch: if call.version < 7 { -1 } else { request.session_epoch },
        is_by_id,
        wanted: request.topics.into_iter().flat_map(wanted).collect(),
        forgotten: request.forgotten_topics_data.into_iter().flat_map(forgotten).collect(),
    };
    let mut state = call.lock();
    let broker = state.brokers.get_mut(&call.broker).ok_or(ResponseError::BrokerNotAvailable)?;
    broker.sessions.begin(asked)
}

/// Whether a response need not wait: enough bytes, or something to be told at once.
fn is_ready(state: &mut State, call: &Call, begun: &Begun, how: How) -> bool {
    if begun.partitions.is_empty() {
        return true;
    }
    let mut bytes = 0;
    for (wanted, _) in &begun.partitions {
        let Ok((partition, bound)) = find(state, call, wanted, how) else { return true };
        if matches!(diverging(partition, wanted), Ok(Some(_)) | Err(_)) {
            return true;
        }
        bytes += partition.log.bytes_between(wanted.offset, bound, how.bytes_min).min(wanted.bytes_max.max(1));
        if bytes >= how.bytes_min {
            return true;
        }
    }
    false
}

/// The partition, and up to where this client may read.
fn find<'a>(
    state: &'a mut State,
    call: &Call,
    wanted: &Wanted,
    how: How,
) -> Result<(&'a mut Partition, i64), ResponseError> {
    let name = match &wanted.topic {
        TopicKey::Name(name) => name.clone(),
        TopicKey::Id(id) => state.name_of(*id).cloned().ok_or(ResponseError::UnknownTopicId)?,
    };
    let found = state.partition_mut(&name, wanted.index);
    let (partition, _) = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
    if call.version >= 11 {
        partition.check_replica(call.broker, wanted.leader_epoch)?;
    } else {
        partition.check_leader(call.broker, wanted.leader_epoch)?;
    }
    let last_stable = partition.last_stable_offset();
    let high_watermark = partition.high_watermark_at(call.broker);
    let bound = if how.is_committed { high_watermark.min(last_stable) } else { high_watermark };
    if wanted.offset < partition.log.start() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    Ok((partition, bound))
}

/// Where the client's log and this one part, when the client says which epoch it read last. Only one whose log does
/// not part from this one can be beyond its end.
fn diverging(partition: &Partition, wanted: &Wanted) -> Result<Option<(i32, i64)>, ResponseError> {
    if wanted.last_epoch < 0 {
        let is_beyond = wanted.offset > partition.log.end();
        return if is_beyond { Err(ResponseError::OffsetOutOfRange) } else { Ok(None) };
    }
    let (epoch, end) = partition.log.epoch_end(wanted.last_epoch).ok_or(ResponseError::OffsetOutOfRange)?;
    let is_diverging = epoch < wanted.last_epoch || end < wanted.offset;
    Ok(is_diverging.then_some((epoch, end)))
}

fn read(
    state: &mut State,
    call: &Call,
    wanted: &Wanted,
    how: How,
    bytes_left: usize,
    is_first: bool,
) -> Result<Got, ResponseError> {
    let (partition, bound) = find(state, call, wanted, how)?;
    let diverging = diverging(partition, wanted)?;
    let high_watermark = partition.high_watermark_at(call.broker);
    let last_stable = partition.last_stable_offset().min(high_watermark);
    let told = Some((high_watermark, last_stable, partition.log.start()));
    if diverging.is_some() {
        return Ok(Got { told, diverging, ..Got::default() });
    }
    let limit = wanted.bytes_max.min(bytes_left);
    let read = partition.log.read(wanted.offset, bound, limit, is_first);
    let aborted = how.is_committed.then(|| {
        if read.bytes.is_empty() {
            return Vec::new();
        }
        partition.log.producers.aborted_between(wanted.offset, read.next)
    });
    Ok(Got { read, told, aborted, diverging: None })
}

fn respond(state: &mut State, call: &Call, begun: Begun, how: How) -> FetchResponse {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut news = Vec::new();
    let mut bytes_left = how.bytes_max;
    let mut is_first = true;
    let mut has_moved = false;
    for (wanted, known) in begun.partitions {
        let got = read(state, call, &wanted, how, bytes_left, is_first);
        let length = got.as_ref().map_or(0, |got| got.read.bytes.len());
        let told = got.as_ref().ok().and_then(|got| got.told);
        let is_new =
            length > 0 || told.is_none() || told != known || got.as_ref().is_ok_and(|got| got.diverging.is_some());
        if begun.is_incremental && !is_new {
            continue;
        }
        (bytes_left, is_first) = (bytes_left.saturating_sub(length), is_first && length == 0);
        news.push((wanted.topic.clone(), wanted.index, told, length > 0));
        let mut data = data_of(wanted.index, got);
        let is_moved = [ResponseError::NotLeaderOrFollower.code(), ResponseError::FencedLeaderEpoch.code()];
        if call.version >= 12 && is_moved.contains(&data.error_code) {
            has_moved = true;
            data = data.with_current_leader(leader(state, &wanted));
        }
        let (name, id) = match &wanted.topic {
            TopicKey::Name(name) => (topic_name(name), Uuid::nil()),
            TopicKey::Id(id) => (topic_name(""), *id),
        };
        match topics.last_mut().filter(|topic| topic.topic == name && topic.topic_id == id) {
            Some(topic) => topic.partitions.push(data),
            None => topics
                .push(FetchableTopicResponse::default().with_topic(name).with_topic_id(id).with_partitions(vec![data])),
        }
    }
    if let Some(broker) = state.brokers.get_mut(&call.broker).filter(|_| begun.id != 0) {
        broker.sessions.told(begun.id, &news);
    }
    let endpoints = if has_moved && call.version >= 16 { endpoints(state) } else { Vec::new() };
    FetchResponse::default().with_session_id(begun.id).with_responses(topics).with_node_endpoints(endpoints)
}

fn data_of(index: i32, got: Result<Got, ResponseError>) -> PartitionData {
    let data = PartitionData::default().with_partition_index(index);
    let got = match got {
        Ok(got) => got,
        Err(code) => {
            return data
                .with_error_code(code.code())
                .with_high_watermark(-1)
                .with_last_stable_offset(-1)
                .with_log_start_offset(-1)
                .with_aborted_transactions(None)
                .with_records(Some(Bytes::new()));
        }
    };
    let (high_watermark, last_stable, log_start) = got.told.unwrap_or((-1, -1, -1));
    let aborted = |one: Aborted| {
        let id = ProducerId(one.producer_id);
        AbortedTransaction::default().with_producer_id(id).with_first_offset(one.first_offset)
    };
    let data = data
        .with_high_watermark(high_watermark)
        .with_last_stable_offset(last_stable)
        .with_log_start_offset(log_start)
        .with_aborted_transactions(got.aborted.map(|all| all.into_iter().map(aborted).collect()))
        .with_records(Some(got.read.bytes));
    match got.diverging {
        Some((epoch, end)) => {
            data.with_diverging_epoch(EpochEndOffset::default().with_epoch(epoch).with_end_offset(end))
        }
        None => data,
    }
}

fn leader(state: &mut State, wanted: &Wanted) -> LeaderIdAndEpoch {
    let name = match &wanted.topic {
        TopicKey::Name(name) => Some(name.clone()),
        TopicKey::Id(id) => state.name_of(*id).cloned(),
    };
    match name.and_then(|name| state.partition_mut(&name, wanted.index)) {
        Some((partition, _)) => LeaderIdAndEpoch::default()
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
