//! ListOffsets 1 to 10: log start, high watermark or last stable offset, by time, newest record. The local log is all
//! there is; nothing is in tiered storage.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Api, Call};
use crate::emulator::log::Found;

pub(crate) struct ListOffsets;

/// Kafka's numbers for what is no timestamp.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const NEWEST_RECORD: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    const SHAPE: &'static str = "4 1@2 (s(4 4@4 8)) 4@10";

    async fn answer(call: Call, request: ListOffsetsRequest) -> Option<ListOffsetsResponse> {
        let is_committed = request.isolation_level == 1;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let found = call.check().and_then(|()| find(&call, &topic.name, asked, is_committed));
                let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                match found {
                    Ok(found) => response
                        .with_offset(found.offset)
                        .with_timestamp(found.timestamp)
                        .with_leader_epoch(if call.version >= 4 { found.leader_epoch } else { -1 }),
                    Err(code) => response.with_error_code(code.code()).with_offset(-1).with_timestamp(-1),
                }
            });
            let partitions = partitions.collect();
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        Some(ListOffsetsResponse::default().with_topics(topics.collect()))
    }
}

fn find(call: &Call, topic: &str, asked: &ListOffsetsPartition, is_committed: bool) -> Result<Found, ResponseError> {
    let mut state = call.lock();
    let (partition, _) = state.led(call.broker, topic, asked.partition_index, asked.current_leader_epoch)?;
    let bound = if is_committed { partition.last_stable_offset() } else { partition.high_watermark() };
    let not_yet = if call.version >= 5 { ResponseError::OffsetNotAvailable } else { ResponseError::LeaderNotAvailable };
    let is_old = partition.is_high_watermark_old();
    let log = &partition.log;
    let at = |offset: i64, leader_epoch: i32| Ok(Found { offset, timestamp: -1, leader_epoch });
    let seen = |found: Option<Found>| match found.filter(|found| found.offset < bound) {
        Some(found) => Ok(found),
        None if is_old => Err(not_yet),
        None => at(-1, -1),
    };
    match asked.timestamp {
        LATEST if is_old => Err(not_yet),
        LATEST => at(bound, partition.leader_epoch),
        EARLIEST => at(log.start(), log.epoch_at(log.start()).unwrap_or(-1)),
        EARLIEST_LOCAL if call.version >= 8 => at(log.start(), log.epoch_at(log.start()).unwrap_or(-1)),
        LATEST_TIERED if call.version >= 9 => at(-1, -1),
        NEWEST_RECORD if call.version >= 7 => seen(log.newest()),
        timestamp if timestamp >= 0 => seen(log.first_at_or_after(timestamp)),
        _ => Err(ResponseError::UnsupportedVersion),
    }
}
