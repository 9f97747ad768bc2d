//! Taking over a partition whose offsets are the same on both sides, and letting them part.
//!
//! Owns: what the target's log must look like behind the checkpoint, and what follows where it does not.
//! Promises: the log end alone proves nothing: every batch behind the checkpoint is looked at; offsets part only
//! here, and that is stored before anything else is written.
//! Does not know: how gaps are filled.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::OffsetsMode;
use super::identity::Relation;
use super::partition::{Ended, Known, Partition};
use super::plan::{AHEAD_FIRST, Plan, lay_out};
use super::position::Position;
use super::reconcile::Observation;
use super::stop::StopReason;
use super::takeover::{Judgement, Sightings, next_sequence};
use super::walk::{Authors, Piece, follow, follow_among_others, take_in_deleted, walk};
use crate::tasks::Backoff;
use crate::types::{Run, TargetOffset};

/// How much of the log before a lost end is looked at.
const LOOK_BACK: u64 = 10_000;

impl Partition {
    /// Brings position and plan in line with the target's log.
    pub(super) async fn reconcile_identical(&self, known: &mut Known) -> Result<(), Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut sightings = Sightings::default();
        loop {
            let (seen, _) = self.observe().await;
            match self.judge_identical(known, &seen, &mut sightings).await {
                Ok(true) => break,
                Ok(false) => backoff.pause().await,
                Err(Judgement::Ended(ended)) => return Err(ended),
                Err(Judgement::Unreadable(error)) => self.wait_out(&error, &mut backoff).await,
            }
        }
        self.former_at.store(-1, Ordering::Relaxed);
        Ok(())
    }

    async fn judge_identical(
        &self,
        known: &mut Known,
        seen: &Observation,
        sightings: &mut Sightings,
    ) -> Result<bool, Judgement> {
        let source_offset = known.position.source();
        if seen.state.is_some_and(|(epoch, _)| epoch > self.services.writer.1) {
            return Err(Judgement::Ended(Ended::Stopped(StopReason::Fenced { source_offset })));
        }
        let explained = if seen.log_end < known.position.target() { None } else { self.explained(known, seen).await? };
        if let Some(position) = explained {
            if !position.is_identical() && self.assignment.offsets == OffsetsMode::PreserveOrStop {
                let because = super::walk::SHIFTED.to_owned();
                return Err(Judgement::Ended(Ended::Stopped(StopReason::Parted { because, source_offset })));
            }
            let left = known.plan.left_from(position.sequence());
            let first = position.sequence();
            known.plan = Plan::identical(Vec::new(), first, left, first).unwrap_or_default();
            known.position = position;
            return Ok(true);
        }
        if sightings.add(*seen) < super::takeover::FOREIGN_SIGHTINGS {
            return Ok(false);
        }
        self.judge_identical_surprise(known, seen).await
    }

    /// The position at the log end, if the plan explains all that lies behind the one we know.
    async fn explained(&self, known: &Known, seen: &Observation) -> Result<Option<Position>, Judgement> {
        let (target, partition) = (&self.services.target, &self.assignment.target);
        let from = known.position.target();
        let authors = self.authors(&known.position);
        let pieces = walk(target, partition, authors, from, seen.log_end).await?;
        let former_at = TargetOffset::new(self.former_at.load(Ordering::Relaxed)).ok();
        let followed = follow(&known.position, &known.plan, &pieces, seen.log_end, former_at);
        let followed = match (followed, seen.state) {
            // Nothing is left to walk over: only the leader's memory of us tells what was there.
            (Some(_), Some((_, Some(last)))) if pieces == [Piece::Deleted] => {
                let mut position = known.position.clone();
                let taken = take_in_deleted(&mut position, &known.plan, last.plus(1), seen.log_end);
                position.advance_target(seen.log_end);
                taken.map(|()| position)
            }
            (followed, _) => followed,
        };
        // Where the leader knows us, it must know the last of these batches.
        let is_proven = |position: &Position| match seen.state {
            Some((epoch, Some(last))) if epoch == self.services.writer.1 => last.plus(1) == position.sequence(),
            Some(_) | None => true,
        };
        Ok(followed.filter(is_proven))
    }

    /// Whose batches are ours. A transactional id can have got another producer id since it was last used.
    fn authors(&self, position: &Position) -> Authors<'_> {
        let before = position.relation().account().and_then(|account| account.transactional);
        let now = self.transactional.as_ref().map(|by| by.producer_id);
        Authors { writer: self.services.writer, fillers: &self.services.marker_ids, transactional: [before, now] }
    }

    /// Where gaps are filled by empty transactions, what a former owner began must be over before the log is looked at.
    pub(super) async fn prepare_fills(&mut self, position: &Position) {
        let was_transactional = position.relation().account().is_some_and(|account| account.transactional.is_some());
        if !was_transactional && !self.services.are_markers_forbidden.load(Ordering::Relaxed) {
            return;
        }
        match self.take_transactional_id().await {
            Ok(by) => self.transactional = Some(by),
            Err(error) => {
                self.transactional = None;
                if self.services.are_markers_forbidden.load(Ordering::Relaxed) {
                    self.parting = Some(format!(
                        "offsets without a record can't be filled: there is no permission for markers (Alter on the \
                         cluster), and none for transactions: {error}"
                    ));
                }
            }
        }
    }

    async fn judge_identical_surprise(&self, known: &mut Known, seen: &Observation) -> Result<bool, Judgement> {
        let source_offset = known.position.source();
        if let Some(reason) = self.recreated(source_offset).await? {
            return Err(Judgement::Ended(Ended::Stopped(reason)));
        }
        let expected = known.position.target();
        if seen.log_end < expected && self.is_all_ours_before(known, seen.log_end).await? {
            let sequence = next_sequence(seen);
            if known.position.rewind(seen.log_end, sequence).is_some() {
                self.tell_of_loss(expected, seen.log_end, known.position.source());
                // What was lost can't be planned again as it was: fills took no sequences, and which offsets were fills
                // was to be read in the log that is gone. An append of ours that is still under way to the broker
                // that lost it would look foreign then, and stop the partition. It can't be, but on a connection
                // that outlived the loss.
                known.plan = Plan::nothing_from(sequence);
                return Ok(true);
            }
        }
        let reason = StopReason::ForeignWrite { expected, log_end: seen.log_end, source_offset };
        Err(Judgement::Ended(Ended::Stopped(reason)))
    }

    /// Whether the end of a log that lost some of it is ours.
    async fn is_all_ours_before(&self, known: &Known, log_end: TargetOffset) -> Result<bool, Judgement> {
        let from = log_end.minus(LOOK_BACK).max(known.position.map().target_start());
        let authors = self.authors(&known.position);
        let pieces = walk(&self.services.target, &self.assignment.target, authors, from, log_end).await?;
        Ok(!pieces.contains(&Piece::Foreign))
    }

    /// Lets the offsets part at the position, because of this; or says that the partition must stop for it.
    pub(super) fn part(&self, known: &mut Known, because: String) -> Result<(), Ended> {
        let source_offset = known.position.source();
        match self.assignment.offsets {
            OffsetsMode::PreserveOrStop => {
                return Err(Ended::Stopped(StopReason::Parted { because, source_offset }));
            }
            OffsetsMode::Preserve | OffsetsMode::Translate => {}
        }
        *known.position.relation_mut() = Relation::parted(source_offset, because);
        Ok(())
    }

    /// Says, counts and plans what follows from offsets that have parted since the take-over began.
    pub(super) fn note_parted(&self, known: &mut Known) {
        let because = match known.position.relation() {
            Relation::Translated { because, .. } => because.clone().unwrap_or_default(),
            Relation::Identical(_) | Relation::FastForwarding { .. } => return,
        };
        let (link, partition) = (&self.services.settings.link, &self.assignment.source);
        let (source, target) = (known.position.source(), known.position.target());
        tracing::warn!(%link, %partition, %source, %target, because, "offsets are translated from here on");
        self.services.measures.fallback();
        // What is still planned lies behind the log end now, one record after the other.
        let left = known.plan.left_from(known.position.sequence());
        let behind = left.into_iter().map(|run| crate::batch::SourceRun { source: run.source, length: run.length });
        known.plan = Plan::from_runs(Vec::new(), lay_out(target, behind)).unwrap_or_default();
    }

    /// The plan that an owner begins with: what was planned, and beyond it that the source has no hole.
    pub(super) fn first_identical_plan(&self, known: &Known) -> Plan {
        let length = AHEAD_FIRST.min(self.services.settings.plan_ahead);
        let at = (known.position.source(), known.position.target());
        known.plan.gone_on_with(at, known.position.sequence(), length)
    }

    /// Our own batches behind the position, whatever else lies there; offsets have parted then.
    pub(super) async fn own_among_others(
        &self,
        position: &Position,
        log_end: TargetOffset,
    ) -> Result<Position, crate::cluster::ClusterError> {
        let (target, partition) = (&self.services.target, &self.assignment.target);
        let pieces = walk(target, partition, self.authors(position), position.target(), log_end).await?;
        let plan = self.plan.clone().unwrap_or_default();
        Ok(follow_among_others(position.clone(), &plan, &pieces))
    }
}

/// Records at the same offsets on both sides.
pub(super) fn same_on_both_sides(records: impl IntoIterator<Item = crate::batch::SourceRun>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for record in records {
        match runs.last_mut() {
            Some(last) if last.source_end() == record.source => last.length += record.length,
            Some(_) | None => {
                runs.push(Run { source: record.source, target: record.source.in_place(), length: record.length });
            }
        }
    }
    runs
}
