//! One session: the connections between two daemons that belong together.
//!
//! Owns: the places for connections, the credit budget, the counts.
//! Promises: a stream stays on the connection it was opened on; a new connection in a place ends the old one there.
//! Does not know: how connections come about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::frame::{Class, Farewell};
use super::hello::{SessionEpoch, SessionId};
use super::line::{Line, Loss, Setup};
use super::lock;
use super::settings::InstanceId;
use super::stream::Stream;
use super::streams::{Side, StreamEnd};
use super::transport::Transport;
use crate::tasks::TaskGroup;

/// See the module.
pub(super) struct Session {
    pub(super) instance: InstanceId,
    pub(super) side: Side,
    pub(super) id: SessionId,
    pub(super) epoch: SessionEpoch,
    setup: Setup,
    places: Mutex<Vec<Place>>,
    up_since: Mutex<Option<Instant>>,
    last_seen: Mutex<Instant>,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

#[derive(Debug)]
enum Place {
    Free,
    /// A handshake for it is under way.
    Reserved,
    Taken(Line),
}

/// A place that a handshake was begun for. Gives it back when dropped.
pub(super) struct Reservation {
    session: Arc<Session>,
    place: usize,
}

/// A session, for people.
#[derive(Debug, Clone)]
pub struct SessionStatus {
    /// The daemon at the other end.
    pub instance: InstanceId,
    /// Which end we are.
    pub side: Side,
    /// Connections that are up, and that there should be.
    pub connections: (usize, usize),
    /// How long at least one connection has been up; `None`: none is.
    pub up_for: Option<Duration>,
    /// The shortest round trip measured last, among its connections.
    pub round_trip: Option<Duration>,
    /// Streams that are open.
    pub streams: usize,
    /// What the other side may send without further credit, in bytes.
    pub credit_bytes: usize,
    /// What waits to be sent, in bytes.
    pub queued_bytes: usize,
    /// Sent since the session began, in bytes, without TLS.
    pub bytes_sent: u64,
    /// Received, likewise.
    pub bytes_received: u64,
}

impl Session {
    pub(super) fn new(
        instance: InstanceId,
        side: Side,
        id: SessionId,
        epoch: SessionEpoch,
        places: usize,
        setup: Setup,
    ) -> Self {
        Self {
            instance,
            side,
            id,
            epoch,
            setup,
            places: Mutex::new((0..places).map(|_| Place::Free).collect()),
            up_since: Mutex::new(None),
            last_seen: Mutex::new(Instant::now()),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
        }
    }

    /// Places for connections.
    pub(super) fn places(&self) -> usize {
        lock(&self.places).len()
    }

    /// How many of them are free.
    pub(super) fn free_places(&self) -> usize {
        lock(&self.places).iter().filter(|place| matches!(place, Place::Free)).count()
    }

    /// Takes a free place for a handshake.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        let mut places = lock(&self.places);
        let (place, free) = places.iter_mut().enumerate().find(|(_, place)| matches!(place, Place::Free))?;
        *free = Place::Reserved;
        Some(Reservation { session: Arc::clone(self), place })
    }

    /// Puts a connection into its place. One that is there already is closed: the other side has given it up.
    pub(super) fn take(self: &Arc<Self>, place: usize, transport: Transport, tasks: &TaskGroup) -> Line {
        let line = Line::start(transport, self.side, self.setup.clone(), tasks);
        let previous = {
            let mut places = lock(&self.places);
            let Some(taken) = places.get_mut(place) else {
                line.close(Farewell::Stopping);
                return line;
            };
            std::mem::replace(taken, Place::Taken(line.clone()))
        };
        lock(&self.up_since).get_or_insert_with(Instant::now);
        if let Place::Taken(previous) = previous {
            previous.close(Farewell::Fenced);
        }
        line
    }

    /// Waits for a connection's end and frees its place.
    pub(super) async fn watch(&self, place: usize, line: Line) -> Loss {
        let loss = line.ended().await;
        let (sent, received) = line.bytes();
        let mut places = lock(&self.places);
        // The counts move from the line to the session at one moment.
        self.bytes_sent.fetch_add(sent, Ordering::Relaxed);
        self.bytes_received.fetch_add(received, Ordering::Relaxed);
        if let Some(taken) = places.get_mut(place)
            && matches!(taken, Place::Taken(other) if Arc::ptr_eq(&other.0, &line.0))
        {
            *taken = Place::Free;
        }
        *lock(&self.last_seen) = Instant::now();
        if !places.iter().any(|place| matches!(place, Place::Taken(_))) {
            *lock(&self.up_since) = None;
        }
        loss
    }

    /// The connection with the least to do.
    pub(super) fn idlest(&self) -> Option<(usize, usize, Line)> {
        let load = |line: &Line| {
            let (streams, bytes) = line.load();
            (streams, bytes, line.clone())
        };
        self.lines().iter().map(load).min_by_key(|(streams, bytes, _)| (*streams, *bytes))
    }

    /// Opens a stream on that connection.
    pub(super) fn open(line: &Line, class: Class, purpose: Bytes) -> Result<Stream, StreamEnd> {
        line.open(class, purpose)
    }

    /// Whether it has a connection.
    pub(super) fn is_up(&self) -> bool {
        lock(&self.places).iter().any(|place| matches!(place, Place::Taken(_)))
    }

    /// Since when it has none; `None` while it has one.
    pub(super) fn down_for(&self) -> Option<Duration> {
        (!self.is_up()).then(|| lock(&self.last_seen).elapsed())
    }

    /// Closes all connections.
    pub(super) fn close(&self, farewell: Farewell) {
        for line in self.lines() {
            line.close(farewell);
        }
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        for line in self.lines() {
            line.cut();
        }
    }

    fn lines(&self) -> Vec<Line> {
        let places = lock(&self.places);
        let line = |place: &Place| match place {
            Place::Taken(line) if line.loss().is_none() => Some(line.clone()),
            Place::Taken(_) | Place::Reserved | Place::Free => None,
        };
        places.iter().filter_map(line).collect()
    }

    /// For people.
    pub(super) fn status(&self) -> SessionStatus {
        let lines = self.lines();
        let loads = lines.iter().map(Line::load);
        let (streams, queued_bytes) = loads.fold((0, 0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
        let (sent, received) = lines.iter().map(Line::bytes).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        SessionStatus {
            instance: self.instance.clone(),
            side: self.side,
            connections: (lines.len(), lock(&self.places).len()),
            up_for: lock(&self.up_since).map(|since| since.elapsed()),
            round_trip: lines.iter().filter_map(Line::round_trip).min(),
            streams,
            credit_bytes: lines.iter().map(Line::credit_given).sum(),
            queued_bytes,
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed) + sent,
            bytes_received: self.bytes_received.load(Ordering::Relaxed) + received,
        }
    }
}

impl Reservation {
    /// Which place it is.
    pub(super) fn place(&self) -> usize {
        self.place
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut places = lock(&self.session.places);
        if let Some(place @ Place::Reserved) = places.get_mut(self.place) {
            *place = Place::Free;
        }
    }
}
