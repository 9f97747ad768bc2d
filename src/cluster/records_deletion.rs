//! Deleting the records at the beginning of a log.

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use super::error::Call;
use super::offsets::partition_resource;
use super::{Cluster, ClusterError, wire_name};
use crate::types::TopicPartition;
use crate::wire::{Leader, Route};

const DELETE: Call = Call::new("DeleteRecords", "Delete");
/// How long the leader may wait for its followers, in milliseconds.
const TIMEOUT_MS: i32 = 20_000;

impl Cluster {
    /// Moves the log start offset up to `before`, which the high watermark must have reached. One attempt. Answers
    /// with the log start offset. Refused with 44 where `cleanup.policy` lacks `delete`.
    pub async fn delete_records(
        &self,
        partition: &TopicPartition,
        leader: Leader,
        before: i64,
    ) -> Result<i64, ClusterError> {
        let of_partition =
            DeleteRecordsPartition::default().with_partition_index(partition.partition.0).with_offset(before);
        let of_topic =
            DeleteRecordsTopic::default().with_name(wire_name(&partition.topic)).with_partitions(vec![of_partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![of_topic]).with_timeout_ms(TIMEOUT_MS);
        let response = self.call(Route::Broker(leader.broker), &request).await?;
        let told = response
            .topics
            .into_iter()
            .filter(|topic| topic.name.as_str() == partition.topic.as_str())
            .flat_map(|topic| topic.partitions)
            .find(|told| told.partition_index == partition.partition.0)
            .ok_or_else(|| self.left_out(DELETE, &partition.to_string()))?;
        self.accepted(DELETE, || partition_resource(partition), told.error_code, None)?;
        Ok(told.low_watermark)
    }
}
