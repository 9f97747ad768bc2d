use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{GroupId, JoinGroupRequest, JoinGroupResponse};

use super::member::text;
use super::*;

fn group_id(id: &str) -> GroupId {
    GroupId(text(id))
}

const SESSION_MS: i64 = 10_000;
const REBALANCE_MS: i64 = 30_000;

type Joined = oneshot::Receiver<JoinGroupResponse>;
type Synced = oneshot::Receiver<SyncGroupResponse>;

struct Fixture {
    groups: Groups,
    now: i64,
}

impl Fixture {
    fn new() -> Self {
        Self { groups: Groups::new(GroupSettings::default(), 0), now: 0 }
    }

    fn join_at(&mut self, version: i16, member: &str, instance: Option<&str>, metadata: &'static [u8]) -> Joined {
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(metadata));
        let request = JoinGroupRequest::default()
            .with_group_id(group_id("g"))
            .with_session_timeout_ms(i32::try_from(SESSION_MS).unwrap())
            .with_rebalance_timeout_ms(i32::try_from(REBALANCE_MS).unwrap())
            .with_member_id(text(member))
            .with_group_instance_id(instance.map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let (answer, receiver) = oneshot::channel();
        let (client_id, client_host) = ("client".to_owned(), "/127.0.0.1".to_owned());
        self.groups.join(JoinCall { request, version, client_id, client_host, answer }, self.now);
        receiver
    }

    fn join(&mut self, member: &str, instance: Option<&str>) -> Joined {
        self.join_at(9, member, instance, b"m")
    }

    /// A newcomer without an instance id, up to the JoinGroup that counts.
    fn newcomer(&mut self) -> (String, Joined) {
        let refused = now_of(&mut self.join("", None));
        assert_eq!(refused.error_code, ResponseError::MemberIdRequired.code());
        let id = refused.member_id.to_string();
        let joined = self.join(&id, None);
        (id, joined)
    }

    fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Synced {
        let one = |(id, bytes): &(&str, &'static [u8])| {
            SyncGroupRequestAssignment::default().with_member_id(text(id)).with_assignment(Bytes::from_static(bytes))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(group_id("g"))
            .with_member_id(text(member))
            .with_generation_id(generation)
            .with_assignments(assignments.iter().map(one).collect());
        let (answer, receiver) = oneshot::channel();
        self.groups.sync(&request, answer, self.now);
        receiver
    }

    fn heartbeat_as(&mut self, member: &str, instance: Option<&str>, generation: i32) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id("g"))
            .with_member_id(text(member))
            .with_group_instance_id(instance.map(text))
            .with_generation_id(generation);
        code(self.groups.heartbeat(&request, self.now))
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> i16 {
        self.heartbeat_as(member, None, generation)
    }

    fn leave(&mut self, member: &str, instance: Option<&str>) -> i16 {
        let identity =
            MemberIdentity::default().with_member_id(text(member)).with_group_instance_id(instance.map(text));
        let request = LeaveGroupRequest::default().with_group_id(group_id("g")).with_members(vec![identity]);
        self.groups.leave(&request, self.now).members[0].error_code
    }

    /// Time goes on, in the steps in which something is due.
    fn wait(&mut self, ms: i64) {
        let end = self.now + ms;
        while self.groups.next_deadline() <= end {
            self.now = self.groups.next_deadline();
            self.groups.tick(self.now);
        }
        self.now = end;
    }

    fn commit(&mut self, by: Committer<'_>, offset: i64) -> Result<(), ResponseError> {
        self.groups.check_commit("g", by, self.now)?;
        let committed = Committed { offset, leader_epoch: -1, metadata: String::new(), at: self.now };
        let producer_id = by.is_transactional.then_some(4);
        self.groups.commit("g", producer_id, vec![(("orders".to_owned(), 0), committed)]);
        Ok(())
    }

    fn position(&self, must_be_stable: bool) -> (i64, i16) {
        let topics = self.groups.positions("g", &Some(vec![("orders", &[0])]), must_be_stable);
        (topics[0].partitions[0].committed_offset, topics[0].partitions[0].error_code)
    }

    fn state(&self) -> String {
        self.groups.describe("g").map_or_else(|| "Dead".to_owned(), |group| group.group_state.to_string())
    }

    /// A stable group of one static member.
    fn stable_static(&mut self) -> (String, i32) {
        let joined = now_of(&mut self.join("", Some("i")));
        let id = joined.member_id.to_string();
        let _synced = self.sync(&id, joined.generation_id, &[(&id, b"all")]);
        (id, joined.generation_id)
    }
}

fn now_of<T>(receiver: &mut oneshot::Receiver<T>) -> T {
    receiver.try_recv().expect("an answer")
}

fn is_waiting<T>(receiver: &mut oneshot::Receiver<T>) -> bool {
    matches!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

fn outsider() -> Committer<'static> {
    Committer { generation: -1, member_id: "", instance_id: None, is_transactional: false }
}

#[test]
fn two_members_share_a_generation_and_the_leader_assigns() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    let first = now_of(&mut joined);
    assert_eq!((first.generation_id, first.leader.as_str(), first.members.len()), (1, one.as_str(), 1));
    let mut synced = fixture.sync(&one, 1, &[(&one, b"all")]);
    assert_eq!(now_of(&mut synced).assignment, Bytes::from_static(b"all"));

    let (two, mut joined_two) = fixture.newcomer();
    assert!(is_waiting(&mut joined_two));
    assert_eq!(fixture.heartbeat(&one, 1), ResponseError::RebalanceInProgress.code());
    let leader = now_of(&mut fixture.join(&one, None));
    let follower = now_of(&mut joined_two);
    assert_eq!((leader.generation_id, leader.members.len()), (2, 2));
    assert_eq!((follower.leader.as_str(), follower.members.len()), (one.as_str(), 0));

    let mut waiting = fixture.sync(&two, 2, &[]);
    assert!(is_waiting(&mut waiting));
    assert_eq!(fixture.heartbeat(&two, 2), 0);
    let _synced = fixture.sync(&one, 2, &[(&one, b"half"), (&two, b"other half")]);
    assert_eq!(now_of(&mut waiting).assignment, Bytes::from_static(b"other half"));
    assert_eq!(fixture.state(), "Stable");
    assert_eq!(fixture.heartbeat(&one, 1), ResponseError::IllegalGeneration.code());
}

#[test]
fn old_clients_need_no_member_id_first() {
    let mut fixture = Fixture::new();
    let joined = now_of(&mut fixture.join_at(3, "", None, b"m"));
    assert_eq!((joined.error_code, joined.generation_id, joined.protocol_type), (0, 1, None));
}

#[test]
fn who_is_silent_for_a_session_is_out() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let _synced = fixture.sync(&one, 1, &[]);
    fixture.wait(SESSION_MS - 1);
    assert_eq!(fixture.heartbeat(&one, 1), 0);
    fixture.wait(SESSION_MS - 1);
    assert_eq!(fixture.state(), "Stable");
    fixture.wait(1);
    assert_eq!(fixture.state(), "Empty");
    assert_eq!(fixture.heartbeat(&one, 1), ResponseError::UnknownMemberId.code());
}

#[test]
fn who_does_not_join_again_in_time_is_left_behind() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let _synced = fixture.sync(&one, 1, &[]);
    let (two, mut joined_two) = fixture.newcomer();
    for _ in 0..3 {
        fixture.wait(REBALANCE_MS / 3 - 1);
        assert_eq!(fixture.heartbeat(&one, 1), ResponseError::RebalanceInProgress.code());
    }
    assert!(is_waiting(&mut joined_two));
    fixture.wait(3);
    let joined = now_of(&mut joined_two);
    assert_eq!((joined.generation_id, joined.leader.as_str(), joined.members.len()), (2, two.as_str(), 1));
    assert_eq!(fixture.heartbeat(&one, 1), ResponseError::UnknownMemberId.code());
}

#[test]
fn who_does_not_fetch_its_assignment_is_out() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    for _ in 0..3 {
        fixture.wait(REBALANCE_MS / 3 - 1);
        fixture.heartbeat(&one, 1);
    }
    fixture.wait(3);
    assert_eq!(fixture.state(), "Empty");
}

#[test]
fn a_static_member_that_comes_back_fences_its_former_self_and_disturbs_nobody() {
    let mut fixture = Fixture::new();
    let (former, generation) = fixture.stable_static();
    let back = now_of(&mut fixture.join("", Some("i")));
    let id = back.member_id.to_string();
    assert_eq!((back.error_code, back.generation_id, back.skip_assignment), (0, generation, true));
    assert_eq!(back.leader.as_str(), id);
    assert_eq!(now_of(&mut fixture.sync(&id, generation, &[])).assignment, Bytes::from_static(b"all"));
    let fenced = ResponseError::FencedInstanceId.code();
    assert_eq!(fixture.heartbeat_as(&former, Some("i"), generation), fenced);
    assert_eq!(now_of(&mut fixture.join(&former, Some("i"))).error_code, fenced);
    let by = Committer { generation, member_id: &former, instance_id: Some("i"), is_transactional: true };
    assert_eq!(fixture.commit(by, 1), Err(ResponseError::FencedInstanceId));
    assert_eq!(fixture.leave(&former, Some("i")), fenced);
    assert_eq!(fixture.heartbeat_as(&id, Some("i"), generation), 0);
    assert_eq!(fixture.leave("", Some("i")), 0);
    assert_eq!(fixture.state(), "Empty");
}

#[test]
fn before_version_9_a_static_leader_is_not_told_that_it_leads() {
    let mut fixture = Fixture::new();
    let (former, generation) = fixture.stable_static();
    let back = now_of(&mut fixture.join_at(8, "", Some("i"), b"m"));
    assert_eq!((back.generation_id, back.leader.as_str()), (generation, former.as_str()));
    assert!(!back.skip_assignment && back.members.is_empty());
}

#[test]
fn what_a_replaced_static_member_waits_for_is_fenced() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let mut joined_static = fixture.join("", Some("i"));
    now_of(&mut fixture.join(&one, None));
    let former = now_of(&mut joined_static).member_id.to_string();
    let mut waiting = fixture.sync(&former, 2, &[]);
    assert!(is_waiting(&mut waiting));
    let mut replacing = fixture.join("", Some("i"));
    assert_eq!(now_of(&mut waiting).error_code, ResponseError::FencedInstanceId.code());
    assert!(is_waiting(&mut replacing));
    assert_eq!(fixture.state(), "PreparingRebalance");
    let mut replacing_again = fixture.join("", Some("i"));
    assert_eq!(now_of(&mut replacing).error_code, ResponseError::FencedInstanceId.code());
    assert_eq!(now_of(&mut fixture.join(&one, None)).generation_id, 3);
    assert_eq!(now_of(&mut replacing_again).generation_id, 3);
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance_and_a_follower_does_not() {
    let mut fixture = Fixture::new();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let (two, mut joined_two) = fixture.newcomer();
    now_of(&mut fixture.join(&one, None));
    now_of(&mut joined_two);
    let _synced = fixture.sync(&two, 2, &[]);
    let _synced = fixture.sync(&one, 2, &[]);
    assert_eq!(now_of(&mut fixture.join(&two, None)).generation_id, 2);
    assert_eq!(fixture.state(), "Stable");
    let mut again = fixture.join(&one, None);
    assert!(is_waiting(&mut again));
    assert_eq!(fixture.state(), "PreparingRebalance");
    assert_eq!(fixture.leave(&two, None), 0);
    assert_eq!(now_of(&mut again).generation_id, 3);
}

#[test]
fn outsiders_commit_into_empty_groups_only_and_members_with_their_generation() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.commit(outsider(), 5), Ok(()));
    let unknown = Committer { generation: 3, member_id: "m", ..outsider() };
    assert_eq!(fixture.commit(unknown, 6), Err(ResponseError::UnknownMemberId));
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let member = Committer { generation: 1, member_id: &one, ..outsider() };
    assert_eq!(fixture.commit(member, 6), Err(ResponseError::RebalanceInProgress));
    let _synced = fixture.sync(&one, 1, &[]);
    assert_eq!(fixture.commit(outsider(), 7), Err(ResponseError::UnknownMemberId));
    assert_eq!(fixture.commit(Committer { generation: 0, ..member }, 7), Err(ResponseError::IllegalGeneration));
    assert_eq!(fixture.position(false), (5, 0));
    assert_eq!(fixture.commit(member, 8), Ok(()));
    assert_eq!(fixture.position(false), (8, 0));
    assert_eq!(fixture.groups.check_commit("none", unknown, 0), Err(ResponseError::IllegalGeneration));
}

#[test]
fn offsets_of_a_transaction_show_when_it_commits() {
    let mut fixture = Fixture::new();
    fixture.commit(outsider(), 5).unwrap();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let member = Committer { generation: 1, member_id: &one, instance_id: None, is_transactional: true };
    fixture.commit(member, 6).unwrap();
    assert_eq!(fixture.position(false), (5, 0));
    assert_eq!(fixture.position(true), (-1, ResponseError::UnstableOffsetCommit.code()));
    fixture.groups.end_transaction("g", 4, false);
    assert_eq!(fixture.position(true), (5, 0));
    // KIP-447: whoever names nobody is let through.
    let nameless = Committer { generation: -1, member_id: "", instance_id: None, is_transactional: true };
    fixture.commit(nameless, 7).unwrap();
    fixture.groups.end_transaction("g", 4, true);
    assert_eq!(fixture.position(true), (7, 0));
    let stale = Committer { generation: 0, ..member };
    assert_eq!(fixture.commit(stale, 8), Err(ResponseError::IllegalGeneration));
    let stranger = Committer { member_id: "x", ..member };
    assert_eq!(fixture.commit(stranger, 8), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_later_commit_is_not_overtaken_by_an_older_transaction() {
    let mut fixture = Fixture::new();
    let nameless = Committer { generation: -1, member_id: "", instance_id: None, is_transactional: true };
    fixture.commit(nameless, 7).unwrap();
    fixture.commit(outsider(), 9).unwrap();
    fixture.groups.end_transaction("g", 4, true);
    assert_eq!(fixture.position(false), (9, 0));
}

#[test]
fn positions_expire_when_nobody_touches_them() {
    let mut fixture = Fixture::new();
    fixture.commit(outsider(), 5).unwrap();
    let retention_ms = GroupSettings::default().offsets_retention_ms;
    fixture.wait(retention_ms - 1);
    assert_eq!(fixture.position(false), (5, 0));
    fixture.wait(600_001);
    assert_eq!(fixture.position(false), (-1, 0));
    assert_eq!(fixture.state(), "Dead");
    assert_eq!(fixture.groups.bytes, 0);
}

#[test]
fn positions_of_a_group_with_members_stay() {
    let mut fixture = Fixture::new();
    fixture.commit(outsider(), 5).unwrap();
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let _synced = fixture.sync(&one, 1, &[]);
    let retention_ms = GroupSettings::default().offsets_retention_ms;
    for _ in 0..retention_ms / 9_000 + 200 {
        fixture.wait(9_000);
        assert_eq!(fixture.heartbeat(&one, 1), 0);
    }
    // What the member reads can't be told from its metadata here, so nothing is forgotten.
    assert_eq!(fixture.position(false), (5, 0));
}

#[test]
fn a_group_is_deleted_only_when_it_is_empty() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.groups.delete("g"), Err(ResponseError::GroupIdNotFound));
    let (one, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    assert_eq!(fixture.groups.delete("g"), Err(ResponseError::NonEmptyGroup));
    assert_eq!(fixture.leave(&one, None), 0);
    assert_eq!(fixture.groups.delete("g"), Ok(()));
    assert_eq!(fixture.state(), "Dead");
    assert_eq!(fixture.groups.bytes, 0);
}

#[test]
fn the_first_members_wait_for_more() {
    let mut fixture = Fixture::new();
    fixture.groups.settings.first_join_delay_ms = 3_000;
    let (_, mut one) = fixture.newcomer();
    fixture.wait(2_000);
    assert!(is_waiting(&mut one));
    let (_, mut two) = fixture.newcomer();
    fixture.wait(2_000);
    assert!(is_waiting(&mut one));
    fixture.wait(2_000);
    let generations = (now_of(&mut one).generation_id, now_of(&mut two).generation_id);
    assert_eq!(generations, (1, 1));
}

#[test]
fn memory_is_bounded() {
    let mut fixture = Fixture::new();
    fixture.groups.settings.bytes_max = 20_000;
    let mut refused = 0;
    for _ in 0..100 {
        let joined = fixture.join_at(3, "", None, &[7; 1_000]).try_recv();
        refused += i32::from(joined.is_ok_and(|joined| joined.error_code == ResponseError::GroupMaxSizeReached.code()));
    }
    assert!(refused > 70 && fixture.groups.bytes < 25_000, "{refused} {}", fixture.groups.bytes);
    fixture.groups.settings.members_max = 2;
    fixture.groups.settings.bytes_max = usize::MAX;
    let joined = now_of(&mut fixture.join_at(3, "", None, b"m"));
    assert_eq!(joined.error_code, ResponseError::GroupMaxSizeReached.code());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut fixture = Fixture::new();
    assert_eq!(now_of(&mut fixture.join("stranger", None)).error_code, ResponseError::UnknownMemberId.code());
    assert_eq!(fixture.heartbeat("stranger", 1), ResponseError::UnknownMemberId.code());
    assert_eq!(fixture.leave("stranger", None), ResponseError::UnknownMemberId.code());
    assert_eq!(now_of(&mut fixture.sync("stranger", 1, &[])).error_code, ResponseError::UnknownMemberId.code());
    let (_, mut joined) = fixture.newcomer();
    now_of(&mut joined);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("other"));
    let request = JoinGroupRequest::default()
        .with_group_id(group_id("g"))
        .with_session_timeout_ms(6_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let (answer, mut receiver) = oneshot::channel();
    let call = JoinCall { request, version: 9, client_id: String::new(), client_host: String::new(), answer };
    fixture.groups.join(call, 0);
    assert_eq!(now_of(&mut receiver).error_code, ResponseError::InconsistentGroupProtocol.code());
}
