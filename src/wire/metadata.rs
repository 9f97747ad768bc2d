//! What a cluster says about itself: brokers, topics, leaders.

use std::collections::BTreeMap;

use crate::types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicName};

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
}

/// The leader of a partition as metadata knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The broker that leads.
    pub broker: BrokerId,
    /// Its epoch; -1 from brokers that don't tell.
    pub epoch: LeaderEpoch,
}

/// One metadata response.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The cluster id.
    pub cluster_id: String,
    /// The controller, or any broker that forwards to it.
    pub controller: Option<BrokerId>,
    /// All live brokers.
    pub brokers: BTreeMap<BrokerId, BrokerAddress>,
    /// The topics asked for (all, where none was named).
    pub topics: BTreeMap<TopicName, TopicMetadata>,
}

/// One topic of a metadata response.
#[derive(Debug, Clone)]
pub struct TopicMetadata {
    /// The topic's id; `None` from brokers before 2.8.
    pub id: Option<TopicId>,
    /// Whether Kafka calls it internal.
    pub is_internal: bool,
    /// The error code of this topic, 0 for none.
    pub error_code: i16,
    /// By partition index.
    pub partitions: BTreeMap<PartitionIndex, PartitionMetadata>,
}

/// One partition of a metadata response.
#[derive(Debug, Clone)]
pub struct PartitionMetadata {
    /// The leader, where there is one.
    pub leader: Option<Leader>,
    /// Brokers with a replica.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub in_sync_replicas: Vec<BrokerId>,
}
