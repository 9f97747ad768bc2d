//! What is told of groups: from memory where the loop runs, from the state everywhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::GroupSync;
use super::memory::{Known, Memory};
use super::rehearsal::Rehearsal;
use crate::store::{GroupRecord, View};
use crate::types::{
    GroupKind, GroupName, GroupPositionState as State, LinkName, PartitionIndex, SourceOffset, TargetOffset,
    TopicPartition,
};

/// Problems that are told of one link; many groups fail for the same reason.
const PROBLEMS_MAX: usize = 10;

/// One position of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPosition {
    /// The committed offset at the source.
    pub source_offset: SourceOffset,
    /// The committed offset on the target, as it was last seen.
    pub committed_on_target: Option<TargetOffset>,
    /// How it stands.
    pub state: State,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Its name at the source.
    pub group: GroupName,
    /// Its name on the target.
    pub target_group: GroupName,
    /// What kind it is at the source.
    pub kind: GroupKind,
    /// What a person should know of it.
    pub message: Option<String>,
    /// Its positions in mirrored topics, by source partition.
    pub positions: BTreeMap<TopicPartition, GroupPosition>,
}

/// All groups of a link in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupsSummary {
    /// Groups that are synchronised.
    pub groups: usize,
    /// Their positions by how they stand.
    pub positions: BTreeMap<State, usize>,
    /// What hinders, each thing once.
    pub problems: Vec<String>,
    /// How long ago everything was read and written last; `None`: not yet.
    pub complete_age: Option<Duration>,
    /// What the last rehearsal found; `None`: there was none yet.
    pub rehearsal: Option<Rehearsal>,
}

impl GroupSync {
    /// One group, where the loop runs here and knows it.
    #[must_use]
    pub fn group(&self, group: &GroupName) -> Option<GroupReport> {
        let memory = self.memory();
        memory.groups.get(group).map(|known| known.report(group))
    }

    /// All groups by name; `None` where the loop does not run here.
    #[must_use]
    pub fn groups(&self) -> Option<Vec<GroupReport>> {
        let memory = self.memory();
        let reports = || memory.groups.iter().map(|(name, known)| known.report(name)).collect();
        memory.is_running.then(reports)
    }

    /// All groups in numbers, as of the last round; `None` where the loop does not run here.
    #[must_use]
    pub fn summary(&self) -> Option<GroupsSummary> {
        let memory = self.memory();
        memory.is_running.then(|| GroupsSummary {
            complete_age: memory.complete_at.map(|at| at.elapsed()),
            ..memory.summary.clone()
        })
    }
}

impl Known {
    /// How a position stands, with what is known of the whole group.
    pub(super) fn overlaid(&self, state: State) -> State {
        match state {
            // What is there is the consumer's own, which is as it should be.
            State::Pending | State::AheadOfData | State::Conflict if self.is_active => State::ActiveOnTarget,
            State::Pending if self.trouble.is_some() => State::Failed,
            other => other,
        }
    }

    pub(super) fn message(&self) -> Option<String> {
        match (&self.collides_with, self.kind) {
            (Some(other), _) => Some(format!(
                "group {other} has the same name {} on the target; `rename` tells them apart",
                self.target
            )),
            (None, GroupKind::Share) => {
                Some("a share group: what it has read is not one offset, so it is not synchronised".to_owned())
            }
            (None, GroupKind::Streams) => Some(
                "a group of the Streams protocol: offsets are of no use without its state, so it is not synchronised"
                    .to_owned(),
            ),
            (None, GroupKind::Other) => Some("of an unknown kind, so it is not synchronised".to_owned()),
            (None, GroupKind::Classic | GroupKind::Consumer) => self.trouble.clone(),
        }
    }

    fn report(&self, group: &GroupName) -> GroupReport {
        let position = |(partition, standing): (&TopicPartition, &super::decide::Standing)| {
            let position = GroupPosition {
                source_offset: standing.source,
                committed_on_target: standing.committed,
                state: self.overlaid(standing.state),
            };
            (partition.clone(), position)
        };
        GroupReport {
            group: group.clone(),
            target_group: self.target.clone(),
            kind: self.kind,
            message: self.message(),
            positions: self.standings.iter().map(position).collect(),
        }
    }
}

impl GroupReport {
    /// A group as it was last stored.
    #[must_use]
    pub fn of_record(group: GroupName, record: &GroupRecord) -> Self {
        let mut positions = BTreeMap::new();
        for (topic, of_topic) in &record.positions {
            for stored in of_topic {
                let partition = TopicPartition::new(topic.clone(), PartitionIndex(stored.partition));
                let position = GroupPosition {
                    source_offset: stored.source_offset,
                    committed_on_target: stored.committed,
                    state: stored.state,
                };
                positions.insert(partition, position);
            }
        }
        Self {
            group,
            target_group: record.target_group.clone(),
            kind: record.kind,
            message: record.message.clone(),
            positions,
        }
    }

    /// A group as it was last stored, on any daemon.
    #[must_use]
    pub fn stored(view: &View, link: &LinkName, group: &GroupName) -> Option<Self> {
        view.group(link, group).map(|record| Self::of_record(group.clone(), &record))
    }

    /// All groups as they were last stored, on any daemon.
    #[must_use]
    pub fn all_stored(view: &View, link: &LinkName) -> Vec<Self> {
        view.groups(link).into_iter().map(|(group, record)| Self::of_record(group, &record)).collect()
    }
}

impl Memory {
    /// Counts everything, for [`GroupSync::summary`].
    pub(super) fn summarise(&mut self, now: Instant) {
        let mut summary = GroupsSummary::default();
        let mut troubles: BTreeMap<String, usize> = BTreeMap::new();
        for known in self.groups.values() {
            if known.is_synced_kind() {
                summary.groups += 1;
            }
            for standing in known.standings.values() {
                *summary.positions.entry(known.overlaid(standing.state)).or_default() += 1;
            }
            if let Some(trouble) = known.trouble.clone().or_else(|| known.collides_with.as_ref().and(known.message())) {
                *troubles.entry(trouble).or_default() += 1;
            }
        }
        let known = self.problems.values().chain(&self.mismatch).cloned();
        let mut problems: Vec<String> = known.chain(troubles.into_keys()).collect();
        problems.sort();
        problems.dedup();
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        if more > 0 {
            problems.push(format!("{more} more of this kind"));
        }
        summary.problems = problems;
        summary.complete_age = self.complete_at.map(|at| now.duration_since(at));
        summary.rehearsal.clone_from(&self.rehearsal);
        self.summary = summary;
    }
}
