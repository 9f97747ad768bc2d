//! One connection of a session: reading, writing, heartbeats.
//!
//! Owns: the tasks of the connection, and their end.
//! Promises: a connection on which nothing whole arrives, or nothing gets away, for [`Limits::silence_max`] is lost;
//! one on which a rule is broken is closed; whoever uses a stream of a lost connection is told.
//! Does not know: how the connection came about, what streams carry.

mod flow;
mod reading;
mod writing;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frame::{Class, Farewell, PURPOSE_BYTES_MAX, Violation};
use super::pace::Pace;
use super::stream::Stream;
use super::streams::{Side, StreamEnd, Streams};
use super::transport::Transport;
use super::{Caller, Handler, lock};
use crate::tasks::{ByteBudget, TaskGroup};

/// What a connection is set up with.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// A heartbeat goes out so often.
    pub(super) heartbeat: Duration,
    /// A connection silent for so long is lost.
    pub(super) silence_max: Duration,
    /// The largest window of a stream, in bytes.
    pub(super) window_bytes_max: usize,
    /// Whether what we send is compressed.
    pub(super) is_compressed: bool,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The stream below failed or ended.
    #[error("{0}")]
    Io(String),
    /// Nothing came, or nothing got away.
    #[error("nothing was heard for {0:?}")]
    Silence(Duration),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(Violation),
    /// The peer closed it and said why.
    #[error("the peer closed it: {}", match .0 {
        Farewell::Stopping => "it is shutting down",
        Farewell::Fenced => "a newer session took its place",
        Farewell::Violation => "it says that we broke the protocol",
        Farewell::Expired => "our certificate has expired",
    })]
    Farewell(Farewell),
    /// The certificate of the peer expired meanwhile.
    #[error("the peer's certificate has expired")]
    Expired,
    /// The list of who may have a session, or of what it may read, was changed.
    #[error("our configuration of the peer has changed")]
    Reconfigured,
    /// We closed it.
    #[error("closed")]
    Closed,
}

/// One connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Line(pub(super) Arc<Shared>);

/// What the tasks and the streams of a connection share.
#[derive(Debug)]
pub(super) struct Shared {
    streams: Mutex<Streams>,
    loss: Mutex<Option<Loss>>,
    writer_wake: Notify,
    pub(super) tasks: TaskGroup,
    pub(super) limits: Limits,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    is_leaving: tokio_util::sync::CancellationToken,
}

impl Line {
    /// Starts the tasks. Those end with the connection, or when `parent` stops.
    pub(super) fn start(transport: Transport, side: Side, setup: Setup, parent: &TaskGroup) -> Self {
        let Setup { limits, budget, pace, handler, caller } = setup;
        let shared = Arc::new(Shared {
            streams: Mutex::new(Streams::new(side, limits.window_bytes_max, budget)),
            loss: Mutex::new(None),
            writer_wake: Notify::new(),
            tasks: parent.child(),
            limits,
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            is_leaving: tokio_util::sync::CancellationToken::new(),
        });
        let (reader, writer, socket) = (transport.reader, transport.writer, transport.socket);
        let tasks = &shared.tasks;
        let reading = reading::run(reader, Arc::clone(&shared), handler, caller);
        tasks.spawn_until_stopped("read frames of a peer", reading);
        // Not dropped when the group stops: it has a last word to say.
        tasks.spawn("write frames to a peer", writing::run(writer, socket, Arc::clone(&shared), pace));
        tasks.spawn_until_stopped("heartbeats to a peer", beat(Arc::clone(&shared)));
        if let Some(valid_for) = transport.valid_for {
            let expiring = Arc::clone(&shared);
            tasks.spawn_until_stopped("expiry of a peer's certificate", async move {
                tokio::time::sleep(valid_for).await;
                expiring.leave(Loss::Expired, Some(Farewell::Expired));
            });
        }
        Self(shared)
    }

    /// Opens a stream.
    pub(super) fn open(&self, class: Class, purpose: Bytes) -> Result<Stream, StreamEnd> {
        debug_assert!(purpose.len() <= PURPOSE_BYTES_MAX);
        let id = self.0.with(|streams| streams.open(class, purpose.clone()))?;
        self.0.wake_writer();
        Ok(Stream::new(Arc::clone(&self.0), id, class, purpose))
    }

    /// Why it is over; `None` while it is not.
    pub(super) fn loss(&self) -> Option<Loss> {
        lock(&self.0.loss).clone()
    }

    /// Closes it, with a word to the other side.
    pub(super) fn close(&self, farewell: Farewell) {
        self.0.leave(Loss::Closed, Some(farewell));
    }

    /// Closes it without a word: the other side learns why when it comes back, as far as that concerns it.
    pub(super) fn cut(&self) {
        self.0.leave(Loss::Reconfigured, None);
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Loss {
        self.0.tasks.stopped().await;
        self.0.tasks.wait().await;
        self.loss().unwrap_or(Loss::Closed)
    }

    /// Streams, and bytes queued on them.
    pub(super) fn load(&self) -> (usize, usize) {
        self.0.with(|streams| streams.load())
    }

    /// Credit that the other side has, in bytes.
    pub(super) fn credit_given(&self) -> usize {
        self.0.with(|streams| streams.credit_given())
    }

    /// The last measured round trip.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.0.with(|streams| streams.round_trip())
    }

    /// Bytes (sent, received), heads included, TLS not.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.0.bytes_sent.load(Ordering::Relaxed), self.0.bytes_received.load(Ordering::Relaxed))
    }
}

/// What a session gives each of its connections.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) budget: ByteBudget,
    pub(super) pace: Arc<Pace>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) caller: Caller,
}

impl Shared {
    /// Works on the streams under the lock.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Streams) -> T) -> T {
        work(&mut lock(&self.streams))
    }

    pub(super) fn wake_writer(&self) {
        self.writer_wake.notify_one();
    }

    /// The error of a stream that ended, with the connection's own reason where that is why.
    pub(super) fn stream_error(&self, end: StreamEnd) -> io::Error {
        match (end, &*lock(&self.loss)) {
            (StreamEnd::Lost, Some(loss)) => io::Error::new(io::ErrorKind::ConnectionReset, format!("{end}: {loss}")),
            (end, _) => end.into(),
        }
    }

    /// The connection is over. The first reason stays. A farewell is sent if the line takes it soon.
    fn leave(&self, loss: Loss, farewell: Option<Farewell>) {
        {
            let mut known = lock(&self.loss);
            if known.is_some() {
                return;
            }
            *known = Some(loss);
        }
        self.with(|streams| {
            if let Some(farewell) = farewell {
                streams.say_goodbye(farewell);
            }
            streams.lose();
        });
        self.is_leaving.cancel();
        self.tasks.stop();
    }
}

/// Sends heartbeats until it is dropped.
async fn beat(shared: Arc<Shared>) {
    let mut every = tokio::time::interval_at(Instant::now(), shared.limits.heartbeat);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        shared.with(Streams::ping);
        shared.wake_writer();
    }
}
