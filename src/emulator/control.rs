//! What its owner can do to a cluster that no client can.
//!
//! Owns: leader moves, elections, restarts, slow followers, compaction on demand; a look at a partition.
//! Promises: each of them does what a real broker would do, no more: what was replicated survives.
//! Does not know: clients.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::Cluster;
use super::partition::Partition;
use super::records::Marker;
use super::state::{NewTopic, State};

/// How a broker stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// In an orderly way. What it knows of producers shrinks to one batch of each.
    Clean,
    /// Killed. The log start falls back to the one that was last written down.
    Kill,
}

/// A partition from above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Who leads; `None` while nobody can.
    pub leader: Option<i32>,
    /// At which epoch.
    pub leader_epoch: i32,
    /// The first offset that can be read.
    pub log_start: i64,
    /// The offset after the last one that all replicas in sync have.
    pub high_watermark: i64,
    /// The offset after the last one that the leader has.
    pub log_end: i64,
    /// Bytes held in memory.
    pub bytes: u64,
}

impl Cluster {
    /// Creates a topic; `configs` are its settings by Kafka's names.
    ///
    /// # Errors
    /// Kafka's words for what speaks against it.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication_factor: i16,
        configs: &[(&str, &str)],
    ) -> Result<Uuid, String> {
        let overrides = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let new = NewTopic { name: name.to_owned(), partitions, replication_factor, overrides, ..NewTopic::default() };
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if let Some((_, objection)) = state.object_to(&new) {
            return Err(objection);
        }
        let id = state.create_topic(new, now_ms);
        drop(state);
        self.changed();
        Ok(id)
    }

    /// Deletes a topic and creates it again with the same settings, empty. `None`: there is no such topic.
    #[must_use]
    pub fn recreate_topic(&self, name: &str) -> Option<Uuid> {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        let old = state.topics.get(name)?;
        let new = NewTopic {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            assignment: old.partitions.iter().map(|partition| partition.replicas.clone()).collect(),
            overrides: old.overrides.clone(),
        };
        state.delete_topic(name);
        let id = state.create_topic(new, now_ms);
        drop(state);
        self.changed();
        Some(id)
    }

    /// A partition from above; `None` when there is none.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<PartitionView> {
        let mut state = self.lock();
        let (partition, _) = state.partition_mut(topic, index)?;
        Some(PartitionView {
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            log_start: partition.log.start(),
            high_watermark: partition.high_watermark(),
            log_end: partition.log.end(),
            bytes: partition.log.bytes(),
        })
    }

    /// All bytes that the topics hold.
    #[must_use]
    pub fn bytes_held(&self) -> u64 {
        let state = self.lock();
        state.topics.values().flat_map(|topic| &topic.partitions).map(|partition| partition.log.bytes()).sum()
    }

    /// How many partitions each topic has.
    #[must_use]
    pub fn topics(&self) -> BTreeMap<String, usize> {
        self.lock().topics.iter().map(|(name, topic)| (name.clone(), topic.partitions.len())).collect()
    }

    /// Moves a partition's leader to another broker: in sync (`false`) or whatever it has (`true`: an unclean
    /// election, which cuts the log to what that replica has). Returns whether the broker could become leader.
    #[must_use]
    pub fn move_leader(&self, topic: &str, index: i32, to: i32, is_unclean: bool) -> bool {
        let now_ms = self.now_ms();
        let done = {
            let mut state = self.lock();
            let (now, is_up) = (state.now(now_ms), state.alive().contains(&to));
            state.partition_mut(topic, index).is_some_and(|(partition, _)| {
                let is_eligible = if is_unclean { &partition.replicas } else { &partition.in_sync }.contains(&to);
                if is_eligible && is_up {
                    if is_unclean {
                        partition.in_sync = vec![to];
                    }
                    partition.elect(Some(to), now);
                }
                is_eligible && is_up
            })
        };
        self.changed();
        done
    }

    /// Whether the replicas on this broker follow their leaders. While they don't, high watermarks stand still, until
    /// `replica.lag.time.max.ms` have passed and the broker is in sync no more.
    pub fn set_following(&self, broker: i32, is_following: bool) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if let Some(one) = state.brokers.get_mut(&broker) {
            one.is_following = is_following;
        }
        state.replicate_all(now_ms);
        drop(state);
        self.changed();
    }

    /// Whether the coordinators on this broker are still reading their state.
    pub fn set_loading(&self, broker: i32, is_loading: bool) {
        if let Some(one) = self.lock().brokers.get_mut(&broker) {
            one.is_loading = is_loading;
        }
        self.changed();
    }

    /// Stops a broker: its connections break, and replicas in sync take over what it led.
    pub fn stop_broker(&self, broker: i32) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if let Some(one) = state.brokers.get_mut(&broker) {
            one.is_up = false;
            one.sessions.clear();
        }
        state.coordinators.transactions.moved();
        let (now, alive) = (state.now(now_ms), state.alive());
        for topic in state.topics.values_mut() {
            let is_unclean_allowed = topic.settings.is_unclean_election_allowed;
            let partitions = topic.partitions.iter_mut();
            partitions.for_each(|partition| partition.broker_stopped(broker, is_unclean_allowed, &alive, now));
        }
        drop(state);
        self.hang_up(broker);
        self.changed();
    }

    /// Starts a broker that was stopped in this way.
    pub fn start_broker(&self, broker: i32, stopped: Restart) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if let Some(one) = state.brokers.get_mut(&broker) {
            one.is_up = true;
        }
        let now = state.now(now_ms);
        state.each_partition(|partition| partition.broker_started(broker, stopped == Restart::Kill, now));
        state.replicate_all(now_ms);
        drop(state);
        self.changed();
    }

    /// Both, at once.
    pub fn restart_broker(&self, broker: i32, how: Restart) {
        self.stop_broker(broker);
        self.start_broker(broker, how);
    }

    /// Whether this broker coordinates this group or transactional id, and has read its state.
    ///
    /// # Errors
    /// The code that it would answer with.
    pub fn check_coordinator(&self, broker: i32, key: &str) -> Result<(), ResponseError> {
        self.lock().check_coordinator(broker, key)
    }

    /// Takes a partition into the transaction of a producer, as `AddPartitionsToTxn` does: its transactional batches
    /// are taken from now on.
    pub fn announce_transaction(&self, producer_id: i64, epoch: i16, topic: &str, index: i32) {
        self.lock().announce(producer_id, epoch, topic, index);
    }

    /// The transaction of this producer is over; its markers are written next.
    pub fn forget_transaction(&self, producer_id: i64) {
        self.lock().forget_announced(producer_id);
    }

    /// Closes all connections to a broker.
    pub fn close_connections(&self, broker: i32) {
        self.hang_up(broker);
    }

    /// Compacts a partition now, up to its end. Leaves holes and, where a producer's last batch was, an empty one.
    pub fn compact(&self, topic: &str, index: i32) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if let Some((partition, settings)) = state.partition_mut(topic, index) {
            let to = partition.last_stable_offset();
            partition.log.roll(now_ms);
            partition.log.compact(settings, to, now_ms);
        }
        drop(state);
        self.changed();
    }

    /// Applies retention everywhere now.
    pub fn apply_retention(&self) {
        let now_ms = self.now_ms();
        self.lock().retain(now_ms);
        self.changed();
    }

    /// Forgets producers that are too old, now, by their records' timestamps.
    pub fn expire_producers(&self) {
        let now_ms = self.now_ms();
        self.lock().expire_producers(now_ms);
    }

    /// Appends a transaction marker, as the transaction coordinator does. Returns its offset.
    ///
    /// # Errors
    /// There is no such partition, the marker is fenced.
    pub fn append_marker(&self, topic: &str, index: i32, marker: Marker) -> Result<i64, ResponseError> {
        let now_ms = self.now_ms();
        let offset = self.lock().append_marker(topic, index, marker, now_ms);
        self.changed();
        offset
    }
}

impl State {
    pub(crate) fn each_partition(&mut self, mut change: impl FnMut(&mut Partition)) {
        self.topics.values_mut().flat_map(|topic| &mut topic.partitions).for_each(&mut change);
    }

    pub(crate) fn replicate_all(&mut self, now_ms: i64) {
        let (following, lag_max_ms) = (self.following(), self.broker_number("replica.lag.time.max.ms"));
        self.each_partition(|partition| partition.replicate(&following, i64::MAX, now_ms, lag_max_ms));
    }

    pub(crate) fn retain(&mut self, now_ms: i64) {
        for topic in self.topics.values_mut() {
            for partition in &mut topic.partitions {
                let high_watermark = partition.high_watermark();
                partition.log.retain(&topic.settings, high_watermark, now_ms);
            }
        }
    }

    pub(crate) fn expire_producers(&mut self, now_ms: i64) {
        let expiration_ms = self.broker_number("producer.id.expiration.ms");
        self.each_partition(|partition| partition.log.producers.expire(now_ms, expiration_ms));
    }

    /// Appends the end of a transaction at the partition's leader and replicates it. Returns its offset.
    pub(crate) fn append_marker(
        &mut self,
        topic: &str,
        index: i32,
        marker: Marker,
        now_ms: i64,
    ) -> Result<i64, ResponseError> {
        let (partition, settings) = self.partition_mut(topic, index).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let offset = partition.append_marker(marker, settings, now_ms)?;
        self.appended(topic, index, now_ms);
        Ok(offset)
    }
}
