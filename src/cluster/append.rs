//! Appending a few records to a topic of our own: not the data path, which has its own producers.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceResponse;

use super::error::Call;
use super::offsets::partition_resource;
use super::{Cluster, ClusterError, Remedy};
use crate::batch::HEADER_BYTES;
use crate::tasks::Backoff;
use crate::types::{BrokerId, TopicPartition};
use crate::wire::{Connection, PartitionAppend, ProduceRequest, TopicAppends, WireError};

const PRODUCE: Call = Call::new("Produce", "Write");
/// How often an append is tried before its last error is handed out: some 5 s.
const ATTEMPTS: usize = 6;
/// How long a broker may wait for its in-sync replicas.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Appends to one partition, over a connection of its own: a broker answers one request of a connection after the
/// other, and an append may wait for replicas. Without a producer id: what was sent again may be there twice.
#[derive(Debug)]
pub struct Appender {
    cluster: Cluster,
    partition: TopicPartition,
    connection: Option<(BrokerId, Connection)>,
}

impl Appender {
    /// Connects with the first append.
    #[must_use]
    pub fn new(cluster: Cluster, partition: TopicPartition) -> Self {
        Self { cluster, partition, connection: None }
    }

    /// The partition that it appends to.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Appends one batch, and waits until all in-sync replicas have it. Tries again over moved leaders, some 5 s.
    pub async fn append(&mut self, batch: &Bytes) -> Result<(), ClusterError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut attempt = 1;
        loop {
            match self.append_once(batch).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.connection = None;
                    self.cluster.client.forget_leader(&self.partition);
                    if error.remedy() != Remedy::Retry || attempt >= ATTEMPTS {
                        return Err(error);
                    }
                    attempt += 1;
                    backoff.pause().await;
                }
            }
        }
    }

    async fn append_once(&mut self, batch: &Bytes) -> Result<(), ClusterError> {
        let unanswered = |error: WireError| self.cluster.unanswered(error);
        let leader = self.cluster.leader(&self.partition).await?;
        let connection = match &self.connection {
            Some((broker, connection)) if *broker == leader.broker && !connection.is_closed() => connection.clone(),
            Some(_) | None => self.cluster.client.connect(leader.broker).await.map_err(unanswered)?,
        };
        self.connection = Some((leader.broker, connection.clone()));
        if let Some(until) = connection.throttled_until() {
            tokio::time::sleep_until(until).await;
        }
        let request = self.request(batch)?;
        let unanswered = |error: WireError| self.cluster.unanswered(error);
        let response = connection.start_produce(&request).await.map_err(unanswered)?.await.map_err(unanswered)?;
        self.accepted(&response)
    }

    fn request(&self, batch: &Bytes) -> Result<ProduceRequest, ClusterError> {
        let Some((header, _)) = batch.split_first_chunk::<HEADER_BYTES>() else {
            return Err(self.cluster.left_out(PRODUCE, "a batch without a header"));
        };
        let append =
            PartitionAppend { partition: self.partition.partition, header: *header, body: batch.slice(HEADER_BYTES..) };
        // By name: these topics are ours whatever life they have.
        let topic = TopicAppends { name: self.partition.topic.clone(), id: None, partitions: vec![append] };
        Ok(ProduceRequest { timeout: ACKNOWLEDGE_TIMEOUT, topics: vec![topic] })
    }

    fn accepted(&self, response: &ProduceResponse) -> Result<(), ClusterError> {
        let told = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .find(|told| told.index == self.partition.partition.0)
            .ok_or_else(|| self.cluster.left_out(PRODUCE, &self.partition.to_string()))?;
        let message = told.error_message.as_deref();
        self.cluster.accepted(PRODUCE, || partition_resource(&self.partition), told.error_code, message)
    }
}
