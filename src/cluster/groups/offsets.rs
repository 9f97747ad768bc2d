//! The requests about committed offsets, and what their answers say.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{COMMIT, Committed, FETCH, GroupAnswers, GroupCommit, GroupCommitOutcome, GroupOffsets, resource};
use crate::cluster::offsets::partition_resource;
use crate::cluster::{Cluster, ClusterError, text, wire_name};
use crate::types::{GroupName, PartitionIndex, TopicName, TopicPartition};
use crate::wire::ResponseError;

fn id(group: &GroupName) -> GroupId {
    GroupId(text(group.as_str()))
}

/// For all topics. Offsets that are part of an open transaction don't count yet; the last ones before it do.
pub(super) fn fetch_many(groups: &[GroupName]) -> OffsetFetchRequest {
    let of_group = |group: &GroupName| {
        OffsetFetchRequestGroup::default()
            .with_group_id(id(group))
            .with_member_id(None)
            .with_member_epoch(-1)
            .with_topics(None)
    };
    OffsetFetchRequest::default().with_require_stable(false).with_groups(groups.iter().map(of_group).collect())
}

/// The same for brokers that take one group a request.
pub(super) fn fetch_one(group: &GroupName) -> OffsetFetchRequest {
    OffsetFetchRequest::default().with_group_id(id(group)).with_topics(None)
}

pub(super) fn read_many(
    cluster: &Cluster,
    asked: &[GroupName],
    response: OffsetFetchResponse,
    answers: &mut GroupAnswers,
) {
    let whole = response.error_code;
    let mut told: HashMap<String, OffsetFetchResponseGroup> =
        response.groups.into_iter().map(|group| (group.group_id.to_string(), group)).collect();
    for group in asked {
        let answer = match told.remove(group.as_str()) {
            Some(told) => accepted(cluster, group, told.error_code).map(|is_there| {
                if is_there { told.topics.into_iter().flat_map(of_topic).collect() } else { GroupOffsets::new() }
            }),
            None => accepted(cluster, group, whole).and_then(|_| Err(cluster.left_out(FETCH, group.as_str()))),
        };
        answers.insert(group.clone(), answer);
    }
}

pub(super) fn read_one(
    cluster: &Cluster,
    group: &GroupName,
    response: OffsetFetchResponse,
) -> Result<GroupOffsets, ClusterError> {
    if !accepted(cluster, group, response.error_code)? {
        return Ok(GroupOffsets::new());
    }
    let of_topic = response.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        let told = topic.partitions.into_iter();
        told.filter_map(move |told| {
            position(&name, told.partition_index, told.committed_offset, told.metadata, told.error_code)
        })
        .collect::<Vec<_>>()
    });
    Ok(of_topic.collect())
}

/// Whether there is such a group.
fn accepted(cluster: &Cluster, group: &GroupName, code: i16) -> Result<bool, ClusterError> {
    if code == ResponseError::GroupIdNotFound.code() {
        return Ok(false);
    }
    cluster.accepted(FETCH, || resource(group), code, None).map(|()| true)
}

fn of_topic(
    topic: kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopics,
) -> Vec<(TopicPartition, Committed)> {
    let name = topic.name;
    let told = topic.partitions.into_iter();
    told.filter_map(|told| position(&name, told.partition_index, told.committed_offset, told.metadata, told.error_code))
        .collect()
}

/// Kafka takes any number as an offset, so a negative one is not always "none"; nobody could read on from it either.
fn position(
    topic: &str,
    partition: i32,
    offset: i64,
    metadata: Option<StrBytes>,
    code: i16,
) -> Option<(TopicPartition, Committed)> {
    if code != 0 || offset < 0 || partition < 0 {
        return None;
    }
    let metadata = metadata.map(|metadata| metadata.to_string()).unwrap_or_default();
    let partition = TopicPartition::new(TopicName::new(topic).ok()?, PartitionIndex(partition));
    Some((partition, Committed { offset, metadata }))
}

pub(super) fn commit_request(group: &GroupName, commits: &[GroupCommit]) -> OffsetCommitRequest {
    let mut by_topic: BTreeMap<&TopicName, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for commit in commits {
        let of_partition = OffsetCommitRequestPartition::default()
            .with_partition_index(commit.partition.partition.0)
            .with_committed_offset(commit.offset.get())
            // An epoch of another cluster would send consumers looking for a leader for ever.
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text(&commit.metadata)));
        by_topic.entry(&commit.partition.topic).or_default().push(of_partition);
    }
    let of_topic = |(topic, partitions)| {
        OffsetCommitRequestTopic::default().with_name(wire_name(topic)).with_partitions(partitions)
    };
    OffsetCommitRequest::default()
        .with_group_id(id(group))
        // From nobody in the group: taken only while it has no members.
        .with_generation_id_or_member_epoch(-1)
        .with_member_id(StrBytes::default())
        .with_group_instance_id(None)
        .with_retention_time_ms(-1)
        .with_topics(by_topic.into_iter().map(of_topic).collect())
}

pub(super) fn read_commits(
    cluster: &Cluster,
    group: &GroupName,
    commits: &[GroupCommit],
    response: OffsetCommitResponse,
) -> GroupCommitOutcome {
    let told: HashMap<(String, i32), i16> = response
        .topics
        .into_iter()
        .flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |told| ((name.clone(), told.partition_index), told.error_code))
        })
        .collect();
    let answer = |partition: &TopicPartition| match told.get(&(partition.topic.to_string(), partition.partition.0)) {
        Some(code) => {
            let is_of_topic = *code == ResponseError::TopicAuthorizationFailed.code();
            let what = || if is_of_topic { partition_resource(partition) } else { resource(group) };
            cluster.accepted(COMMIT, what, *code, None)
        }
        None => Err(cluster.left_out(COMMIT, &partition.to_string())),
    };
    commits.iter().map(|commit| (commit.partition.clone(), answer(&commit.partition))).collect()
}
