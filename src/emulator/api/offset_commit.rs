//! OffsetCommit 2 to 9. Topics by name; the retention that versions up to 4 could ask for is not heeded.

use std::ops::RangeInclusive;

use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Api, Call};
use crate::emulator::groups::{Committed, Committer, Partition, code};

pub(crate) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=9;
    const SHAPE: &'static str = "s4s s@7 8@2-4 (s(48 4@6 s))";

    async fn answer(call: Call, request: OffsetCommitRequest) -> Option<OffsetCommitResponse> {
        let now_ms = call.cluster.now_ms();
        let mut state = call.lock();
        let by = Committer {
            generation: request.generation_id_or_member_epoch,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            is_transactional: false,
        };
        let allowed = call
            .check()
            .and_then(|()| state.check_coordinator(call.broker, &request.group_id))
            .and_then(|()| state.coordinators.groups.check_commit(&request.group_id, by, now_ms));
        let mut positions: Vec<(Partition, Committed)> = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut answers = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let position = state.position_to_keep(
                    (&topic.name, partition.partition_index),
                    (partition.committed_offset, partition.committed_leader_epoch),
                    partition.committed_metadata.as_deref(),
                    now_ms,
                );
                let outcome = position.and_then(|position| allowed.map(|()| positions.push(position)));
                answers.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code(outcome)),
                );
            }
            topics.push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(answers));
        }
        state.coordinators.groups.commit(&request.group_id, None, positions);
        drop(state);
        call.cluster.coordinators_changed();
        Some(OffsetCommitResponse::default().with_topics(topics))
    }
}
