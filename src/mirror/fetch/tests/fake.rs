//! A cluster in memory that answers fetches as brokers do: sessions, leader epochs, long polls, faults on order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::source::{Line, Source};
use super::*;
use crate::batch::{BatchHeader, Codec, Record, encode_batch, split};
use crate::cluster::{ClusterError, EpochEnd, OffsetQuery};
use crate::types::{BrokerId, ClusterName};
use crate::wire::{Leader, PartitionMetadata, TopicMetadata, WireError};

#[derive(Clone, Default)]
pub(super) struct Fake {
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
}

pub(super) struct World {
    pub(super) topics: BTreeMap<String, FakeTopic>,
    pub(super) down: BTreeSet<i32>,
    pub(super) version: i16,
    /// All fetches, as they came: the broker and the request.
    pub(super) fetches: Vec<(i32, FetchRequest)>,
    pub(super) connects: usize,
    pub(super) throttle_ms: i32,
    /// Answer these codes to the next fetches as wholes.
    pub(super) session_faults: Vec<i16>,
    sessions: HashMap<i32, Session>,
    next_session: i32,
}

impl Default for World {
    fn default() -> Self {
        Self {
            topics: BTreeMap::new(),
            down: BTreeSet::new(),
            version: 17,
            fetches: Vec::new(),
            connects: 0,
            throttle_ms: 0,
            session_faults: Vec::new(),
            sessions: HashMap::new(),
            next_session: 1,
        }
    }
}

#[derive(Default)]
pub(super) struct FakeTopic {
    pub(super) id: Option<TopicId>,
    pub(super) partitions: Vec<FakePartition>,
}

#[derive(Default, Clone)]
pub(super) struct FakePartition {
    pub(super) leader: i32,
    pub(super) epoch: i32,
    pub(super) start: i64,
    pub(super) batches: Vec<FakeBatch>,
    /// Where the high watermark is, if not at the end.
    pub(super) high_watermark: Option<i64>,
    pub(super) fault: Option<i16>,
}

#[derive(Clone)]
pub(super) struct FakeBatch {
    pub(super) base: i64,
    pub(super) last: i64,
    pub(super) epoch: i32,
    pub(super) bytes: Bytes,
}

impl FakePartition {
    pub(super) fn end(&self) -> i64 {
        self.batches.last().map_or(self.start, |batch| batch.last + 1)
    }

    fn visible_end(&self) -> i64 {
        self.high_watermark.unwrap_or(self.end())
    }

    fn epoch_end(&self, epoch: i32) -> (i32, i64) {
        if epoch == self.epoch {
            return (epoch, self.end());
        }
        let known = self.batches.iter().map(|batch| batch.epoch).filter(|known| *known <= epoch).max();
        let above = self.batches.iter().find(|batch| batch.epoch > epoch);
        match known {
            Some(known) => (known, above.map_or(self.end(), |above| above.base)),
            None => (-1, -1),
        }
    }
}

struct Session {
    broker: i32,
    epoch: i32,
    parts: BTreeMap<(Uuid, String, i32), SessionPart>,
}

#[derive(Clone)]
struct SessionPart {
    ask: FetchPartition,
    told: Option<(i64, i64)>,
}

/// A batch of `count` records of some 100 bytes.
pub(super) fn batch(base: i64, count: i64, epoch: i32) -> FakeBatch {
    let records: Vec<_> = (base..base + count)
        .map(|offset| Record {
            offset,
            timestamp: 0,
            key: None,
            value: Some(Bytes::from(vec![b'x'; 100])),
            headers: Vec::new(),
        })
        .collect();
    let mut bytes = encode_batch(&records, Codec::None).unwrap().to_vec();
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    FakeBatch { base, last: base + count - 1, epoch, bytes: bytes.into() }
}

impl Fake {
    /// One topic; partition `n` is led by broker `n % 3`.
    pub(super) fn with_topic(name: &str, partitions: usize) -> Self {
        let fake = Self::default();
        fake.create(name, 1, partitions);
        fake
    }

    pub(super) fn create(&self, name: &str, id: u128, partitions: usize) {
        let partition = |n: usize| FakePartition { leader: i32::try_from(n % 3).unwrap(), ..FakePartition::default() };
        let topic =
            FakeTopic { id: Some(TopicId(Uuid::from_u128(id))), partitions: (0..partitions).map(partition).collect() };
        self.change(|world| world.topics.insert(name.to_owned(), topic));
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    pub(super) fn change_partition<T>(&self, index: usize, change: impl FnOnce(&mut FakePartition) -> T) -> T {
        self.change(|world| change(&mut world.topics.get_mut("orders").unwrap().partitions[index]))
    }

    pub(super) fn append(&self, index: usize, count: i64) {
        self.change_partition(index, |partition| {
            let batch = batch(partition.end(), count, partition.epoch);
            partition.batches.push(batch);
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn refused(code: i16, what: &TopicPartition) -> ClusterError {
        ClusterError::Refused {
            cluster: ClusterName::new("fake").unwrap(),
            operation: "Describe",
            resource: what.to_string(),
            code,
            code_name: format!("code {code}"),
            message: None,
        }
    }

    fn partition(&self, partition: &TopicPartition) -> Result<FakePartition, ClusterError> {
        let world = self.lock();
        let topic = world.topics.get(partition.topic.as_str()).ok_or_else(|| Self::refused(3, partition))?;
        let index = usize::try_from(partition.partition.0).unwrap();
        topic.partitions.get(index).cloned().ok_or_else(|| Self::refused(3, partition))
    }
}

fn unreachable_broker(broker: i32) -> WireError {
    WireError::Connect { address: format!("broker-{broker}:9092"), reason: "connection refused".to_owned() }
}

impl Source for Fake {
    type Line = FakeLine;

    fn name(&self) -> String {
        "fake".to_owned()
    }

    async fn connect(&self, broker: BrokerId) -> Result<FakeLine, WireError> {
        self.change(|world| {
            world.connects += 1;
            if world.down.contains(&broker.0) { Err(unreachable_broker(broker.0)) } else { Ok(()) }
        })?;
        Ok(FakeLine { fake: self.clone(), broker: broker.0 })
    }

    async fn fetch_version(&self, broker: BrokerId) -> Result<i16, WireError> {
        let world = self.lock();
        if world.down.contains(&broker.0) { Err(unreachable_broker(broker.0)) } else { Ok(world.version) }
    }

    async fn leader(&self, partition: &TopicPartition) -> Result<Leader, WireError> {
        let found = self.partition(partition).map_err(|error| WireError::NotAvailable {
            what: format!("a leader of {partition}"),
            reason: error.to_string(),
        })?;
        Ok(Leader { broker: BrokerId(found.leader), epoch: LeaderEpoch(found.epoch) })
    }

    fn forget_leader(&self, _partition: &TopicPartition) {}

    async fn topic(&self, topic: &TopicName) -> Result<Option<TopicMetadata>, ClusterError> {
        let world = self.lock();
        let none = PartitionMetadata { leader: None, replicas: Vec::new(), in_sync_replicas: Vec::new() };
        let absent = TopicMetadata { id: None, is_internal: false, error_code: 3, partitions: BTreeMap::new() };
        Ok(Some(world.topics.get(topic.as_str()).map_or(absent, |found| TopicMetadata {
            id: found.id,
            is_internal: false,
            error_code: 0,
            partitions: (0..).map(PartitionIndex).zip(found.partitions.iter().map(|_| none.clone())).collect(),
        })))
    }

    async fn offset(
        &self,
        partition: &TopicPartition,
        query: OffsetQuery,
    ) -> Result<Option<SourceOffset>, ClusterError> {
        let found = self.partition(partition)?;
        let offset = if query == OffsetQuery::LogStart { found.start } else { found.visible_end() };
        Ok(SourceOffset::new(offset).ok())
    }

    async fn offsets(
        &self,
        partitions: &[TopicPartition],
        query: OffsetQuery,
    ) -> Result<BTreeMap<TopicPartition, SourceOffset>, ClusterError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut offsets = BTreeMap::new();
        for partition in partitions {
            offsets.extend(self.offset(partition, query).await?.map(|offset| (partition.clone(), offset)));
        }
        Ok(offsets)
    }

    async fn epoch_end(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ClusterError> {
        let found = self.partition(partition)?;
        if leader.epoch.0 != found.epoch {
            return Err(Self::refused(74, partition));
        }
        let (epoch, end_offset) = found.epoch_end(epoch.0);
        Ok(EpochEnd { epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)), end_offset })
    }

    async fn batch_at(
        &self,
        partition: &TopicPartition,
        offset: SourceOffset,
    ) -> Result<Option<BatchHeader>, ClusterError> {
        let found = self.partition(partition)?;
        let batch = found.batches.iter().find(|batch| batch.last >= offset.get());
        Ok(batch.map(|batch| split(batch.bytes.clone()).unwrap()[0].header))
    }
}

pub(super) struct FakeLine {
    fake: Fake,
    broker: i32,
}

impl Line for FakeLine {
    fn fetch_version(&self) -> Result<i16, WireError> {
        Ok(self.fake.lock().version)
    }

    async fn fetch(&self, request: &FetchRequest, version: i16) -> Result<FetchResponse, WireError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let until = tokio::time::Instant::now() + Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let session = {
            let mut world = self.fake.lock();
            world.fetches.push((self.broker, request.clone()));
            match world.enter(self.broker, request, version) {
                Ok(session) => session,
                Err(code) => return Ok(FetchResponse::default().with_error_code(code)),
            }
        };
        loop {
            let changed = self.fake.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut world = self.fake.lock();
                if world.down.contains(&self.broker) {
                    let address = format!("broker-{}:9092", self.broker);
                    return Err(WireError::Closed { address, reason: "reset".to_owned() });
                }
                let is_due = tokio::time::Instant::now() >= until;
                if let Some(response) = world.answer(self.broker, session, request, version, is_due) {
                    return Ok(response);
                }
            }
            tokio::time::timeout_at(until, changed).await.ok();
        }
    }
}

impl World {
    /// Enters the request into its session.
    fn enter(&mut self, broker: i32, request: &FetchRequest, version: i16) -> Result<i32, i16> {
        if let Some(code) = self.session_faults.pop() {
            return Err(code);
        }
        assert!(version < 13 || request.topics.iter().all(|topic| !topic.topic_id.is_nil()), "an id is missing");
        let key = |topic: &FetchTopic, part: &FetchPartition| {
            let (id, name) = key_of(version, topic.topic_id, topic.topic.as_str());
            (id, name, part.partition)
        };
        let parts: Vec<_> = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |part| (key(topic, part), part.clone())))
            .collect();
        if request.session_epoch <= 0 {
            self.sessions.remove(&request.session_id);
            let id = self.next_session;
            self.next_session += 1;
            let parts = parts.into_iter().map(|(key, ask)| (key, SessionPart { ask, told: None })).collect();
            self.sessions.insert(id, Session { broker, epoch: 1, parts });
            return Ok(id);
        }
        let session = self.sessions.get_mut(&request.session_id).ok_or(70_i16)?;
        if session.broker != broker || session.epoch != request.session_epoch {
            return Err(71);
        }
        session.epoch += 1;
        for (key, ask) in parts {
            let told = session.parts.get(&key).and_then(|part| part.told);
            session.parts.insert(key, SessionPart { ask, told });
        }
        for topic in &request.forgotten_topics_data {
            for index in &topic.partitions {
                let (id, name) = key_of(version, topic.topic_id, topic.topic.as_str());
                assert!(session.parts.remove(&(id, name, *index)).is_some(), "forgotten, but never asked for");
            }
        }
        Ok(request.session_id)
    }

    /// The response; `None` while there is nothing to say and time is left.
    fn answer(
        &mut self,
        broker: i32,
        session: i32,
        request: &FetchRequest,
        version: i16,
        is_due: bool,
    ) -> Option<FetchResponse> {
        let is_full = request.session_epoch <= 0;
        let mut parts = self.sessions.get(&session)?.parts.clone();
        let mut room = usize::try_from(request.max_bytes).unwrap();
        let mut topics: BTreeMap<(Uuid, String), Vec<PartitionData>> = BTreeMap::new();
        let mut has_news = false;
        for ((id, name, index), part) in &mut parts {
            let data = self.read(broker, (*id, name, *index), &part.ask, &mut room, version);
            let has_data = data.records.as_ref().is_some_and(|records| !records.is_empty());
            let is_urgent = has_data || data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
            let told = Some((data.high_watermark, data.log_start_offset));
            has_news |= is_urgent;
            if is_full || is_urgent || part.told != told {
                topics.entry((*id, name.clone())).or_default().push(data);
            }
            part.told = told;
        }
        if !has_news && !is_due {
            return None;
        }
        self.sessions.get_mut(&session)?.parts = parts;
        let of_topic = |((id, name), partitions): ((Uuid, String), Vec<PartitionData>)| {
            let name = kafka_protocol::protocol::StrBytes::from_string(name);
            FetchableTopicResponse::default().with_topic_id(id).with_topic(name.into()).with_partitions(partitions)
        };
        Some(
            FetchResponse::default()
                .with_session_id(session)
                .with_throttle_time_ms(self.throttle_ms)
                .with_responses(topics.into_iter().map(of_topic).collect()),
        )
    }

    fn read(
        &self,
        broker: i32,
        (id, name, index): (Uuid, &str, i32),
        ask: &FetchPartition,
        room: &mut usize,
        version: i16,
    ) -> PartitionData {
        let data = PartitionData::default().with_partition_index(index);
        let failed = |code: i16| data.clone().with_error_code(code).with_high_watermark(-1);
        let by_id = |topic: &&FakeTopic| topic.id.is_some_and(|known| known.0 == id);
        let topic = if version >= 13 { self.topics.values().find(by_id) } else { self.topics.get(name) };
        let Some(topic) = topic else { return failed(if version >= 13 { 100 } else { 3 }) };
        let partition = &topic.partitions[usize::try_from(index).unwrap()];
        if let Some(code) = partition.fault {
            return failed(code);
        }
        if partition.leader != broker {
            let leader =
                LeaderIdAndEpoch::default().with_leader_id(partition.leader.into()).with_leader_epoch(partition.epoch);
            return failed(6).with_current_leader(leader);
        }
        if ask.current_leader_epoch != partition.epoch {
            return failed(if ask.current_leader_epoch < partition.epoch { 74 } else { 75 });
        }
        if ask.last_fetched_epoch >= 0 {
            let (epoch, end_offset) = partition.epoch_end(ask.last_fetched_epoch);
            if epoch < 0 || ask.fetch_offset < partition.start {
                return failed(1);
            }
            if epoch < ask.last_fetched_epoch || end_offset < ask.fetch_offset {
                let diverging = EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset);
                return data.with_diverging_epoch(diverging).with_high_watermark(-1);
            }
        }
        if ask.fetch_offset < partition.start || ask.fetch_offset > partition.end() {
            return failed(1);
        }
        data.with_high_watermark(partition.visible_end())
            .with_last_stable_offset(partition.visible_end())
            .with_log_start_offset(partition.start)
            .with_records(Some(read_records(partition, ask, room)))
    }
}

/// Brokers send the first batch of a response whole, whatever the limits say, and cut the last one off.
fn read_records(partition: &FakePartition, ask: &FetchPartition, room: &mut usize) -> Bytes {
    let limit = usize::try_from(ask.partition_max_bytes).unwrap().min(*room);
    let mut records = Vec::new();
    let from = partition.batches.iter().filter(|batch| batch.last >= ask.fetch_offset);
    for batch in from.take_while(|batch| batch.last < partition.visible_end()) {
        if records.len() + batch.bytes.len() > limit && !records.is_empty() {
            let cut = limit.saturating_sub(records.len()).min(batch.bytes.len());
            records.extend_from_slice(&batch.bytes[..cut]);
            break;
        }
        records.extend_from_slice(&batch.bytes);
    }
    *room = room.saturating_sub(records.len());
    records.into()
}

fn key_of(version: i16, id: Uuid, name: &str) -> (Uuid, String) {
    if version >= 13 { (id, String::new()) } else { (Uuid::nil(), name.to_owned()) }
}
