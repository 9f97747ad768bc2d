//! What we are allowed to do, as the brokers themselves reckon it (KIP-430).

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{DescribeClusterRequest, MetadataRequest};

use super::error::Call;
use super::{Cluster, ClusterError, wire_name};
use crate::types::TopicName;
use crate::wire::{ResponseError, Route};

/// An operation that a permission can be about. Each has the number of its bit in Kafka's sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Read records; join groups.
    Read = 3,
    /// Write records.
    Write = 4,
    /// Create.
    Create = 5,
    /// Delete it, or its oldest records.
    Delete = 6,
    /// Change partitions; on the cluster: write markers, among much else.
    Alter = 7,
    /// See that it exists, its leaders and its offsets.
    Describe = 8,
    /// See settings.
    DescribeConfigs = 10,
    /// Change settings.
    AlterConfigs = 11,
    /// Get producer ids without a topic to write to.
    IdempotentWrite = 12,
}

impl Operation {
    /// The operation as `kafka-acls --operation` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
        }
    }
}

/// A set of operations that a broker says we may do on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(i32);

impl Permissions {
    /// Takes Kafka's bits; the smallest number is Kafka's "not told".
    #[must_use]
    pub const fn from_kafka(bits: i32) -> Option<Self> {
        if bits == i32::MIN { None } else { Some(Self(bits)) }
    }

    /// Whether the operation is allowed.
    #[must_use]
    pub const fn allow(self, operation: Operation) -> bool {
        self.0 >> (operation as i32) & 1 == 1
    }
}

/// What a broker says of a topic that we may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicPermissions {
    /// Whether there is such a topic.
    pub does_exist: bool,
    /// What we may do; `None` when the broker does not tell.
    pub permissions: Option<Permissions>,
}

pub(super) const DESCRIBE: Call = Call::new("Metadata", "Describe");

impl Cluster {
    /// What we may do on each of these topics, whether they exist or not. A topic that we may not even see is refused
    /// with 29.
    pub async fn topic_permissions(
        &self,
        topics: &[TopicName],
    ) -> Result<BTreeMap<TopicName, Result<TopicPermissions, ClusterError>>, ClusterError> {
        let asked = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(wire_name(topic))));
        let request = MetadataRequest::default()
            .with_topics(Some(asked.collect()))
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let response = self.call(Route::Any, &request).await?;
        let told: BTreeMap<String, (i16, i32)> = response
            .topics
            .into_iter()
            .filter_map(|topic| {
                let name = topic.name.map(|name| name.to_string())?;
                Some((name, (topic.error_code, topic.topic_authorized_operations)))
            })
            .collect();
        let answer = |topic: &TopicName| {
            let Some((code, bits)) = told.get(topic.as_str()) else {
                return Err(self.left_out(DESCRIBE, topic.as_str()));
            };
            let does_exist = *code != ResponseError::UnknownTopicOrPartition.code();
            if does_exist && *code != ResponseError::LeaderNotAvailable.code() {
                self.accepted(DESCRIBE, || format!("topic {topic}"), *code, None)?;
            }
            Ok(TopicPermissions { does_exist, permissions: Permissions::from_kafka(*bits) })
        };
        Ok(topics.iter().map(|topic| (topic.clone(), answer(topic))).collect())
    }

    /// What we may do on the cluster itself. Without `Describe` on the cluster, brokers tell an empty set.
    pub async fn cluster_permissions(&self) -> Result<Option<Permissions>, ClusterError> {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let response = self.call(Route::Any, &request).await?;
        let message = response.error_message.as_deref();
        let call = Call::new("DescribeCluster", "Describe");
        self.accepted(call, || "the cluster".to_owned(), response.error_code, message)?;
        Ok(Permissions::from_kafka(response.cluster_authorized_operations))
    }
}
