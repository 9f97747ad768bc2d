//! Creating topics and adding partitions.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest};

use super::error::Call;
use super::{Cluster, ClusterError, ConfigEntry, text, wire_name};
use crate::types::{TopicId, TopicName};
use crate::wire::Route;

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

/// What a topic would be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPreview {
    /// `None` when the broker does not tell.
    pub replication_factor: Option<i16>,
    /// What would be in force; empty when the broker does not tell (`DescribeConfigs` is needed).
    pub configs: Vec<ConfigEntry>,
}

const CREATE: Call = Call::new("CreateTopics", "Create");
const ADD: Call = Call::new("CreatePartitions", "Alter");
/// How long the controller may wait until the brokers know of it, in milliseconds.
const TIMEOUT_MS: i32 = 20_000;

impl Cluster {
    /// Creates a topic. Refused with code 36 when it exists. The id is `None` from brokers that don't tell it.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Option<TopicId>, ClusterError> {
        let created = self.create(topic, false).await?;
        Ok((!created.topic_id.is_nil()).then_some(TopicId(created.topic_id)))
    }

    /// Whether the cluster would create this topic, and what it would be like; nothing is created.
    pub async fn try_create_topic(&self, topic: &NewTopic) -> Result<TopicPreview, ClusterError> {
        let preview = self.create(topic, true).await?;
        let entry = |told: CreatableTopicConfigs| ConfigEntry {
            name: told.name.to_string(),
            is_set_on_topic: topic.configs.contains_key(told.name.as_str()),
            value: told.value.filter(|_| !told.is_sensitive).map(|value| value.to_string()),
        };
        Ok(TopicPreview {
            replication_factor: (preview.replication_factor > 0).then_some(preview.replication_factor),
            configs: preview.configs.unwrap_or_default().into_iter().map(entry).collect(),
        })
    }

    async fn create(&self, topic: &NewTopic, is_trial: bool) -> Result<CreatableTopicResult, ClusterError> {
        let configs = topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let asked = CreatableTopic::default()
            .with_name(wire_name(&topic.name))
            .with_num_partitions(topic.partitions)
            // -1 is the broker's default (KIP-464).
            .with_replication_factor(topic.replication_factor.unwrap_or(-1))
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![asked])
            .with_timeout_ms(TIMEOUT_MS)
            .with_validate_only(is_trial);
        let response = self.call(Route::Controller, &request).await?;
        let told = response.topics.into_iter().next().ok_or_else(|| self.left_out(CREATE, topic.name.as_str()))?;
        self.accepted_by_controller(
            CREATE,
            || format!("topic {}", topic.name),
            told.error_code,
            told.error_message.as_deref(),
        )?;
        Ok(told)
    }

    /// Raises the number of partitions. Refused with code 37 when there are as many or more.
    pub async fn add_partitions(&self, topic: &TopicName, total: i32) -> Result<(), ClusterError> {
        let asked = CreatePartitionsTopic::default()
            .with_name(wire_name(topic))
            .with_count(total)
            // Null leaves the placing to the controller; the codec's default, an empty list, is refused.
            .with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![asked]).with_timeout_ms(TIMEOUT_MS);
        let response = self.call(Route::Controller, &request).await?;
        let told = response.results.first().ok_or_else(|| self.left_out(ADD, topic.as_str()))?;
        self.accepted_by_controller(ADD, || format!("topic {topic}"), told.error_code, told.error_message.as_deref())
    }
}
