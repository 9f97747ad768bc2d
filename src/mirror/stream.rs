//! The way of one batch: taken from the inbox, prepared, planned, stamped, sent, acknowledged, remembered.
//!
//! Owns: the loop of one partition between taking over and stopping.
//! Promises: nothing is sent that the stored plan does not cover; nothing else is sent while an append is unsettled;
//! the position moves only by what the target's log is known to hold.
//! Does not know: how the position at its start was found, who decides about stops.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fetch::{FetchEvent, Inbox, Watermarks};
use super::fill::{Filled, Filling};
use super::frozen;
use super::guards::Guard;
use super::intake::Intake;
use super::live::Trouble;
use super::partition::{Ended, Partition};
use super::plan::{AHEAD_FIRST, Plan};
use super::position::Position;
use super::producer::Produced;
use super::returning::Freshness;
use super::stop::StopReason;
use super::window::Window;
use crate::batch::{Admission, Prepared, RawBatch};
use crate::store::{StoreError, Write};
use crate::tasks::Backoff;
use crate::types::{SourceOffset, TargetOffset};
use crate::wire::Leader;

/// Answers that can be waiting: more than a window ever holds.
const ANSWERS_MAX: usize = 64;

/// A write of state under way: its result, the plan in it, and what must be written again if it failed.
pub(super) type Writing = Pin<Box<dyn Future<Output = (Result<(), StoreError>, Option<Plan>, Vec<Write>)> + Send>>;

/// The pipeline of one partition while it copies.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is so or is not")]
pub(super) struct Stream<'a> {
    pub(super) partition: &'a Partition,
    /// The plan as it is stored.
    pub(super) plan: Plan,
    /// `None` once nothing more is to come.
    inbox: Option<Inbox>,
    pub(super) intake: Intake,
    /// How many records to plan beyond what is known.
    pub(super) guess: u64,
    /// Prepared and not yet sent.
    pub(super) ready: VecDeque<Prepared>,
    pub(super) window: Window,
    pub(super) answers: (mpsc::Sender<Produced>, mpsc::Receiver<Produced>),
    pub(super) next_number: u64,
    pub(super) leader: Option<Leader>,
    /// Whether the broker is known to hold our producer state: an append was acknowledged, not too long ago.
    pub(super) sure_since: Option<Instant>,
    pub(super) settle_backoff: Backoff,
    /// When to ask for the leader again if nothing is answered until then.
    pub(super) patience_ends: Instant,
    /// Why the partition will stop when all before it is copied.
    pub(super) pending_stop: Option<StopReason>,
    /// Whether the batch at the front of the queue can't be prepared.
    is_blocked: bool,
    pub(super) is_stopping: bool,
    /// Whether every record is to have its source offset on the target.
    pub(super) is_identical: bool,
    /// A gap that is being filled.
    pub(super) filling: Option<Filling>,
    pub(super) fill_backoff: Backoff,
    pub(super) writing: Option<Writing>,
    pub(super) write_again: Vec<Write>,
    pub(super) is_dirty: bool,
    /// Writes of state that failed in a row.
    pub(super) writes_failed: u32,
    pub(super) checkpoint_at: Instant,
}

impl<'a> Stream<'a> {
    pub(super) fn new(partition: &'a Partition, plan: Plan, inbox: Inbox) -> Self {
        let position = partition.live.lock().position.as_ref().map_or(SourceOffset::ZERO, Position::source);
        let at = partition.live.lock().position.as_ref().map_or(TargetOffset::ZERO, Position::target);
        let window = if partition.assignment.has_local_writers { Window::among_others(at) } else { Window::default() };
        Self {
            partition,
            plan,
            inbox: Some(inbox),
            intake: Intake::new(position),
            guess: AHEAD_FIRST.min(partition.services.settings.plan_ahead),
            ready: VecDeque::new(),
            window,
            answers: mpsc::channel(ANSWERS_MAX),
            next_number: 0,
            leader: None,
            sure_since: None,
            settle_backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(5)),
            patience_ends: Instant::now() + frozen::PATIENCE,
            pending_stop: None,
            is_blocked: false,
            is_stopping: false,
            is_identical: partition.live.lock().position.as_ref().is_some_and(Position::is_identical),
            filling: None,
            fill_backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(5)),
            writing: None,
            write_again: Vec::new(),
            is_dirty: false,
            writes_failed: 0,
            checkpoint_at: Instant::now(),
        }
    }

    /// Copies until something ends it. Gives the stored plan back.
    pub(super) async fn run(mut self) -> (Ended, Plan) {
        loop {
            if let Some(ended) = self.step().await {
                return (ended, self.plan);
            }
        }
    }

    /// Does all that can be done now, then waits for one thing to happen.
    async fn step(&mut self) -> Option<Ended> {
        if !self.is_stopping {
            self.prepare();
            self.plan_ahead();
            if let Some(ended) = self.fill() {
                return Some(ended);
            }
            self.send().await;
        }
        self.rest_at_the_end();
        self.checkpoint_when_due();
        if let Some(ended) = self.ended() {
            return Some(ended);
        }
        tokio::select! {
            biased;
            () = self.partition.stop.cancelled(), if !self.is_stopping => {
                // The last checkpoint says why it ended here, also when nothing moved.
                self.is_stopping = true;
                self.is_dirty = true;
                self.inbox = None;
                None
            }
            () = self.partition.live.alarmed() => Some(Ended::Again),
            Some(produced) = self.answers.1.recv() => {
                self.window.mark_answered(produced.number, produced.outcome);
                if !self.partition.services.settings.guards.is_on(Guard::AnswerCheck) {
                    self.window.believe_answers();
                }
                self.patience_ends = Instant::now() + frozen::PATIENCE;
                self.take_answers().await
            }
            (result, plan, writes) = written(&mut self.writing) => self.on_written(result, plan, writes).await,
            filled = filled(&mut self.filling) => self.on_filled(filled),
            event = received(&mut self.inbox) => self.on_event(event).await,
            () = tokio::time::sleep_until(self.patience_ends), if self.window.under_way() > 0 => {
                self.look_for_another_leader().await
            }
            () = tokio::time::sleep_until(self.checkpoint_at), if self.wants_checkpoint() => None,
        }
    }

    /// Whether everything is done that must be done before this ends.
    fn ended(&mut self) -> Option<Ended> {
        let is_quiet = self.window.under_way() == 0 && self.writing.is_none() && self.filling.is_none();
        if self.is_stopping {
            return (is_quiet && !self.is_dirty).then_some(Ended::Over);
        }
        let is_drained =
            self.window.is_empty() && self.ready.is_empty() && (self.is_blocked || self.intake.queue.is_empty());
        if is_quiet && is_drained {
            return self.pending_stop.take().map(Ended::Stopped);
        }
        None
    }

    async fn on_event(&mut self, event: Option<FetchEvent>) -> Option<Ended> {
        match event {
            Some(FetchEvent::Batches { batches, permit, watermarks }) => {
                let partition = self.partition;
                let batches = partition.unless_stopped(self.without_own(batches)).await?;
                self.intake.take(batches, permit);
                self.observe(watermarks);
            }
            Some(FetchEvent::Watermarks(watermarks)) => self.observe(watermarks),
            Some(FetchEvent::Unreachable { reason, is_denied }) => {
                let source = self.partition.services.source.name();
                let trouble = if is_denied { Trouble::denied(reason, source) } else { reason.into() };
                self.partition.live.lock().source_trouble = Some(trouble);
            }
            Some(FetchEvent::Stopped(stop)) => {
                self.inbox = None;
                let source_offset = self.intake.scanned_to();
                self.pending_stop = Some(StopReason::Fetch { stop, source_offset });
            }
            // The fetchers are closed: the daemon stops, and will tell us so.
            None => self.inbox = None,
        }
        None
    }

    /// Others know of the source what is stored: that the partition has caught up, for one. The owner before may have
    /// copied all there is and not lived to store it. Then nothing moves here, and the first word of the source is
    /// reason enough for a checkpoint.
    fn observe(&mut self, watermarks: Watermarks) {
        let mut live = self.partition.live.lock();
        self.is_dirty |= live.watermarks.is_none();
        live.observe(watermarks);
        live.source_trouble = None;
    }

    /// Marks batches that came from our own target, through the opposite link: they must not go back there, unless
    /// the topic that they came from is gone.
    async fn without_own(&mut self, mut batches: Vec<(RawBatch, Admission)>) -> Vec<(RawBatch, Admission)> {
        let mut freshness = Freshness::default();
        for (batch, admission) in &mut batches {
            // A flipped bit in a header must not make data disappear: `prepare` will name a batch that fails its CRC.
            let is_data = *admission == Admission::Data;
            let is_own = is_data && self.is_own(batch.header.producer_id).await && batch.verify_crc().is_ok();
            if is_own && !self.goes_back(&batch.header, &mut freshness).await {
                self.partition.services.measures.loop_dropped.increment(1);
                *admission = Admission::Aborted;
            }
        }
        batches
    }

    async fn is_own(&mut self, producer_id: i64) -> bool {
        let loops = &self.partition.services.loops;
        if let Some(is_own) = loops.known(producer_id) {
            return is_own;
        }
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match loops.is_from_target(producer_id).await {
                Ok(is_own) => return is_own,
                Err(error) => self.partition.wait_out_source(&error, &mut backoff).await,
            }
        }
    }

    /// Makes batches ready while there is room for them in the window, and a few more while they wait for a plan.
    fn prepare(&mut self) {
        // Whether what is ready is planned does not get better by what comes on top, so it is not looked up each time.
        let mut ready_max = self.ready_max();
        while !self.is_blocked && self.ready.len() < ready_max {
            let next = self.next_source();
            let limits = self.partition.limits(next);
            match crate::batch::prepare(&mut self.intake.queue, next, &limits) {
                Ok(crate::batch::Step::Send(prepared)) => {
                    self.ready.push_back(prepared);
                    if self.ready.len() == ready_max {
                        ready_max = self.ready_max();
                    }
                }
                Ok(crate::batch::Step::Skip { .. }) => {}
                Ok(crate::batch::Step::Idle) => return,
                Err(error) => {
                    let header = self.intake.queue.front().map(|batch| batch.header);
                    let offset = |offset: i64| SourceOffset::new(offset).ok();
                    self.is_blocked = true;
                    self.inbox = None;
                    self.pending_stop = Some(StopReason::Batch {
                        error,
                        source_offset: header.and_then(|h| offset(h.base_offset)).unwrap_or_else(|| self.next_source()),
                        skip_to: header.and_then(|h| offset(h.last_offset())).map(|last| last.plus(1)),
                    });
                }
            }
        }
    }

    /// Batches that wait ready are batches that no more can be merged into: as few as keep the window full. But what
    /// waits for its plan is stored together, so then there are more.
    fn ready_max(&self) -> usize {
        let room = self.partition.services.settings.window_max.saturating_sub(self.window.len());
        if self.is_ready_planned() { room } else { room + self.partition.services.settings.window_max }
    }

    /// The source offset that the next batch to prepare begins at, or after.
    pub(super) fn next_source(&self) -> SourceOffset {
        let in_ready = self.ready.back().map(|prepared| prepared.next_source);
        let in_window = || self.window.batches().last().map(|batch| batch.next_source);
        let at_rest = || self.partition.live.lock().position.as_ref().map(Position::source);
        in_ready.or_else(in_window).or_else(at_rest).unwrap_or(SourceOffset::ZERO)
    }

    /// The target offset that the first ready batch will get; where others write as well, its place.
    pub(super) fn next_target(&self) -> TargetOffset {
        let at_rest = || self.partition.live.lock().position.as_ref().map(Position::place);
        self.window.target_end().or_else(at_rest).unwrap_or(TargetOffset::ZERO)
    }

    /// With nothing left to copy, the position moves behind what was scanned (markers, aborted data).
    fn rest_at_the_end(&mut self) {
        if !self.window.is_empty() || !self.ready.is_empty() || !self.intake.queue.is_empty() {
            return;
        }
        let scanned_to = self.intake.scanned_to();
        // What was scanned and holds no record is to be filled first.
        if self.is_identical && self.next_source() < scanned_to {
            return;
        }
        // Also what holds nothing new, such as batches from before the position, gives its memory back.
        let epoch = self.intake.release(scanned_to);
        let mut live = self.partition.live.lock();
        let Some(position) = live.position.as_mut().filter(|position| position.source() < scanned_to) else { return };
        position.advance_source(scanned_to);
        position.last_epoch = epoch.or(position.last_epoch);
        live.advanced();
        self.is_dirty = true;
    }
}

async fn received(inbox: &mut Option<Inbox>) -> Option<FetchEvent> {
    match inbox {
        Some(inbox) => inbox.recv().await,
        None => std::future::pending().await,
    }
}

async fn written(writing: &mut Option<Writing>) -> (Result<(), StoreError>, Option<Plan>, Vec<Write>) {
    match writing {
        Some(write) => {
            let done = write.await;
            *writing = None;
            done
        }
        None => std::future::pending().await,
    }
}

async fn filled(filling: &mut Option<Filling>) -> Filled {
    match filling {
        Some(filling) => filling.await,
        None => std::future::pending().await,
    }
}
