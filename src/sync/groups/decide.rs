//! What is to be done about one position. Pure.

use std::collections::BTreeMap;

use super::tag::Tag;
use super::{Mapped, Maps};
use crate::cluster::{Committed, GroupCommit, GroupOffsets};
use crate::store::{TopicRecord, TopicState};
use crate::types::{GroupPositionState as State, SourceOffset, TargetOffset, TopicName, TopicPartition, Translation};

/// A topic whose positions can be translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MirrorTopic {
    pub(super) target: TopicName,
    pub(super) partitions: i32,
}

/// The mirror topics of the link, by source topic.
pub(super) type Topics = BTreeMap<TopicName, MirrorTopic>;

/// The topics whose maps hold. One that is stopped as a whole has another life on one side: its map is of the past.
pub(super) fn topics(records: Vec<(TopicName, TopicRecord)>) -> Topics {
    let is_mirrored = |record: &TopicRecord| match record.state {
        TopicState::Mirroring | TopicState::Paused => record.stop.is_none(),
        TopicState::Stopped => false,
    };
    let mirrored = records.into_iter().filter(|(_, record)| is_mirrored(record));
    mirrored
        .map(|(topic, record)| (topic, MirrorTopic { target: record.target_topic, partitions: record.partitions }))
        .collect()
}

/// The mirror partition of a source partition, if it has one.
pub(super) fn target_of(topics: &Topics, partition: &TopicPartition) -> Option<TopicPartition> {
    let topic = topics.get(&partition.topic)?;
    (partition.partition.0 < topic.partitions).then(|| TopicPartition::new(topic.target.clone(), partition.partition))
}

/// What holds for all positions of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) topics: &'a Topics,
    /// On positions that this link writes.
    pub(super) ours: &'a Tag,
    /// On positions that the link in the other direction writes.
    pub(super) opposite: &'a Tag,
    /// Whether the source has told its positions since we began: one that is only remembered never moves back.
    pub(super) is_fresh: bool,
    /// Whether positions must be written again so that they don't expire.
    pub(super) is_refresh_due: bool,
    /// Whether consumers' own metadata is left out.
    pub(super) is_bare: bool,
}

/// One position, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) source: SourceOffset,
    pub(super) committed: Option<TargetOffset>,
    pub(super) state: State,
}

/// What came out for a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// By source partition.
    pub(super) standings: BTreeMap<TopicPartition, Standing>,
    /// What is to be written.
    pub(super) commits: Vec<GroupCommit>,
    /// Whether time alone changes nothing of it: no position waits for data.
    pub(super) is_settled: bool,
}

/// Judges all positions of a group, given what the target has; `None`: not looked yet, so everything is to be written.
pub(super) fn judge(
    source: &GroupOffsets,
    on_target: Option<&GroupOffsets>,
    maps: &dyn Maps,
    terms: Terms<'_>,
) -> Judgement {
    let mut judgement = Judgement { is_settled: true, ..Judgement::default() };
    for (partition, committed) in source {
        let Some(target) = target_of(terms.topics, partition) else { continue };
        let Ok(offset) = SourceOffset::new(committed.offset) else { continue };
        let there = on_target.and_then(|offsets| offsets.get(&target));
        let mapped = maps.locate(partition, offset);
        let step = step(committed, mapped, there, terms);
        judgement.is_settled &= step.is_settled(mapped);
        let known = there.and_then(|there| TargetOffset::new(there.offset).ok());
        let standing = Standing { source: offset, committed: known, state: step.state() };
        judgement.standings.insert(partition.clone(), standing);
        if let Step::Commit(offset, _) = step {
            let metadata = if terms.is_bare { "" } else { committed.metadata.as_str() };
            let metadata = terms.ours.put_on(metadata);
            judgement.commits.push(GroupCommit { partition: target, offset, metadata });
        }
    }
    judgement
}

/// What is to be done about one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Leave(State),
    /// This is to be written, and what it is afterwards.
    Commit(TargetOffset, State),
}

impl Step {
    /// Whether it stays so until somebody commits. What is translated exactly stays so while the target keeps its
    /// records; each look at the target judges anew.
    fn is_settled(self, mapped: Option<Mapped>) -> bool {
        let is_exact = mapped.is_some_and(|mapped| matches!(mapped.translation, Translation::Exact(_)));
        match self {
            Self::Leave(State::Synced | State::Conflict) => is_exact,
            Self::Leave(State::FromTarget | State::BelowMap) => true,
            Self::Leave(_) | Self::Commit(..) => false,
        }
    }

    /// How the position stands before anything is written.
    fn state(self) -> State {
        match self {
            Self::Leave(state) => state,
            Self::Commit(_, State::AheadOfData) => State::AheadOfData,
            Self::Commit(..) => State::Pending,
        }
    }
}

pub(super) fn step(committed: &Committed, mapped: Option<Mapped>, there: Option<&Committed>, terms: Terms<'_>) -> Step {
    if terms.opposite.is_on(&committed.metadata) {
        return Step::Leave(State::FromTarget);
    }
    let Some(mapped) = mapped else { return Step::Leave(State::Pending) };
    let (wanted, state) = match mapped.translation {
        Translation::Exact(offset) => (offset, State::Synced),
        // Nothing may ever be promised beyond what is there.
        Translation::Next(offset) => (offset.min(mapped.target_end), State::Synced),
        Translation::NotYetMirrored => (mapped.target_end, State::AheadOfData),
        Translation::BelowMap => return Step::Leave(State::BelowMap),
    };
    let Some(there) = there else { return Step::Commit(wanted, state) };
    let is_ours = terms.ours.is_on(&there.metadata);
    let is_equal = there.offset == wanted.get();
    match (is_ours, is_equal) {
        (true, true) if terms.is_refresh_due => Step::Commit(wanted, state),
        (_, true) => Step::Leave(state),
        (false, false) => Step::Leave(State::Conflict),
        (true, false) if there.offset < wanted.get() || terms.is_fresh => Step::Commit(wanted, state),
        (true, false) => Step::Leave(State::Pending),
    }
}
