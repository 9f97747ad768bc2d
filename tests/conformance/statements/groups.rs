//! Groups in the classic protocol.

use kafka_protocol::messages::{DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest};

use super::statements;
use crate::members::{Member, group, state};
use crate::world::{World, text, wait_until};

const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_PROTOCOL: i16 = 23;
const UNKNOWN_MEMBER: i16 = 25;
const INVALID_SESSION_TIMEOUT: i16 = 26;
const REBALANCE_IN_PROGRESS: i16 = 27;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
const FENCED_INSTANCE: i16 = 82;

fn a_newcomer_gets_an_id_first(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member::new(world, &group, &topic);
    let refused = member.try_join(9);
    assert_eq!(refused.error_code, MEMBER_ID_REQUIRED);
    assert!(refused.member_id.starts_with("conformance-"), "{}", refused.member_id.as_str());
    member.id = refused.member_id.to_string();
    let joined = member.join();
    assert_eq!((joined.generation_id, joined.leader.as_str(), joined.members.len()), (1, member.id.as_str(), 1));
    assert_eq!((joined.protocol_type, joined.protocol_name), (Some(text("consumer")), Some(text("range"))));
    let another = crate::members::group(world);
    let mut old = Member::new(world, &another, &topic);
    assert_eq!(old.try_join(3).error_code, 0);
}

fn a_second_member_makes_the_first_join_again(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut one = Member::new(world, &group, &topic);
    one.settle();
    assert_eq!(state(world, &group).1, "Stable");
    let mut two = Member::new(world, &group, &topic);
    let waiting = two.begin_join();
    wait_until("the rebalance", || (one.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    assert!(two.wire.is_silent());
    let leader = one.join();
    let follower = two.joined(&waiting);
    assert_eq!((leader.generation_id, leader.members.len()), (2, 2));
    assert_eq!((follower.generation_id, follower.members.len(), follower.leader.as_str()), (2, 0, one.id.as_str()));
    assert_eq!(state(world, &group).1, "CompletingRebalance");
    let waiting = two.send_sync(&[]);
    assert!(two.wire.is_silent());
    let (first, second) = (one.id.clone(), two.id.clone());
    assert_eq!(&one.sync(&[(&first, "a"), (&second, "b")]).assignment[..], b"a");
    assert_eq!(&two.wire.receive(&waiting).assignment[..], b"b");
    assert_eq!((one.heartbeat(), two.heartbeat()), (0, 0));
}

fn requests_of_another_generation_are_refused(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    member.generation = 0;
    assert_eq!(member.heartbeat(), ILLEGAL_GENERATION);
    assert_eq!(member.sync(&[]).error_code, ILLEGAL_GENERATION);
    assert_eq!(member.commit(3), ILLEGAL_GENERATION);
    member.generation = 2;
    assert_eq!(member.heartbeat(), ILLEGAL_GENERATION);
    member.generation = 1;
    assert_eq!((member.heartbeat(), member.commit(3)), (0, 0));
}

fn strangers_are_refused(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut stranger = Member::new(world, &group, &topic);
    "stranger".clone_into(&mut stranger.id);
    stranger.generation = 1;
    assert_eq!(stranger.heartbeat(), UNKNOWN_MEMBER);
    assert_eq!(stranger.try_join(9).error_code, UNKNOWN_MEMBER);
    assert_eq!(stranger.sync(&[]).error_code, UNKNOWN_MEMBER);
    assert_eq!(stranger.leave(), (0, UNKNOWN_MEMBER));
    assert_eq!(stranger.commit(1), ILLEGAL_GENERATION);
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    assert_eq!(stranger.heartbeat(), UNKNOWN_MEMBER);
    assert_eq!(stranger.try_join(9).error_code, UNKNOWN_MEMBER);
    assert_eq!(stranger.sync(&[]).error_code, UNKNOWN_MEMBER);
    assert_eq!(stranger.leave(), (0, UNKNOWN_MEMBER));
    assert_eq!(stranger.commit(1), UNKNOWN_MEMBER);
}

fn session_timeouts_have_limits(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    for session_ms in [999, 1_800_001, -1] {
        let mut member = Member { session_ms, ..Member::new(world, &group, &topic) };
        assert_eq!(member.try_join(9).error_code, INVALID_SESSION_TIMEOUT, "{session_ms}");
    }
}

fn a_protocol_that_the_others_lack_is_refused(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    Member::new(world, &group, &topic).settle();
    let mut other = Member { protocol: "other", ..Member::new(world, &group, &topic) };
    assert_eq!(other.try_join(9).error_code, INCONSISTENT_PROTOCOL);
}

fn who_is_silent_is_out_after_a_session(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member { session_ms: 1_000, ..Member::new(world, &group, &topic) };
    member.settle();
    wait_until("the end of the session", || (state(world, &group).1 == "Empty").then_some(()));
    assert_eq!(member.heartbeat(), UNKNOWN_MEMBER);
    let mut next = Member::new(world, &group, &topic);
    assert_eq!(next.join().generation_id, 3);
}

fn who_does_not_join_again_is_left_behind(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut one = Member { rebalance_ms: 1_000, ..Member::new(world, &group, &topic) };
    one.settle();
    let mut two = Member { rebalance_ms: 1_000, ..Member::new(world, &group, &topic) };
    let joined = two.join();
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(one.heartbeat(), UNKNOWN_MEMBER);
}

fn who_leaves_is_gone_at_once(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    assert_eq!(member.leave(), (0, 0));
    assert_eq!(state(world, &group), (0, "Empty".to_owned()));
    assert_eq!(member.leave(), (0, UNKNOWN_MEMBER));
    let mut next = Member::new(world, &group, &topic);
    assert_eq!(next.join().generation_id, 3);
}

fn a_static_member_that_comes_back_fences_its_former_self(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut former = Member::fixed(world, &group, &topic, "i");
    former.settle();
    assert!(former.id.starts_with("i-"), "{}", former.id);
    let mut back = Member::fixed(world, &group, &topic, "i");
    let joined = back.join();
    assert_eq!((joined.generation_id, joined.skip_assignment, joined.members.len()), (1, true, 1));
    assert_eq!((joined.leader.as_str(), joined.member_id != text(&former.id)), (back.id.as_str(), true));
    assert_eq!(&back.sync(&[]).assignment[..], b"all");
    assert_eq!(former.heartbeat(), FENCED_INSTANCE);
    assert_eq!(former.commit(3), FENCED_INSTANCE);
    assert_eq!(former.sync(&[]).error_code, FENCED_INSTANCE);
    assert_eq!(former.try_join(9).error_code, FENCED_INSTANCE);
    assert_eq!(former.leave(), (0, FENCED_INSTANCE));
    assert_eq!((back.heartbeat(), back.commit(3)), (0, 0));
    // By its instance id alone anybody can make it leave.
    let mut anybody = Member::fixed(world, &group, &topic, "i");
    assert_eq!(anybody.leave(), (0, 0));
    assert_eq!(back.heartbeat(), UNKNOWN_MEMBER);
    assert_eq!(state(world, &group).1, "Empty");
}

fn a_static_leader_of_older_versions_is_not_told_that_it_leads(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut former = Member::fixed(world, &group, &topic, "i");
    former.settle();
    let mut back = Member::fixed(world, &group, &topic, "i");
    let joined = back.try_join(8);
    assert_eq!((joined.error_code, joined.generation_id, joined.leader.as_str()), (0, 1, former.id.as_str()));
    assert!(joined.members.is_empty());
}

fn a_static_member_that_waits_is_fenced_by_its_successor(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut leader = Member::new(world, &group, &topic);
    leader.settle();
    let mut former = Member::fixed(world, &group, &topic, "i");
    let waiting = former.begin_join();
    wait_until("the rebalance", || (leader.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    let mut back = Member::fixed(world, &group, &topic, "i");
    let waiting_too = back.begin_join();
    assert_eq!(former.wire.receive(&waiting).error_code, FENCED_INSTANCE);
    leader.join();
    assert_eq!(back.joined(&waiting_too).generation_id, 2);
}

fn a_leader_that_joins_again_rebalances_and_a_follower_does_not(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut leader = Member::new(world, &group, &topic);
    leader.settle();
    let mut follower = Member::new(world, &group, &topic);
    let waiting = follower.begin_join();
    wait_until("the rebalance", || (leader.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    leader.join();
    follower.joined(&waiting);
    leader.sync(&[]);
    assert_eq!(follower.sync(&[]).error_code, 0);
    assert_eq!(follower.join().generation_id, 2);
    assert_eq!(state(world, &group).1, "Stable");
    let waiting = leader.begin_join();
    wait_until("the rebalance", || (follower.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    follower.join();
    assert_eq!(leader.joined(&waiting).generation_id, 3);
}

fn groups_are_listed_described_and_deleted(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let id = GroupId(text(&group));
    let delete = |world: &mut World| {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(&group))]);
        world.wire.call(&request, 2).results[0].error_code
    };
    assert_eq!(delete(world), GROUP_ID_NOT_FOUND);
    assert_eq!(state(world, &group), (0, "Dead".to_owned()));
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    let described =
        world.wire.call(&DescribeGroupsRequest::default().with_groups(vec![id.clone()]), 5).groups.remove(0);
    assert_eq!((described.protocol_type.as_str(), described.protocol_data.as_str()), ("consumer", "range"));
    let told = &described.members[0];
    assert_eq!((told.member_id.as_str(), told.client_id.as_str()), (member.id.as_str(), "conformance"));
    assert_eq!((told.client_host.as_str(), &told.member_assignment[..]), ("/127.0.0.1", &b"all"[..]));
    let list = |world: &mut World, states: &[&str]| {
        let filter = states.iter().map(|state| text(state)).collect();
        let listed = world.wire.call(&ListGroupsRequest::default().with_states_filter(filter), 4).groups;
        listed.into_iter().find(|listed| listed.group_id == id)
    };
    assert_eq!(list(world, &[]).unwrap().group_state.as_str(), "Stable");
    assert!(list(world, &["Empty"]).is_none() && list(world, &["Empty", "Stable"]).is_some());
    assert_eq!(delete(world), NON_EMPTY_GROUP);
    assert_eq!(member.leave(), (0, 0));
    assert_eq!(delete(world), 0);
    assert_eq!(state(world, &group), (0, "Dead".to_owned()));
    assert!(list(world, &[]).is_none());
}

fn who_does_not_fetch_its_assignment_is_out(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut member = Member { rebalance_ms: 1_000, ..Member::new(world, &group, &topic) };
    member.join();
    assert_eq!((member.heartbeat(), state(world, &group).1.as_str()), (0, "CompletingRebalance"));
    wait_until("the end of patience", || (state(world, &group).1 == "Empty").then_some(()));
    assert_eq!(member.heartbeat(), UNKNOWN_MEMBER);
}

fn while_a_rebalance_is_prepared_members_commit_and_do_not_sync(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut one = Member::new(world, &group, &topic);
    one.settle();
    let mut two = Member::new(world, &group, &topic);
    let waiting = two.begin_join();
    wait_until("the rebalance", || (one.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    assert_eq!(state(world, &group).1, "PreparingRebalance");
    assert_eq!((one.commit(3), one.sync(&[]).error_code), (0, REBALANCE_IN_PROGRESS));
    assert_eq!(one.leave(), (0, 0));
    assert_eq!(two.joined(&waiting).members.len(), 1);
}

fn a_follower_that_waits_is_sent_back_when_somebody_else_comes(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let mut leader = Member::new(world, &group, &topic);
    leader.settle();
    let mut follower = Member::new(world, &group, &topic);
    let joining = follower.begin_join();
    wait_until("the rebalance", || (leader.heartbeat() == REBALANCE_IN_PROGRESS).then_some(()));
    leader.join();
    follower.joined(&joining);
    let waiting = follower.send_sync(&[]);
    let mut third = Member::new(world, &group, &topic);
    let joining = third.begin_join();
    assert_eq!(follower.wire.receive(&waiting).error_code, REBALANCE_IN_PROGRESS);
    assert_eq!(leader.leave(), (0, 0));
    assert_eq!(follower.leave(), (0, 0));
    assert_eq!(third.joined(&joining).generation_id, 3);
}

fn several_leave_at_once_each_with_its_own_code(world: &mut World) {
    use kafka_protocol::messages::LeaveGroupRequest;
    use kafka_protocol::messages::leave_group_request::MemberIdentity;
    let (group, topic) = (group(world), world.topic());
    let mut fixed = Member::fixed(world, &group, &topic, "i");
    fixed.settle();
    let identity = |id: &str, instance: Option<&str>| {
        MemberIdentity::default().with_member_id(text(id)).with_group_instance_id(instance.map(text))
    };
    let members = vec![identity("", Some("nobody")), identity("stranger", None), identity("", Some("i"))];
    let request = LeaveGroupRequest::default().with_group_id(GroupId(text(&group))).with_members(members);
    let response = world.wire.call(&request, 5);
    let codes: Vec<i16> = response.members.iter().map(|member| member.error_code).collect();
    assert_eq!((response.error_code, codes), (0, vec![UNKNOWN_MEMBER, UNKNOWN_MEMBER, 0]));
    assert_eq!(state(world, &group).1, "Empty");
}

statements!(
    who_does_not_fetch_its_assignment_is_out,
    while_a_rebalance_is_prepared_members_commit_and_do_not_sync,
    a_follower_that_waits_is_sent_back_when_somebody_else_comes,
    several_leave_at_once_each_with_its_own_code,
    a_newcomer_gets_an_id_first,
    a_second_member_makes_the_first_join_again,
    requests_of_another_generation_are_refused,
    strangers_are_refused,
    session_timeouts_have_limits,
    a_protocol_that_the_others_lack_is_refused,
    who_is_silent_is_out_after_a_session,
    who_does_not_join_again_is_left_behind,
    who_leaves_is_gone_at_once,
    a_static_member_that_comes_back_fences_its_former_self,
    a_static_leader_of_older_versions_is_not_told_that_it_leads,
    a_static_member_that_waits_is_fenced_by_its_successor,
    a_leader_that_joins_again_rebalances_and_a_follower_does_not,
    groups_are_listed_described_and_deleted,
);
