//! TxnOffsetCommit 0 to 3: offsets that count when their transaction commits.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::{Api, Call};
use crate::emulator::groups::{Committed, Committer, Partition, code};
use crate::emulator::state::State;
use crate::emulator::transactions::{Holder, Place};

pub(crate) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const SHAPE: &'static str = "ss82 4@3 s@3 s@3 (s(48 4@2 s))";

    async fn answer(call: Call, request: TxnOffsetCommitRequest) -> Option<TxnOffsetCommitResponse> {
        let now_ms = call.cluster.now_ms();
        let mut state = call.lock();
        let allowed = check(&call, &mut state, &request, now_ms);
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
                    TxnOffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code(outcome)),
                );
            }
            topics.push(TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(answers));
        }
        state.coordinators.groups.commit(&request.group_id, Some(request.producer_id.0), positions);
        Some(TxnOffsetCommitResponse::default().with_topics(topics))
    }
}

/// The transaction first, then the member: as a broker does.
fn check(call: &Call, state: &mut State, request: &TxnOffsetCommitRequest, now_ms: i64) -> Result<(), ResponseError> {
    call.check()?;
    state.check_coordinator(call.broker, &request.group_id)?;
    let holder = Holder { producer_id: request.producer_id.0, epoch: request.producer_epoch };
    let place = Place::Group(request.group_id.to_string());
    state.coordinators.transactions.verify(&request.transactional_id, holder, &place)?;
    let by = Committer {
        generation: request.generation_id,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        is_transactional: true,
    };
    state.coordinators.groups.check_commit(&request.group_id, by, now_ms)
}
