//! What a cluster knows: brokers, topics, who has which producer id.
//!
//! Owns: all of a cluster's state, behind the one lock of [`super::Cluster`].
//! Promises: a change is whole when the lock is let go; iteration has one order, so that a seed replays.
//! Does not know: requests and connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::time::Instant;
use uuid::Uuid;

use super::configs::{self, Overrides, TopicSettings};
use super::coordinators::Coordinators;
use super::groups::{self, Committed};
use super::partition::{Now, Partition};
use super::sessions::Sessions;

/// How many producer ids a broker gets at once.
const PRODUCER_ID_BLOCK: i64 = 1_000;
/// More partitions than this are a mistake, or malice.
const PARTITIONS_MAX: usize = 30_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) cluster_id: String,
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) broker_settings: Overrides,
    pub(crate) is_first_sequence_zero: bool,
    pub(crate) replication_delay: Duration,
    /// What was appended and has not reached the followers: when it will, where, up to which offset.
    under_way: VecDeque<(Instant, String, i32, i64)>,
    names: BTreeMap<Uuid, String>,
    next_producer_block: i64,
    random: Random,
    /// Partitions that a transaction was announced to, by producer id.
    announced: BTreeMap<i64, (i16, BTreeSet<(String, i32)>)>,
    pub(crate) coordinators: Coordinators,
}

/// One broker.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_up: bool,
    /// Whether its replicas follow their leaders.
    pub(crate) is_following: bool,
    /// Whether its coordinators are still reading their state.
    pub(crate) is_loading: bool,
    pub(crate) sessions: Sessions,
    producer_ids: Range<i64>,
}

/// One life of a topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) overrides: Overrides,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<Partition>,
}

/// A topic to be created.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// -1: the brokers' default.
    pub(crate) partitions: i32,
    /// -1: the brokers' default.
    pub(crate) replication_factor: i16,
    /// Instead of the two.
    pub(crate) assignment: Vec<Vec<i32>>,
    pub(crate) overrides: Overrides,
}

/// Why something can't be created or changed: a code, and words for people.
pub(crate) type Objection = (ResponseError, String);

/// Numbers that a seed decides (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn next_uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes())
            .into_uuid()
    }
}

impl Broker {
    pub(crate) fn new(host: String, port: u16) -> Self {
        let sessions = Sessions::default();
        Self { host, port, is_up: true, is_following: true, is_loading: false, sessions, producer_ids: 0..0 }
    }
}

impl State {
    pub(crate) fn new(mut random: Random, broker_settings: Overrides) -> Self {
        let coordinators = Coordinators::new(&broker_settings, random.0);
        Self {
            cluster_id: base64_id(random.next_uuid()),
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            broker_settings,
            is_first_sequence_zero: false,
            replication_delay: Duration::ZERO,
            under_way: VecDeque::new(),
            names: BTreeMap::new(),
            next_producer_block: 0,
            random,
            announced: BTreeMap::new(),
            coordinators,
        }
    }

    /// A setting of the brokers that is a number.
    pub(crate) fn broker_number(&self, name: &str) -> i64 {
        configs::number(configs::BROKER, &self.broker_settings, name)
    }

    pub(crate) fn now(&self, ms: i64) -> Now {
        let producer_expiration_ms = self.broker_number("producer.id.expiration.ms");
        Now { ms, producer_expiration_ms, is_first_sequence_zero: self.is_first_sequence_zero }
    }

    pub(crate) fn alive(&self) -> BTreeSet<i32> {
        self.brokers.iter().filter(|(_, broker)| broker.is_up).map(|(id, _)| *id).collect()
    }

    pub(crate) fn following(&self) -> BTreeSet<i32> {
        let is_following = |broker: &Broker| broker.is_up && broker.is_following;
        self.brokers.iter().filter(|(_, broker)| is_following(broker)).map(|(id, _)| *id).collect()
    }

    /// The first broker that is up; -1 when none is.
    pub(crate) fn controller(&self) -> i32 {
        self.alive().first().copied().unwrap_or(-1)
    }

    pub(crate) fn name_of(&self, id: Uuid) -> Option<&String> {
        self.names.get(&id)
    }

    pub(crate) fn partition_mut(&mut self, topic: &str, index: i32) -> Option<(&mut Partition, &TopicSettings)> {
        let topic = self.topics.get_mut(topic)?;
        Some((topic.partitions.get_mut(usize::try_from(index).ok()?)?, &topic.settings))
    }

    /// The partition, if this broker leads it at the epoch that the client believes in.
    pub(crate) fn led(
        &mut self,
        broker: i32,
        topic: &str,
        index: i32,
        client_epoch: i32,
    ) -> Result<(&mut Partition, &TopicSettings), ResponseError> {
        let found = self.partition_mut(topic, index).ok_or(ResponseError::UnknownTopicOrPartition)?;
        found.0.check_leader(broker, client_epoch)?;
        Ok(found)
    }

    /// Something was appended: followers have it now, or as late as they are.
    pub(crate) fn appended(&mut self, topic: &str, index: i32, now_ms: i64) {
        if self.replication_delay.is_zero() {
            self.replicate(topic, index, i64::MAX, now_ms);
            return;
        }
        // The leader itself has it, which is all where nobody follows.
        self.replicate(topic, index, 0, now_ms);
        let Some(end) = self.partition_mut(topic, index).map(|(partition, _)| partition.log.end()) else { return };
        let due = Instant::now() + self.replication_delay;
        self.under_way.push_back((due, topic.to_owned(), index, end));
    }

    fn replicate(&mut self, topic: &str, index: i32, to: i64, now_ms: i64) {
        let (following, lag_max_ms) = (self.following(), self.broker_number("replica.lag.time.max.ms"));
        if let Some((partition, _)) = self.partition_mut(topic, index) {
            partition.replicate(&following, to, now_ms, lag_max_ms);
        }
    }

    /// When something that was appended reaches its followers next.
    pub(crate) fn next_replication(&self) -> Option<Instant> {
        self.under_way.front().map(|(due, ..)| *due)
    }

    /// What is due by now has reached its followers. Returns whether there was anything.
    pub(crate) fn replicate_due(&mut self, now: Instant, now_ms: i64) -> bool {
        let mut has_changed = false;
        while self.under_way.front().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, topic, index, end)) = self.under_way.pop_front() else { break };
            self.replicate(&topic, index, end, now_ms);
            has_changed = true;
        }
        has_changed
    }

    /// Takes followers that are late out of the replicas in sync, and those that came back in. Returns whether any
    /// high watermark moved.
    pub(crate) fn check_replicas(&mut self, now_ms: i64, delay_ms: i64) -> bool {
        let (following, lag_max_ms) = (self.following(), self.broker_number("replica.lag.time.max.ms"));
        let to = if delay_ms == 0 { i64::MAX } else { 0 };
        let mut has_moved = false;
        self.each_partition(|partition| {
            let before = partition.high_watermark();
            partition.replicate(&following, to, now_ms, lag_max_ms);
            has_moved |= partition.high_watermark() != before;
        });
        has_moved
    }

    /// Compacts what is dirty enough.
    pub(crate) fn compact_dirty(&mut self, now_ms: i64) {
        for topic in self.topics.values_mut().filter(|topic| topic.settings.rules.is_compacted) {
            for partition in &mut topic.partitions {
                if partition.log.is_dirty(&topic.settings) {
                    let to = partition.last_stable_offset();
                    partition.log.compact(&topic.settings, to, now_ms);
                }
            }
        }
    }

    /// What would speak against this topic.
    pub(crate) fn object_to(&self, new: &NewTopic) -> Option<Objection> {
        let object = |code, text: String| Some((code, text));
        if crate::types::TopicName::new(&new.name).is_err() {
            return object(ResponseError::InvalidTopicException, format!("Topic name is invalid: {}", new.name));
        }
        if self.topics.contains_key(&new.name) {
            return object(ResponseError::TopicAlreadyExists, format!("Topic '{}' already exists.", new.name));
        }
        let plain = |name: &str| name.replace('.', "_");
        if let Some(other) = self.topics.keys().find(|other| plain(other) == plain(&new.name)) {
            let text = format!("Topic '{}' collides with existing topic: {other}", new.name);
            return object(ResponseError::InvalidTopicException, text);
        }
        if !new.assignment.is_empty() && (new.partitions != -1 || new.replication_factor != -1) {
            let text = "A manual assignment and counts exclude each other.".to_owned();
            return object(ResponseError::InvalidRequest, text);
        }
        let is_known = |replicas: &Vec<i32>| {
            let distinct: BTreeSet<&i32> = replicas.iter().collect();
            !replicas.is_empty()
                && distinct.len() == replicas.len()
                && distinct.iter().all(|id| self.brokers.contains_key(id))
        };
        if !new.assignment.iter().all(is_known) {
            let text = "The manual assignment names no brokers, unknown ones, or one twice.".to_owned();
            return object(ResponseError::InvalidReplicaAssignment, text);
        }
        let (partitions, replicas) = self.counts(new);
        if partitions == 0 || partitions + self.partition_count() > PARTITIONS_MAX {
            return object(ResponseError::InvalidPartitions, "Number of partitions is out of range.".to_owned());
        }
        if replicas == 0 || replicas > self.alive().len() {
            let text = format!("Replication factor: {replicas} larger than available brokers: {}.", self.alive().len());
            return object(ResponseError::InvalidReplicationFactor, text);
        }
        let mut objections =
            new.overrides.iter().filter_map(|(name, value)| configs::objection(configs::TOPIC, name, value));
        objections.next().and_then(|text| object(ResponseError::InvalidConfig, text))
    }

    pub(crate) fn partition_count(&self) -> usize {
        self.topics.values().map(|topic| topic.partitions.len()).sum()
    }

    /// How many partitions and replicas are wanted; 0 for a number that can't be.
    pub(crate) fn counts(&self, new: &NewTopic) -> (usize, usize) {
        if let Some(first) = new.assignment.first() {
            return (new.assignment.len(), first.len());
        }
        let or_default = |asked: i64, name| if asked == -1 { self.broker_number(name) } else { asked };
        let partitions = or_default(i64::from(new.partitions), "num.partitions");
        let replicas = or_default(i64::from(new.replication_factor), "default.replication.factor");
        (usize::try_from(partitions).unwrap_or(0), usize::try_from(replicas).unwrap_or(0))
    }

    /// Creates a topic that nothing speaks against. Returns its id.
    pub(crate) fn create_topic(&mut self, new: NewTopic, now_ms: i64) -> Uuid {
        let (count, replicas) = self.counts(&new);
        let id = self.random.next_uuid();
        let first = self.partition_count();
        let alive = self.alive();
        let spread =
            |index: usize| new.assignment.get(index).cloned().unwrap_or_else(|| self.spread(first + index, replicas));
        let partitions = (0..count).map(|index| Partition::new(spread(index), &alive, now_ms)).collect();
        let settings = self.topic_settings(&new.overrides);
        self.names.insert(id, new.name.clone());
        self.topics.insert(new.name, Topic { id, overrides: new.overrides, settings, partitions });
        id
    }

    /// What is not set on a topic comes from the brokers.
    pub(crate) fn topic_settings(&self, overrides: &Overrides) -> TopicSettings {
        let mut effective = overrides.clone();
        for (of_broker, of_topic) in INHERITED {
            if let Some(value) = self.broker_settings.get(*of_broker) {
                effective.entry((*of_topic).to_owned()).or_insert_with(|| value.clone());
            }
        }
        TopicSettings::of(&effective)
    }

    /// The settings of brokers changed, which are the defaults of topics.
    pub(crate) fn adopt_broker_settings(&mut self) {
        let all: Vec<(String, TopicSettings)> =
            self.topics.iter().map(|(name, topic)| (name.clone(), self.topic_settings(&topic.overrides))).collect();
        for (name, settings) in all {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.settings = settings;
            }
        }
    }

    /// Brokers for a partition: neighbours in a ring of those that are up.
    pub(crate) fn spread(&self, position: usize, replicas: usize) -> Vec<i32> {
        let ring: Vec<i32> = self.alive().into_iter().collect();
        ring.iter().cycle().skip(position % ring.len().max(1)).take(replicas).copied().collect()
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Option<Uuid> {
        let topic = self.topics.remove(name)?;
        self.names.remove(&topic.id);
        self.coordinators.groups.topic_deleted(name);
        Some(topic.id)
    }

    /// A producer id that nobody has, from the block of this broker.
    pub(crate) fn allocate_producer_id(&mut self, broker: i32) -> i64 {
        let next_block = self.next_producer_block;
        let Some(broker) = self.brokers.get_mut(&broker) else { return next_block };
        if broker.producer_ids.is_empty() {
            broker.producer_ids = next_block..next_block + PRODUCER_ID_BLOCK;
            self.next_producer_block += PRODUCER_ID_BLOCK;
        }
        broker.producer_ids.next().unwrap_or(next_block)
    }

    /// Which broker coordinates this group or transactional id: one that is up, always the same while it is.
    pub(crate) fn coordinator_of(&self, key: &str) -> Option<i32> {
        let alive: Vec<i32> = self.alive().into_iter().collect();
        let hash = key.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        alive.get(hash.checked_rem(alive.len())?).copied()
    }

    /// Whether this broker can answer for this group or transactional id.
    pub(crate) fn check_coordinator(&self, broker: i32, key: &str) -> Result<(), ResponseError> {
        if self.coordinator_of(key) != Some(broker) {
            return Err(ResponseError::NotCoordinator);
        }
        match self.brokers.get(&broker) {
            Some(one) if one.is_loading => Err(ResponseError::CoordinatorLoadInProgress),
            Some(_) | None => Ok(()),
        }
    }

    /// What a group's coordinator is to remember of a committed offset (and its leader epoch), if there is such a
    /// partition.
    pub(crate) fn position_to_keep(
        &self,
        (topic, index): (&str, i32),
        (offset, leader_epoch): (i64, i32),
        metadata: Option<&str>,
        at: i64,
    ) -> Result<(groups::Partition, Committed), ResponseError> {
        let partitions = self.topics.get(topic).map(|topic| &topic.partitions);
        let place = usize::try_from(index).ok();
        partitions.zip(place).and_then(|(all, at)| all.get(at)).ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.coordinators.groups.check_metadata(metadata)?;
        let metadata = metadata.unwrap_or_default().to_owned();
        Ok(((topic.to_owned(), index), Committed { offset, leader_epoch, metadata, at }))
    }

    /// The transaction coordinator took a partition into a transaction: batches of it may be appended from now on.
    pub(crate) fn announce(&mut self, producer_id: i64, epoch: i16, topic: &str, index: i32) {
        let (announced_epoch, partitions) = self.announced.entry(producer_id).or_default();
        if *announced_epoch != epoch {
            *announced_epoch = epoch;
            partitions.clear();
        }
        partitions.insert((topic.to_owned(), index));
    }

    /// The transaction is over.
    pub(crate) fn forget_announced(&mut self, producer_id: i64) {
        self.announced.remove(&producer_id);
    }

    pub(crate) fn is_announced(&self, producer_id: i64, epoch: i16, topic: &str, index: i32) -> bool {
        let announced = self.announced.get(&producer_id).filter(|(of, _)| *of == epoch);
        announced.is_some_and(|(_, partitions)| partitions.contains(&(topic.to_owned(), index)))
    }
}

/// Settings of brokers that are the defaults of topics, under another name there.
pub(crate) const INHERITED: &[(&str, &str)] = &[
    ("log.cleaner.delete.retention.ms", "delete.retention.ms"),
    ("log.cleanup.policy", "cleanup.policy"),
    ("log.retention.bytes", "retention.bytes"),
    ("log.retention.ms", "retention.ms"),
    ("log.roll.ms", "segment.ms"),
    ("log.segment.bytes", "segment.bytes"),
    ("message.max.bytes", "max.message.bytes"),
    ("min.insync.replicas", "min.insync.replicas"),
];

/// Kafka writes ids as 22 letters of URL-safe base64.
pub(crate) fn base64_id(id: Uuid) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.as_bytes())
}
