//! Being stopped, and being told how to go on.
//!
//! Owns: carrying out `resolve` for one partition.
//! Promises: a decision is carried out once, and only for the stop that it was made about.
//! Does not know: who decided.

use std::time::Duration;

use super::identity::Relation;
use super::partition::Partition;
use super::plan::Plan;
use super::position::Position;
use super::stop::StopReason;
use super::takeover::next_sequence;
use super::target;
use crate::cluster::OffsetQuery;
use crate::store::{Key, PartitionState, ResolutionRecord, StopRecord, Value};
use crate::tasks::Backoff;
use crate::types::{ResolveVerb, SourceOffset};

impl Partition {
    /// Shows and stores the reason, waits for a person's decision, and carries it out.
    pub(super) async fn stay_stopped(&mut self, reason: StopReason) {
        let mut changes = self.services.store.view().changes();
        let stop = self.show_stopped(&reason);
        let decision = async {
            loop {
                if let Some(decision) = self.decision_about(&stop) {
                    break decision;
                }
                if changes.changed().await.is_err() {
                    // The state is closed: the daemon is about to stop.
                    std::future::pending::<()>().await;
                }
            }
        };
        let ((), decision) = tokio::join!(self.store_status(), decision);
        self.carry_out(&decision, &reason).await;
    }

    fn show_stopped(&self, reason: &StopReason) -> StopRecord {
        let (link, partition) = (&self.services.settings.link, &self.assignment.source);
        let mut stop = reason.to_record(crate::tasks::wall_clock_ms());
        // The same stop found again by a new owner keeps its age.
        let stored = self.services.store.view().position(link, &partition.topic, partition.partition);
        if let Some(before) = stored.and_then(|record| record.status.stop)
            && before.reason == stop.reason
            && before.source_offset == stop.source_offset
        {
            stop.since_ms = before.since_ms;
        }
        tracing::error!(%link, %partition, reason = %stop.reason, "stopped: {}", stop.message);
        self.services.measures.stop(&stop.reason);
        if reason.is_breach() {
            self.services.measures.breach(&stop.reason);
        }
        let mut live = self.live.lock();
        live.state = PartitionState::Stopped;
        live.stop = Some(stop.clone());
        live.trouble = None;
        live.source_trouble = None;
        stop
    }

    /// Stores the status with the position as it is, trying for as long as it takes: what is not stored can't be
    /// resolved, because other daemons don't know of it.
    async fn store_status(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while let Some(checkpoint) = self.position_write() {
            match self.write(vec![checkpoint]).await {
                Ok(()) => return,
                Err(error) => {
                    let partition = &self.assignment.source;
                    tracing::warn!(%partition, %error, "can't store why the partition stopped");
                }
            }
            backoff.pause().await;
        }
    }

    fn decision_about(&self, stop: &StopRecord) -> Option<ResolutionRecord> {
        let (link, topic, partition) = self.key();
        let value = self.services.store.view().get(&Key::Resolution { link, topic, partition })?;
        let Value::Resolution(decision) = value.as_ref() else { return None };
        let is_about_it = decision.reason == stop.reason && decision.source_offset == stop.source_offset;
        let is_new = self.live.lock().resolution != Some(decision.id);
        (is_about_it && is_new).then(|| decision.clone())
    }

    async fn carry_out(&mut self, decision: &ResolutionRecord, reason: &StopReason) {
        tracing::warn!(
            link = %self.services.settings.link, partition = %self.assignment.source, who = %decision.who,
            verb = decision.verb.name(), reason = reason.word(), "resolved"
        );
        let position = match decision.verb {
            ResolveVerb::Retry => None,
            ResolveVerb::Skip | ResolveVerb::AcceptGap => match (self.position_now(), reason.beyond()) {
                (Some(position), Some(beyond)) => Some(resumed_at(position, self.beyond_now(reason, beyond).await)),
                (position, _) => position,
            },
            ResolveVerb::Translate => self.go_on_at_the_end().await,
            ResolveVerb::Remirror => self.begin_again().await,
        };
        if let Some(position) = position {
            self.live.lock().position = Some(position);
            self.plan = Some(Plan::default());
        }
        let mut live = self.live.lock();
        live.resolution = Some(decision.id);
        live.stop = None;
        live.state = PartitionState::Starting;
    }

    fn position_now(&self) -> Option<Position> {
        self.live.lock().position.clone()
    }

    /// A gap has grown while it waited for a decision: what is gone meanwhile can't be copied either.
    async fn beyond_now(&self, reason: &StopReason, beyond: SourceOffset) -> SourceOffset {
        if !reason.is_gap() {
            return beyond;
        }
        self.source_offset(OffsetQuery::LogStart).await.map_or(beyond, |log_start| log_start.max(beyond))
    }

    /// At the target's log end, behind what somebody else wrote. What was sent and landed behind it stays where it
    /// is.
    async fn go_on_at_the_end(&self) -> Option<Position> {
        let mut position = self.position_now()?;
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let (seen, _) = self.observe().await;
            let sequence = next_sequence(&seen);
            if seen.log_end < position.target() {
                // The target lost more than can be copied again: the map so far is of no use.
                position.restart(position.source(), seen.log_end, sequence);
                return Some(position);
            }
            if let Relation::FastForwarding { to } = *position.relation() {
                let parted = Relation::parted(to, "resolved with translate");
                return Some(Position::new(to, seen.log_end, sequence).related(parted));
            }
            if position.is_identical() {
                match self.own_among_others(&position, seen.log_end).await {
                    Ok(found) => {
                        let since = found.source();
                        position = found.related(Relation::parted(since, "resolved with translate"));
                        position.jump(since, seen.log_end, sequence);
                        return Some(position);
                    }
                    Err(error) => {
                        self.wait_out(&error, &mut backoff).await;
                        continue;
                    }
                }
            }
            let (target, writer) = (&self.services.target, self.services.writer);
            let (from, to) = (position.target(), seen.log_end);
            match target::own_batches(target, &self.assignment.target, writer, from, to).await {
                Ok(landed) => {
                    if let Some(plan) = &self.plan {
                        position.take_in(plan, &landed);
                    }
                    position.jump(position.source(), seen.log_end, sequence);
                    return Some(position);
                }
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// From the source's log start, behind what the target holds.
    async fn begin_again(&self) -> Option<Position> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let source = loop {
            match self.source_offset(OffsetQuery::LogStart).await {
                Some(source) => break source,
                None => backoff.pause().await,
            }
        };
        let (seen, _) = self.observe().await;
        let sequence = next_sequence(&seen);
        let mut position = self.position_now().unwrap_or_else(|| Position::new(source, seen.log_end, sequence));
        position.restart(source, seen.log_end, sequence);
        Some(position)
    }
}

/// The position after what is left out. Back, where the source's log now ends before it: then the map so far holds
/// for the old log only, and a new one begins.
fn resumed_at(mut position: Position, beyond: SourceOffset) -> Position {
    if beyond >= position.source() {
        position.advance_source(beyond);
    } else {
        position.restart(beyond, position.target(), position.sequence());
    }
    position.last_epoch = None;
    position
}
