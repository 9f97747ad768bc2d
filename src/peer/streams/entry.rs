//! One stream: both directions, credits, who waits.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use crate::peer::frame::{Class, FRAME_CHARGE, ResetReason};
use crate::tasks::{ByteBudget, BytePermit};

/// Round trips shorter than this are taken for this long: timers and schedulers are no finer.
const ROUND_TRIP_MIN: Duration = Duration::from_millis(2);

/// What comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inbound {
    Open,
    Ended,
    Reset(ResetReason),
}

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outbound {
    Open,
    /// No more will be queued.
    Finishing,
    /// The end was sent.
    Ended,
    Reset(ResetReason),
}

impl Outbound {
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Reset(_))
    }
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is true or false on its own")]
pub(super) struct Entry {
    pub(super) class: Class,
    pub(super) is_ours: bool,
    pub(super) has_reader: bool,
    pub(super) has_writer: bool,
    pub(super) read_waker: Option<Waker>,
    pub(super) write_waker: Option<Waker>,

    pub(super) inbound: Inbound,
    pub(super) received: VecDeque<Bytes>,
    /// What the other side may still send.
    pub(super) window_left: usize,
    window: usize,
    /// Consumed, and not given back yet.
    consumed: usize,
    /// To be sent as credit.
    pub(super) credit_due: usize,
    /// The consumption by which the window grows.
    measured: usize,
    measured_since: Instant,
    pub(super) permits: Vec<BytePermit>,

    pub(super) outbound: Outbound,
    pub(super) queue: VecDeque<Bytes>,
    pub(super) queued_bytes: usize,
    pub(super) credit: usize,
    pub(super) is_ready: bool,
    pub(super) is_reset_sent: bool,
}

impl Entry {
    pub(super) fn new(class: Class, is_ours: bool, window: usize, credit: usize) -> Self {
        Self {
            class,
            is_ours,
            has_reader: true,
            has_writer: true,
            read_waker: None,
            write_waker: None,
            inbound: Inbound::Open,
            received: VecDeque::new(),
            window_left: window,
            window,
            consumed: 0,
            credit_due: 0,
            measured: 0,
            measured_since: Instant::now(),
            permits: Vec::new(),
            outbound: Outbound::Open,
            queue: VecDeque::new(),
            queued_bytes: 0,
            credit,
            is_ready: false,
            is_reset_sent: false,
        }
    }

    /// The first received bytes, at most so many.
    pub(super) fn take_chunk(&mut self, bytes_max: usize) -> Option<Bytes> {
        let front = self.received.front_mut()?;
        if front.len() > bytes_max {
            self.consumed += bytes_max;
            return Some(front.split_to(bytes_max));
        }
        self.consumed += front.len() + FRAME_CHARGE;
        self.received.pop_front()
    }

    /// Gives consumed credit back in portions. A window that is consumed faster than twice the round trip is what
    /// holds the stream back, so it doubles. True when there is credit to be sent that was not announced before.
    pub(super) fn return_credit(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
        window_bytes_max: usize,
        budget: &ByteBudget,
    ) -> bool {
        if self.inbound != Inbound::Open || self.consumed * 4 < self.window {
            return false;
        }
        let consumed = std::mem::take(&mut self.consumed);
        self.measured += consumed;
        let mut extra = 0;
        if self.measured >= self.window {
            let quick = round_trip.unwrap_or(ROUND_TRIP_MIN).max(ROUND_TRIP_MIN) * 2;
            let wanted = self.window.min(window_bytes_max.saturating_sub(self.window));
            if now.duration_since(self.measured_since) < quick
                && wanted > 0
                && let Some(permit) = budget.try_acquire(wanted)
            {
                extra = permit.bytes();
                self.permits.push(permit);
                self.window += extra;
            }
            self.measured = 0;
            self.measured_since = now;
        }
        let was_due = self.credit_due > 0;
        self.window_left += consumed + extra;
        self.credit_due += consumed + extra;
        !was_due
    }

    /// Throws away what nobody will read.
    pub(super) fn forget_received(&mut self) {
        self.received.clear();
    }

    pub(super) fn stop_sending(&mut self, reason: ResetReason) {
        if !self.outbound.is_over() {
            self.outbound = Outbound::Reset(reason);
        }
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Whether a frame could be sent now.
    pub(super) fn can_send(&self) -> bool {
        match self.outbound {
            Outbound::Open => !self.queue.is_empty() && self.credit > FRAME_CHARGE,
            // The bare end costs nothing.
            Outbound::Finishing => self.queue.is_empty() || self.credit > FRAME_CHARGE,
            Outbound::Ended | Outbound::Reset(_) => false,
        }
    }

    /// The next bytes to send, within credit; whether they are the last.
    pub(super) fn next_payload(&mut self, bytes_max: usize) -> (Bytes, bool) {
        let allowed = self.credit.saturating_sub(FRAME_CHARGE).min(bytes_max);
        let payload = match self.queue.front_mut() {
            None => Bytes::new(),
            Some(front) if front.len() > allowed => front.split_to(allowed),
            Some(front) => {
                let whole = front.split_to(front.len());
                self.queue.pop_front();
                whole
            }
        };
        if !payload.is_empty() {
            self.credit = self.credit.saturating_sub(payload.len() + FRAME_CHARGE);
            self.queued_bytes -= payload.len();
        }
        debug_assert!(self.queue.front().is_none_or(Buf::has_remaining));
        let is_last = self.outbound == Outbound::Finishing && self.queue.is_empty();
        if is_last {
            self.outbound = Outbound::Ended;
        }
        (payload, is_last)
    }

    pub(super) fn wake(&mut self) {
        for waker in [self.read_waker.take(), self.write_waker.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    pub(super) fn is_over(&self, is_lost: bool) -> bool {
        let is_over_on_both_sides = self.inbound != Inbound::Open && self.outbound.is_over();
        !self.has_reader && !self.has_writer && (is_lost || is_over_on_both_sides)
    }
}
