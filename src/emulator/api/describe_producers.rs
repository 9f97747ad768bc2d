//! DescribeProducers 0, from whichever replica is asked, as brokers do it.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};

use super::{Api, Call, code};
use crate::emulator::producers::Producer;

pub(crate) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const SHAPE: &'static str = "(s[4])";

    async fn answer(call: Call, request: DescribeProducersRequest) -> Option<DescribeProducersResponse> {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                let found = call.check().and_then(|()| find(&call, &topic.name, *index));
                PartitionResponse::default()
                    .with_partition_index(*index)
                    .with_error_code(code(&found))
                    .with_error_message(None)
                    .with_active_producers(found.unwrap_or_default())
            });
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        Some(DescribeProducersResponse::default().with_topics(topics.collect()))
    }
}

fn find(call: &Call, topic: &str, index: i32) -> Result<Vec<ProducerState>, ResponseError> {
    let mut state = call.lock();
    let (partition, _) = state.partition_mut(topic, index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    partition.check_replica(call.broker, -1)?;
    Ok(partition.log.producers.iter().map(|(id, producer)| told(id, producer)).collect())
}

fn told(id: i64, producer: &Producer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(i32::from(producer.epoch))
        .with_last_sequence(producer.last_sequence())
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.transaction_start.unwrap_or(-1))
}
