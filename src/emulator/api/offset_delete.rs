//! OffsetDelete 0.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Api, Call, topic_name};
use crate::emulator::groups::{self, Partition};

pub(crate) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const SHAPE: &'static str = "s(s(4))";

    async fn answer(call: Call, request: OffsetDeleteRequest) -> Option<OffsetDeleteResponse> {
        let of_topic = |topic: &kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic| {
            let name = topic.name.to_string();
            topic.partitions.iter().map(move |partition| (name.clone(), partition.partition_index)).collect::<Vec<_>>()
        };
        let partitions: Vec<Partition> = request.topics.iter().flat_map(of_topic).collect();
        let mut state = call.lock();
        let allowed = call.check().and_then(|()| state.check_coordinator(call.broker, &request.group_id));
        let counts: BTreeMap<String, usize> =
            state.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions.len())).collect();
        let exists = |topic: &str, index: i32| {
            let count = counts.get(topic).copied().unwrap_or_default();
            usize::try_from(index).is_ok_and(|index| index < count)
        };
        let groups = &mut state.coordinators.groups;
        let outcomes = match allowed.and_then(|()| groups.delete_offsets(&request.group_id, &partitions, exists)) {
            Ok(outcomes) => outcomes,
            Err(error) => return Some(OffsetDeleteResponse::default().with_error_code(error.code())),
        };
        let mut topics: BTreeMap<String, Vec<OffsetDeleteResponsePartition>> = BTreeMap::new();
        for ((topic, index), outcome) in partitions.into_iter().zip(outcomes) {
            let code = groups::code(outcome);
            let answer = OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code);
            topics.entry(topic).or_default().push(answer);
        }
        let answer = |(topic, partitions): (String, Vec<OffsetDeleteResponsePartition>)| {
            OffsetDeleteResponseTopic::default().with_name(topic_name(&topic)).with_partitions(partitions)
        };
        Some(OffsetDeleteResponse::default().with_topics(topics.into_iter().map(answer).collect()))
    }
}
