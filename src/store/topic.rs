//! The state topic itself: making it, and checking that it is what it must be.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::{StoreError, shard_hash};
use crate::shards::{LogContext, client_config};

/// The state topic's administrator.
pub(super) struct StateTopic {
    kafka_properties: Vec<(String, String)>,
    admin: Arc<AdminClient<LogContext>>,
    name: String,
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

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

impl StateTopic {
    /// Makes the client.
    pub(super) fn new(kafka_properties: &[(String, String)], name: &str) -> Result<Self, StoreError> {
        let admin = Arc::new(connect(kafka_properties)?);
        Ok(Self { kafka_properties: kafka_properties.to_vec(), admin, name: name.to_owned() })
    }

    /// Makes the client anew. Nobody reads what an administrator's client reports, so after a time without contact it
    /// would have piled up.
    pub(super) fn renew(&mut self) -> Result<(), StoreError> {
        self.admin = Arc::new(connect(&self.kafka_properties)?);
        Ok(())
    }

    /// Looks at the topic. `Unusable`: it is there, but not what it must be.
    pub(super) async fn look(&self) -> Result<Presence, StoreError> {
        let (partitions, _) = match self.partitions_and_brokers().await? {
            (None, _) => return Ok(Presence::Absent),
            (Some(partitions), brokers) => (partitions, brokers),
        };
        if partitions == 0 {
            return Ok(Presence::Forming);
        }
        if partitions != shard_hash::SHARDS.unsigned_abs() as usize {
            let (name, shards) = (&self.name, shard_hash::SHARDS);
            return Err(StoreError::Unusable(format!("{name} has {partitions} partitions, it must have {shards}")));
        }
        let policy = self.cleanup_policy().await?;
        let is_compacted = policy.split(',').map(str::trim).eq(["compact"]);
        if is_compacted {
            Ok(Presence::Good)
        } else {
            let name = &self.name;
            Err(StoreError::Unusable(format!("{name} has cleanup.policy={policy}, it must be compact")))
        }
    }

    /// Makes the topic where it is absent, and waits until it can be used. True when this call made it.
    pub(super) async fn ensure(&self) -> Result<bool, StoreError> {
        let mut was_created = false;
        for _ in 0..100 {
            match self.look().await {
                Ok(Presence::Good) => return Ok(was_created),
                Ok(Presence::Absent) if !was_created => was_created = self.create().await?,
                // Right after its creation not every broker knows it, or its settings.
                Ok(Presence::Absent | Presence::Forming) => {}
                Err(StoreError::Unavailable(reason)) if was_created => tracing::debug!(reason, "state topic forming"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(StoreError::Unavailable(format!("{} was made but does not appear", self.name)))
    }

    async fn create(&self) -> Result<bool, StoreError> {
        let (_, brokers) = self.partitions_and_brokers().await?;
        let replicas = i32::try_from(brokers.clamp(1, 3)).unwrap_or(1);
        let mut topic = NewTopic::new(&self.name, shard_hash::SHARDS, TopicReplication::Fixed(replicas))
            .set("cleanup.policy", "compact")
            .set("unclean.leader.election.enable", "false")
            // Only closed segments are compacted: small ones keep what a start has to read small.
            .set("segment.bytes", "16777216")
            .set("segment.ms", "3600000")
            .set("min.cleanable.dirty.ratio", "0.3");
        if replicas >= 3 {
            topic = topic.set("min.insync.replicas", "2");
        }
        let results = self.admin.create_topics([&topic], &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) => {}
                // Another daemon of the group was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => return Ok(false),
                Err((name, code)) => return Err(StoreError::Unavailable(format!("can't create {name}: {code}"))),
            }
        }
        tracing::info!(topic = self.name, replicas, "state topic created");
        Ok(true)
    }

    /// `None`: there is no such topic.
    async fn partitions_and_brokers(&self) -> Result<(Option<usize>, usize), StoreError> {
        // The only look at metadata that rdkafka has blocks.
        let (admin, name) = (Arc::clone(&self.admin), self.name.clone());
        let look =
            move || admin.inner().fetch_metadata(Some(&name), REQUEST_TIMEOUT).map_err(|error| unavailable(&error));
        let ended = |_| StoreError::Unavailable("the process is ending".to_owned());
        let metadata = tokio::task::spawn_blocking(look).await.map_err(ended)??;
        let brokers = metadata.brokers().len();
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == self.name) else {
            return Ok((None, brokers));
        };
        match topic.error() {
            None => Ok((Some(topic.partitions().len()), brokers)),
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok((None, brokers)),
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => Ok((Some(0), brokers)),
            Some(code) => {
                let code = RDKafkaErrorCode::from(code);
                Err(StoreError::Unavailable(format!("can't look at {}: {code}", self.name)))
            }
        }
    }

    async fn cleanup_policy(&self) -> Result<String, StoreError> {
        let resource = ResourceSpecifier::Topic(&self.name);
        let results =
            self.admin.describe_configs([&resource], &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            let resource = result.map_err(|code| unreadable_settings(&self.name, code))?;
            if let Some(policy) = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()) {
                return Ok(policy);
            }
        }
        Err(StoreError::Unavailable(format!("{} has no cleanup.policy to see", self.name)))
    }
}

fn connect(kafka_properties: &[(String, String)]) -> Result<AdminClient<LogContext>, StoreError> {
    let config = client_config(kafka_properties, "causeway-state-admin");
    AdminClient::from_config_and_context(&config, LogContext).map_err(|error| unavailable(&error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn unavailable(error: &rdkafka::error::KafkaError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn unreadable_settings(name: &str, code: RDKafkaErrorCode) -> StoreError {
    StoreError::Unavailable(format!("can't read the settings of {name} (DescribeConfigs on the topic): {code}"))
}
