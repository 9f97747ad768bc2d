//! Sending and settling: how a ready batch becomes an acknowledged one.
//!
//! Owns: the rules of how many appends may be under way, and what follows from each answer.
//! Promises: an append without a good answer holds up everything behind it until the target's log was looked at.
//! Does not know: where batches come from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::checkpoint::PLAN_RUNS_MAX;
use super::frozen;
use super::guards::Guard;
use super::live::Trouble;
use super::outcome::{Answer, Refusal, answer_of};
use super::partition::Ended;
use super::plan::lay_out;
use super::position::Position;
use super::producer::{Append, Outcome, Protection};
use super::reconcile::{Expectation, Finding, reconcile};
use super::stop::StopReason;
use super::stream::Stream;
use super::target::{self, Found};
use super::window::{Front, InFlight};
use crate::batch::Stamp;
use crate::tasks::Backoff;
use crate::types::TargetOffset;
use crate::wire::Leader;

impl Stream<'_> {
    /// Sends what may be sent.
    pub(super) async fn send(&mut self) {
        while self.may_send() {
            if self.window.next_waiting().is_none() && !self.stamp_next() {
                return;
            }
            let partition = self.partition;
            let Some(Some(leader)) = partition.unless_stopped(self.leader()).await else { return };
            let protection = self.protection();
            let Some(batch) = self.window.next_waiting() else { return };
            self.next_number += 1;
            let append = Append {
                partition: self.partition.assignment.target.clone(),
                topic_id: self.partition.assignment.target_topic_id,
                batch: batch.batch.clone(),
                protection,
                number: self.next_number,
                reply: self.answers.0.clone(),
            };
            let sent_to = self.window.target_end().filter(|_| !self.partition.assignment.has_local_writers);
            self.partition.live.lock().sent_to = sent_to;
            if self.window.under_way() == 0 {
                self.patience_ends = Instant::now() + frozen::PATIENCE;
            }
            self.window.mark_sent(self.next_number);
            self.partition.services.producers.append(leader.broker, append).await;
        }
    }

    /// Stamps the first ready batch and puts it into the window, if the stored plan covers it.
    fn stamp_next(&mut self) -> bool {
        let target = self.next_target();
        let Some(front) = self.ready.front() else { return false };
        if self.is_identical && front.runs.first().is_none_or(|run| run.source.get() != target.get()) {
            return false;
        }
        if !self.plan.covers(target, &front.runs) {
            return false;
        }
        let Some(sequence) = self.partition.live.lock().position.as_ref().map(|p| p.sequence_at(target)) else {
            return false;
        };
        let Some(prepared) = self.ready.pop_front() else { return false };
        let (producer_id, producer_epoch) = self.partition.services.writer;
        let stamp = Stamp { producer_id, producer_epoch, base_sequence: sequence };
        let runs = lay_out(target, prepared.runs.iter().copied());
        self.window.push(prepared, &stamp, runs, target);
        true
    }

    /// How many appends may be under way is a matter of what the broker knows of us: if the first of two appends
    /// failed and the second landed unchecked, the order would be lost.
    fn may_send(&self) -> bool {
        if self.window.is_unsettled() || self.filling.is_some() {
            return false;
        }
        let under_way = self.window.under_way();
        if under_way == 0 {
            return true;
        }
        let has_room = under_way < self.partition.services.settings.window_max;
        if !self.partition.services.settings.guards.is_on(Guard::OneBeforeFirstAck) {
            return has_room;
        }
        let is_disputed = self.plan.disputed().is_some_and(|(_, end)| self.next_target() < end);
        has_room
            && !is_disputed
            && self.protection() == Protection::Sequence
            // All that is under way must fit into one stored plan.
            && self.window.run_count() < PLAN_RUNS_MAX
    }

    /// Whether the broker will compare the sequence of what is sent next. Without producer state it takes any; and
    /// records older than the state's expiration leave none behind.
    fn protection(&self) -> Protection {
        let half = self.partition.services.settings.producer_expiration / 2;
        let is_sure = self.sure_since.is_some_and(|since| since.elapsed() < half);
        let next_is_old = self
            .window
            .next_waiting()
            .map(|batch| batch.prepared.max_timestamp)
            .or_else(|| self.ready.front().map(|prepared| prepared.max_timestamp))
            .is_some_and(|timestamp| is_older_than(timestamp, half));
        let any_is_old = self.window.batches().any(|batch| is_older_than(batch.prepared.max_timestamp, half));
        if is_sure && !next_is_old && !any_is_old { Protection::Sequence } else { Protection::Unprotected }
    }

    async fn leader(&mut self) -> Option<Leader> {
        if self.leader.is_none() {
            match self.partition.services.target.leader(&self.partition.assignment.target).await {
                Ok(leader) => self.leader = Some(leader),
                Err(error) => self.partition.wait_out(&error, &mut self.settle_backoff).await,
            }
        }
        self.leader
    }

    /// Takes landed batches off the window; settles what did not land.
    pub(super) async fn take_answers(&mut self) -> Option<Ended> {
        loop {
            match self.window.take_front() {
                Front::Open => return None,
                Front::Acknowledged(batch) => {
                    if !self.is_really_ours(&batch).await {
                        return Some(self.follow_predecessor(batch.target, batch.target_end, batch.landed));
                    }
                    if let Err(ended) = self.acknowledge(&batch) {
                        return Some(ended);
                    }
                }
                Front::Unsettled(outcome) => return self.settle(outcome).await,
            }
        }
    }

    /// Moves the position over a batch that the target holds.
    pub(super) fn acknowledge(&mut self, batch: &InFlight) -> Result<(), Ended> {
        let epoch = self.intake.release(batch.next_source);
        let mut live = self.partition.live.lock();
        let Some(position) = live.position.as_mut() else { return Err(Ended::Again) };
        if let Err(error) = position.acknowledge_at(&batch.runs, batch.landed) {
            let source_offset = position.source();
            return Err(Ended::Stopped(StopReason::State { message: error.to_string(), source_offset }));
        }
        position.advance_source(batch.next_source);
        position.last_epoch = epoch.or(position.last_epoch);
        live.advanced();
        live.trouble = None;
        drop(live);
        self.partition.measures.acknowledged(&batch.prepared);
        // A record that is old by its own timestamp leaves a state that can be swept at any time.
        let half = self.partition.services.settings.producer_expiration / 2;
        let is_old = is_older_than(batch.prepared.max_timestamp, half);
        self.sure_since = (!is_old).then(Instant::now);
        self.settle_backoff.reset();
        self.is_dirty = true;
        Ok(())
    }

    /// Where a former owner may have appended other records with the same sequences, brokers take our append for a
    /// duplicate of theirs: they compare ranges, not bytes. There the batch is read back.
    pub(super) async fn is_really_ours(&mut self, batch: &InFlight) -> bool {
        let Some((from, to)) = self.plan.disputed() else { return true };
        let is_trusted = !self.partition.services.settings.guards.is_on(Guard::ReadBack);
        if is_trusted || batch.target_end <= from || batch.target >= to {
            return true;
        }
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        loop {
            let services = &self.partition.services;
            match target::find(&services.target, &self.partition.assignment.target, batch.landed).await {
                Ok(Found::Batch(crc)) => return crc == batch.batch.crc,
                Ok(Found::Other) => return false,
                // Acknowledged by a leader that is gone, and not shown yet by the next one. Or lost with the old one:
                // then nothing is there that could be another's, and the next append finds that out.
                Ok(Found::Nothing) if self.partition.observe().await.0.log_end <= batch.landed => return true,
                Ok(Found::Nothing) => backoff.pause().await,
                Err(error) => self.partition.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// The former owner's batch is there instead of ours, from `base` on: its plan says which records those are.
    pub(super) fn follow_predecessor(&mut self, from: TargetOffset, to: TargetOffset, base: TargetOffset) -> Ended {
        if self.is_identical {
            // The next take-over finds it in the log, and must know whose it is.
            self.partition.former_at.store(from.get(), Ordering::Relaxed);
            return Ended::Again;
        }
        let runs = self.plan.inherited_between(from, to);
        let mut live = self.partition.live.lock();
        let Some(position) = live.position.as_mut() else { return Ended::Again };
        let source_offset = position.source();
        let partition = &self.partition.assignment.target;
        tracing::warn!(%partition, at = %base, "a former owner's batch is there instead of ours");
        match position.acknowledge_at(&runs, base) {
            Ok(()) if position.place() == to => {
                position.last_epoch = None;
                drop(live);
                self.plan = self.plan.without_own(to);
                Ended::Again
            }
            Ok(()) => Ended::Stopped(StopReason::State {
                message: "a former owner's batch is on the target, but its plan does not cover it".to_owned(),
                source_offset,
            }),
            Err(error) => Ended::Stopped(StopReason::State { message: error.to_string(), source_offset }),
        }
    }

    /// An append did not get a good answer, and none is under way: the log decides. What it holds is taken off, the
    /// rest is sent again as it is; any surprise is left to a new take-over.
    async fn settle(&mut self, outcome: Outcome) -> Option<Ended> {
        self.sure_since = None;
        self.leader = None;
        self.partition.services.measures.settled.increment(1);
        self.note(&outcome);
        self.partition.services.target.client().forget_leader(&self.partition.assignment.target);
        let partition = self.partition;
        // Told to stop, the batch stays unsettled, and whoever comes next settles it.
        partition.unless_stopped(self.settle_backoff.pause()).await?;
        #[cfg(feature = "test-hazards")]
        if !partition.services.settings.guards.is_on(Guard::SameBatches) {
            self.window.batch_anew(partition.services.writer);
            return None;
        }
        if !partition.services.settings.guards.is_on(Guard::LookBeforeResend) {
            self.window.wait_again();
            return None;
        }
        let (seen, leader) = partition.unless_stopped(partition.observe()).await?;
        self.leader = Some(leader);
        if self.partition.assignment.has_local_writers {
            return self.settle_among_others(outcome, &seen).await;
        }
        let expected = self.expectation()?;
        let is_proven = match reconcile(&expected, &seen) {
            Finding::Ours => true,
            Finding::Unproven => {
                let from = (expected.acknowledged, expected.sequence);
                let services = &self.partition.services;
                let partition = &self.partition.assignment.target;
                matches!(
                    target::is_ours(&services.target, partition, services.writer, from, seen.log_end).await,
                    Ok(true)
                )
            }
            Finding::Lost | Finding::Foreign | Finding::Fenced => false,
        };
        let is_disputed = self.plan.disputed().is_some_and(|(from, _)| from < seen.log_end);
        if !is_proven {
            return Some(Ended::Again);
        }
        if is_disputed && seen.log_end > expected.acknowledged {
            return Some(self.settle_disputed(seen.log_end).await);
        }
        let Some(landed) = self.window.settle(seen.log_end) else { return Some(Ended::Again) };
        let front_landed = !landed.is_empty();
        for batch in &landed {
            if let Err(ended) = self.acknowledge(batch) {
                return Some(ended);
            }
        }
        self.sure_since = None;
        match outcome {
            Outcome::Answered { code, message, .. } if !front_landed => self.judge_refusal(code, message),
            Outcome::Answered { .. } | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
        }
    }

    /// What landed is ours, or what a former owner planned for the same place: each batch is looked at.
    async fn settle_disputed(&mut self, log_end: TargetOffset) -> Ended {
        while let Some(batch) = self.window.settle_next(log_end) {
            if !self.is_really_ours(&batch).await {
                return self.follow_predecessor(batch.target, batch.target_end, batch.landed);
            }
            if let Err(ended) = self.acknowledge(&batch) {
                return ended;
            }
        }
        let at = self.partition.live.lock().position.as_ref().map(Position::target);
        match at {
            // No batch of ours ends here.
            Some(at) if at < log_end => self.follow_predecessor(at, log_end, at),
            Some(_) | None => Ended::Again,
        }
    }

    /// The log does not hold the batch that was refused: then the refusal stands.
    pub(super) fn judge_refusal(&mut self, code: i16, message: Option<String>) -> Option<Ended> {
        let Answer::Refused(refusal) = answer_of(code) else { return None };
        let front = self.window.batches().next()?;
        if refusal == Refusal::TooLarge && front.prepared.batches > 1 {
            // The topic's limit was lowered: smaller merges will do.
            self.partition.lower_merge_limit(front.prepared.byte_len() / 2);
            return Some(Ended::Again);
        }
        if front.prepared.batches > 1 {
            // One record is at fault, and only the source batch that holds it shall stop us: and be left out, if a
            // person says so.
            self.partition.keep_apart_until(front.next_source);
            return Some(Ended::Again);
        }
        let source_offset = front.runs.first().map_or(front.next_source, |run| run.source);
        let bytes = front.prepared.byte_len();
        let skip_to = front.next_source;
        Some(Ended::Stopped(StopReason::Refused { refusal, code, message, bytes, source_offset, skip_to }))
    }

    fn expectation(&self) -> Option<Expectation> {
        let live = self.partition.live.lock();
        let position = live.position.as_ref()?;
        let acknowledged = position.target();
        let planned_end = self.plan.end().unwrap_or(TargetOffset::ZERO).max(acknowledged);
        let epoch = self.partition.services.writer.1;
        Some(Expectation { acknowledged, sequence: position.sequence(), planned_end, epoch })
    }

    /// Shows what an append met.
    fn note(&self, outcome: &Outcome) {
        let partition = &self.partition.assignment.target;
        let trouble = match outcome {
            Outcome::Answered { code, message, .. } => {
                let said = message.as_deref().unwrap_or("no message");
                match answer_of(*code) {
                    Answer::Forbidden => {
                        let cluster = self.partition.services.target.name();
                        let topic = &partition.topic;
                        let message =
                            format!("cluster {cluster} does not let us write to topic {topic} (error {code}: {said})");
                        Trouble::denied(message, cluster)
                    }
                    Answer::Done | Answer::Look | Answer::Refused(_) | Answer::Fenced => {
                        format!("append to {partition}: error {code} ({said})").into()
                    }
                }
            }
            Outcome::NotSent(error) | Outcome::Unknown(error) => error.to_string().into(),
        };
        tracing::debug!(%partition, ?trouble, "append unsettled");
        self.partition.live.lock().trouble = Some(trouble);
    }
}

/// Whether records are so old, by their own timestamps, that a broker may forget their producer state at any time.
fn is_older_than(timestamp_ms: i64, age: Duration) -> bool {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    timestamp_ms < 0 || crate::tasks::wall_clock_ms().saturating_sub(timestamp_ms) > age
}
