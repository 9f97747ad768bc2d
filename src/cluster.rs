//! The port onto a Kafka cluster: typed questions and orders.
//!
//! Owns: turning Kafka's requests and error codes into typed values, for one cluster.
//! Promises: an error names cluster, resource and operation; nothing is created or changed that was not asked for.
//! Does not know: links, positions, state. Today there is one way to a cluster, directly by `wire`; a session
//! through a peer will be the other.

mod admin;
mod error;
mod read;

pub use admin::{ConfigEntry, NewTopic};
pub use error::{ClusterError, Remedy};
pub use read::{EpochEnd, FetchedOnce, Isolation, ListedOffset, OffsetQuery, ProducerState};

use crate::types::ClusterName;
use crate::wire::Client;

/// One cluster. Clones share its client.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: ClusterName,
    client: Client,
}

impl Cluster {
    /// Puts a name to a client.
    #[must_use]
    pub fn new(name: ClusterName, client: Client) -> Self {
        Self { name, client }
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
}
