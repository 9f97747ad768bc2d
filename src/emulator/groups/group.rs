//! One group in the classic protocol: its state, its members, its rebalances.
//!
//! Owns: the state machine `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`.
//! Promises: Kafka's transitions, and its choice of leader and protocol.
//! Does not know: other groups, and which request made it move.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::ResponseError;
use super::member::{Member, Protocol, text};
use super::offsets::Offsets;

/// Where a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No members; offsets perhaps.
    Empty,
    /// Members are asked to join the next generation.
    Preparing {
        /// Who hasn't joined by then is left behind.
        deadline: i64,
        /// The first members of a group wait a while for more.
        first: Option<FirstJoin>,
    },
    /// The leader computes the assignment.
    Completing,
    /// Everybody has an assignment, or can have it.
    Stable,
}

/// The wait of a group that was empty: it is prolonged when somebody joins meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstJoin {
    pub(super) remaining_ms: i64,
    pub(super) has_joined_meanwhile: bool,
}

impl State {
    /// Kafka's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing { .. } => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) state: State,
    /// Since when it is in this state.
    pub(super) since: i64,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Instance id -> member id.
    pub(super) instances: BTreeMap<String, String>,
    /// Member ids that were handed out and not used yet, and when they end.
    pub(super) pending: BTreeMap<String, i64>,
    /// Who has joined this generation and not asked for its assignment yet, and until when they may.
    pub(super) unsynced: BTreeSet<String>,
    pub(super) unsynced_deadline: i64,
    pub(super) offsets: Offsets,
    pub(super) first_join_delay_ms: i64,
}

impl Group {
    pub(super) fn new(first_join_delay_ms: i64, now: i64) -> Self {
        Self {
            state: State::Empty,
            since: now,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            unsynced_deadline: i64::MAX,
            offsets: Offsets::default(),
            first_join_delay_ms,
        }
    }

    pub(super) fn set_state(&mut self, state: State, now: i64) {
        self.state = state;
        self.since = now;
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Whether a member that can do `protocols` fits in.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let is_common = |name: &str| self.members.values().all(|m| m.protocols.iter().any(|(own, _)| own == name));
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|(name, _)| is_common(name))
    }

    /// The protocol that all can do and most like best.
    pub(super) fn elect_protocol(&self) -> Option<String> {
        let mut common: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in self.members.values().flat_map(|member| &member.protocols) {
            *common.entry(name).or_default() += 1;
        }
        common.retain(|_, members| *members >= self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find(|(name, _)| common.contains_key(name.as_str()));
            if let Some((name, _)) = favourite {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(name, _)| name.to_owned())
    }

    pub(super) fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), member.id.clone());
        }
        if let State::Preparing { first: Some(first), .. } = &mut self.state {
            first.has_joined_meanwhile = true;
        }
        self.pending.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out, whatever it waits for answered with `error`. What follows from it is the caller's.
    pub(super) fn remove(&mut self, member_id: &str, error: ResponseError) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        member.refuse_all(error);
        if let Some(instance_id) = &member.instance_id
            && self.instances.get(instance_id).is_some_and(|id| id == member_id)
        {
            self.instances.remove(instance_id);
        }
        self.unsynced.remove(member_id);
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Begins a rebalance where there is none; else looks whether the one under way can end.
    pub(super) fn rebalance_or_complete(&mut self, now: i64) {
        match self.state {
            State::Empty | State::Completing | State::Stable => self.prepare(now),
            State::Preparing { .. } => self.complete_when_joined(now),
        }
    }

    fn prepare(&mut self, now: i64) {
        if self.state == State::Completing {
            self.refuse_syncs(ResponseError::RebalanceInProgress);
        }
        self.unsynced.clear();
        let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        let delay_ms = self.first_join_delay_ms.min(timeout_ms);
        let is_first = self.state == State::Empty && delay_ms > 0;
        let first = is_first.then(|| FirstJoin { remaining_ms: timeout_ms - delay_ms, has_joined_meanwhile: false });
        let wait_ms = if is_first { delay_ms } else { timeout_ms };
        self.set_state(State::Preparing { deadline: now.saturating_add(wait_ms), first }, now);
        self.complete_when_joined(now);
    }

    fn complete_when_joined(&mut self, now: i64) {
        let is_first = matches!(self.state, State::Preparing { first: Some(_), .. });
        let have_joined = self.pending.is_empty() && self.members.values().all(|member| member.join.is_some());
        if have_joined && !is_first {
            self.complete(now);
        }
    }

    /// The time for joining is over.
    pub(super) fn join_time_over(&mut self, now: i64) {
        let State::Preparing { first, .. } = self.state else { return };
        match first {
            Some(first) if first.has_joined_meanwhile && first.remaining_ms > 0 => {
                let delay_ms = self.first_join_delay_ms.min(first.remaining_ms);
                let remaining_ms = (first.remaining_ms - self.first_join_delay_ms).max(0);
                let first = Some(FirstJoin { remaining_ms, has_joined_meanwhile: false });
                self.state = State::Preparing { deadline: now.saturating_add(delay_ms), first };
            }
            Some(_) | None => self.complete(now),
        }
    }

    fn complete(&mut self, now: i64) {
        // A static member keeps its place while it is away, up to its session time-out.
        let is_left_behind = |member: &&Member| member.join.is_none() && member.instance_id.is_none();
        let left_behind: Vec<String> = self.members.values().filter(is_left_behind).map(|m| m.id.clone()).collect();
        for id in left_behind {
            self.remove(&id, ResponseError::UnknownMemberId);
        }
        if !self.elect_joined_leader() {
            let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
            self.state = State::Preparing { deadline: now.saturating_add(timeout_ms.max(1)), first: None };
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.set_state(State::Empty, now);
            return;
        }
        self.protocol = self.elect_protocol();
        self.set_state(State::Completing, now);
        self.answer_joins(now);
    }

    /// The leader has to be somebody who is here. False when there are members and none of them is.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|member| member.join.is_some());
        if self.members.is_empty() || self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|member| member.join.is_some()).map(|member| member.id.clone());
        let is_elected = joined.is_some();
        self.leader = joined.or(self.leader.take());
        is_elected
    }

    fn answer_joins(&mut self, now: i64) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        self.unsynced_deadline = now.saturating_add(timeout_ms);
        for id in ids {
            let response = self.join_response(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Some(answer) = member.join.take() {
                member.touch(now);
                member.is_new = false;
                answer.send(response);
                self.unsynced.insert(id);
            }
        }
    }

    /// What a member of the current generation gets for its JoinGroup.
    pub(super) fn join_response(&self, member_id: &str) -> JoinGroupResponse {
        let members = if self.is_leader(member_id) { self.member_list() } else { Vec::new() };
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text))
            .with_leader(self.leader.as_deref().map(text).unwrap_or_default())
            .with_member_id(text(member_id))
            .with_members(members)
    }

    /// All members, for the leader.
    pub(super) fn member_list(&self) -> Vec<JoinGroupResponseMember> {
        let describe = |member: &Member| {
            JoinGroupResponseMember::default()
                .with_member_id(text(&member.id))
                .with_group_instance_id(member.instance_id.as_deref().map(text))
                .with_metadata(member.metadata(self.protocol.as_deref()))
        };
        self.members.values().map(describe).collect()
    }

    /// What a member gets for its SyncGroup.
    pub(super) fn sync_response(&self, member_id: &str) -> SyncGroupResponse {
        let assignment = self.members.get(member_id).map(|member| member.assignment.clone()).unwrap_or_default();
        SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text))
            .with_assignment(assignment)
    }

    /// Hands the assignments to those who wait for them.
    pub(super) fn answer_syncs(&mut self, now: i64) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let response = self.sync_response(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Some(answer) = member.sync.take() {
                member.touch(now);
                answer.send(response);
            }
        }
    }

    fn refuse_syncs(&mut self, error: ResponseError) {
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(answer) = member.sync.take() {
                answer.refuse(error);
            }
        }
    }

    /// The earliest moment at which something happens by itself.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        let members = self.members.values().filter_map(Member::expires_at);
        let joining = if let State::Preparing { deadline, .. } = self.state { Some(deadline) } else { None };
        let syncing = (!self.unsynced.is_empty()).then_some(self.unsynced_deadline);
        members.chain(self.pending.values().copied()).chain(joining).chain(syncing).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: i64) {
        let pending_before = self.pending.len();
        self.pending.retain(|_, deadline| *deadline > now);
        let is_dead = |member: &&Member| member.expires_at().is_some_and(|deadline| deadline <= now);
        let mut dead: Vec<String> = self.members.values().filter(is_dead).map(|member| member.id.clone()).collect();
        if !self.unsynced.is_empty() && self.unsynced_deadline <= now {
            dead.extend(std::mem::take(&mut self.unsynced));
        }
        let is_smaller = !dead.is_empty();
        for id in dead {
            self.remove(&id, ResponseError::UnknownMemberId);
        }
        if is_smaller {
            self.rebalance_or_complete(now);
        } else if self.pending.len() < pending_before && matches!(self.state, State::Preparing { .. }) {
            self.complete_when_joined(now);
        }
        if let State::Preparing { deadline, .. } = self.state
            && deadline <= now
        {
            self.join_time_over(now);
        }
    }

    /// Roughly what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let members: usize = self.members.values().map(Member::bytes).sum();
        let pending: usize = self.pending.keys().map(|id| id.len() + 64).sum();
        members + pending + self.offsets.bytes() + 512
    }
}
