//! The state topic itself: making it, and checking that it is what it must be.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{CreateTopicsRequest, DescribeConfigsRequest};
use kafka_protocol::protocol::StrBytes;

use super::{StoreError, shard_hash};
use crate::types::{TopicId, TopicName};
use crate::wire::{Client, ResponseError, Route, TopicMetadata, WireError};

/// The state topic, as its administrator sees it.
pub(super) struct StateTopic {
    client: Client,
    name: TopicName,
    /// Once it was seen, it must stay the same one.
    id: Option<TopicId>,
}

/// What a look at the topic said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is no such topic.
    Absent,
    /// It is there and as it must be.
    Good,
    /// It was just made, and not all brokers know it yet.
    Forming,
}

/// How long the controller may wait until the brokers know of it, in milliseconds.
const CREATE_TIMEOUT_MS: i32 = 10_000;
/// Kafka's number for the kind of resource "topic".
const TOPIC: i8 = 2;
const CLEANUP_POLICY: &str = "cleanup.policy";

impl StateTopic {
    /// `id`: the topic that this process has worked with before, if any.
    pub(super) fn new(client: Client, name: TopicName, id: Option<TopicId>) -> Self {
        Self { client, name, id }
    }

    /// Kafka's id of the topic, once it was seen.
    pub(super) fn id(&self) -> Option<TopicId> {
        self.id
    }

    /// Looks at the topic. `Unusable`: it is there, but not what it must be.
    pub(super) async fn look(&mut self) -> Result<Presence, StoreError> {
        let Some(topic) = self.metadata().await?.0 else { return Ok(Presence::Absent) };
        if topic.partitions.is_empty() {
            return Ok(Presence::Forming);
        }
        let partitions = topic.partitions.len();
        if partitions != shard_hash::SHARDS.unsigned_abs() as usize {
            let (name, shards) = (&self.name, shard_hash::SHARDS);
            return Err(StoreError::Unusable(format!("{name} has {partitions} partitions, it must have {shards}")));
        }
        if self.id.is_some() && topic.id.is_some() && self.id != topic.id {
            return Err(StoreError::Unusable(format!("{} was deleted and made anew", self.name)));
        }
        let policy = self.cleanup_policy().await?;
        let is_compacted = policy.split(',').map(str::trim).eq(["compact"]);
        if is_compacted {
            self.id = self.id.or(topic.id);
            Ok(Presence::Good)
        } else {
            let name = &self.name;
            Err(StoreError::Unusable(format!("{name} has cleanup.policy={policy}, it must be compact")))
        }
    }

    /// Makes the topic where it is absent and was not known before, and waits until it can be used. True when this
    /// call made it.
    pub(super) async fn ensure(&mut self) -> Result<bool, StoreError> {
        let mut was_created = false;
        let mut last = "it does not appear".to_owned();
        for _ in 0..100 {
            match self.look().await {
                Ok(Presence::Good) => return Ok(was_created),
                Ok(Presence::Absent) if self.id.is_some() => {
                    return Err(StoreError::Unusable(format!("{} was deleted", self.name)));
                }
                Ok(Presence::Absent) if !was_created => was_created = self.create().await?,
                // Right after its creation not every broker knows it, or its settings.
                Ok(Presence::Absent | Presence::Forming) => {}
                Err(StoreError::Unavailable(reason)) if was_created => last = reason,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(StoreError::Unavailable(format!("{} was made but can't be used: {last}", self.name)))
    }

    async fn create(&self) -> Result<bool, StoreError> {
        let (_, brokers) = self.metadata().await?;
        let replicas = i16::try_from(brokers.clamp(1, 3)).unwrap_or(1);
        let mut settings = vec![
            (CLEANUP_POLICY, "compact"),
            ("unclean.leader.election.enable", "false"),
            // Only closed segments are compacted: small ones keep what a start has to read small.
            ("segment.bytes", "16777216"),
            ("segment.ms", "3600000"),
            ("min.cleanable.dirty.ratio", "0.3"),
        ];
        if replicas >= 3 {
            settings.push(("min.insync.replicas", "2"));
        }
        let setting = |(name, value)| {
            let (name, value) = (StrBytes::from_static_str(name), StrBytes::from_static_str(value));
            CreatableTopicConfig::default().with_name(name).with_value(Some(value))
        };
        let topic = CreatableTopic::default()
            .with_name(text(&self.name).into())
            .with_num_partitions(shard_hash::SHARDS)
            .with_replication_factor(replicas)
            .with_configs(settings.into_iter().map(setting).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CREATE_TIMEOUT_MS);
        let response = self.client.call(Route::Controller, &request).await.map_err(|error| unavailable(&error))?;
        let told = response.topics.first();
        match told.and_then(|told| ResponseError::try_from_code(told.error_code)) {
            None => {}
            // Another daemon of the group was faster.
            Some(ResponseError::TopicAlreadyExists) => return Ok(false),
            Some(error) => {
                self.client.forget_coordinator(&Route::Controller);
                let message = told.and_then(|told| told.error_message.as_deref());
                return Err(self.refused("Create", error, message));
            }
        }
        tracing::info!(topic = %self.name, replicas, "state topic created");
        Ok(true)
    }

    /// The topic, where there is one, and the number of brokers.
    async fn metadata(&self) -> Result<(Option<TopicMetadata>, usize), StoreError> {
        let asked = self.client.metadata(Some(std::slice::from_ref(&self.name))).await;
        let mut metadata = asked.map_err(|error| unavailable(&error))?;
        let brokers = metadata.brokers.len();
        let Some(topic) = metadata.topics.remove(&self.name) else { return Ok((None, brokers)) };
        match ResponseError::try_from_code(topic.error_code) {
            None | Some(ResponseError::LeaderNotAvailable) => Ok((Some(topic), brokers)),
            Some(ResponseError::UnknownTopicOrPartition) => Ok((None, brokers)),
            Some(error) => Err(self.refused("Describe", error, None)),
        }
    }

    async fn cleanup_policy(&self) -> Result<String, StoreError> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(&self.name))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str(CLEANUP_POLICY)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let response = self.client.call(Route::Any, &request).await.map_err(|error| unavailable(&error))?;
        for result in response.results {
            if let Some(error) = ResponseError::try_from_code(result.error_code) {
                return Err(self.refused("DescribeConfigs", error, result.error_message.as_deref()));
            }
            let policy = result.configs.into_iter().find(|setting| setting.name.as_str() == CLEANUP_POLICY);
            if let Some(value) = policy.and_then(|setting| setting.value) {
                return Ok(value.to_string());
            }
        }
        Err(StoreError::Unavailable(format!("{} has no cleanup.policy to see", self.name)))
    }

    fn refused(&self, operation: &str, error: ResponseError, message: Option<&str>) -> StoreError {
        let said = message.filter(|message| !message.is_empty()).map(|message| format!(": {message}"));
        let (name, code, said) = (&self.name, error.code(), said.unwrap_or_default());
        StoreError::Unavailable(format!("{operation} on topic {name} was refused: {error:?} ({code}){said}"))
    }
}

pub(super) fn text(name: &TopicName) -> StrBytes {
    StrBytes::from_string(name.as_str().to_owned())
}

fn unavailable(error: &WireError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
