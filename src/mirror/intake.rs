//! What was fetched of one partition and is not acknowledged yet.
//!
//! Owns: the queue of data batches, the memory they hold, how far the source was scanned.
//! Promises: memory is given back when the last record that it holds is acknowledged, not before.
//! Does not know: how batches are made acceptable, or sent.

use std::collections::VecDeque;

use super::fetch::Held;
use crate::batch::{Admission, BatchHeader, RawBatch, SourceRun};
use crate::types::{LeaderEpoch, SourceOffset};

/// The source side of a partition's pipeline.
#[derive(Debug)]
pub(super) struct Intake {
    /// Data batches, oldest first.
    pub(super) queue: VecDeque<RawBatch>,
    held: VecDeque<(SourceOffset, Held)>,
    /// Up to which offset a leader epoch goes, oldest first.
    epochs: VecDeque<(SourceOffset, LeaderEpoch)>,
    scanned_to: SourceOffset,
}

impl Intake {
    pub(super) fn new(position: SourceOffset) -> Self {
        Self { queue: VecDeque::new(), held: VecDeque::new(), epochs: VecDeque::new(), scanned_to: position }
    }

    /// The source offset after everything that was fetched.
    pub(super) fn scanned_to(&self) -> SourceOffset {
        self.scanned_to
    }

    /// Takes fetched batches. Those that hold no data for us (markers, aborted data, batches of our own target's
    /// link) only move the end.
    pub(super) fn take(&mut self, batches: Vec<(RawBatch, Admission)>, held: Held) {
        for (batch, admission) in batches {
            let Some(end) = end_of(&batch.header) else { continue };
            self.scanned_to = self.scanned_to.max(end);
            if batch.header.leader_epoch >= 0 {
                let epoch = LeaderEpoch(batch.header.leader_epoch);
                match self.epochs.back_mut() {
                    Some((last, same)) if *same == epoch => *last = end,
                    Some(_) | None => self.epochs.push_back((end, epoch)),
                }
            }
            match admission {
                Admission::Data => self.queue.push_back(batch),
                Admission::Control | Admission::Aborted => {}
            }
        }
        self.held.push_back((self.scanned_to, held));
    }

    /// Everything before `position` is done: gives its memory back, and tells the leader epoch there, where known.
    pub(super) fn release(&mut self, position: SourceOffset) -> Option<LeaderEpoch> {
        while self.held.front().is_some_and(|(end, _)| *end <= position) {
            self.held.pop_front();
        }
        while self.epochs.len() > 1 && self.epochs.front().is_some_and(|(end, _)| *end < position) {
            self.epochs.pop_front();
        }
        self.epochs.front().map(|(_, epoch)| *epoch)
    }

    /// The source offsets of the queued records from `from` on, as far as the headers tell: up to the first batch
    /// that has holes. The second value is whether they tell all.
    pub(super) fn dense_runs(&self, from: SourceOffset) -> (Vec<SourceRun>, bool) {
        let mut runs: Vec<SourceRun> = Vec::new();
        for header in self.queue.iter().map(|batch| &batch.header) {
            let (Ok(base), Some(end)) = (SourceOffset::new(header.base_offset), end_of(header)) else {
                return (runs, false);
            };
            if i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
                return (runs, false);
            }
            let start = base.max(from);
            if start >= end {
                continue;
            }
            let length = end.distance_from(start);
            match runs.last_mut() {
                Some(last) if last.source.plus(last.length) == start => last.length += length,
                Some(_) | None => runs.push(SourceRun { source: start, length }),
            }
        }
        (runs, true)
    }
}

fn end_of(header: &BatchHeader) -> Option<SourceOffset> {
    SourceOffset::new(header.last_offset()).ok().map(|last| last.plus(1))
}
