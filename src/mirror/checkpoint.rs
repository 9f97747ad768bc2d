//! Plans and checkpoints: what of a partition's progress is stored, and when.
//!
//! Owns: the one write of state that a partition has under way.
//! Promises: a plan is stored together with the position that it begins at; a checkpoint follows progress within the
//! checkpoint interval; a failed write is repeated.
//! Does not know: how state is stored.

use std::time::Duration;

use tokio::time::Instant;

use super::partition::Ended;
use super::plan::{Plan, lay_out};
use super::stream::Stream;
use super::take_over_identical::same_on_both_sides;
use crate::batch::SourceRun;
use crate::store::{StoreError, Write};
use crate::types::{SourceOffset, TargetOffset};

/// The least number of records that a plan guesses ahead.
const AHEAD_LEAST: u64 = 1 << 12;
/// Runs of one plan, some four bytes each: a state record with two such lists stays below Kafka's usual megabyte.
pub(super) const PLAN_RUNS_MAX: usize = 50_000;
/// How long to wait before state is written again after a failure.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

impl Stream<'_> {
    /// Whether all ready batches may be sent as far as the stored plan goes.
    pub(super) fn is_ready_planned(&self) -> bool {
        if self.is_identical {
            return self.is_ready_planned_in_place();
        }
        let mut target = self.next_target();
        self.ready.iter().all(|prepared| {
            let is_planned = self.plan.covers(target, &prepared.runs);
            target = target.plus(u64::from(prepared.record_count));
            is_planned
        })
    }

    /// Stores a new plan when ready batches need it, or when the old one will soon be used up.
    pub(super) fn plan_ahead(&mut self) {
        if self.writing.is_some() || (self.is_ready_planned() && !self.is_plan_short()) {
            return;
        }
        if !self.write_again.is_empty() && Instant::now() < self.checkpoint_at {
            return;
        }
        self.adapt_guess();
        let plan = self.wanted_plan();
        // As much as fits is planned already; the rest follows when some of it has been acknowledged.
        if plan != self.plan {
            self.begin_write(Some(plan));
        }
    }

    /// Where plans ahead turn out wrong, long ones are of no use: whatever was planned and not sent is what a
    /// successor must reckon with.
    fn adapt_guess(&mut self) {
        let longest = self.partition.services.settings.plan_ahead;
        let end = self.plan.end().unwrap_or(TargetOffset::ZERO);
        let was_wrong = end >= self.guess_begins_at().plus(self.guess / 2);
        let guess = if was_wrong { self.guess / 2 } else { self.guess.saturating_mul(2) };
        self.guess = guess.clamp(AHEAD_LEAST.min(longest), longest);
    }

    /// The target offset behind all that was fetched.
    fn guess_begins_at(&self) -> TargetOffset {
        if self.is_identical {
            return self.intake.scanned_to().in_place();
        }
        let (runs, _) = self.intake.dense_runs(self.next_source());
        let ready: u64 = self.ready.iter().map(|prepared| u64::from(prepared.record_count)).sum();
        let queued: u64 = runs.iter().map(|run| run.length).sum();
        self.next_target().plus(ready + queued)
    }

    /// Whether what will come next, if it comes without a hole, is planned far enough ahead.
    fn is_plan_short(&self) -> bool {
        let (_, is_all) = self.intake.dense_runs(self.next_source());
        if !is_all {
            return false;
        }
        let target = self.guess_begins_at();
        if self.is_identical {
            return !self.plan.is_gap(self.known_end(), target)
                || self.plan.end().is_none_or(|end| end < target.plus(self.guess / 2));
        }
        let expected = self.plan.expect(target, self.intake.scanned_to(), self.guess / 2);
        !self.plan.covers(target, &expected)
    }

    /// Everything that is known of what comes next, from the acknowledged position on, and a guess beyond. No more of
    /// it than a state record holds, but always the next batch.
    fn wanted_plan(&self) -> Plan {
        let (start, sequence) = match self.partition.live.lock().position.as_ref() {
            Some(position) => (position.place(), position.sequence()),
            None => return Plan::default(),
        };
        let mut known: Vec<SourceRun> =
            self.window.batches().flat_map(|batch| batch.prepared.runs.iter().copied()).collect();
        let mut is_all = true;
        for (number, prepared) in self.ready.iter().enumerate() {
            is_all = number == 0 || known.len() + prepared.runs.len() <= PLAN_RUNS_MAX;
            if !is_all {
                break;
            }
            known.extend(prepared.runs.iter().copied());
        }
        if is_all {
            let (in_queue, is_queue_known) = self.intake.dense_runs(self.next_source());
            is_all = is_queue_known && known.len() + in_queue.len() <= PLAN_RUNS_MAX;
            known.extend(in_queue.into_iter().take(PLAN_RUNS_MAX.saturating_sub(known.len())));
        }
        if self.is_identical {
            if is_all {
                known.extend(self.plan.expect_identical(self.intake.scanned_to(), self.guess));
            }
            let inherited = self.plan.left_of_former(sequence);
            return Plan::identical(same_on_both_sides(known), sequence, inherited, sequence).unwrap_or_default();
        }
        if is_all {
            let target = start.plus(known.iter().map(|run| run.length).sum());
            known.extend(self.plan.expect(target, self.intake.scanned_to(), self.guess));
        }
        let runs = lay_out(start, known);
        let inherited = self.plan.inherited().iter().filter(|run| run.target_end() > start).copied().collect();
        Plan::from_runs(runs, inherited).unwrap_or_default()
    }

    /// The same where every record has its own place: what lies between two batches must be planned as a gap.
    fn is_ready_planned_in_place(&self) -> bool {
        let mut at = self.next_target();
        self.ready.iter().all(|prepared| {
            let start = prepared.runs.first().map(|run| run.source.in_place());
            let Some(start) = start else { return false };
            let is_planned = self.plan.is_gap(at, start) && self.plan.covers(start, &prepared.runs);
            at = start.plus(u64::from(prepared.record_count));
            is_planned
        })
    }

    /// Where the last record ends that was fetched.
    fn known_end(&self) -> TargetOffset {
        let (runs, _) = self.intake.dense_runs(self.next_source());
        let queued = runs.last().map(|run| run.source.plus(run.length));
        let ready =
            || self.ready.back().and_then(|prepared| prepared.runs.last()).map(|run| run.source.plus(run.length));
        let end = queued.or_else(ready).map(SourceOffset::in_place);
        end.unwrap_or_else(|| self.next_target())
    }

    /// Writes a checkpoint when one is due.
    pub(super) fn checkpoint_when_due(&mut self) {
        let is_due = Instant::now() >= self.checkpoint_at || self.partition.stop.is_cancelled();
        if is_due && self.wants_checkpoint() {
            self.begin_write(None);
        }
    }

    /// Whether there is something to write, and nothing to wait for first: the last checkpoint comes when all answers
    /// are there.
    pub(super) fn wants_checkpoint(&self) -> bool {
        let is_settled = !self.partition.stop.is_cancelled() || self.window.under_way() == 0;
        self.is_dirty && is_settled && self.writing.is_none()
    }

    fn begin_write(&mut self, plan: Option<Plan>) {
        let partition = self.partition;
        let services = std::sync::Arc::clone(&partition.services);
        let mut writes: Vec<Write> = std::mem::take(&mut self.write_again);
        let removals;
        {
            let mut live = partition.live.lock();
            let log_start = live.watermarks.map(|marks| marks.log_start);
            let Some(position) = live.position.as_mut() else { return };
            if let Some(log_start) = log_start {
                position.prune_below(log_start);
            }
            let closed;
            (closed, removals) = position.close_chunks(&services.settings.link, &partition.assignment.source);
            writes.extend(closed);
        }
        // Chunks are closed once: if this write fails they go into the next one. The rest is made anew then.
        let mut write_again = writes.clone();
        write_again.extend(removals.iter().cloned());
        writes.extend(partition.position_write());
        writes.extend(plan.as_ref().map(|plan| partition.plan_write(plan)));
        writes.extend(removals);
        let (lease, live) = (partition.assignment.lease.clone(), std::sync::Arc::clone(&partition.live));
        live.lock().marks.begin(&writes);
        self.is_dirty = false;
        self.checkpoint_at = Instant::now() + services.settings.checkpoint_interval;
        self.writing = Some(Box::pin(async move {
            let result = services.store.write(&lease, writes).await;
            if result.is_ok() {
                live.lock().marks.commit();
            }
            (result, plan, write_again)
        }));
    }

    /// A write of state ended.
    pub(super) async fn on_written(
        &mut self,
        result: Result<(), StoreError>,
        plan: Option<Plan>,
        write_again: Vec<Write>,
    ) -> Option<Ended> {
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.writes_failed) > 0 {
                    self.partition.live.lock().state_trouble = None;
                }
                if let Some(plan) = plan {
                    self.plan = plan;
                }
                None
            }
            Err(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => Some(Ended::Over),
            Err(StoreError::Unavailable(reason)) => {
                self.partition.services.measures.written_again.increment(1);
                let cluster = self.partition.services.target.name();
                let trouble = format!("state on cluster {cluster} could not be written: {reason}").into();
                self.partition.live.lock().state_trouble = Some(trouble);
                self.writes_failed = self.writes_failed.saturating_add(1);
                self.write_again = write_again;
                self.is_dirty = true;
                self.checkpoint_at = Instant::now() + AGAIN_AFTER;
                tokio::time::sleep(AGAIN_AFTER).await;
                None
            }
        }
    }
}
