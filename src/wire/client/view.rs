//! What a client remembers of a cluster: brokers, controller, coordinators, leaders. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Route;
use crate::types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicName, TopicPartition};
use crate::wire::{BrokerAddress, Leader, Metadata, ResponseError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct View {
    brokers: BTreeMap<BrokerId, BrokerAddress>,
    /// A broker was not where we thought it is: ask before the next dial.
    are_brokers_doubtful: bool,
    controller: Option<BrokerId>,
    coordinators: HashMap<Route, BrokerId>,
    topics: HashMap<TopicName, KnownTopic>,
}

#[derive(Debug)]
struct KnownTopic {
    id: Option<TopicId>,
    error: Option<ResponseError>,
    learned_at: Instant,
    partitions: BTreeMap<PartitionIndex, KnownPartition>,
}

#[derive(Debug)]
struct KnownPartition {
    leader: Option<Leader>,
    /// The newest epoch seen: brokers that lag behind are not believed.
    epoch_seen: LeaderEpoch,
}

/// What is known of a partition's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// This one leads.
    Leader(Leader),
    /// Nobody asked, or too long ago.
    Unknown,
    /// The cluster was asked and named no leader; the topic's error, where it told one.
    None(Option<ResponseError>),
}

impl View {
    /// Takes a metadata response in. Returns the brokers that are gone or have moved.
    pub(super) fn learn(&mut self, metadata: &Metadata) -> Vec<BrokerId> {
        // A broker that starts up may not know any other one yet, not even itself.
        let mut moved = Vec::new();
        if !metadata.brokers.is_empty() {
            let is_elsewhere = |(id, address): &(&BrokerId, &BrokerAddress)| metadata.brokers.get(id) != Some(*address);
            moved.extend(self.brokers.iter().filter(is_elsewhere).map(|(id, _)| *id));
            self.brokers.clone_from(&metadata.brokers);
            self.are_brokers_doubtful = false;
            self.controller = metadata.controller;
        }
        for (name, topic) in &metadata.topics {
            let partitions = topic.partitions.iter().map(|(index, partition)| (*index, partition.leader));
            self.learn_topic(name, topic.id, ResponseError::try_from_code(topic.error_code), partitions);
        }
        moved
    }

    fn learn_topic(
        &mut self,
        name: &TopicName,
        id: Option<TopicId>,
        error: Option<ResponseError>,
        partitions: impl Iterator<Item = (PartitionIndex, Option<Leader>)>,
    ) {
        let before = self.topics.remove(name).filter(|before| before.id == id);
        let mut before = before.map(|before| before.partitions).unwrap_or_default();
        let partitions = partitions
            .map(|(index, leader)| {
                let known = match (before.remove(&index), leader) {
                    (Some(before), Some(leader))
                        if LeaderEpoch(0) <= leader.epoch && leader.epoch < before.epoch_seen =>
                    {
                        before
                    }
                    (before, leader) => {
                        let epoch_before = before.map_or(LeaderEpoch(-1), |before| before.epoch_seen);
                        let epoch_seen = leader.map_or(epoch_before, |leader| leader.epoch.max(epoch_before));
                        KnownPartition { leader, epoch_seen }
                    }
                };
                (index, known)
            })
            .collect();
        self.topics.insert(name.clone(), KnownTopic { id, error, learned_at: Instant::now(), partitions });
    }

    /// The leader, when it was learned within `age_max`.
    pub(super) fn leader(&self, partition: &TopicPartition, age_max: Duration) -> Lookup {
        match self.topics.get(&partition.topic) {
            Some(topic) if topic.learned_at.elapsed() < age_max => {
                match topic.partitions.get(&partition.partition).map(|known| known.leader) {
                    Some(Some(leader)) => Lookup::Leader(leader),
                    Some(None) | None => Lookup::None(topic.error),
                }
            }
            Some(_) | None => Lookup::Unknown,
        }
    }

    pub(super) fn forget_leader(&mut self, partition: &TopicPartition) {
        if let Some(topic) = self.topics.get_mut(&partition.topic)
            && let Some(known) = topic.partitions.get_mut(&partition.partition)
        {
            known.leader = None;
        }
    }

    pub(super) fn brokers(&self) -> &BTreeMap<BrokerId, BrokerAddress> {
        &self.brokers
    }

    /// Where a broker is; `None` when that must be asked first.
    pub(super) fn address_of(&self, broker: BrokerId) -> Option<&BrokerAddress> {
        if self.are_brokers_doubtful { None } else { self.brokers.get(&broker) }
    }

    pub(super) fn doubt_brokers(&mut self) {
        self.are_brokers_doubtful = true;
    }

    pub(super) fn forget_brokers(&mut self) {
        *self = Self { topics: std::mem::take(&mut self.topics), ..Self::default() };
    }

    pub(super) fn controller(&self) -> Option<BrokerId> {
        self.controller
    }

    pub(super) fn coordinator(&self, route: &Route) -> Option<BrokerId> {
        self.coordinators.get(route).copied()
    }

    /// Remembers a coordinator, and where it is if no metadata has told yet.
    pub(super) fn learn_coordinator(&mut self, route: Route, broker: BrokerId, address: BrokerAddress) {
        self.brokers.entry(broker).or_insert(address);
        self.coordinators.insert(route, broker);
    }

    pub(super) fn forget_route(&mut self, route: &Route) {
        match route {
            Route::Group(_) | Route::Transaction(_) => {
                self.coordinators.remove(route);
            }
            Route::Controller => self.controller = None,
            Route::Any | Route::Broker(_) => {}
        }
    }
}
