//! What is about to be produced, as it is stored before it is sent.
//!
//! Owns: [`Plan`], the runs behind the last checkpoint and ahead of the last append.
//! Promises: the source records behind any target offsets up to the plan's end can be told without looking at data.
//! Does not know: how a plan is stored, or when.
//!
//! A plan may say more than is known: a source without holes is planned far ahead, and when a hole comes up, a new
//! plan is stored before anything behind the hole is sent. So a plan that turns out to be wrong ahead of the last
//! append was never acted on, and counting from it is safe, also when the source is compacted meanwhile.

use crate::batch::SourceRun;
use crate::types::{Run, Sequence, SourceOffset, TargetOffset};

/// How many records the first plan guesses ahead. Where holes come up it soon is less, where none do it grows.
pub(super) const AHEAD_FIRST: u64 = 1 << 16;

/// Planned runs, without a gap at the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    runs: Vec<Run>,
    /// What a former owner planned beyond the log end that we found: its last requests may still arrive.
    inherited: Vec<Run>,
    disputed: Option<(TargetOffset, TargetOffset)>,
    /// With identical offsets: the sequences of the first record of `runs` and of `inherited`.
    sequences: Option<(Sequence, Sequence)>,
}

mod identical;

impl Plan {
    /// Takes stored runs. Runs that leave a gap at the target, or overlap, are refused.
    pub(super) fn from_runs(runs: Vec<Run>, inherited: Vec<Run>) -> Option<Self> {
        let is_gapless = |runs: &[Run]| runs.windows(2).all(|two| matches!(two, [a, b] if a.target_end() == b.target));
        if !is_gapless(&runs) || !is_gapless(&inherited) {
            return None;
        }
        let end = inherited.last().map(|run| run.target_end());
        let disputed = first_difference(&inherited, &runs).zip(end);
        Some(Self { runs, inherited, disputed, sequences: None })
    }

    /// Our own runs.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The former owner's runs that may still be appended.
    pub(super) fn inherited(&self) -> &[Run] {
        &self.inherited
    }

    /// The target offset up to which appends of this link are explained.
    pub(super) fn end(&self) -> Option<TargetOffset> {
        let ends = [self.runs.last(), self.inherited.last()];
        ends.into_iter().flatten().map(|run| run.target_end()).max()
    }

    /// The runs between two target offsets, cut to them.
    pub(super) fn between(&self, from: TargetOffset, to: TargetOffset) -> Vec<Run> {
        let own = cut(&self.runs, from, to);
        if own.iter().map(|run| run.length).sum::<u64>() == to.distance_from(from) {
            own
        } else {
            cut(&self.inherited, from, to)
        }
    }

    /// The former owner's runs between two target offsets.
    pub(super) fn inherited_between(&self, from: TargetOffset, to: TargetOffset) -> Vec<Run> {
        cut(&self.inherited, from, to)
    }

    /// Whether records with these source offsets, appended from `target` on, are what is planned.
    pub(super) fn covers(&self, target: TargetOffset, records: &[SourceRun]) -> bool {
        let mut at = target;
        records.iter().all(|records| {
            let is_planned =
                rest_at(&self.runs, at).is_some_and(|run| run.source == records.source && run.length >= records.length);
            at = at.plus(records.length);
            is_planned
        })
    }

    /// What to expect at `target` when the source was scanned to `source` and nothing more is known: what the former
    /// owner planned, as far as that can still be so, because it may have read further than we have, and its last
    /// append may arrive before ours; behind that, that the source goes on without a hole.
    pub(super) fn expect(&self, target: TargetOffset, source: SourceOffset, length: u64) -> Vec<SourceRun> {
        let former = cut(&self.inherited, target, LAST);
        let mut expected: Vec<SourceRun> = match former.first() {
            Some(first) if first.target == target && first.source >= source => {
                former.iter().map(|run| SourceRun { source: run.source, length: run.length }).collect()
            }
            Some(_) | None => Vec::new(),
        };
        let known: u64 = expected.iter().map(|run| run.length).sum();
        if known < length {
            let source = former.last().filter(|_| known > 0).map_or(source, |run| run.source_end());
            expected.push(SourceRun { source, length: length - known });
        }
        expected
    }

    /// What a successor takes over: everything planned beyond the log end that it found.
    pub(super) fn inherit_from(&self, log_end: TargetOffset) -> Vec<Run> {
        let own = cut(&self.runs, log_end, LAST);
        if own.is_empty() { cut(&self.inherited, log_end, LAST) } else { own }
    }

    /// What is left from `at` on when the former owner's batch turned out to be there before it: all of ours that was
    /// planned behind it was never sent, so whatever else is there is the former owner's, too.
    pub(super) fn without_own(&self, at: TargetOffset) -> Self {
        Self { runs: Vec::new(), inherited: cut(&self.inherited, at, LAST), disputed: None, sequences: None }
    }

    /// From where to where an append of the former owner would be another record than ours: between these offsets
    /// an acknowledgement alone does not tell whose bytes are there. `None`: nowhere.
    pub(super) fn disputed(&self) -> Option<(TargetOffset, TargetOffset)> {
        self.disputed
    }
}

/// Behind every log end.
const LAST: TargetOffset = TargetOffset::ZERO.plus(u64::MAX);

/// The first target offset that both have, for different source offsets. Both are in order and without gaps.
fn first_difference(old: &[Run], new: &[Run]) -> Option<TargetOffset> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    while let (Some(a), Some(b)) = (old.peek(), new.peek()) {
        let from = a.target.max(b.target);
        let is_common = from < a.target_end().min(b.target_end());
        let source_in = |run: &Run| run.source.plus(from.distance_from(run.target));
        if is_common && source_in(a) != source_in(b) {
            return Some(from);
        }
        if a.target_end() <= b.target_end() {
            old.next();
        } else {
            new.next();
        }
    }
    None
}

/// What is left of the run that holds a target offset, from there on.
fn rest_at(runs: &[Run], at: TargetOffset) -> Option<Run> {
    let run = runs.get(runs.partition_point(|run| run.target_end() <= at))?;
    let passed = (run.target <= at).then(|| at.distance_from(run.target))?;
    Some(Run { source: run.source.plus(passed), target: at, length: run.length - passed })
}

/// Runs between two target offsets, cut to them. They are in order, and there can be very many.
pub(super) fn cut(runs: &[Run], from: TargetOffset, to: TargetOffset) -> Vec<Run> {
    let first = runs.partition_point(|run| run.target_end() <= from);
    let parts = runs.iter().skip(first).take_while(|run| run.target < to).map(|run| {
        let start = run.target.max(from);
        Run {
            source: run.source.plus(start.distance_from(run.target)),
            target: start,
            length: run.target_end().min(to).distance_from(start),
        }
    });
    parts.collect()
}

/// Puts source runs one behind the other from a target offset on, joining those that continue each other.
pub(super) fn lay_out(target: TargetOffset, records: impl IntoIterator<Item = SourceRun>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = target;
    for records in records {
        match runs.last_mut() {
            Some(last) if last.source_end() == records.source => last.length += records.length,
            _ => runs.push(Run { source: records.source, target: at, length: records.length }),
        }
        at = at.plus(records.length);
    }
    runs
}

#[cfg(test)]
mod tests;
