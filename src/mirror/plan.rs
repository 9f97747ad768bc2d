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
use crate::types::{Run, TargetOffset};

/// Planned runs, without a gap at the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    runs: Vec<Run>,
    /// What a former owner planned beyond the log end that we found: its last requests may still arrive.
    inherited: Vec<Run>,
}

impl Plan {
    /// Takes stored runs. Runs that leave a gap at the target, or overlap, are refused.
    pub(super) fn from_runs(runs: Vec<Run>, inherited: Vec<Run>) -> Option<Self> {
        let is_gapless = |runs: &[Run]| runs.windows(2).all(|two| matches!(two, [a, b] if a.target_end() == b.target));
        (is_gapless(&runs) && is_gapless(&inherited)).then_some(Self { runs, inherited })
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
            let planned = cut(&self.runs, at, at.plus(records.length));
            let is_planned = matches!(planned.as_slice(),
                [run] if run.target == at && run.source == records.source && run.length == records.length);
            at = at.plus(records.length);
            is_planned
        })
    }

    /// What a successor takes over: everything planned beyond the log end that it found.
    pub(super) fn inherit_from(&self, log_end: TargetOffset) -> Vec<Run> {
        let end = TargetOffset::new(i64::MAX).unwrap_or(log_end);
        let own = cut(&self.runs, log_end, end);
        if own.is_empty() { cut(&self.inherited, log_end, end) } else { own }
    }

    /// From where to where an append of the former owner would be another record than ours: between these offsets
    /// an acknowledgement alone does not tell whose bytes are there. `None`: nowhere.
    pub(super) fn disputed(&self) -> Option<(TargetOffset, TargetOffset)> {
        let end = self.inherited.last()?.target_end();
        let first_difference = self
            .inherited
            .iter()
            .find_map(|old| self.runs.iter().filter_map(|new| first_difference(*old, *new)).min())?;
        (first_difference < end).then_some((first_difference, end))
    }
}

/// The first target offset that two runs both have, for different source offsets.
fn first_difference(old: Run, new: Run) -> Option<TargetOffset> {
    let from = old.target.max(new.target);
    let to = old.target_end().min(new.target_end());
    if from >= to {
        return None;
    }
    let old_source = old.source.plus(from.distance_from(old.target));
    let new_source = new.source.plus(from.distance_from(new.target));
    (old_source != new_source).then_some(from)
}

fn cut(runs: &[Run], from: TargetOffset, to: TargetOffset) -> Vec<Run> {
    let parts = runs.iter().filter_map(|run| {
        let start = run.target.max(from);
        let end = run.target_end().min(to);
        (start < end).then(|| Run {
            source: run.source.plus(start.distance_from(run.target)),
            target: start,
            length: end.distance_from(start),
        })
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
