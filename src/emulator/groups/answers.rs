//! The answers about offsets and groups, partition by partition.
//!
//! Owns: the walk over the requests of OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete, and the description
//! of a group.
//! Promises: each partition that was asked for is answered.
//! Does not know: versions; the API files do.

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_fetch_response::{OffsetFetchResponsePartitions, OffsetFetchResponseTopics};
use kafka_protocol::messages::{GroupId, TopicName};

use super::ResponseError;
use super::group::{Group, State};
use super::member::{Member, text};
use super::offsets::Partition;

/// What an OffsetFetch asks of one group. No topics: all that have a position.
pub(crate) type Wanted<'a> = Option<Vec<(&'a str, &'a [i32])>>;

/// The positions that were asked for. No group: none is known.
pub(super) fn positions(
    group: Option<&Group>,
    wanted: &Wanted<'_>,
    must_be_stable: bool,
) -> Vec<OffsetFetchResponseTopics> {
    let Some(wanted) = wanted else {
        return group.map(|group| all_positions(group, must_be_stable)).unwrap_or_default();
    };
    let of_topic = |(topic, partitions): &(&str, &[i32])| {
        let answers = partitions.iter().map(|index| position(group, &((*topic).to_owned(), *index), must_be_stable));
        OffsetFetchResponseTopics::default().with_name(TopicName(text(topic))).with_partitions(answers.collect())
    };
    wanted.iter().map(of_topic).collect()
}

fn all_positions(group: &Group, must_be_stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for partition in group.offsets.partitions() {
        let answer = position(Some(group), partition, must_be_stable);
        match topics.last_mut().filter(|topic| topic.name.as_str() == partition.0) {
            Some(topic) => topic.partitions.push(answer),
            None => topics.push(
                OffsetFetchResponseTopics::default()
                    .with_name(TopicName(text(&partition.0)))
                    .with_partitions(vec![answer]),
            ),
        }
    }
    topics
}

fn position(group: Option<&Group>, partition: &Partition, must_be_stable: bool) -> OffsetFetchResponsePartitions {
    let answer = OffsetFetchResponsePartitions::default()
        .with_partition_index(partition.1)
        .with_committed_offset(-1)
        .with_committed_leader_epoch(-1)
        .with_metadata(Some(text("")));
    let Some(group) = group else { return answer };
    if must_be_stable && group.offsets.is_unstable(partition) {
        return answer.with_error_code(ResponseError::UnstableOffsetCommit.code());
    }
    let Some(committed) = group.offsets.get(partition) else { return answer };
    answer
        .with_committed_offset(committed.offset)
        .with_committed_leader_epoch(committed.leader_epoch)
        .with_metadata(Some(text(&committed.metadata)))
}

/// One line of ListGroups.
pub(super) fn listed(id: &str, group: &Group) -> ListedGroup {
    ListedGroup::default()
        .with_group_id(GroupId(text(id)))
        .with_protocol_type(group.protocol_type.as_deref().map(text).unwrap_or_default())
        .with_group_state(text(group.state.name()))
        .with_group_type(text("classic"))
}

/// One group of DescribeGroups. Before the group is stable, nothing is said of subscriptions and assignments.
pub(super) fn described(id: &str, group: &Group) -> DescribedGroup {
    let is_stable = group.state == State::Stable;
    let protocol = group.protocol.as_deref().filter(|_| is_stable);
    let member = |member: &Member| {
        let described = DescribedGroupMember::default()
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance_id.as_deref().map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host));
        if is_stable {
            described.with_member_metadata(member.metadata(protocol)).with_member_assignment(member.assignment.clone())
        } else {
            described
        }
    };
    DescribedGroup::default()
        .with_group_id(GroupId(text(id)))
        .with_group_state(text(group.state.name()))
        .with_protocol_type(group.protocol_type.as_deref().map(text).unwrap_or_default())
        .with_protocol_data(protocol.map(text).unwrap_or_default())
        .with_members(group.members.values().map(member).collect())
}
