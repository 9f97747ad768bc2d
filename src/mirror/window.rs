//! The batches of one partition that are on their way, in order.
//!
//! Owns: [`Window`] and [`InFlight`].
//! Promises: a batch leaves the window only by an acknowledgement, or by a look at the log; what is sent again is
//! the same bytes with the same sequence.
//! Does not know: brokers, tasks, clocks.

use std::collections::VecDeque;

use super::producer::Outcome;
use crate::batch::{Prepared, Stamp, Stamped};
use crate::types::{Run, SourceOffset, TargetOffset};

/// One batch with its place on both sides.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Where it must land; where others write as well, its place (see `Position::place`).
    pub(super) runs: Vec<Run>,
    pub(super) target: TargetOffset,
    pub(super) target_end: TargetOffset,
    /// Where it did land: elsewhere only where others write as well.
    pub(super) landed: TargetOffset,
    /// The source offset to go on from after it.
    pub(super) next_source: SourceOffset,
    pub(super) batch: Stamped,
    pub(super) prepared: Prepared,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Not sent, or to be sent again.
    Waiting,
    Sent {
        number: u64,
    },
    Answered(Outcome),
}

/// The batches in flight, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    batches: VecDeque<InFlight>,
    /// Where others write as well: from which target offset on a batch may land.
    floor: Option<TargetOffset>,
}

/// What the front of the window allows.
#[derive(Debug)]
pub(super) enum Front {
    /// The oldest batch has no answer yet, or there is none.
    Open,
    /// The oldest batch landed where it must.
    Acknowledged(Box<InFlight>),
    /// The oldest answered batch did not; all others have been answered too.
    Unsettled(Outcome),
}

impl Window {
    /// A window onto a partition that others write to as well: a batch may land anywhere from `floor` on.
    pub(super) fn among_others(floor: TargetOffset) -> Self {
        Self { batches: VecDeque::new(), floor: Some(floor) }
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The batches, oldest first.
    pub(super) fn batches(&self) -> impl Iterator<Item = &InFlight> {
        self.batches.iter()
    }

    /// Stamps a prepared batch and puts it behind the others, to be sent.
    pub(super) fn push(&mut self, prepared: Prepared, stamp: &Stamp, runs: Vec<Run>, target: TargetOffset) {
        let batch = prepared.stamp(stamp);
        self.batches.push_back(InFlight {
            target,
            target_end: target.plus(u64::from(prepared.record_count)),
            landed: target,
            next_source: prepared.next_source,
            runs,
            batch,
            prepared,
            stage: Stage::Waiting,
        });
    }

    /// How many were sent and have no answer.
    pub(super) fn under_way(&self) -> usize {
        self.batches.iter().filter(|batch| matches!(batch.stage, Stage::Sent { .. })).count()
    }

    /// How many runs they are made of.
    pub(super) fn run_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.runs.len()).sum()
    }

    /// The oldest batch that waits to be sent.
    pub(super) fn next_waiting(&self) -> Option<&InFlight> {
        self.batches.iter().find(|batch| matches!(batch.stage, Stage::Waiting))
    }

    /// Notes that the oldest waiting batch is sent under this number.
    pub(super) fn mark_sent(&mut self, number: u64) {
        if let Some(batch) = self.batches.iter_mut().find(|batch| matches!(batch.stage, Stage::Waiting)) {
            batch.stage = Stage::Sent { number };
        }
    }

    /// Notes an answer. Numbers of batches that are no longer in the window are passed over.
    pub(super) fn mark_answered(&mut self, answered: u64, outcome: Outcome) {
        let sent = |batch: &&mut InFlight| matches!(batch.stage, Stage::Sent { number } if number == answered);
        if let Some(batch) = self.batches.iter_mut().find(sent) {
            batch.stage = Stage::Answered(outcome);
        }
    }

    /// What answers without a check would amount to: every one is good.
    pub(super) fn believe_answers(&mut self) {
        for batch in &mut self.batches {
            if let Stage::Answered(Outcome::Answered { code, base_offset, .. }) = &mut batch.stage {
                (*code, *base_offset) = (0, Some(batch.target));
            }
        }
    }

    /// No answer is waited for any more. One that comes all the same finds nothing that was sent under its number.
    pub(super) fn give_up(&mut self, outcome: &Outcome) {
        for batch in &mut self.batches {
            if matches!(batch.stage, Stage::Sent { .. }) {
                batch.stage = Stage::Answered(outcome.clone());
            }
        }
    }

    /// Takes the oldest batch off if it landed where it must.
    pub(super) fn take_front(&mut self) -> Front {
        if let Some(base) = self.batches.front().and_then(|front| self.landing_of(front)) {
            return match self.take_landed(base) {
                Some(front) => Front::Acknowledged(Box::new(front)),
                None => Front::Open,
            };
        }
        match self.batches.front() {
            Some(InFlight { stage: Stage::Answered(outcome), .. }) if self.under_way() == 0 => {
                Front::Unsettled(outcome.clone())
            }
            Some(_) | None => Front::Open,
        }
    }

    /// Whether an answer came that was not good: nothing else may be sent until the log was looked at.
    pub(super) fn is_unsettled(&self) -> bool {
        self.batches.iter().any(|batch| match &batch.stage {
            Stage::Answered(_) => self.landing_of(batch).is_none(),
            Stage::Waiting | Stage::Sent { .. } => false,
        })
    }

    /// Takes the oldest batch off: it landed at `base`.
    pub(super) fn take_landed(&mut self, base: TargetOffset) -> Option<InFlight> {
        let mut front = self.batches.pop_front()?;
        front.landed = base;
        self.floor = self.floor.map(|floor| floor.max(base.plus(front.target_end.distance_from(front.target))));
        Some(front)
    }

    /// What is left landed nowhere: it waits to be sent again, as it is.
    pub(super) fn wait_again(&mut self) {
        for batch in &mut self.batches {
            batch.stage = Stage::Waiting;
        }
    }

    /// Where a good answer says that the batch landed.
    fn landing_of(&self, batch: &InFlight) -> Option<TargetOffset> {
        let Stage::Answered(Outcome::Answered { code: 0, base_offset: Some(base), .. }) = &batch.stage else {
            return None;
        };
        let is_good = match self.floor {
            None => *base == batch.target,
            Some(floor) => *base >= floor,
        };
        is_good.then_some(*base)
    }

    /// The log ends at `log_end`: takes off what lies before it. The rest waits to be sent again, as it is. `None`
    /// when the log ends inside a batch or behind the last one: then the window does not describe the log.
    pub(super) fn settle(&mut self, log_end: TargetOffset) -> Option<Vec<InFlight>> {
        let starts = self.batches.iter().map(|batch| batch.target);
        let ends = self.batches.iter().map(|batch| batch.target_end);
        if !starts.chain(ends).any(|boundary| boundary == log_end) {
            return None;
        }
        let mut landed = Vec::new();
        while self.batches.front().is_some_and(|front| front.target_end <= log_end) {
            landed.extend(self.batches.pop_front());
        }
        self.wait_again();
        Some(landed)
    }

    /// The same, one batch at a time, where each must be looked at before it counts as landed.
    pub(super) fn settle_next(&mut self, log_end: TargetOffset) -> Option<InFlight> {
        let is_landed = self.batches.front().is_some_and(|front| front.target_end <= log_end);
        if is_landed { self.batches.pop_front() } else { None }
    }

    /// Where the last batch ends.
    pub(super) fn target_end(&self) -> Option<TargetOffset> {
        self.batches.back().map(|batch| batch.target_end)
    }
}

#[cfg(feature = "test-hazards")]
impl Window {
    /// What must never be done: all that is left waits to be sent again, the first two batches as one.
    pub(super) fn batch_anew(&mut self, writer: (crate::types::ProducerId, crate::types::ProducerEpoch)) {
        self.wait_again();
        if self.batches.len() < 2 {
            return;
        }
        if let Some(merged) = self.merge_first_two(writer) {
            self.batches.drain(..2);
            self.batches.push_front(merged);
        }
    }

    fn merge_first_two(&self, writer: (crate::types::ProducerId, crate::types::ProducerEpoch)) -> Option<InFlight> {
        let (mut records, mut runs, mut base_sequence) = (Vec::new(), Vec::new(), None);
        for batch in self.batches.iter().take(2) {
            let bytes = [&batch.batch.header, batch.batch.body.as_ref()].concat();
            let raw = crate::batch::split(bytes.into()).ok()?.pop()?;
            base_sequence = base_sequence.or(crate::types::Sequence::from_kafka(raw.header.base_sequence));
            let offsets =
                batch.runs.iter().flat_map(|run| (run.source.get()..).take(run.length.try_into().unwrap_or(0)));
            let decoded = crate::batch::decode(&raw, 64 << 20).ok()?;
            records.extend(
                decoded.into_iter().zip(offsets).map(|(record, offset)| crate::batch::Record { offset, ..record }),
            );
            runs.extend(batch.runs.iter().copied());
        }
        let (first, second) = (self.batches.front()?, self.batches.get(1)?);
        let raw = crate::batch::split(crate::batch::encode_batch(&records, crate::batch::Codec::None).ok()?).ok()?;
        let limits = crate::batch::Limits {
            batch_bytes_max: 1 << 30,
            decompressed_bytes_max: 64 << 20,
            merge_compressed_below: 0,
            records_max: usize::MAX,
            is_dense: false,
        };
        let from = first.runs.first()?.source;
        let crate::batch::Step::Send(prepared) = crate::batch::prepare(&mut raw.into(), from, &limits).ok()? else {
            return None;
        };
        let stamp = Stamp { producer_id: writer.0, producer_epoch: writer.1, base_sequence: base_sequence? };
        Some(InFlight {
            target: first.target,
            target_end: second.target_end,
            landed: first.target,
            next_source: second.next_source,
            runs,
            batch: prepared.stamp(&stamp),
            prepared,
            stage: Stage::Waiting,
        })
    }
}
