//! What reading state topics needs of the source cluster.
//!
//! Owns: the trait and its implementation by [`Cluster`]. Promises: questions only. Does not know: records.

use std::collections::BTreeMap;
use std::future::Future;

use crate::cluster::{Cluster, ClusterError, FetchedOnce, Isolation, OffsetQuery};
use crate::types::{TopicId, TopicPartition};
use crate::wire::WireError;

/// Topics with this prefix are state topics, of whichever group of daemons.
const PREFIX: &str = "__causeway.";

/// Bytes to ask for at once: what is lost with a connection over a slow line, for each of the partitions read at once.
const READ_BYTES: usize = 128 << 10;

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

/// A cluster with state topics.
pub(super) trait States: Send + Sync + 'static {
    /// Kafka's id of the cluster.
    fn cluster_id(&self) -> impl Future<Output = Result<String, ClusterError>> + Send;
    /// All partitions of state topics.
    fn partitions(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<TopicPartition, Option<TopicId>>, ClusterError>> + Send;
    fn high_watermarks(
        &self,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = Result<Offsets, ClusterError>> + Send;
    fn log_start(&self, partition: &TopicPartition) -> impl Future<Output = Result<i64, ClusterError>> + Send;
    /// Some batches from there on.
    fn fetch(
        &self,
        partition: &TopicPartition,
        from: i64,
        isolation: Isolation,
    ) -> impl Future<Output = Result<FetchedOnce, ClusterError>> + Send;
    /// An error that says that something at this place can't be read.
    fn unreadable(&self, place: &str, reason: String) -> ClusterError;
}

impl States for Cluster {
    async fn cluster_id(&self) -> Result<String, ClusterError> {
        self.id().await
    }

    async fn partitions(&self) -> Result<BTreeMap<TopicPartition, Option<TopicId>>, ClusterError> {
        let metadata = self.metadata(None).await?;
        let states = metadata.topics.into_iter().filter(|(name, _)| name.as_str().starts_with(PREFIX));
        let mut partitions = BTreeMap::new();
        for (name, topic) in states {
            for index in topic.partitions.into_keys() {
                partitions.insert(TopicPartition::new(name.clone(), index), topic.id);
            }
        }
        Ok(partitions)
    }

    async fn high_watermarks(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClusterError> {
        let listed = self.list_offsets(partitions, OffsetQuery::HighWatermark).await?;
        let offset = |(partition, listed): (_, Result<crate::cluster::ListedOffset, _>)| {
            Ok((partition, listed?.offset.unwrap_or(0)))
        };
        listed.into_iter().map(offset).collect()
    }

    async fn log_start(&self, partition: &TopicPartition) -> Result<i64, ClusterError> {
        let mut listed = self.list_offsets(std::slice::from_ref(partition), OffsetQuery::LogStart).await?;
        match listed.remove(partition) {
            Some(listed) => Ok(listed?.offset.unwrap_or(0)),
            None => Ok(0),
        }
    }

    async fn fetch(
        &self,
        partition: &TopicPartition,
        from: i64,
        isolation: Isolation,
    ) -> Result<FetchedOnce, ClusterError> {
        self.fetch_once(partition, from, READ_BYTES, isolation).await
    }

    fn unreadable(&self, place: &str, reason: String) -> ClusterError {
        let error = WireError::Malformed { address: place.to_owned(), api: "Fetch", reason };
        ClusterError::Wire { cluster: self.name().clone(), error }
    }
}
