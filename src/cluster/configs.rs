//! Settings of topics: reading and changing them.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::error::Call;
use super::{Cluster, ClusterError, text};
use crate::types::TopicName;
use crate::wire::Route;

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

const DESCRIBE: Call = Call::new("DescribeConfigs", "DescribeConfigs");
const ALTER: Call = Call::new("IncrementalAlterConfigs", "AlterConfigs");

/// Kafka's number for the kind of resource "topic".
const TOPIC: i8 = 2;
/// Kafka's number for the kind of resource "broker".
const BROKER: i8 = 4;
/// Kafka's number for "set on this topic" (`DYNAMIC_TOPIC_CONFIG`).
const SET_ON_TOPIC: i8 = 1;
/// A topic has some forty settings, 2 to 4 KB: so many topics stay far below the largest frame.
const TOPICS_PER_REQUEST: usize = 1_000;

const SET: i8 = 0;
const DELETE: i8 = 1;

impl Cluster {
    /// All settings of these topics, with where each value comes from. Each topic that was asked about has its
    /// settings or its error.
    pub async fn topic_configs(
        &self,
        topics: &[TopicName],
    ) -> Result<BTreeMap<TopicName, Result<Vec<ConfigEntry>, ClusterError>>, ClusterError> {
        let mut all = BTreeMap::new();
        for some in topics.chunks(TOPICS_PER_REQUEST) {
            let resources = some.iter().map(|topic| {
                DescribeConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(topic.as_str()))
                    // Null asks for all; the codec's default, an empty list, for none.
                    .with_configuration_keys(None)
            });
            let request = DescribeConfigsRequest::default().with_resources(resources.collect());
            let response = self.call(Route::Any, &request).await?;
            let mut told: BTreeMap<String, DescribeConfigsResult> =
                response.results.into_iter().map(|result| (result.resource_name.to_string(), result)).collect();
            for topic in some {
                let answer = match told.remove(topic.as_str()) {
                    Some(result) => self.described(topic, result),
                    None => Err(self.left_out(DESCRIBE, topic.as_str())),
                };
                all.insert(topic.clone(), answer);
            }
        }
        Ok(all)
    }

    /// The brokers' `producer.id.expiration.ms`: how long they remember a producer that does not write. `None` when
    /// they don't tell us (that takes `DescribeConfigs` on the cluster).
    pub async fn producer_expiration(&self) -> Option<Duration> {
        self.broker_number("producer.id.expiration.ms").await.map(Duration::from_millis)
    }

    /// The brokers' `offsets.retention.minutes`: how long they keep the positions of a group without members. `None`
    /// when they don't tell us (that takes `DescribeConfigs` on the cluster).
    pub async fn offsets_retention(&self) -> Option<Duration> {
        self.broker_number("offsets.retention.minutes").await.map(|minutes| Duration::from_secs(minutes * 60))
    }

    async fn broker_number(&self, setting: &str) -> Option<u64> {
        let broker = *self.metadata(Some(&[])).await.ok()?.brokers.keys().next()?;
        let resource = DescribeConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(text(&broker.to_string()))
            .with_configuration_keys(Some(vec![text(setting)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let response = self.call(Route::Broker(broker), &request).await.ok()?;
        let result = response.results.into_iter().next().filter(|result| result.error_code == 0)?;
        let told = result.configs.into_iter().find(|told| told.name.as_str() == setting)?;
        told.value?.parse().ok()
    }

    fn described(&self, topic: &TopicName, result: DescribeConfigsResult) -> Result<Vec<ConfigEntry>, ClusterError> {
        self.accepted(DESCRIBE, || format!("topic {topic}"), result.error_code, result.error_message.as_deref())?;
        Ok(result.configs.into_iter().map(entry).collect())
    }

    /// Sets (`Some`) or resets (`None`) single settings of a topic; the others stay (KIP-339).
    pub async fn alter_topic_configs(
        &self,
        topic: &TopicName,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ClusterError> {
        self.change_topic_configs(topic, changes, false).await
    }

    /// Whether the cluster would take these changes; nothing is changed.
    pub async fn try_alter_topic_configs(
        &self,
        topic: &TopicName,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ClusterError> {
        self.change_topic_configs(topic, changes, true).await
    }

    async fn change_topic_configs(
        &self,
        topic: &TopicName,
        changes: &BTreeMap<String, Option<String>>,
        is_trial: bool,
    ) -> Result<(), ClusterError> {
        let configs = changes.iter().map(|(name, value)| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(if value.is_some() { SET } else { DELETE })
                .with_value(value.as_deref().map(text))
        });
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic.as_str()))
            .with_configs(configs.collect());
        let request =
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(is_trial);
        let response = self.call(Route::Controller, &request).await?;
        let told = response.responses.first().ok_or_else(|| self.left_out(ALTER, topic.as_str()))?;
        self.accepted_by_controller(ALTER, || format!("topic {topic}"), told.error_code, told.error_message.as_deref())
    }
}

fn entry(told: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: told.name.to_string(),
        value: told.value.filter(|_| !told.is_sensitive).map(|value| value.to_string()),
        is_set_on_topic: told.config_source == SET_ON_TOPIC,
    }
}
