//! Offsets of groups.

use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::{GroupId, OffsetDeleteRequest, OffsetFetchRequest};

use super::statements;
use crate::members::{Member, commit, commit_outside, group, position};
use crate::world::{World, text, topic_name};

const UNKNOWN_TOPIC: i16 = 3;
const METADATA_TOO_LARGE: i16 = 12;
const UNKNOWN_MEMBER: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const GROUP_ID_NOT_FOUND: i16 = 69;
const SUBSCRIBED: i16 = 86;

fn an_outsider_commits_while_nobody_is_a_member(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    assert_eq!(position(&mut world.wire, &group, &topic, false), (-1, 0));
    assert_eq!(commit_outside(world, &group, &topic, 5), 0);
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    assert_eq!(commit_outside(world, &group, &topic, 6), UNKNOWN_MEMBER);
    assert_eq!(position(&mut world.wire, &group, &topic, false), (5, 0));
    assert_eq!(member.commit(7), 0);
    assert_eq!(member.leave(), (0, 0));
    assert_eq!(commit_outside(world, &group, &topic, 8), 0);
    assert_eq!(position(&mut world.wire, &group, &topic, true), (8, 0));
}

fn nobody_looks_at_the_offset_itself(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    for offset in [1_000_000_000, 0, -5] {
        assert_eq!(commit_outside(world, &group, &topic, offset), 0);
        assert_eq!(position(&mut world.wire, &group, &topic, false), (offset, 0));
    }
}

fn a_member_cannot_commit_before_it_is_assigned(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member::new(world, &group, &topic);
    member.join();
    assert_eq!(member.commit(3), REBALANCE_IN_PROGRESS);
    member.sync(&[]);
    assert_eq!(member.commit(3), 0);
}

fn metadata_and_topics_are_looked_at(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let large = "x".repeat(4_097);
    assert_eq!(commit(&mut world.wire, &group, &topic, 1, (-1, "", None), &large), METADATA_TOO_LARGE);
    assert_eq!(commit(&mut world.wire, &group, &topic, 1, (-1, "", None), &large[1..]), 0);
    assert_eq!(commit(&mut world.wire, &group, "no-such-topic", 1, (-1, "", None), ""), UNKNOWN_TOPIC);
}

fn all_positions_of_a_group_are_told_when_none_is_named(world: &mut World) {
    let (group, one, two) = (group(world), world.topic(), world.topic());
    commit_outside(world, &group, &one, 1);
    commit_outside(world, &group, &two, 2);
    let request = OffsetFetchRequest::default().with_group_id(GroupId(text(&group))).with_topics(None);
    let answer = world.wire.call(&request, 7);
    let mut told: Vec<(String, i64)> =
        answer.topics.iter().map(|topic| (topic.name.to_string(), topic.partitions[0].committed_offset)).collect();
    told.sort();
    let mut expected = vec![(one, 1), (two.clone(), 2)];
    expected.sort();
    assert_eq!(told, expected);
    world.delete_topic(&two);
    crate::world::wait_until("the position to be gone", || {
        (world.wire.call(&request, 7).topics.len() == 1).then_some(())
    });
}

fn positions_are_deleted_unless_somebody_reads_the_topic(world: &mut World) {
    let (group, read, other) = (group(world), world.topic(), world.topic());
    let delete = |world: &mut World, topic: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default().with_group_id(GroupId(text(&group))).with_topics(vec![topic]);
        let response = world.wire.call(&request, 0);
        let of_partition = response.topics.first().map_or(0, |topic| topic.partitions[0].error_code);
        (response.error_code, of_partition)
    };
    assert_eq!(delete(world, &read), (GROUP_ID_NOT_FOUND, 0));
    commit_outside(world, &group, &read, 1);
    commit_outside(world, &group, &other, 2);
    let mut member = Member::new(world, &group, &read);
    member.settle();
    assert_eq!(delete(world, &read), (0, SUBSCRIBED));
    assert_eq!(delete(world, &other), (0, 0));
    assert_eq!(position(&mut world.wire, &group, &other, false), (-1, 0));
    assert_eq!(delete(world, "no-such-topic"), (0, UNKNOWN_TOPIC));
    assert_eq!(member.leave(), (0, 0));
    assert_eq!(delete(world, &read), (0, 0));
    assert_eq!(position(&mut world.wire, &group, &read, false), (-1, 0));
}

fn an_empty_group_takes_no_commits_of_members_that_it_has_not(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    assert_eq!(commit_outside(world, &group, &topic, 1), 0);
    assert_eq!(commit(&mut world.wire, &group, &topic, 2, (1, "stranger", None), ""), UNKNOWN_MEMBER);
    assert_eq!(commit(&mut world.wire, &group, &topic, 3, (-1, "stranger", None), ""), 0);
    assert_eq!(position(&mut world.wire, &group, &topic, false), (3, 0));
}

statements!(
    an_empty_group_takes_no_commits_of_members_that_it_has_not,
    an_outsider_commits_while_nobody_is_a_member,
    nobody_looks_at_the_offset_itself,
    a_member_cannot_commit_before_it_is_assigned,
    metadata_and_topics_are_looked_at,
    all_positions_of_a_group_are_told_when_none_is_named,
    positions_are_deleted_unless_somebody_reads_the_topic,
);
