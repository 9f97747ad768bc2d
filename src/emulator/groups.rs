//! The group coordinator of a cluster: classic consumer groups and their offsets.
//!
//! Owns: all groups, their members, and the offsets they commit.
//! Promises: Kafka's answers (`proof.md` and the conformance suite say which); answers that have to wait go through a
//! one-shot channel; nothing happens by itself but in [`Groups::tick`]; a bounded amount of memory.
//! Does not know: connections, brokers, logs, the wall clock. Time is handed in, in ms.

mod answers;
mod commit;
mod group;
mod join;
mod member;
mod offsets;
mod sessions;

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopics;
use kafka_protocol::messages::{
    HeartbeatRequest, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use tokio::sync::oneshot;

pub(crate) use self::answers::Wanted;
pub(crate) use self::commit::Committer;
pub(crate) use self::join::JoinCall;
pub(crate) use self::offsets::{Committed, Partition};

use self::group::Group;
use self::join::{JoinLimits, Joiner};
use self::member::SyncAnswer;

/// What a broker's settings say about groups.
#[derive(Debug, Clone)]
pub(crate) struct GroupSettings {
    /// `group.min.session.timeout.ms`.
    pub(crate) session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub(crate) session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) first_join_delay_ms: i64,
    /// How long a newcomer may wait for its first generation.
    pub(crate) new_member_timeout_ms: i64,
    /// `group.max.size`.
    pub(crate) members_max: usize,
    /// How many groups there may be.
    pub(crate) groups_max: usize,
    /// How much memory all groups may take, roughly.
    pub(crate) bytes_max: usize,
    /// `offset.metadata.max.bytes`.
    pub(crate) metadata_bytes_max: usize,
    /// `offsets.retention.minutes`, in ms.
    pub(crate) offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub(crate) offsets_check_interval_ms: i64,
    /// Member ids come from it.
    pub(crate) seed: u64,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            first_join_delay_ms: 0,
            new_member_timeout_ms: 300_000,
            members_max: 1_000,
            groups_max: 10_000,
            bytes_max: 64 << 20,
            metadata_bytes_max: 4_096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_check_interval_ms: 600_000,
            seed: 0,
        }
    }
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Groups {
    settings: GroupSettings,
    by_id: BTreeMap<String, Group>,
    bytes: usize,
    ids_made: u64,
    next_sweep: i64,
}

impl Groups {
    /// No groups yet.
    pub(crate) fn new(settings: GroupSettings, now: i64) -> Self {
        let next_sweep = now.saturating_add(settings.offsets_check_interval_ms);
        Self { settings, by_id: BTreeMap::new(), bytes: 0, ids_made: 0, next_sweep }
    }

    /// JoinGroup.
    pub(crate) fn join(&mut self, call: JoinCall, now: i64) {
        let group_id = call.request.group_id.to_string();
        let timeouts = self.settings.session_timeout_min_ms..=self.settings.session_timeout_max_ms;
        let has_valid_timeout = timeouts.contains(&call.request.session_timeout_ms);
        let joiner = Joiner::new(call);
        if group_id.is_empty() {
            return joiner.refuse(ResponseError::InvalidGroupId);
        }
        if !has_valid_timeout {
            return joiner.refuse(ResponseError::InvalidSessionTimeout);
        }
        let exists = self.by_id.contains_key(&group_id);
        if !exists && !joiner.member_id.is_empty() {
            return joiner.refuse(ResponseError::UnknownMemberId);
        }
        if self.is_full(&group_id) {
            return joiner.refuse(ResponseError::GroupMaxSizeReached);
        }
        let limits = JoinLimits {
            members_max: self.settings.members_max,
            new_member_timeout_ms: self.settings.new_member_timeout_ms,
        };
        self.ids_made = self.ids_made.wrapping_add(1);
        let suffix = member_suffix(self.settings.seed, self.ids_made);
        self.create(&group_id, now);
        self.with(&group_id, |group| group.join(joiner, |prefix| format!("{prefix}-{suffix}"), limits, now));
    }

    /// SyncGroup.
    pub(crate) fn sync(&mut self, request: &SyncGroupRequest, answer: oneshot::Sender<SyncGroupResponse>, now: i64) {
        let answer = SyncAnswer(answer);
        if request.group_id.is_empty() {
            return answer.refuse(ResponseError::InvalidGroupId);
        }
        if !self.by_id.contains_key(request.group_id.as_str()) {
            return answer.refuse(ResponseError::UnknownMemberId);
        }
        if self.bytes >= self.settings.bytes_max {
            return answer.refuse(ResponseError::UnknownServerError);
        }
        self.with(&request.group_id, |group| group.sync(request, answer, now));
    }

    /// Heartbeat.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: i64) -> Result<(), ResponseError> {
        if request.group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let group = self.by_id.get_mut(request.group_id.as_str()).ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(request, now)
    }

    /// LeaveGroup, in the form of version 3: a list of members.
    pub(crate) fn leave(&mut self, request: &LeaveGroupRequest, now: i64) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            return LeaveGroupResponse::default().with_error_code(ResponseError::InvalidGroupId.code());
        }
        let mut members = Vec::with_capacity(request.members.len());
        for identity in &request.members {
            let left = self.with(&request.group_id, |group| group.leave(identity, now));
            let left = left.unwrap_or(Err(ResponseError::UnknownMemberId));
            members.push(
                MemberResponse::default()
                    .with_member_id(identity.member_id.clone())
                    .with_group_instance_id(identity.group_instance_id.clone())
                    .with_error_code(code(left)),
            );
        }
        LeaveGroupResponse::default().with_members(members)
    }

    /// Whether this committer may commit into this group. A group that doesn't exist begins with an outsider's commit.
    pub(crate) fn check_commit(&mut self, group_id: &str, by: Committer<'_>, now: i64) -> Result<(), ResponseError> {
        if !self.by_id.contains_key(group_id) {
            if by.generation >= 0 {
                return Err(ResponseError::IllegalGeneration);
            }
            if self.is_full(group_id) {
                return Err(ResponseError::UnknownServerError);
            }
            self.create(group_id, now);
        }
        if self.bytes >= self.settings.bytes_max {
            return Err(ResponseError::UnknownServerError);
        }
        let group = self.by_id.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        group.check_commit(by)?;
        group.touch(by.member_id, now);
        Ok(())
    }

    /// Whether so much may be remembered with an offset.
    pub(crate) fn check_metadata(&self, metadata: Option<&str>) -> Result<(), ResponseError> {
        let is_small = metadata.map_or(0, str::len) <= self.settings.metadata_bytes_max;
        if is_small { Ok(()) } else { Err(ResponseError::OffsetMetadataTooLarge) }
    }

    /// Takes positions that were checked. With a producer id they wait for the end of its transaction.
    pub(crate) fn commit(&mut self, group_id: &str, producer_id: Option<i64>, positions: Vec<(Partition, Committed)>) {
        self.with(group_id, |group| {
            for (partition, committed) in positions {
                match producer_id {
                    None => group.offsets.commit(partition, committed),
                    Some(id) => group.offsets.commit_in_transaction(id, partition, committed),
                }
            }
        });
    }

    /// The marker of a transaction has reached the offsets of this group.
    pub(crate) fn end_transaction(&mut self, group_id: &str, producer_id: i64, is_commit: bool) {
        self.with(group_id, |group| group.offsets.end_transaction(producer_id, is_commit));
    }

    /// OffsetFetch, for one group.
    pub(crate) fn positions(
        &self,
        group_id: &str,
        wanted: &Wanted<'_>,
        must_be_stable: bool,
    ) -> Vec<OffsetFetchResponseTopics> {
        answers::positions(self.by_id.get(group_id), wanted, must_be_stable)
    }

    /// OffsetDelete. `exists` knows the partitions of the cluster.
    pub(crate) fn delete_offsets(
        &mut self,
        group_id: &str,
        partitions: &[Partition],
        exists: impl Fn(&str, i32) -> bool,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let group = self.by_id.get(group_id).ok_or(ResponseError::GroupIdNotFound)?;
        let subscribed = group.check_offset_delete()?;
        let judge = |(topic, index): &Partition| {
            if !exists(topic, *index) {
                Err(ResponseError::UnknownTopicOrPartition)
            } else if subscribed.contains(topic) {
                Err(ResponseError::GroupSubscribedToTopic)
            } else {
                Ok(())
            }
        };
        let outcomes: Vec<Result<(), ResponseError>> = partitions.iter().map(judge).collect();
        self.with(group_id, |group| {
            let deleted = partitions.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
            deleted.for_each(|(partition, _)| group.offsets.delete(partition));
        });
        Ok(outcomes)
    }

    /// ListGroups; the filters hold state names and group types, in any case. Empty filters let everything through.
    pub(crate) fn list(&self, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
        let is_wanted =
            |filter: &[&str], name: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(name));
        let has_state = |group: &Group| is_wanted(states, group.state.name()) && is_wanted(types, "classic");
        self.by_id.iter().filter(|(_, group)| has_state(group)).map(|(id, group)| answers::listed(id, group)).collect()
    }

    /// DescribeGroups, for one group; `None` when there is none.
    pub(crate) fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        self.by_id.get(group_id).map(|group| answers::described(group_id, group))
    }

    /// DeleteGroups, for one group.
    pub(crate) fn delete(&mut self, group_id: &str) -> Result<(), ResponseError> {
        let group = self.by_id.get(group_id).ok_or(ResponseError::GroupIdNotFound)?;
        if !group.members.is_empty() || group.state != group::State::Empty {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.remove(group_id);
        Ok(())
    }

    /// A topic is gone, and the positions in it with it.
    pub(crate) fn topic_deleted(&mut self, topic: &str) {
        let ids: Vec<String> = self.by_id.keys().cloned().collect();
        for id in ids {
            self.with(&id, |group| {
                let gone: Vec<Partition> =
                    group.offsets.partitions().filter(|(name, _)| name == topic).cloned().collect();
                for partition in &gone {
                    group.offsets.delete(partition);
                }
            });
        }
    }

    /// When [`Groups::tick`] has something to do next, ms.
    pub(crate) fn next_deadline(&self) -> i64 {
        self.by_id.values().filter_map(Group::next_deadline).min().unwrap_or(i64::MAX).min(self.next_sweep)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: i64) {
        let is_due = |group: &Group| group.next_deadline().is_some_and(|deadline| deadline <= now);
        let due: Vec<String> = self.by_id.iter().filter(|(_, g)| is_due(g)).map(|(id, _)| id.clone()).collect();
        for id in due {
            self.with(&id, |group| group.tick(now));
        }
        if self.next_sweep <= now {
            self.next_sweep = now.saturating_add(self.settings.offsets_check_interval_ms);
            self.sweep(now);
        }
    }

    /// Forgets old positions, and groups that have nothing left.
    fn sweep(&mut self, now: i64) {
        let retention_ms = self.settings.offsets_retention_ms;
        let ids: Vec<String> = self.by_id.keys().cloned().collect();
        for id in ids {
            self.with(&id, |group| group.expire_offsets(retention_ms, now));
            let is_over = |group: &Group| {
                group.state == group::State::Empty && group.pending.is_empty() && group.offsets.is_empty()
            };
            if self.by_id.get(&id).is_some_and(is_over) {
                self.remove(&id);
            }
        }
    }

    fn is_full(&self, group_id: &str) -> bool {
        let is_new = !self.by_id.contains_key(group_id);
        self.bytes >= self.settings.bytes_max || (is_new && self.by_id.len() >= self.settings.groups_max)
    }

    fn create(&mut self, group_id: &str, now: i64) {
        if !self.by_id.contains_key(group_id) {
            let group = Group::new(self.settings.first_join_delay_ms, now);
            self.bytes = self.bytes.saturating_add(group.bytes());
            self.by_id.insert(group_id.to_owned(), group);
        }
    }

    fn remove(&mut self, group_id: &str) {
        if let Some(group) = self.by_id.remove(group_id) {
            self.bytes = self.bytes.saturating_sub(group.bytes());
        }
    }

    /// Changes a group, and keeps the account of memory.
    fn with<T>(&mut self, group_id: &str, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let group = self.by_id.get_mut(group_id)?;
        let before = group.bytes();
        let outcome = change(group);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(group.bytes());
        Some(outcome)
    }
}

/// The number of an outcome; 0 is none.
pub(crate) fn code(outcome: Result<(), ResponseError>) -> i16 {
    outcome.err().map_or(0, |error| error.code())
}

/// Looks like the random part of Kafka's member ids, and is the same in each run with the same seed.
fn member_suffix(seed: u64, count: u64) -> uuid::Uuid {
    uuid::Uuid::from_u64_pair(scramble(seed ^ count.rotate_left(32)), scramble(count))
}

/// The finisher of `SplitMix64`.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
