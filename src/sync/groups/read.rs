//! Reading the groups of one source broker.

use tokio::time::Instant;

use super::decide::{Topics, target_of};
use super::memory::{Known, Memory};
use super::{GroupSync, Side};
use crate::cluster::{ClusterError, GroupDesk, GroupOffsets, WhichGroups};
use crate::selection::GroupDecision;
use crate::types::{BrokerId, GroupKind, GroupName};

/// Groups whose offsets are read at once.
const GROUPS_AT_ONCE: usize = 500;
/// Decisions that are remembered; more names than that come from somebody who makes new ones all the time.
const DECISIONS_MAX: usize = 200_000;

impl GroupSync {
    /// Reads all selected groups that this broker coordinates.
    pub(super) async fn read(&self, broker: BrokerId, topics: &Topics) {
        let desk = self.desk(Side::Source, broker);
        let started = Instant::now();
        let outcome = self.read_all(&desk, topics).await;
        let mut memory = self.memory();
        let problem = match outcome {
            Ok(()) => {
                memory.told_at.insert(broker, started);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        memory.show_problem(&format!("read {broker}"), problem);
    }

    async fn read_all(&self, desk: &GroupDesk, topics: &Topics) -> Result<(), ClusterError> {
        let listed = desk.list(WhichGroups::All).await?;
        let now = Instant::now();
        let mut to_read = Vec::new();
        {
            let mut memory = self.memory();
            for listed in listed {
                let Some(target) = self.decide(&mut memory, &listed.group) else { continue };
                if listed.kind.has_plain_offsets() {
                    if let Some(known) = memory.groups.get_mut(&listed.group) {
                        known.seen_at = now;
                    }
                    to_read.push((listed.group, target, listed.kind));
                } else {
                    let known =
                        memory.groups.entry(listed.group).or_insert_with(|| Known::new(target, listed.kind, now));
                    known.kind = listed.kind;
                    known.seen_at = now;
                }
            }
        }
        let mut refused: Vec<ClusterError> = Vec::new();
        for some in to_read.chunks(GROUPS_AT_ONCE) {
            let names: Vec<GroupName> = some.iter().map(|(name, _, _)| name.clone()).collect();
            let started = Instant::now();
            let mut answers = desk.offsets(&names).await?;
            let mut memory = self.memory();
            for (name, target, kind) in some {
                match answers.remove(name) {
                    Some(Ok(offsets)) => memory.absorb(name, target, *kind, offsets, topics, started),
                    // The next list of another broker has it.
                    Some(Err(error)) if error.is_coordinator_elsewhere() => {}
                    Some(Err(error)) => refused.push(error),
                    None => {}
                }
            }
        }
        let problem = refused.first().map(|first| match refused.len() {
            1 => first.to_string(),
            several => format!("{several} groups can't be read; the first: {first}"),
        });
        self.memory().show_problem(&format!("read groups of {}", desk.broker()), problem);
        Ok(())
    }

    /// The name on the target of a group that is selected.
    fn decide(&self, memory: &mut Memory, group: &GroupName) -> Option<GroupName> {
        if let Some(decision) = memory.decisions.get(group) {
            return decision.clone();
        }
        let decision = match self.settings.selection.decide(group) {
            GroupDecision::Synchronised(selected) => Some(selected.target),
            GroupDecision::NoEntry | GroupDecision::Excluded { .. } => None,
        };
        if memory.decisions.len() >= DECISIONS_MAX {
            memory.decisions.clear();
        }
        memory.decisions.insert(group.clone(), decision.clone());
        decision
    }
}

impl Memory {
    fn absorb(
        &mut self,
        name: &GroupName,
        target: &GroupName,
        kind: GroupKind,
        mut offsets: GroupOffsets,
        topics: &Topics,
        started: Instant,
    ) {
        offsets.retain(|partition, _| target_of(topics, partition).is_some());
        if offsets.is_empty() && !self.groups.contains_key(name) {
            return;
        }
        let known = self.groups.entry(name.clone()).or_insert_with(|| Known::new(target.clone(), kind, started));
        known.kind = kind;
        known.absorb(offsets, started);
    }
}
