//! Plans of partitions whose offsets are the same on both sides.
//!
//! Their runs may have gaps between them, which are filled. A fill takes offsets and no sequences, so what a batch in
//! the target's log holds is told by its sequence: the n-th record of the plan has the n-th sequence. Where it then
//! lies is told by the log, and where it should lie by the plan.

use super::{LAST, Plan, cut};
use crate::batch::SourceRun;
use crate::mirror::take_over_identical::same_on_both_sides;
use crate::types::{Run, Sequence, SourceOffset, TargetOffset};

impl Plan {
    /// A plan of records in rising order, the first of which has the sequence `first`. Runs that are not the same on
    /// both sides are refused; those of a former owner may be anything.
    pub(in crate::mirror) fn identical(
        runs: Vec<Run>,
        first: Sequence,
        inherited: Vec<Run>,
        inherited_first: Sequence,
    ) -> Option<Self> {
        let is_rising = |runs: &[Run]| runs.windows(2).all(|two| matches!(two, [a, b] if a.target_end() <= b.target));
        let is_same = |run: &Run| run.source.get() == run.target.get();
        if !is_rising(&runs) || !is_rising(&inherited) || !runs.iter().all(is_same) {
            return None;
        }
        let mut plan = Self { runs, inherited, disputed: None, sequences: Some((first, inherited_first)) };
        plan.disputed = plan.first_dispute();
        Some(plan)
    }

    /// Nothing is planned; the next record has this sequence.
    pub(in crate::mirror) fn nothing_from(sequence: Sequence) -> Self {
        Self { sequences: Some((sequence, sequence)), ..Self::default() }
    }

    /// The sequences of the first records, ours and the former owner's.
    pub(in crate::mirror) fn sequences(&self) -> Option<(Sequence, Sequence)> {
        self.sequences
    }

    /// What we planned to send under these sequences.
    pub(in crate::mirror) fn ours_at(&self, sequence: Sequence, count: u64) -> Option<Vec<SourceRun>> {
        let (first, _) = self.sequences?;
        counted(&self.runs, sequence.distance_from(first), count)
    }

    /// What the former owner planned to send under them.
    pub(in crate::mirror) fn theirs_at(&self, sequence: Sequence, count: u64) -> Option<Vec<SourceRun>> {
        let (_, first) = self.sequences?;
        counted(&self.inherited, sequence.distance_from(first), count)
    }

    /// Everything that an owner before us planned from a sequence on, and may still append.
    pub(in crate::mirror) fn left_from(&self, sequence: Sequence) -> Vec<Run> {
        let Some((first, inherited_first)) = self.sequences else { return Vec::new() };
        let ours = skipped(&self.runs, sequence.distance_from(first));
        if ours.is_empty() { skipped(&self.inherited, sequence.distance_from(inherited_first)) } else { ours }
    }

    /// What is left of the former owner's plan from a sequence on.
    pub(in crate::mirror) fn left_of_former(&self, sequence: Sequence) -> Vec<Run> {
        let Some((_, first)) = self.sequences else { return Vec::new() };
        skipped(&self.inherited, sequence.distance_from(first))
    }

    /// Whether it is planned that nothing lies between two target offsets.
    pub(in crate::mirror) fn is_gap(&self, from: TargetOffset, to: TargetOffset) -> bool {
        let next = self.runs.partition_point(|run| run.target_end() <= from);
        from >= to || self.runs.get(next).is_some_and(|run| run.target >= to)
    }

    /// What to expect where the source was scanned to `source` and nothing more is known: what the former owner
    /// planned, and behind it no hole.
    pub(in crate::mirror) fn expect_identical(&self, source: SourceOffset, length: u64) -> Vec<SourceRun> {
        let former = cut(&self.inherited, source.in_place(), LAST);
        let is_same = former.iter().all(|run| run.source.get() == run.target.get());
        let mut expected: Vec<SourceRun> = Vec::new();
        if is_same {
            expected.extend(former.iter().map(|run| SourceRun { source: run.source, length: run.length }));
        }
        let known: u64 = expected.iter().map(|run| run.length).sum();
        if known < length {
            let next = expected.last().map_or(source, |run| run.source.plus(run.length));
            expected.push(SourceRun { source: next, length: length - known });
        }
        expected
    }

    /// What a new owner plans that found itself here: what is left of the former owner's plan, and beyond it that the
    /// source has no hole.
    ///
    /// Where late control records lie in places that the former owner planned records for, its plan is all there is:
    /// were the same sequences planned anew behind them, a record of the former owner's that arrives there later would
    /// be taken for the one whose place it took.
    pub(in crate::mirror) fn gone_on_with(
        &self,
        (source, target): (SourceOffset, TargetOffset),
        first: Sequence,
        length: u64,
    ) -> Self {
        let from = source.max(target.in_place());
        let is_taken = self.inherited.first().is_some_and(|run| run.source < from);
        let runs = if is_taken { Vec::new() } else { same_on_both_sides(self.expect_identical(from, length)) };
        Self::identical(runs, first, self.inherited.clone(), first).unwrap_or_default()
    }

    /// From where on the same sequences stand for other records in the former owner's plan, and where its plan ends.
    fn first_dispute(&self) -> Option<(TargetOffset, TargetOffset)> {
        let (first, inherited_first) = self.sequences?;
        let inherited = skipped(&self.inherited, first.distance_from(inherited_first));
        let total: u64 = inherited.iter().map(|run| run.length).sum();
        let (mut ours, mut theirs) = (self.runs.iter().copied(), inherited.into_iter());
        let (mut a, mut b) = (ours.next(), theirs.next());
        let mut from = None;
        while let (Some(our_run), Some(their_run)) = (a, b) {
            if our_run.source != their_run.source {
                from = Some(our_run.target);
                break;
            }
            let common = our_run.length.min(their_run.length);
            a = rest_of(our_run, common).or_else(|| ours.next());
            b = rest_of(their_run, common).or_else(|| theirs.next());
        }
        let to = counted(&self.runs, total.checked_sub(1)?, 1)
            .and_then(|last| Some(last.first()?.source.plus(1).in_place()))
            .or_else(|| self.runs.last().map(|run| run.target_end()));
        from.zip(to).filter(|(from, to)| from < to)
    }
}

fn rest_of(run: Run, passed: u64) -> Option<Run> {
    (passed < run.length).then(|| Run {
        source: run.source.plus(passed),
        target: run.target.plus(passed),
        length: run.length - passed,
    })
}

/// What is left of some runs behind their first `count` records.
fn skipped(runs: &[Run], count: u64) -> Vec<Run> {
    if count >= Sequence::HALF {
        return Vec::new();
    }
    let mut left = count;
    let mut rest = Vec::new();
    for run in runs {
        let passed = left.min(run.length);
        left -= passed;
        rest.extend(rest_of(*run, passed));
    }
    rest
}

/// `count` records behind the first `skip` ones; `None` when there are not so many.
fn counted(runs: &[Run], skip: u64, count: u64) -> Option<Vec<SourceRun>> {
    if skip >= Sequence::HALF {
        return None;
    }
    let (mut left, mut missing) = (skip, count);
    let mut found: Vec<SourceRun> = Vec::new();
    for run in runs {
        if missing == 0 {
            break;
        }
        let passed = left.min(run.length);
        left -= passed;
        let Some(run) = rest_of(*run, passed) else { continue };
        let length = run.length.min(missing);
        missing -= length;
        match found.last_mut() {
            Some(last) if last.source.plus(last.length) == run.source => last.length += length,
            Some(_) | None => found.push(SourceRun { source: run.source, length }),
        }
    }
    (missing == 0).then_some(found)
}
