//! OffsetForLeaderEpoch 2 to 4, at leaders.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Api, Call, code};

pub(crate) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const SHAPE: &'static str = "4@3 (s(444))";

    async fn answer(call: Call, request: OffsetForLeaderEpochRequest) -> Option<OffsetForLeaderEpochResponse> {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let found = call.check().and_then(|()| find(&call, &topic.topic, asked));
                let (epoch, end) = found.ok().flatten().unwrap_or((-1, -1));
                EpochEndOffset::default()
                    .with_partition(asked.partition)
                    .with_error_code(code(&found))
                    .with_leader_epoch(epoch)
                    .with_end_offset(end)
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
        });
        Some(OffsetForLeaderEpochResponse::default().with_topics(topics.collect()))
    }
}

fn find(call: &Call, topic: &str, asked: &OffsetForLeaderPartition) -> Result<Option<(i32, i64)>, ResponseError> {
    let mut state = call.lock();
    let (partition, _) = state.led(call.broker, topic, asked.partition, asked.current_leader_epoch)?;
    Ok(if asked.leader_epoch < 0 { None } else { partition.log.epoch_end(asked.leader_epoch) })
}
