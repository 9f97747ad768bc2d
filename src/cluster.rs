//! The port onto a Kafka cluster: typed questions and orders.
//!
//! Owns: turning Kafka's requests and error codes into typed values, for one cluster.
//! Promises: an error names cluster, resource and operation; nothing is created or changed that was not asked for.
//! Does not know: links, positions, state, nor which way a cluster is reached: directly by `wire`, or through a
//! session with a peer (`remote`), whose daemon answers for the cluster next to it (`serve`).

mod acls;
mod append;
mod configs;
mod empty_transactions;
mod error;
mod fetch;
mod groups;
mod markers;
mod offsets;
mod permissions;
mod producers;
mod records_deletion;
mod remote;
mod serve;
mod topics;
mod trials;

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use tokio::sync::OnceCell;

pub use acls::{AclOperation, AclPermission, TopicAcl, TopicPattern};
pub use append::Appender;
pub use configs::ConfigEntry;
pub use empty_transactions::Transactional;
use error::Call;
pub use error::{ClusterError, Remedy};
pub use fetch::{FetchedOnce, Isolation};
pub use groups::{
    Committed, GroupAnswers, GroupCommit, GroupCommitOutcome, GroupDesk, GroupOffsets, ListedGroup, WhichGroups,
};
pub use markers::Markers;
pub use offsets::{EpochEnd, ListedOffset, OffsetQuery};
pub use permissions::{Operation, Permissions, TopicPermissions};
pub use producers::ProducerState;
pub use remote::via;
pub use serve::{Exposed, Exposure, Server, UnusablePattern};
pub use topics::{NewTopic, TopicPreview};

use crate::types::{ClusterName, TopicName, TopicPartition};
use crate::wire::messages;
use crate::wire::{Client, Leader, Metadata, ResponseError, Route, WireError};

/// One cluster. Clones share its client.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: ClusterName,
    client: Client,
    /// Kafka's id of the cluster never changes, so it is asked for once.
    id: Arc<OnceCell<String>>,
}

impl Cluster {
    /// Puts a name to a client.
    #[must_use]
    pub fn new(name: ClusterName, client: Client) -> Self {
        Self { name, client, id: Arc::new(OnceCell::new()) }
    }

    /// The cluster's name in our configuration.
    #[must_use]
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// The client, for connections of one's own.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Kafka's id of the cluster; asked once.
    pub async fn id(&self) -> Result<String, ClusterError> {
        let ask = async || Ok(self.metadata(Some(&[])).await?.cluster_id);
        self.id.get_or_try_init(ask).await.cloned()
    }

    /// Metadata of these topics (`None`: all that we may see). A missing topic has error code 3 in its entry.
    pub async fn metadata(&self, topics: Option<&[TopicName]>) -> Result<Metadata, ClusterError> {
        self.client.metadata(topics).await.map_err(|error| self.unanswered(error))
    }

    /// The leader of a partition.
    pub async fn leader(&self, partition: &TopicPartition) -> Result<Leader, ClusterError> {
        match self.client.leader(partition).await {
            Ok(leader) => Ok(leader),
            // The client looked it up in metadata, which told nothing but this.
            Err(WireError::Denied { .. }) => {
                let code = ResponseError::TopicAuthorizationFailed.code();
                Err(self.refusal(permissions::DESCRIBE, format!("topic {}", partition.topic), code, None))
            }
            Err(error) => Err(self.unanswered(error)),
        }
    }

    async fn call<R: kafka_protocol::protocol::Request>(
        &self,
        route: Route,
        request: &R,
    ) -> Result<R::Response, ClusterError> {
        self.client.call(route, request).await.map_err(|error| self.unanswered(error))
    }

    fn unanswered(&self, error: WireError) -> ClusterError {
        ClusterError::Wire { cluster: self.name.clone(), error }
    }

    /// An answer that leaves out what was asked for: as useless as one that can't be read.
    fn left_out(&self, call: Call, what: &str) -> ClusterError {
        let reason = format!("it does not answer about {what}");
        self.unanswered(WireError::Malformed { address: self.name.to_string(), api: call.api, reason })
    }
}

/// A topic's name as the codec wants it.
fn wire_name(topic: &TopicName) -> messages::TopicName {
    messages::TopicName(text(topic.as_str()))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
