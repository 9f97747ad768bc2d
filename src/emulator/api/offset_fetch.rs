//! OffsetFetch 1 to 9: one group up to version 7, several from version 8 on. Members of the newer kinds of groups are
//! not known.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::{Api, Call};
use crate::emulator::groups::Wanted;

pub(crate) struct OffsetFetch;

const FIRST_WITH_SEVERAL: i16 = 8;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=9;
    const SHAPE: &'static str = "s@0-7 (s[4])@0-7 (s s@9 4@9 (s[4]))@8 1@7";

    async fn answer(call: Call, request: OffsetFetchRequest) -> Option<OffsetFetchResponse> {
        if call.version < FIRST_WITH_SEVERAL {
            return Some(answer_one(&call, &request));
        }
        let of_group = |group: &kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup| {
            let topics = group.topics.as_ref();
            let wanted: Wanted<'_> =
                topics.map(|all| all.iter().map(|one| (one.name.as_str(), one.partition_indexes.as_slice())).collect());
            let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
            match positions(&call, &group.group_id, &wanted, request.require_stable) {
                Ok(topics) => answer.with_topics(topics),
                Err(error) => answer.with_error_code(error.code()),
            }
        };
        Some(OffsetFetchResponse::default().with_groups(request.groups.iter().map(of_group).collect()))
    }
}

fn answer_one(call: &Call, request: &OffsetFetchRequest) -> OffsetFetchResponse {
    let topics = request.topics.as_ref();
    let wanted: Wanted<'_> =
        topics.map(|all| all.iter().map(|one| (one.name.as_str(), one.partition_indexes.as_slice())).collect());
    match positions(call, &request.group_id, &wanted, request.require_stable) {
        Ok(topics) => OffsetFetchResponse::default().with_topics(topics.into_iter().map(older_topic).collect()),
        Err(error) => OffsetFetchResponse::default().with_error_code(error.code()),
    }
}

fn positions(
    call: &Call,
    group_id: &str,
    wanted: &Wanted<'_>,
    must_be_stable: bool,
) -> Result<Vec<OffsetFetchResponseTopics>, ResponseError> {
    call.check()?;
    let state = call.lock();
    state.check_coordinator(call.broker, group_id)?;
    Ok(state.coordinators.groups.positions(group_id, wanted, must_be_stable))
}

fn older_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(older_partition).collect();
    OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions)
}

fn older_partition(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(partition.partition_index)
        .with_committed_offset(partition.committed_offset)
        .with_committed_leader_epoch(partition.committed_leader_epoch)
        .with_metadata(partition.metadata)
        .with_error_code(partition.error_code)
}
