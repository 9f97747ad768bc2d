//! JoinGroup.
//!
//! Owns: who may join, as what, and which rebalance follows from it.
//! Promises: KIP-394 (an id is handed out before a newcomer counts), KIP-345 (a static member that comes back takes
//! the place of its former self, which is fenced), KIP-814 (no needless assignment by a static leader).
//! Does not know: how a rebalance goes on.

use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use tokio::sync::oneshot;

use super::ResponseError;
use super::group::{Group, State};
use super::member::{JoinAnswer, Member, Protocol, text};

/// A JoinGroup request, and who asks.
#[derive(Debug)]
pub(crate) struct JoinCall {
    /// What was asked.
    pub(crate) request: JoinGroupRequest,
    /// The version in which it was asked.
    pub(crate) version: i16,
    /// The client's name of itself.
    pub(crate) client_id: String,
    /// Its address, as Kafka shows it: `/127.0.0.1`.
    pub(crate) client_host: String,
    /// Gets the answer once the rebalance is over.
    pub(crate) answer: oneshot::Sender<JoinGroupResponse>,
}

/// A JoinGroup request, in own words and in own memory.
pub(super) struct Joiner {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) protocol_type: String,
    pub(super) protocols: Vec<Protocol>,
    pub(super) session_timeout_ms: i64,
    pub(super) rebalance_timeout_ms: i64,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) answer: JoinAnswer,
}

impl Joiner {
    pub(super) fn new(call: JoinCall) -> Self {
        let JoinCall { request, version, client_id, client_host, answer } = call;
        let session_timeout_ms = i64::from(request.session_timeout_ms);
        let rebalance_timeout_ms = i64::from(request.rebalance_timeout_ms);
        let own = |protocol: &kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| {
            (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata))
        };
        Self {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            protocol_type: request.protocol_type.to_string(),
            protocols: request.protocols.iter().map(own).collect(),
            session_timeout_ms,
            rebalance_timeout_ms: if rebalance_timeout_ms < 0 { session_timeout_ms } else { rebalance_timeout_ms },
            client_id,
            client_host,
            answer: JoinAnswer { version, sender: answer },
        }
    }

    pub(super) fn refuse(self, error: ResponseError) {
        self.answer.refuse(&self.member_id, error);
    }

    fn needs_known_id(&self) -> bool {
        self.answer.version >= 4 && self.instance_id.is_none()
    }
}

/// What the group's settings say about joining.
#[derive(Debug, Clone, Copy)]
pub(super) struct JoinLimits {
    pub(super) members_max: usize,
    pub(super) new_member_timeout_ms: i64,
}

impl Group {
    /// Lets somebody join. `new_id` is the member id of a newcomer.
    pub(super) fn join(&mut self, joiner: Joiner, new_id: impl FnOnce(&str) -> String, limits: JoinLimits, now: i64) {
        if !self.supports(&joiner.protocol_type, &joiner.protocols) {
            return joiner.refuse(ResponseError::InconsistentGroupProtocol);
        }
        let is_known = self.members.contains_key(&joiner.member_id);
        if !is_known && self.members.len() + self.pending.len() >= limits.members_max {
            return joiner.refuse(ResponseError::GroupMaxSizeReached);
        }
        if joiner.member_id.is_empty() {
            let id = new_id(joiner.instance_id.as_deref().unwrap_or(&joiner.client_id));
            return self.join_new(id, joiner, limits, now);
        }
        self.join_known(joiner, limits, now);
    }

    fn join_new(&mut self, id: String, joiner: Joiner, limits: JoinLimits, now: i64) {
        let former = joiner.instance_id.as_ref().and_then(|instance| self.instances.get(instance)).cloned();
        if let Some(former) = former {
            return self.replace_static(&former, &id, joiner, now);
        }
        if joiner.needs_known_id() {
            self.pending.insert(id.clone(), now.saturating_add(joiner.session_timeout_ms));
            return joiner.answer.refuse(&id, ResponseError::MemberIdRequired);
        }
        self.add_joiner(id, joiner, limits, now);
    }

    fn join_known(&mut self, joiner: Joiner, limits: JoinLimits, now: i64) {
        if joiner.instance_id.is_none() && self.pending.contains_key(&joiner.member_id) {
            let id = joiner.member_id.clone();
            return self.add_joiner(id, joiner, limits, now);
        }
        if let Err(error) = self.check_member(&joiner.member_id, joiner.instance_id.as_deref()) {
            return joiner.refuse(error);
        }
        let is_same = self.members.get(&joiner.member_id).is_some_and(|m| m.protocols == joiner.protocols);
        match self.state {
            State::Completing if is_same => self.answer_again(joiner),
            State::Stable if is_same && !self.is_leader(&joiner.member_id) => self.answer_again(joiner),
            State::Preparing { .. } | State::Completing | State::Stable => {
                let id = joiner.member_id.clone();
                self.update(&id, joiner, now);
                self.rebalance_or_complete(now);
            }
            State::Empty => joiner.refuse(ResponseError::UnknownMemberId),
        }
    }

    /// A member that missed the answer of the generation it is in.
    fn answer_again(&self, joiner: Joiner) {
        let response = self.join_response(&joiner.member_id);
        joiner.answer.send(response);
    }

    fn add_joiner(&mut self, id: String, joiner: Joiner, limits: JoinLimits, now: i64) {
        let patience_ms = limits.new_member_timeout_ms.max(joiner.session_timeout_ms);
        let member = Member {
            id,
            instance_id: joiner.instance_id,
            client_id: joiner.client_id,
            client_host: joiner.client_host,
            session_timeout_ms: joiner.session_timeout_ms,
            rebalance_timeout_ms: joiner.rebalance_timeout_ms,
            protocols: joiner.protocols,
            assignment: Bytes::new(),
            join: Some(joiner.answer),
            sync: None,
            is_new: true,
            deadline: now.saturating_add(patience_ms),
        };
        self.add(member, &joiner.protocol_type);
        self.rebalance_or_complete(now);
    }

    fn update(&mut self, id: &str, joiner: Joiner, now: i64) {
        let Some(member) = self.members.get_mut(id) else { return joiner.refuse(ResponseError::UnknownMemberId) };
        member.protocols = joiner.protocols;
        member.session_timeout_ms = joiner.session_timeout_ms;
        member.rebalance_timeout_ms = joiner.rebalance_timeout_ms;
        member.client_id = joiner.client_id;
        member.client_host = joiner.client_host;
        member.touch(now);
        member.wait_for_join(joiner.answer);
    }

    /// A static member came back under a new id. Its former self is fenced.
    fn replace_static(&mut self, former: &str, id: &str, joiner: Joiner, now: i64) {
        let leader_before = self.leader.clone();
        let Some(mut member) = self.members.remove(former) else {
            return joiner.refuse(ResponseError::UnknownMemberId);
        };
        member.refuse_all(ResponseError::FencedInstanceId);
        id.clone_into(&mut member.id);
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.to_owned(), id.to_owned());
        }
        if self.is_leader(former) {
            self.leader = Some(id.to_owned());
        }
        if self.unsynced.remove(former) {
            self.unsynced.insert(id.to_owned());
        }
        self.members.insert(id.to_owned(), member);
        let protocol_before = self.protocol.clone();
        let can_skip = joiner.answer.version >= 9;
        self.update(id, joiner, now);
        if self.state == State::Stable && self.elect_protocol() == protocol_before {
            return self.welcome_back(id, leader_before.as_deref(), can_skip);
        }
        self.rebalance_or_complete(now);
    }

    /// The group stays as it is: the member gets its old assignment when it asks for it.
    fn welcome_back(&mut self, id: &str, leader_before: Option<&str>, can_skip: bool) {
        let mut response = self.join_response(id);
        if can_skip {
            response.skip_assignment = self.is_leader(id);
        } else {
            // Under the former id as leader it doesn't take itself for the leader, and assigns nothing.
            response.leader = leader_before.map(text).unwrap_or_default();
            response.members.clear();
        }
        if let Some(answer) = self.members.get_mut(id).and_then(|member| member.join.take()) {
            answer.send(response);
        }
    }
}
