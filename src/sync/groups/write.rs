//! Looking at groups of one target broker, and writing to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::decide::Topics;
use super::memory::{Common, Memory};
use super::tag::Tag;
use super::{GroupSync, Side};
use crate::cluster::{ClusterError, Committed, GroupAnswers, GroupCommit, GroupCommitOutcome, GroupDesk, WhichGroups};
use crate::store::Lease;
use crate::telemetry::names;
use crate::types::{BrokerId, GroupName};

/// Groups between whose look and whose commit the others of the same request lie: few, so that it is soon.
const GROUPS_AT_ONCE: usize = 100;
/// What was seen of a group is acted on within this time or not at all. A daemon that was frozen for longer may have a
/// successor, whose positions it must not undo: that takes a session time-out, which is longer than this.
const LOOK_VALID: Duration = Duration::from_secs(3);
/// A group's metadata is longer than the target allows.
const METADATA_TOO_LARGE: i16 = 12;

/// What an errand must know of the round that began it.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) topics: std::sync::Arc<Topics>,
    pub(super) ours: Tag,
    pub(super) opposite: Tag,
    pub(super) refresh_after: Duration,
    /// The proof that the groups are ours to write. Kafka has nothing to fence commits by.
    pub(super) lease: Lease,
}

impl GroupSync {
    pub(super) fn common<'a>(&'a self, round: &'a Round) -> Common<'a> {
        Common {
            topics: &round.topics,
            maps: self.parts.maps.as_ref(),
            ours: &round.ours,
            opposite: &round.opposite,
            refresh_after: round.refresh_after,
        }
    }

    /// Sees who is active at this broker, and writes what is due of these groups of the source.
    pub(super) async fn write(&self, broker: BrokerId, groups: Vec<GroupName>, round: Round) {
        let desk = self.desk(Side::Target, broker);
        let outcome = self.write_all(&desk, &groups, &round).await;
        let mut memory = self.memory();
        if outcome.is_err() {
            // The broker may be gone: who coordinates its groups is asked anew.
            memory.coordinators.retain(|group, coordinator| {
                let is_elsewhere = *coordinator != broker;
                if !is_elsewhere {
                    self.parts.target.forget_group_coordinator(group);
                }
                is_elsewhere
            });
        }
        memory.show_problem(&format!("write {broker}"), outcome.err().map(|error| error.to_string()));
    }

    async fn write_all(&self, desk: &GroupDesk, groups: &[GroupName], round: &Round) -> Result<(), ClusterError> {
        let active: BTreeSet<GroupName> =
            desk.list(WhichGroups::Active).await?.into_iter().map(|listed| listed.group).collect();
        self.memory().active.insert(desk.broker(), active.clone());
        for some in groups.chunks(GROUPS_AT_ONCE) {
            let targets = self.memory().targets(some);
            let names: Vec<GroupName> = targets.keys().cloned().collect();
            let until = Instant::now() + LOOK_VALID;
            let answers = desk.offsets(&names).await?;
            let commits = self.prepare(&targets, answers, &active, round);
            if !round.lease.is_held() {
                return Ok(());
            }
            let written = desk.commit(&commits, until).await;
            self.conclude(&targets, &commits, written, round)?;
        }
        Ok(())
    }

    /// Takes in what was seen, and decides what to write.
    fn prepare(
        &self,
        targets: &BTreeMap<GroupName, GroupName>,
        mut answers: GroupAnswers,
        active: &BTreeSet<GroupName>,
        round: &Round,
    ) -> BTreeMap<GroupName, Vec<GroupCommit>> {
        let now = Instant::now();
        let mut commits = BTreeMap::new();
        let mut memory = self.memory();
        for (target, source) in targets {
            let answer = answers.remove(target);
            let Some(known) = memory.groups.get_mut(source) else { continue };
            match answer {
                Some(Ok(offsets)) => {
                    known.on_target = Some(offsets);
                    known.looked_at = Some(now);
                    known.is_active = active.contains(target);
                    let to_write = known.judge(&self.common(round), now);
                    if known.is_active || to_write.is_empty() {
                        known.worked();
                        known.changed_after = None;
                    } else {
                        commits.insert(target.clone(), to_write);
                    }
                }
                Some(Err(error)) => self.note_failure(&mut memory, source, target, &error, now),
                None => {}
            }
        }
        commits
    }

    /// Takes in what became of it. An error that is the broker's and no group's is handed out.
    fn conclude(
        &self,
        targets: &BTreeMap<GroupName, GroupName>,
        commits: &BTreeMap<GroupName, Vec<GroupCommit>>,
        written: Vec<(GroupName, Result<GroupCommitOutcome, ClusterError>)>,
        round: &Round,
    ) -> Result<(), ClusterError> {
        let now = Instant::now();
        let mut first_error = None;
        let mut memory = self.memory();
        for (target, outcome) in written {
            let (Some(source), Some(sent)) = (targets.get(&target), commits.get(&target)) else { continue };
            match outcome {
                Ok(answers) => self.note_commits(&mut memory, source, &target, sent, answers, now, round),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one commit's")]
    fn note_commits(
        &self,
        memory: &mut Memory,
        source: &GroupName,
        target: &GroupName,
        sent: &[GroupCommit],
        answers: GroupCommitOutcome,
        now: Instant,
        round: &Round,
    ) {
        let Some(known) = memory.groups.get_mut(source) else { return };
        let mut failure = None;
        let mut taken = 0_u64;
        for (partition, answer) in answers {
            match answer {
                Ok(()) => {
                    taken += 1;
                    let commit = sent.iter().find(|commit| commit.partition == partition);
                    if let (Some(commit), Some(there)) = (commit, known.on_target.as_mut()) {
                        let committed = Committed { offset: commit.offset.get(), metadata: commit.metadata.clone() };
                        there.insert(partition, committed);
                    }
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let link = self.settings.link.as_str();
        self.parts.metrics.counter(names::GROUP_COMMITS_TOTAL, &[("link", link)]).increment(taken);
        match failure {
            None => {
                let is_refreshed = known.refreshed_at.is_none_or(|at| now.duration_since(at) >= round.refresh_after);
                if is_refreshed {
                    known.refreshed_at = Some(now);
                }
                if let Some(before) = known.changed_after.take() {
                    let seconds = now.duration_since(before).as_secs_f64();
                    self.parts.metrics.histogram(names::GROUP_SYNC_SECONDS, &[("link", link)]).record(seconds);
                }
                known.worked();
            }
            Some(error) if error.is_group_active() => {
                known.is_active = true;
                known.worked();
                if let Some(broker) = memory.coordinators.get(target).copied() {
                    memory.active.entry(broker).or_default().insert(target.clone());
                }
            }
            Some(error) => self.note_failure(memory, source, target, &error, now),
        }
        if let Some(known) = memory.groups.get_mut(source) {
            // What is left to do is found again in the next round.
            let _ = known.judge(&self.common(round), now);
        }
    }

    fn note_failure(
        &self,
        memory: &mut Memory,
        source: &GroupName,
        target: &GroupName,
        error: &ClusterError,
        now: Instant,
    ) {
        if error.is_coordinator_elsewhere() {
            memory.coordinators.remove(target);
            self.parts.target.forget_group_coordinator(target);
            return;
        }
        if let Some(known) = memory.groups.get_mut(source) {
            known.is_bare |= error.code() == Some(METADATA_TOO_LARGE);
            known.failed(error.to_string(), now);
        }
    }
}

impl Memory {
    /// Groups of the source by their names on the target.
    fn targets(&self, groups: &[GroupName]) -> BTreeMap<GroupName, GroupName> {
        let target = |source: &GroupName| Some((self.groups.get(source)?.target.clone(), source.clone()));
        groups.iter().filter_map(target).collect()
    }
}
