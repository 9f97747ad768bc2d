//! The streams of one connection: what may be sent on each, what was received, whose turn it is.
//!
//! Owns: the state of every stream, its credits in both directions, the order in which frames go out.
//! Promises: bytes of a stream stay in order; control goes ahead of bulk and streams of a class take turns; what is
//! held for a stream is bounded by the credit given for it; a side that breaks a rule is a [`Violation`].
//! Does not know: sockets, tasks, what the bytes mean.

mod entry;
mod outgoing;
mod receiving;

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::entry::{Entry, Inbound, Outbound};
use super::frame::{Class, Farewell, Frame, ResetReason, StreamId, Violation};
use crate::tasks::ByteBudget;

/// What may be sent on a stream before any credit came, where nothing else was said.
pub(super) const WINDOW_FIRST_BYTES: usize = 64 << 10;
/// The same on bulk streams that we open, if the budget has room.
const WINDOW_BULK_BYTES: usize = 1 << 20;
/// No window is larger, so no credit can overflow.
pub(super) const WINDOW_BYTES_MAX: usize = 1 << 30;
/// What waits to be sent on one stream before its writer has to wait.
const OUTBOUND_BYTES_MAX: usize = 256 << 10;
/// So little of a stream goes ahead of bulk whatever its class: a question of a client that also fetches much.
const SMALL_BYTES: usize = 16 << 10;
/// Streams that each side may have opened at a time on one connection.
pub(super) const STREAMS_MAX: usize = 128;

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// We dialled.
    Dialler,
    /// We listened.
    Listener,
}

/// Why no stream was opened, or why one ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamEnd {
    /// The connection is gone.
    #[error("the connection to the peer was lost")]
    Lost,
    /// The other side wants no more of it.
    #[error("the peer ended the stream: {}", match .0 {
        ResetReason::Abandoned => "nobody there uses it any more",
        ResetReason::Refused => "it serves no such thing",
        ResetReason::Failed => "something failed there",
    })]
    Reset(ResetReason),
    /// As many streams are open as there may be.
    #[error("too many streams are open on the connection to the peer")]
    TooMany,
}

/// What a received frame means beyond its stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing.
    None,
    /// The other side opened a stream.
    Opened(StreamId, Class, Bytes),
    /// The other side says good-bye.
    Goodbye(Farewell),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Streams {
    side: Side,
    entries: HashMap<StreamId, Entry>,
    next_own: u32,
    last_theirs: u32,
    /// How many of the entries the other side opened.
    theirs: usize,
    ours: usize,
    window_bytes_max: usize,
    budget: ByteBudget,
    /// Opens and resets, in order; bounded by the number of streams.
    notices: VecDeque<Frame>,
    credits_due: VecDeque<StreamId>,
    control_ready: VecDeque<StreamId>,
    bulk_ready: VecDeque<StreamId>,
    ping: Ping,
    pong_due: Option<u64>,
    farewell: Option<Farewell>,
    is_lost: bool,
    round_trip: Option<Duration>,
}

/// The heartbeat that is under way.
#[derive(Debug)]
enum Ping {
    None(u64),
    Due(u64),
    Sent(u64, Instant),
}

impl Streams {
    /// No streams yet. Windows grow to `window_bytes_max`, as far as the budget allows.
    pub(super) fn new(side: Side, window_bytes_max: usize, budget: ByteBudget) -> Self {
        Self {
            side,
            entries: HashMap::new(),
            next_own: if side == Side::Dialler { 1 } else { 2 },
            last_theirs: 0,
            theirs: 0,
            ours: 0,
            window_bytes_max: window_bytes_max.clamp(WINDOW_FIRST_BYTES, WINDOW_BYTES_MAX),
            budget,
            notices: VecDeque::new(),
            credits_due: VecDeque::new(),
            control_ready: VecDeque::new(),
            bulk_ready: VecDeque::new(),
            ping: Ping::None(0),
            pong_due: None,
            farewell: None,
            is_lost: false,
            round_trip: None,
        }
    }

    /// Opens a stream.
    pub(super) fn open(&mut self, class: Class, purpose: Bytes) -> Result<StreamId, StreamEnd> {
        if self.is_lost {
            return Err(StreamEnd::Lost);
        }
        // A connection whose numbers are used up takes no more streams; 2^31 of them last for ever.
        let Some(following) = self.next_own.checked_add(2).filter(|_| self.ours < STREAMS_MAX) else {
            return Err(StreamEnd::TooMany);
        };
        let stream = StreamId(self.next_own);
        self.next_own = following;
        self.ours += 1;
        let larger = match class {
            Class::Bulk => {
                let window = WINDOW_BULK_BYTES.min(self.window_bytes_max);
                self.budget.try_acquire(window).map(|permit| (permit.bytes(), permit))
            }
            Class::Control => None,
        };
        let (window, permit) = larger.map_or((WINDOW_FIRST_BYTES, None), |(window, permit)| (window, Some(permit)));
        let mut entry = Entry::new(class, true, window, WINDOW_FIRST_BYTES);
        entry.permits.extend(permit);
        self.entries.insert(stream, entry);
        let window = u32::try_from(window).unwrap_or(u32::MAX);
        self.notices.push_back(Frame::Open { stream, class, window, purpose });
        Ok(stream)
    }

    /// The next bytes of a stream, at most `bytes_max`; `None` at its end.
    pub(super) fn poll_read(
        &mut self,
        stream: StreamId,
        bytes_max: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamEnd>> {
        let is_lost = self.is_lost;
        let Some(entry) = self.entries.get_mut(&stream) else { return Poll::Ready(Err(StreamEnd::Lost)) };
        if let Some(chunk) = entry.take_chunk(bytes_max) {
            if entry.return_credit(Instant::now(), self.round_trip, self.window_bytes_max, &self.budget) {
                self.credits_due.push_back(stream);
            }
            return Poll::Ready(Ok(Some(chunk)));
        }
        match entry.inbound {
            Inbound::Ended => Poll::Ready(Ok(None)),
            Inbound::Reset(reason) => Poll::Ready(Err(StreamEnd::Reset(reason))),
            Inbound::Open if is_lost => Poll::Ready(Err(StreamEnd::Lost)),
            Inbound::Open => {
                entry.read_waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits until there is room to put more into a stream.
    pub(super) fn poll_room(&mut self, stream: StreamId, context: &mut Context<'_>) -> Poll<Result<usize, StreamEnd>> {
        let is_lost = self.is_lost;
        let Some(entry) = self.entries.get_mut(&stream) else { return Poll::Ready(Err(StreamEnd::Lost)) };
        match entry.outbound {
            _ if is_lost => Poll::Ready(Err(StreamEnd::Lost)),
            Outbound::Reset(reason) => Poll::Ready(Err(StreamEnd::Reset(reason))),
            Outbound::Finishing | Outbound::Ended => Poll::Ready(Err(StreamEnd::Reset(ResetReason::Abandoned))),
            Outbound::Open if entry.queued_bytes < OUTBOUND_BYTES_MAX => {
                Poll::Ready(Ok(OUTBOUND_BYTES_MAX - entry.queued_bytes))
            }
            Outbound::Open => {
                entry.write_waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Queues bytes on a stream that has room.
    pub(super) fn put(&mut self, stream: StreamId, bytes: Bytes) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        if entry.outbound == Outbound::Open && !bytes.is_empty() {
            entry.queued_bytes += bytes.len();
            entry.queue.push_back(bytes);
            self.make_ready(stream);
        }
    }

    /// Nothing more will be put into the stream; what is queued still goes out.
    pub(super) fn finish(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        if entry.outbound == Outbound::Open {
            entry.outbound = Outbound::Finishing;
            self.make_ready(stream);
        }
    }

    /// Ends a stream in both directions.
    pub(super) fn reset(&mut self, stream: StreamId, reason: ResetReason) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        if entry.is_reset_sent || (entry.inbound != Inbound::Open && entry.outbound.is_over()) {
            return;
        }
        entry.is_reset_sent = true;
        entry.stop_sending(reason);
        entry.forget_received();
        entry.wake();
        self.notices.push_back(Frame::Reset { stream, reason });
    }

    /// The reading handle is gone.
    pub(super) fn drop_reader(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        entry.has_reader = false;
        entry.forget_received();
        self.want_no_more(stream);
        self.sweep(stream);
    }

    /// Tells the other side that nobody reads, once everything of ours is said: a reset takes what is queued with it.
    fn want_no_more(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get(&stream) else { return };
        if !entry.has_reader && entry.inbound == Inbound::Open && entry.outbound.is_over() {
            self.reset(stream, ResetReason::Abandoned);
        }
    }

    /// The writing handle is gone.
    pub(super) fn drop_writer(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        entry.has_writer = false;
        if entry.outbound == Outbound::Open {
            self.reset(stream, ResetReason::Abandoned);
        }
        self.sweep(stream);
    }

    /// The connection is gone: whoever waits is told.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        for entry in self.entries.values_mut() {
            entry.queue.clear();
            entry.queued_bytes = 0;
            entry.wake();
        }
        let over: Vec<_> = self.entries.keys().copied().collect();
        for stream in over {
            self.sweep(stream);
        }
    }

    /// Streams open now, and bytes queued on them.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.entries.len(), self.entries.values().map(|entry| entry.queued_bytes).sum())
    }

    /// Bytes that the other side may still send us without more credit.
    pub(super) fn credit_given(&self) -> usize {
        self.entries.values().map(|entry| entry.window_left).sum()
    }

    /// The last measured round trip.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    fn make_ready(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get_mut(&stream) else { return };
        if !entry.is_ready && entry.can_send() {
            entry.is_ready = true;
            let is_small = entry.queued_bytes <= SMALL_BYTES;
            match entry.class {
                Class::Bulk if !is_small => self.bulk_ready.push_back(stream),
                Class::Control | Class::Bulk => self.control_ready.push_back(stream),
            }
        }
    }

    /// Forgets a stream that is over on both sides and that nobody holds.
    fn sweep(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.get(&stream) else { return };
        if !entry.is_over(self.is_lost) {
            return;
        }
        if entry.is_ours {
            self.ours = self.ours.saturating_sub(1);
        } else {
            self.theirs = self.theirs.saturating_sub(1);
        }
        self.entries.remove(&stream);
    }

    fn is_theirs(&self, stream: StreamId) -> bool {
        let is_odd = stream.0 % 2 == 1;
        is_odd == (self.side == Side::Listener)
    }

    /// A frame for a stream that is over crossed our word of it on the way; one for a stream that never was is wrong.
    fn judge_absent(&self, stream: StreamId) -> Result<Event, Violation> {
        let did_exist = if self.is_theirs(stream) { stream.0 <= self.last_theirs } else { stream.0 < self.next_own };
        if did_exist { Ok(Event::None) } else { Err(Violation::UnknownStream) }
    }
}
