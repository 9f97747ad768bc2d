//! What a cluster says about itself: brokers, topics, leaders.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{self, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

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

impl BrokerAddress {
    /// Reads `host:port`; an IPv6 address stands in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let port = port.parse().ok()?;
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A Metadata request for these topics (`None`: all) that creates nothing.
pub(super) fn request(topics: Option<&[TopicName]>) -> MetadataRequest {
    let topic = |name: &TopicName| {
        let name = StrBytes::from_string(name.as_str().to_owned());
        MetadataRequestTopic::default().with_name(Some(name.into()))
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false)
}

impl From<MetadataResponse> for Metadata {
    fn from(response: MetadataResponse) -> Self {
        let broker = |broker: MetadataResponseBroker| {
            let port = u16::try_from(broker.port).ok()?;
            Some((BrokerId(broker.node_id.0), BrokerAddress { host: broker.host.to_string(), port }))
        };
        // A topic without a valid name can't be asked for again, so nobody here could use it.
        let topic = |topic: MetadataResponseTopic| {
            let name = TopicName::new(topic.name.as_ref()?.0.as_str()).ok()?;
            Some((name, TopicMetadata::from(topic)))
        };
        Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
            controller: broker_id(response.controller_id),
            brokers: response.brokers.into_iter().filter_map(broker).collect(),
            topics: response.topics.into_iter().filter_map(topic).collect(),
        }
    }
}

impl From<MetadataResponseTopic> for TopicMetadata {
    fn from(topic: MetadataResponseTopic) -> Self {
        let partition = |partition: MetadataResponsePartition| {
            let epoch = LeaderEpoch(partition.leader_epoch);
            let brokers = |ids: Vec<messages::BrokerId>| ids.into_iter().map(|id| BrokerId(id.0)).collect();
            let known = PartitionMetadata {
                leader: broker_id(partition.leader_id).map(|broker| Leader { broker, epoch }),
                replicas: brokers(partition.replica_nodes),
                in_sync_replicas: brokers(partition.isr_nodes),
            };
            (PartitionIndex(partition.partition_index), known)
        };
        Self {
            id: (!topic.topic_id.is_nil()).then_some(TopicId(topic.topic_id)),
            is_internal: topic.is_internal,
            error_code: topic.error_code,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        }
    }
}

/// Kafka writes "none" as -1.
fn broker_id(id: messages::BrokerId) -> Option<BrokerId> {
    (id.0 >= 0).then_some(BrokerId(id.0))
}
