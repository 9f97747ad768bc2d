//! Orders that create or change something.

use std::collections::BTreeMap;

use super::{Cluster, ClusterError};
use crate::types::{ProducerEpoch, ProducerId, TopicId, TopicName};

/// One setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name of it.
    pub name: String,
    /// Its value; `None` for a hidden one.
    pub value: Option<String>,
    /// Whether it was set on this topic (not inherited from broker or defaults).
    pub is_set_on_topic: bool,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: i32,
    /// `None`: the broker's default.
    pub replication_factor: Option<i16>,
    /// Settings.
    pub configs: BTreeMap<String, String>,
}

impl Cluster {
    /// Allocates a producer id that belongs to no transactional id.
    pub async fn allocate_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), ClusterError> {
        todo!()
    }

    /// Creates a topic. Refused with code 36 when it exists.
    pub async fn create_topic(&self, _topic: &NewTopic) -> Result<Option<TopicId>, ClusterError> {
        todo!()
    }

    /// Raises the number of partitions.
    pub async fn add_partitions(&self, _topic: &TopicName, _total: i32) -> Result<(), ClusterError> {
        todo!()
    }

    /// Sets (`Some`) or resets (`None`) single settings of a topic; the others stay (KIP-339).
    pub async fn alter_topic_configs(
        &self,
        _topic: &TopicName,
        _changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ClusterError> {
        todo!()
    }
}
