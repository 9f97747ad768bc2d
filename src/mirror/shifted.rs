//! Partitions that applications on the target write to as well: where our records landed among theirs.
//!
//! Owns: what takes the place of the log end there: [`account`], a pure judgement, and the walk that it rests on.
//! Promises: nothing is sent again before producer state or log showed that it is not there; a record that can neither
//! be found nor be missed is left to a person.
//! Does not know: when a look is due (see `takeover` and `append`), whose the other records are.
//!
//! Producer state tells by its last sequence how many of our records landed; a walk over the batches behind the last
//! acknowledged one tells where. Without state (records older than its expiration leave none behind for long) the walk
//! alone decides. Compaction and retention may have removed batches of ours before we found them: then offsets are
//! missing in the log. With state, or with a later batch of ours behind them, they count as landed, at offsets that
//! nobody can tell any more, so the map leaves them out. Without either they may as well never have arrived.
//!
//! The walk is not left out because the state has nothing new and then continued from a later log end: what arrives
//! between the two questions of one observation lies before that log end.

use std::time::Duration;

use super::partition::{Ended, Known, Partition};
use super::plan::Plan;
use super::position::Position;
use super::producer::Outcome;
use super::reconcile::Observation;
use super::stop::StopReason;
use super::stream::Stream;
use super::target::{self, Landed, Presence, Walk};
use crate::cluster::ClusterError;
use crate::tasks::Backoff;
use crate::types::{ProducerEpoch, Run, Sequence, TargetOffset};

/// How often something inexplicable must be seen before it counts: a former owner's requests may arrive between two
/// questions, one after the other.
const SIGHTINGS: u32 = 6;

/// What was acknowledged, and what may lie behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    /// The sequence of the next record.
    pub(super) sequence: Sequence,
    /// Its place.
    pub(super) place: TargetOffset,
    /// No record of ours from this sequence on lies before this target offset.
    pub(super) from: TargetOffset,
    /// How many records are planned from there on.
    pub(super) planned: u64,
    /// The epoch that we write with.
    pub(super) epoch: ProducerEpoch,
}

impl Expected {
    pub(super) fn of(position: &Position, plan: &Plan, epoch: ProducerEpoch) -> Self {
        let place = position.place();
        let planned = plan.end().map_or(0, |end| end.distance_from(place));
        Self { sequence: position.sequence(), place, from: position.target(), planned, epoch }
    }

    /// The last sequence that the leader knows of, in our epoch.
    fn last(&self, seen: &Observation) -> Option<Sequence> {
        seen.state.filter(|(epoch, _)| *epoch == self.epoch).and_then(|(_, last)| last)
    }

    /// Whether the leader has nothing of ours behind what was acknowledged.
    fn is_at_rest(&self, seen: &Observation) -> bool {
        self.last(seen).is_some_and(|last| last.plus(1) == self.sequence)
    }
}

/// What became of our records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    /// All before `next` landed. Batches that are still there are named.
    Landed { landed: Vec<Landed>, next: Sequence },
    /// The last `count` acknowledged ones are gone; `next` is the sequence of the first of them.
    Lost { count: u64, next: Sequence },
    /// Somebody wrote with a higher producer epoch.
    Fenced,
    /// State and log contradict each other: look again.
    Unclear(&'static str),
    /// The target no longer holds what would tell.
    Unproven,
}

/// Judges what a leader showed: producer state first, then the log up to the end that was asked for after it.
pub(super) fn account(expected: &Expected, seen: &Observation, walk: &Walk) -> Account {
    if seen.state.is_some_and(|(epoch, _)| epoch > expected.epoch) {
        return Account::Fenced;
    }
    let mut next = expected.sequence;
    for batch in &walk.own {
        let ahead = batch.sequence.distance_from(next);
        if ahead >= Sequence::HALF {
            return Account::Unclear("a batch of this link is in its log twice, or behind a later one");
        }
        if ahead > 0 && walk.is_whole {
            return Account::Unclear("a batch of this link is missing in its log before a later one");
        }
        next = batch.sequence.plus(batch.length);
    }
    let found = next.distance_from(expected.sequence);
    let landed = walk.own.clone();
    let Some(last) = expected.last(seen) else {
        return match (walk.is_complete, walk.is_whole || found >= expected.planned) {
            (false, _) => Account::Unclear("the log could not be read to its end"),
            (true, true) => bounded(expected, landed, next),
            (true, false) => Account::Unproven,
        };
    };
    let by_state = last.plus(1);
    let behind = expected.sequence.distance_from(by_state);
    if (1..Sequence::HALF).contains(&behind) {
        return if walk.own.is_empty() {
            Account::Lost { count: behind, next: by_state }
        } else {
            Account::Unclear("the log holds more of this link than its producer state says")
        };
    }
    let told = by_state.distance_from(expected.sequence);
    if found == told || (found < told && walk.is_complete && !walk.is_whole) {
        bounded(expected, landed, by_state)
    } else {
        Account::Unclear("the producer state of this link and its batches in the log tell different things")
    }
}

/// Nothing is ever sent that is not planned.
fn bounded(expected: &Expected, landed: Vec<Landed>, next: Sequence) -> Account {
    if next.distance_from(expected.sequence) > expected.planned {
        return Account::Unclear("the log holds more of this link than was planned");
    }
    Account::Landed { landed, next }
}

/// Moves the position over what landed: the plan says which records those are.
pub(super) fn follow(
    position: &mut Position,
    plan: &Plan,
    landed: &[Landed],
    next: Sequence,
) -> Result<(), &'static str> {
    let (start, first) = (position.place(), position.sequence());
    let place_of = |sequence: Sequence| start.plus(sequence.distance_from(first));
    for batch in landed {
        let place = place_of(batch.sequence);
        position.pass_over(&plan.between(position.place(), place));
        let runs = plan.between(place, place.plus(batch.length));
        let is_whole = length_of(&runs) == batch.length && position.place() == place;
        if !is_whole || position.acknowledge_at(&runs, batch.target).is_err() {
            return Err("the plan does not explain a batch of this link on the target");
        }
    }
    position.pass_over(&plan.between(position.place(), place_of(next)));
    let is_reached = position.sequence() == next;
    if is_reached { Ok(()) } else { Err("the plan does not explain all that landed") }
}

fn length_of(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.length).sum()
}

impl Partition {
    /// Brings position and plan in line with the target's log.
    pub(super) async fn reconcile_among_others(&self, known: &mut Known) -> Result<(), Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut sightings = 0;
        loop {
            let (seen, _) = self.observe().await;
            let judged = match self.account_of_all(known, &seen).await {
                Ok(Account::Landed { landed, next }) => return self.take_landed(known, &landed, next, &seen),
                Ok(Account::Fenced) => {
                    let source_offset = known.position.source();
                    return Err(Ended::Stopped(StopReason::Fenced { source_offset }));
                }
                Ok(surprise) if sightings >= SIGHTINGS => self.judge_shifted_surprise(known, &seen, surprise).await,
                Ok(_) => {
                    sightings += 1;
                    backoff.pause().await;
                    continue;
                }
                Err(error) => Err(error),
            };
            match judged {
                Ok(judged) => judged?,
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
            sightings = 0;
        }
    }

    async fn account_of_all(&self, known: &Known, seen: &Observation) -> Result<Account, ClusterError> {
        let expected = Expected::of(&known.position, &known.plan, self.services.writer.1);
        if expected.last(seen).is_none() {
            let count = self.missing_at_the_end(&known.position, seen.log_end).await?;
            if count > 0 || seen.log_end < expected.from {
                return Ok(Account::Lost { count, next: expected.sequence.minus(count) });
            }
        }
        // Whoever is the only writer from now on needs to know that all up to the log end was looked at.
        self.account(&expected, seen, !self.assignment.has_local_writers).await
    }

    async fn account(
        &self,
        expected: &Expected,
        seen: &Observation,
        is_walk_needed: bool,
    ) -> Result<Account, ClusterError> {
        if expected.is_at_rest(seen) && !is_walk_needed {
            return Ok(Account::Landed { landed: Vec::new(), next: expected.sequence });
        }
        let enough = expected.last(seen).map(|last| last.plus(1)).filter(|_| !is_walk_needed);
        let (target, partition) = (&self.services.target, &self.assignment.target);
        let walk = target::walk(target, partition, self.services.writer, (expected.from, seen.log_end), enough).await?;
        Ok(account(expected, seen, &walk))
    }

    /// How many of our last records are not where the map says, as far as the log still has these places. Without
    /// producer state nothing else tells that the target lost them, once others have written behind.
    async fn missing_at_the_end(&self, position: &Position, log_end: TargetOffset) -> Result<u64, ClusterError> {
        let mut missing: u64 = 0;
        for run in position.map().runs().iter().rev() {
            let last = run.target_end().minus(1);
            let is_beyond = last >= log_end;
            let (target, partition) = (&self.services.target, &self.assignment.target);
            let producer_id = self.services.writer.0;
            if !is_beyond && target::presence(target, partition, producer_id, last).await? != Presence::Missing {
                break;
            }
            missing += run.length;
        }
        Ok(missing)
    }

    fn take_landed(
        &self,
        known: &mut Known,
        landed: &[Landed],
        next: Sequence,
        seen: &Observation,
    ) -> Result<(), Ended> {
        let is_something_new = next != known.position.sequence();
        if let Err(message) = follow(&mut known.position, &known.plan, landed, next) {
            return Err(self.contradiction(known, message));
        }
        if is_something_new {
            known.position.last_epoch = None;
        }
        let place = known.position.place();
        let mut inherited = known.plan.inherit_from(place);
        if !self.assignment.has_local_writers {
            for run in &mut inherited {
                run.target = seen.log_end.plus(run.target.distance_from(place));
            }
            known.position.settle_at(seen.log_end);
        }
        known.plan = Plan::from_runs(Vec::new(), inherited).unwrap_or_default();
        Ok(())
    }

    /// The log is not as it must be, and stays so. `Ok(Ok(()))`: look again.
    async fn judge_shifted_surprise(
        &self,
        known: &mut Known,
        seen: &Observation,
        surprise: Account,
    ) -> Result<Result<(), Ended>, ClusterError> {
        let source_offset = known.position.source();
        let stopped = |reason| Ok(Err(Ended::Stopped(reason)));
        if let Some(reason) = self.recreated(source_offset).await? {
            return stopped(reason);
        }
        match surprise {
            Account::Lost { count, next } => {
                let place = known.position.place();
                let Some(mut lost) = known.position.rewind_by(count, next).filter(|_| count > 0) else {
                    let expected = known.position.target();
                    return stopped(StopReason::ForeignWrite { expected, log_end: seen.log_end, source_offset });
                };
                tracing::error!(
                    link = %self.services.settings.link, partition = %self.assignment.target, records = count,
                    again_from = %known.position.source(),
                    "the target lost acknowledged records; they are copied again"
                );
                self.services.measures.breach("lost_acknowledged");
                lost.extend(known.plan.inherit_from(place));
                known.plan = Plan::from_runs(Vec::new(), lost).unwrap_or_default();
                Ok(Ok(()))
            }
            Account::Unclear(message) => Ok(Err(self.contradiction(known, message))),
            Account::Unproven | Account::Landed { .. } | Account::Fenced => {
                stopped(StopReason::Unproven { source_offset })
            }
        }
    }
}

impl Stream<'_> {
    /// An append did not get a good answer, and none is under way. What landed is taken off the window, the rest is
    /// sent again as it is; any surprise is left to a new take-over.
    pub(super) async fn settle_among_others(&mut self, outcome: Outcome, seen: &Observation) -> Option<Ended> {
        let partition = self.partition;
        let expected = {
            let live = partition.live.lock();
            Expected::of(live.position.as_ref()?, &self.plan, partition.services.writer.1)
        };
        let account = partition.unless_stopped(partition.account(&expected, seen, false)).await?;
        let Ok(Account::Landed { landed, next }) = account else { return Some(Ended::Again) };
        for batch in &landed {
            if let Some(ended) = self.take_off(&expected, batch).await {
                return Some(ended);
            }
        }
        let reached = partition.live.lock().position.as_ref().map(Position::sequence);
        if reached != Some(next) {
            return Some(Ended::Again);
        }
        self.window.wait_again();
        self.sure_since = None;
        match outcome {
            Outcome::Answered { code, message, .. } if landed.is_empty() => self.judge_refusal(code, message),
            Outcome::Answered { .. } | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
        }
    }

    /// A batch of the link is on the target: the next one of the window, or one of a former owner.
    async fn take_off(&mut self, expected: &Expected, landed: &Landed) -> Option<Ended> {
        let place = expected.place.plus(landed.sequence.distance_from(expected.sequence));
        let end = place.plus(landed.length);
        let at = self.partition.live.lock().position.as_ref().map(Position::place);
        let is_next =
            self.window.batches().next().is_some_and(|front| (front.target, front.target_end) == (place, end));
        if at != Some(place) {
            return Some(Ended::Again);
        }
        if !is_next {
            let is_disputed = self.plan.disputed().is_some_and(|(from, to)| place < to && end > from);
            let follow = is_disputed.then(|| self.follow_predecessor(place, end, landed.target));
            return Some(follow.unwrap_or(Ended::Again));
        }
        let batch = self.window.take_landed(landed.target)?;
        if !self.is_really_ours(&batch).await {
            return Some(self.follow_predecessor(place, end, landed.target));
        }
        self.acknowledge(&batch).err()
    }
}

#[cfg(test)]
mod tests;
