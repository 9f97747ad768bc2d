//! A partition's leader as far as producers can tell: the rules of idempotent appends.

use std::collections::VecDeque;

use crate::mirror::reconcile::Observation;
use crate::mirror::target::{Landed, Walk};
use crate::types::{ProducerEpoch, Sequence, TargetOffset};

/// Batches of a producer that a broker remembers.
const REMEMBERED: usize = 5;

/// One append on the wire: the first sequence, and which source offsets its records have.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) sequence: Sequence,
    pub(super) records: Vec<i64>,
}

/// What a record of a local writer looks like.
const OTHERS: i64 = -1;

#[derive(Debug, Clone, Copy)]
struct Remembered {
    first: Sequence,
    count: u64,
    base: i64,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    /// The source offset of each record; [`OTHERS`] for a record that somebody else wrote.
    pub(super) log: Vec<i64>,
    /// The sequence of each record of ours.
    sequences: Vec<Option<Sequence>>,
    /// Batches of ours.
    batches: Vec<Landed>,
    /// Oldest first; empty: the producer is not known.
    remembered: VecDeque<Remembered>,
}

impl Broker {
    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.log.len()).unwrap()
    }

    /// Appends, or says why not: error code and base offset.
    pub(super) fn append(&mut self, request: &Request) -> (i16, i64) {
        let count = u64::try_from(request.records.len()).unwrap();
        let is_same = |one: &&Remembered| one.first == request.sequence && one.count == count;
        if let Some(duplicate) = self.remembered.iter().find(is_same) {
            return (0, duplicate.base);
        }
        if self.last().is_some_and(|last| last.plus(1) != request.sequence) {
            return (45, -1);
        }
        let base = self.end();
        self.log.extend(&request.records);
        self.sequences.extend((0..count).map(|n| Some(request.sequence.plus(n))));
        let target = TargetOffset::new(base).unwrap();
        self.batches.push(Landed { target, sequence: request.sequence, length: count });
        self.remembered.push_back(Remembered { first: request.sequence, count, base });
        if self.remembered.len() > REMEMBERED {
            self.remembered.pop_front();
        }
        (0, base)
    }

    /// Somebody else writes a record.
    pub(super) fn append_other(&mut self) {
        self.log.push(OTHERS);
        self.sequences.push(None);
    }

    /// The source offsets of our records, with where each of them is.
    pub(super) fn own(&self) -> impl Iterator<Item = (TargetOffset, i64)> {
        let all = self.log.iter().zip(0..).filter(|(source, _)| **source != OTHERS);
        all.map(|(source, target)| (TargetOffset::new(target).unwrap(), *source))
    }

    pub(super) fn walk(&self, from: TargetOffset, to: TargetOffset) -> Walk {
        let is_between = |batch: &&Landed| batch.target >= from && batch.target < to;
        let own = self.batches.iter().filter(is_between).copied().collect();
        Walk { own, is_whole: true, is_complete: true }
    }

    /// Forgets the producer.
    pub(super) fn sweep(&mut self) {
        self.remembered.clear();
    }

    /// Restarts: a snapshot holds the last batch only.
    pub(super) fn restart(&mut self) {
        while self.remembered.len() > 1 {
            self.remembered.pop_front();
        }
    }

    pub(super) fn last(&self) -> Option<Sequence> {
        self.remembered.back().map(|last| last.first.plus(last.count - 1))
    }

    pub(super) fn observation(&self, last: Option<Sequence>) -> Observation {
        let state = last.map(|last| (ProducerEpoch(0), Some(last)));
        Observation { state, log_end: TargetOffset::new(self.end()).unwrap() }
    }

    /// Whether all records from `from` on have the sequences that they must have.
    pub(super) fn is_ours(&self, from: (TargetOffset, Sequence)) -> bool {
        let start = usize::try_from(from.0.get()).unwrap();
        let expected = (0..).map(|n| from.1.plus(n));
        self.sequences.iter().skip(start).zip(expected).all(|(is, expected)| *is == Some(expected))
    }

    pub(super) fn holds(&self, at: TargetOffset, records: &[i64]) -> bool {
        let start = usize::try_from(at.get()).unwrap();
        self.log.get(start..start + records.len()) == Some(records)
    }
}
