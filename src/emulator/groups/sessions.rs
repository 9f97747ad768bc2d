//! SyncGroup, Heartbeat, LeaveGroup.
//!
//! Owns: the checks of member, instance and generation that all requests of members share.
//! Promises: Kafka's order of checks and its codes.
//! Does not know: offsets.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{HeartbeatRequest, SyncGroupRequest};

use super::ResponseError;
use super::group::{Group, State};
use super::member::SyncAnswer;

impl Group {
    /// Whether this member is one, and nobody has taken its place.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance_id) = instance_id {
            match self.instances.get(instance_id) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if current != member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// The same, and that it is of the current generation.
    pub(super) fn check_generation(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// A member was heard of.
    pub(super) fn touch(&mut self, member_id: &str, now: i64) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.touch(now);
        }
    }

    /// SyncGroup: the leader brings the assignments, the others fetch theirs.
    pub(super) fn sync(&mut self, request: &SyncGroupRequest, answer: SyncAnswer, now: i64) {
        let member_id = request.member_id.as_str();
        if let Err(error) = self.check_sync(request) {
            return answer.refuse(error);
        }
        match self.state {
            State::Empty => answer.refuse(ResponseError::UnknownMemberId),
            State::Preparing { .. } => answer.refuse(ResponseError::RebalanceInProgress),
            State::Stable => {
                self.unsynced.remove(member_id);
                self.touch(member_id, now);
                answer.send(self.sync_response(member_id));
            }
            State::Completing => {
                self.unsynced.remove(member_id);
                if let Some(member) = self.members.get_mut(member_id) {
                    member.wait_for_sync(answer);
                }
                if self.is_leader(member_id) {
                    self.take_assignments(request);
                    self.set_state(State::Stable, now);
                    self.answer_syncs(now);
                }
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ResponseError> {
        let instance_id = request.group_instance_id.as_deref();
        self.check_generation(&request.member_id, instance_id, request.generation_id)?;
        let differs = |said: Option<&str>, own: &Option<String>| said.is_some_and(|said| Some(said) != own.as_deref());
        if differs(request.protocol_type.as_deref(), &self.protocol_type)
            || differs(request.protocol_name.as_deref(), &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn take_assignments(&mut self, request: &SyncGroupRequest) {
        let mut assignments: BTreeMap<&str, &Bytes> = BTreeMap::new();
        for assignment in &request.assignments {
            assignments.insert(&assignment.member_id, &assignment.assignment);
        }
        for (id, member) in &mut self.members {
            let assignment = assignments.get(id.as_str());
            member.assignment = assignment.map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default();
        }
    }

    /// Heartbeat: tells a member when it has to join again.
    pub(super) fn heartbeat(&mut self, request: &HeartbeatRequest, now: i64) -> Result<(), ResponseError> {
        let instance_id = request.group_instance_id.as_deref();
        self.check_generation(&request.member_id, instance_id, request.generation_id)?;
        self.touch(&request.member_id, now);
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
            State::Completing | State::Stable => Ok(()),
        }
    }

    /// LeaveGroup of one member; a static one may be named by its instance id alone.
    pub(super) fn leave(&mut self, identity: &MemberIdentity, now: i64) -> Result<(), ResponseError> {
        let instance_id = identity.group_instance_id.as_deref();
        let member_id = match instance_id.and_then(|instance| self.instances.get(instance)) {
            Some(current) if identity.member_id.is_empty() => current.clone(),
            _ => identity.member_id.to_string(),
        };
        if self.pending.remove(&member_id).is_some() {
            if matches!(self.state, State::Preparing { .. }) {
                self.rebalance_or_complete(now);
            }
            return Ok(());
        }
        self.check_member(&member_id, instance_id)?;
        self.remove(&member_id, ResponseError::UnknownMemberId);
        self.rebalance_or_complete(now);
        Ok(())
    }
}
