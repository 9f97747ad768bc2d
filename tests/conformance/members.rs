//! Members of groups, step by step.
//!
//! Owns: a connection of its own for each member, because a JoinGroup holds its connection up.
//! Promises: nothing is sent that a statement did not ask for.
//! Does not know: what is expected.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolSubscription, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::Encodable;

use crate::wire::{Promise, Wire};
use crate::world::{World, text, topic_name, wait_until};

/// One client that is, was or wants to be a member.
pub struct Member {
    pub wire: Wire,
    pub group: String,
    pub topic: String,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub session_ms: i32,
    pub rebalance_ms: i32,
    pub protocol: &'static str,
}

/// A fresh group whose coordinator is ready.
pub fn group(world: &mut World) -> String {
    let group = world.name("group");
    find_coordinator(world, &group, 0);
    group
}

/// Waits until the coordinator of a group (0) or a transactional id (1) can be asked.
pub fn find_coordinator(world: &mut World, key: &str, kind: i8) {
    let request = FindCoordinatorRequest::default().with_key(text(key)).with_key_type(kind);
    wait_until("a coordinator", || (world.wire.call(&request, 3).error_code == 0).then_some(()));
    if kind == 0 {
        wait_until("the coordinator's state", || (!matches!(state(world, key).0, 14..=16)).then_some(()));
    }
}

/// Error code and state.
pub fn state(world: &mut World, group: &str) -> (i16, String) {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let described = world.wire.call(&request, 5).groups.remove(0);
    (described.error_code, described.group_state.to_string())
}

impl Member {
    pub fn new(world: &mut World, group: &str, topic: &str) -> Self {
        Self {
            wire: world.connect(),
            group: group.to_owned(),
            topic: topic.to_owned(),
            id: String::new(),
            instance: None,
            generation: -1,
            session_ms: 30_000,
            rebalance_ms: 30_000,
            protocol: "range",
        }
    }

    pub fn fixed(world: &mut World, group: &str, topic: &str, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(world, group, topic) }
    }

    pub fn join_request(&self) -> JoinGroupRequest {
        let subscription = ConsumerProtocolSubscription::default().with_topics(vec![text(&self.topic)]);
        let mut metadata = vec![0, 0];
        subscription.encode(&mut metadata, 0).unwrap();
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text(self.protocol)).with_metadata(Bytes::from(metadata));
        JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(self.session_ms)
            .with_rebalance_timeout_ms(self.rebalance_ms)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
    }

    pub fn send_join(&mut self, version: i16) -> Promise<JoinGroupRequest> {
        let request = self.join_request();
        self.wire.send(&request, version)
    }

    pub fn joined(&mut self, promise: &Promise<JoinGroupRequest>) -> JoinGroupResponse {
        let response = self.wire.receive(promise);
        if response.error_code == 0 {
            self.id = response.member_id.to_string();
            self.generation = response.generation_id;
        }
        response
    }

    pub fn try_join(&mut self, version: i16) -> JoinGroupResponse {
        let promise = self.send_join(version);
        self.joined(&promise)
    }

    /// Gets a member id first, where that is needed, and sends the JoinGroup that counts.
    pub fn begin_join(&mut self) -> Promise<JoinGroupRequest> {
        if self.id.is_empty() && self.instance.is_none() {
            let refused = self.try_join(9);
            assert_eq!(refused.error_code, 79, "a member id is handed out first");
            self.id = refused.member_id.to_string();
        }
        self.send_join(9)
    }

    pub fn join(&mut self) -> JoinGroupResponse {
        let promise = self.begin_join();
        let response = self.joined(&promise);
        assert_eq!(response.error_code, 0);
        response
    }

    pub fn send_sync(&mut self, assignments: &[(&str, &'static str)]) -> Promise<SyncGroupRequest> {
        let one = |(id, bytes): &(&str, &'static str)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::from_static(bytes.as_bytes()))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text(self.protocol)))
            .with_assignments(assignments.iter().map(one).collect());
        self.wire.send(&request, 5)
    }

    pub fn sync(&mut self, assignments: &[(&str, &'static str)]) -> SyncGroupResponse {
        let promise = self.send_sync(assignments);
        self.wire.receive(&promise)
    }

    /// Joins alone and assigns itself `all`.
    pub fn settle(&mut self) {
        self.join();
        let id = self.id.clone();
        let synced = self.sync(&[(&id, "all")]);
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
    }

    pub fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text));
        self.wire.call(&request, 4).error_code
    }

    /// The code of the request, and that of the member.
    pub fn leave(&mut self) -> (i16, i16) {
        let identity = MemberIdentity::default()
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text));
        let request =
            LeaveGroupRequest::default().with_group_id(GroupId(text(&self.group))).with_members(vec![identity]);
        let response = self.wire.call(&request, 4);
        (response.error_code, response.members.first().map_or(0, |member| member.error_code))
    }

    pub fn commit(&mut self, offset: i64) -> i16 {
        let (group, topic) = (self.group.clone(), self.topic.clone());
        let instance = self.instance.clone();
        let by = (self.generation, self.id.clone(), instance);
        commit(&mut self.wire, &group, &topic, offset, (by.0, &by.1, by.2.as_deref()), "")
    }
}

/// OffsetCommit of partition 0.
pub fn commit(
    wire: &mut Wire,
    group: &str,
    topic: &str,
    offset: i64,
    (generation, member, instance): (i32, &str, Option<&str>),
    metadata: &str,
) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text(metadata)));
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(text))
        .with_topics(vec![topic]);
    wire.call(&request, 8).topics[0].partitions[0].error_code
}

/// Offset and code of partition 0.
pub fn position(wire: &mut Wire, group: &str, topic: &str, must_be_stable: bool) -> (i64, i16) {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name(topic)).with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(must_be_stable);
    let answered = wire.call(&request, 8).groups.remove(0);
    assert_eq!(answered.error_code, 0);
    let partition = &answered.topics[0].partitions[0];
    (partition.committed_offset, partition.error_code)
}

/// An outsider's OffsetCommit.
pub fn commit_outside(world: &mut World, group: &str, topic: &str, offset: i64) -> i16 {
    commit(&mut world.wire, group, topic, offset, (-1, "", None), "")
}
