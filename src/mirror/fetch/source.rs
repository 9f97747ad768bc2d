//! What fetching needs of the source cluster.
//!
//! Owns: the two traits, and their implementation by [`Cluster`].
//! Promises: nothing but questions; a fake can stand in for every one of them.
//! Does not know: what the answers are for.

use std::collections::BTreeMap;
use std::future::Future;

use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::batch::{BatchHeader, split};
use crate::cluster::{Cluster, ClusterError, EpochEnd, Isolation, ListedOffset, OffsetQuery};
use crate::types::{BrokerId, LeaderEpoch, SourceOffset, TopicName, TopicPartition};
use crate::wire::{Connection, Leader, TopicMetadata, WireError};

/// Bytes to ask for where only a batch header is wanted. Brokers send the first batch whole all the same.
const LOOK_BYTES: usize = 4096;

/// A source cluster.
pub(super) trait Source: Clone + Send + Sync + 'static {
    /// A connection of one's own.
    type Line: Line;

    /// The cluster's name, for people.
    fn name(&self) -> String;
    fn connect(&self, broker: BrokerId) -> impl Future<Output = Result<Self::Line, WireError>> + Send;
    /// The newest Fetch version of a broker.
    fn fetch_version(&self, broker: BrokerId) -> impl Future<Output = Result<i16, WireError>> + Send;
    fn leader(&self, partition: &TopicPartition) -> impl Future<Output = Result<Leader, WireError>> + Send;
    fn forget_leader(&self, partition: &TopicPartition);
    /// What metadata says about one topic, asked anew. `None`: nothing at all.
    fn topic(&self, topic: &TopicName) -> impl Future<Output = Result<Option<TopicMetadata>, ClusterError>> + Send;
    /// An offset, asked at the leader. `None` where there is none.
    fn offset(
        &self,
        partition: &TopicPartition,
        query: OffsetQuery,
    ) -> impl Future<Output = Result<Option<SourceOffset>, ClusterError>> + Send;
    /// The same of many partitions; those that fail are left out.
    fn offsets(
        &self,
        partitions: &[TopicPartition],
        query: OffsetQuery,
    ) -> impl Future<Output = Result<BTreeMap<TopicPartition, SourceOffset>, ClusterError>> + Send;
    fn epoch_end(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        epoch: LeaderEpoch,
    ) -> impl Future<Output = Result<EpochEnd, ClusterError>> + Send;
    /// The header of the first batch that does not end before `offset`.
    fn batch_at(
        &self,
        partition: &TopicPartition,
        offset: SourceOffset,
    ) -> impl Future<Output = Result<Option<BatchHeader>, ClusterError>> + Send;
}

/// A connection to one broker.
pub(super) trait Line: Send + Sync + 'static {
    /// The newest Fetch version that both sides speak.
    fn fetch_version(&self) -> Result<i16, WireError>;
    fn fetch(
        &self,
        request: &FetchRequest,
        version: i16,
    ) -> impl Future<Output = Result<FetchResponse, WireError>> + Send;
}

impl Source for Cluster {
    type Line = Connection;

    fn name(&self) -> String {
        Cluster::name(self).to_string()
    }

    async fn connect(&self, broker: BrokerId) -> Result<Connection, WireError> {
        self.client().connect(broker).await
    }

    async fn fetch_version(&self, broker: BrokerId) -> Result<i16, WireError> {
        self.client().version::<FetchRequest>(crate::wire::Route::Broker(broker)).await
    }

    async fn leader(&self, partition: &TopicPartition) -> Result<Leader, WireError> {
        self.client().leader(partition).await
    }

    fn forget_leader(&self, partition: &TopicPartition) {
        self.client().forget_leader(partition);
    }

    async fn topic(&self, topic: &TopicName) -> Result<Option<TopicMetadata>, ClusterError> {
        let mut metadata = self.metadata(Some(std::slice::from_ref(topic))).await?;
        Ok(metadata.topics.remove(topic))
    }

    async fn offset(
        &self,
        partition: &TopicPartition,
        query: OffsetQuery,
    ) -> Result<Option<SourceOffset>, ClusterError> {
        let mut offsets = self.list_offsets(std::slice::from_ref(partition), query).await?;
        let Some(listed) = offsets.remove(partition) else { return Ok(None) };
        Ok(listed?.offset.and_then(|offset| SourceOffset::new(offset).ok()))
    }

    async fn offsets(
        &self,
        partitions: &[TopicPartition],
        query: OffsetQuery,
    ) -> Result<BTreeMap<TopicPartition, SourceOffset>, ClusterError> {
        let listed = self.list_offsets(partitions, query).await?;
        let known = |(partition, listed): (_, Result<ListedOffset, _>)| {
            let offset = SourceOffset::new(listed.ok()?.offset?).ok()?;
            Some((partition, offset))
        };
        Ok(listed.into_iter().filter_map(known).collect())
    }

    async fn epoch_end(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ClusterError> {
        Cluster::epoch_end(self, partition, leader, epoch).await
    }

    async fn batch_at(
        &self,
        partition: &TopicPartition,
        offset: SourceOffset,
    ) -> Result<Option<BatchHeader>, ClusterError> {
        let fetched = self.fetch_once(partition, offset.get(), LOOK_BYTES, Isolation::ReadUncommitted).await?;
        // What can't be read proves nothing here; fetching will come upon it and say so.
        let batches = split(fetched.records).unwrap_or_default();
        Ok(batches.into_iter().map(|batch| batch.header).find(|header| header.last_offset() >= offset.get()))
    }
}

impl Line for Connection {
    fn fetch_version(&self) -> Result<i16, WireError> {
        self.version::<FetchRequest>()
    }

    async fn fetch(&self, request: &FetchRequest, version: i16) -> Result<FetchResponse, WireError> {
        self.start(request, version).await?.await
    }
}
