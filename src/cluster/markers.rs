//! Control records without data: what fills an offset that consumers are to pass over.

use std::collections::HashMap;

use kafka_protocol::messages::WriteTxnMarkersRequest;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};

use super::error::Call;
use super::offsets::partition_resource;
use super::{Cluster, ClusterError, wire_name};
use crate::types::{ProducerId, TopicPartition};
use crate::wire::Connection;

/// Markers for one partition: one of each of these producer ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// Where.
    pub partition: TopicPartition,
    /// Whose. A producer id stands once in it.
    pub producer_ids: Vec<ProducerId>,
    /// The coordinator epoch: a leader refuses lower ones than it has seen of the same producer id.
    pub counter: i32,
}

const WRITE: Call = Call::new("WriteTxnMarkers", "Alter");
const COORDINATOR_AND_PRODUCER_EPOCH: i16 = 0;

impl Cluster {
    /// Writes markers of aborted transactions that never were, over a connection to the partitions' leader. One
    /// attempt. An answer for each of `markers`, in their order: that of its first marker that was refused.
    ///
    /// No answer proves anything: a refused marker may have been appended, and one that is repeated is appended again.
    pub async fn write_markers(
        &self,
        connection: &Connection,
        markers: &[Markers],
    ) -> Result<Vec<Result<(), ClusterError>>, ClusterError> {
        let one = |of: &Markers, producer_id: &ProducerId| {
            let topic = WritableTxnMarkerTopic::default()
                .with_name(wire_name(&of.partition.topic))
                .with_partition_indexes(vec![of.partition.partition.0]);
            WritableTxnMarker::default()
                .with_producer_id(producer_id.0.into())
                .with_producer_epoch(COORDINATOR_AND_PRODUCER_EPOCH)
                .with_transaction_result(false)
                .with_coordinator_epoch(of.counter)
                .with_topics(vec![topic])
        };
        let all = markers.iter().flat_map(|of| of.producer_ids.iter().map(move |id| one(of, id)));
        let request = WriteTxnMarkersRequest::default().with_markers(all.collect());
        let response = connection.call(&request).await.map_err(|error| self.unanswered(error))?;
        let mut refused: HashMap<(&str, i32), i16> = HashMap::new();
        for topic in response.markers.iter().flat_map(|marker| &marker.topics) {
            for told in topic.partitions.iter().filter(|told| told.error_code != 0) {
                refused.entry((topic.name.as_str(), told.partition_index)).or_insert(told.error_code);
            }
        }
        let answer = |of: &Markers| match refused.get(&(of.partition.topic.as_str(), of.partition.partition.0)) {
            None => Ok(()),
            Some(&code) => Err(self.refusal(WRITE, partition_resource(&of.partition), code, None)),
        };
        Ok(markers.iter().map(answer).collect())
    }
}
