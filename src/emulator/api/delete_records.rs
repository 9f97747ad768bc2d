//! DeleteRecords 0 to 2. Answered at once: followers know the new log start when the leader does.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Api, Call, code};

pub(crate) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const SHAPE: &'static str = "(s(48))4";

    async fn answer(call: Call, request: DeleteRecordsRequest) -> Option<DeleteRecordsResponse> {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let outcome = call.check().and_then(|()| delete(&call, &topic.name, asked));
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(code(&outcome))
                    .with_low_watermark(outcome.unwrap_or(-1))
            });
            let partitions = partitions.collect();
            DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
        });
        let response = DeleteRecordsResponse::default().with_topics(topics.collect());
        call.cluster.changed();
        Some(response)
    }
}

fn delete(call: &Call, topic: &str, asked: &DeleteRecordsPartition) -> Result<i64, ResponseError> {
    let mut state = call.lock();
    let (partition, settings) = state.led(call.broker, topic, asked.partition_index, -1)?;
    if !settings.is_deleted_from {
        return Err(ResponseError::PolicyViolation);
    }
    partition.delete_records(asked.offset)
}
