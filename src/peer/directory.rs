//! All peers and their sessions.
//!
//! Owns: which sessions there are, and which of two wins.
//! Promises: a newer session of a daemon fences its older one; nobody has more sessions than allowed.
//! Does not know: sockets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::PeerError;
use super::frame::{Class, Farewell};
use super::hello::{Claim, Refusal, SessionEpoch, SessionId};
use super::line::{Limits, Loss, Setup};
use super::pace::Pace;
use super::session::{Session, SessionStatus};
use super::settings::{InstanceId, PeerSettings, SessionLimits, Settings};
use super::stream::Stream;
use super::streams::Side;
use super::transport::Transport;
use super::{Caller, Handler, lock};
use crate::tasks::{ByteBudget, TaskGroup, wall_clock_ms};
use crate::types::PeerName;

/// Daemons of one peer that may have a session with us at a time.
const INSTANCES_MAX: usize = 64;
/// After a newer session took our place: whoever has it is to keep it, unless it goes away.
const FENCED_PAUSE: Duration = Duration::from_secs(30);
/// A session without a connection is remembered so long.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// See the module.
pub(super) struct Directory {
    pub(super) instance: InstanceId,
    pub(super) limits: SessionLimits,
    pub(super) tasks: TaskGroup,
    peers: BTreeMap<PeerName, Peer>,
    handler: Arc<dyn Handler>,
}

/// What is known of one peer.
pub(super) struct Peer {
    pub(super) settings: PeerSettings,
    pace: Arc<Pace>,
    sessions: Mutex<HashMap<(Side, InstanceId), Arc<Session>>>,
    /// The largest epoch of ours that a listener knows of.
    epoch_floor: Mutex<u64>,
    trouble: Mutex<Option<Trouble>>,
    /// A newer session took our place: we don't come back before.
    fenced_until: Mutex<Option<Instant>>,
    /// Whether it is on the list no more, and when its place on it changed.
    standing: Mutex<(bool, Option<Instant>)>,
    /// Whether there is a session, and since when it is so.
    presence: Mutex<(bool, Instant)>,
    /// Counts changes: connections that came or went.
    changes: watch::Sender<u64>,
}

/// What went wrong last.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// In words.
    pub reason: String,
    /// What a person can do about it.
    pub advice: Option<&'static str>,
    /// How long ago.
    pub age: Duration,
    at: Instant,
}

/// A peer, for people.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// Our name for it.
    pub peer: PeerName,
    /// Whether there is a session with a connection that is up.
    pub is_here: bool,
    /// How long it has been so; since the start, if it never changed.
    pub since: Duration,
    /// Its sessions, those without a connection included for a while.
    pub sessions: Vec<SessionStatus>,
    /// What went wrong last, even if all is well now.
    pub trouble: Option<Trouble>,
}

impl Directory {
    pub(super) fn new(settings: &Settings, handler: Arc<dyn Handler>) -> Self {
        let peer = |settings: &PeerSettings| {
            let peer = Peer {
                settings: settings.clone(),
                pace: Arc::new(Pace::new(settings.bytes_per_second)),
                sessions: Mutex::default(),
                epoch_floor: Mutex::new(0),
                trouble: Mutex::new(None),
                fenced_until: Mutex::new(None),
                standing: Mutex::new((false, None)),
                presence: Mutex::new((false, Instant::now())),
                changes: watch::Sender::new(0),
            };
            (settings.name.clone(), peer)
        };
        Self {
            instance: settings.instance.clone(),
            limits: settings.limits,
            tasks: TaskGroup::new(),
            peers: settings.peers.iter().map(peer).collect(),
            handler,
        }
    }

    pub(super) fn peer(&self, name: &PeerName) -> Result<&Peer, PeerError> {
        self.peers.get(name).ok_or_else(|| PeerError::Unknown(name.clone()))
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// Opens a stream over the idlest connection of any session.
    pub(super) fn open(&self, name: &PeerName, class: Class, purpose: &Bytes) -> Result<Stream, PeerError> {
        let peer = self.peer(name)?;
        let sessions: Vec<_> = lock(&peer.sessions).values().cloned().collect();
        let mut lines: Vec<_> = sessions.iter().filter_map(|session| session.idlest()).collect();
        lines.sort_by_key(|(streams, bytes, _)| (*streams, *bytes));
        let mut refusal = None;
        for (_, _, line) in lines {
            match Session::open(&line, class, purpose.clone()) {
                Ok(stream) => return Ok(stream),
                Err(end) => refusal = Some(PeerError::Stream { peer: name.clone(), end }),
            }
        }
        let reason = lock(&peer.trouble).as_ref().map(|trouble| trouble.reason.clone());
        Err(refusal.unwrap_or_else(|| PeerError::Away { peer: name.clone(), reason }))
    }

    /// The session that we dial to this daemon of the peer, made now if there is none.
    pub(super) fn dialled(&self, peer: &Peer, instance: &InstanceId) -> Option<Arc<Session>> {
        let mut sessions = lock(&peer.sessions);
        forget_old(&mut sessions);
        let key = (Side::Dialler, instance.clone());
        if let Some(session) = sessions.get(&key) {
            return Some(Arc::clone(session));
        }
        if sessions.len() >= INSTANCES_MAX {
            return None;
        }
        let now = u64::try_from(wall_clock_ms()).unwrap_or(0);
        let epoch = {
            let mut floor = lock(&peer.epoch_floor);
            *floor = now.max(floor.saturating_add(1));
            SessionEpoch(*floor)
        };
        let id = SessionId(rand::random());
        let session = self.session(peer, instance, Side::Dialler, id, epoch, peer.settings.connections);
        sessions.insert(key, Arc::clone(&session));
        Some(session)
    }

    /// A listener knows a newer session than this: the next one is newer still.
    pub(super) fn outdated(peer: &Peer, session: &Session, newest: SessionEpoch) {
        {
            let mut floor = lock(&peer.epoch_floor);
            *floor = newest.0.max(*floor);
        }
        *lock(&peer.fenced_until) = Some(Instant::now() + FENCED_PAUSE);
        Self::end(peer, session);
    }

    /// Forgets a session; its connections end.
    fn end(peer: &Peer, session: &Session) {
        let key = (session.side, session.instance.clone());
        {
            let mut sessions = lock(&peer.sessions);
            if sessions.get(&key).is_some_and(|known| known.id == session.id) {
                sessions.remove(&key);
            }
        }
        session.close(Farewell::Stopping);
    }

    /// Whether a connection that was dialled to us may join a session, and which. A newer session ends an older one.
    pub(super) fn claimed(&self, peer: &Peer, claim: &Claim) -> Result<Arc<Session>, Refusal> {
        let key = (Side::Listener, claim.instance.clone());
        let mut sessions = lock(&peer.sessions);
        forget_old(&mut sessions);
        let previous = sessions.get(&key).cloned();
        if let Some(known) = &previous {
            if known.epoch > claim.epoch || (known.epoch == claim.epoch && known.id != claim.session) {
                return Err(Refusal::Stale(known.epoch));
            }
            if known.id == claim.session {
                return if claim.slot < known.places() { Ok(Arc::clone(known)) } else { Err(Refusal::TooMany) };
            }
        } else if sessions.len() >= INSTANCES_MAX {
            return Err(Refusal::TooMany);
        }
        let (id, epoch) = (claim.session, claim.epoch);
        let session = self.session(peer, &claim.instance, Side::Listener, id, epoch, claim.slots);
        sessions.insert(key, Arc::clone(&session));
        drop(sessions);
        if let Some(previous) = previous {
            previous.close(Farewell::Fenced);
        }
        Ok(session)
    }

    fn session(
        &self,
        peer: &Peer,
        instance: &InstanceId,
        side: Side,
        id: SessionId,
        epoch: SessionEpoch,
        places: usize,
    ) -> Arc<Session> {
        let limits = Limits {
            heartbeat: self.limits.heartbeat,
            silence_max: self.limits.silence_max,
            window_bytes_max: self.limits.stream_credit_bytes,
            is_compressed: peer.settings.is_compressed,
        };
        let setup = Setup {
            limits,
            budget: ByteBudget::new(self.limits.session_credit_bytes),
            pace: Arc::clone(&peer.pace),
            handler: Arc::clone(&self.handler),
            caller: Caller { peer: peer.settings.name.clone(), instance: instance.clone() },
        };
        Arc::new(Session::new(instance.clone(), side, id, epoch, places, setup))
    }

    /// Puts a connection to use, until it ends. The task that waits for its end belongs to the directory.
    pub(super) fn take(self: &Arc<Self>, peer: &PeerName, session: &Arc<Session>, place: usize, transport: Transport) {
        let address = transport.address.clone();
        let line = session.take(place, transport, &self.tasks);
        let Ok(known) = self.peer(peer) else { return line.close(Farewell::Stopping) };
        // While this connection was made, its session may have been fenced.
        if !known.has(session) {
            line.close(Farewell::Fenced);
        }
        if known.is_judged_too_early(self.limits.handshake_max) {
            line.cut();
        }
        known.changed();
        tracing::debug!(%peer, instance = %session.instance, address, place, "a connection of a session is up");
        let (directory, name, session) = (Arc::clone(self), peer.clone(), Arc::clone(session));
        self.tasks.spawn("end of a connection to a peer", async move {
            let loss = session.watch(place, line).await;
            tracing::debug!(peer = %name, instance = %session.instance, place, %loss, "connection of a session lost");
            if let Ok(peer) = directory.peer(&name) {
                Self::lost(peer, &session, &loss);
                peer.changed();
            }
        });
    }

    fn lost(peer: &Peer, session: &Session, loss: &Loss) {
        match loss {
            Loss::Closed => return,
            // Two daemons with one id would fence each other for ever, if the loser came back at once.
            Loss::Farewell(Farewell::Fenced) if session.side == Side::Dialler => {
                *lock(&peer.fenced_until) = Some(Instant::now() + FENCED_PAUSE);
                Self::end(peer, session);
            }
            Loss::Farewell(_)
            | Loss::Io(_)
            | Loss::Silence(_)
            | Loss::Violation(_)
            | Loss::Expired
            | Loss::Reconfigured => {}
        }
        peer.trouble(format!("the connection to {} was lost: {loss}", session.instance), None);
    }

    /// For people.
    pub(super) fn status(&self) -> Vec<PeerStatus> {
        let status = |peer: &Peer| {
            let mut sessions: Vec<_> = lock(&peer.sessions).values().map(|session| session.status()).collect();
            sessions.sort_by(|one, other| one.instance.cmp(&other.instance));
            let trouble = lock(&peer.trouble).clone();
            let trouble = trouble.map(|trouble| Trouble { age: trouble.at.elapsed(), ..trouble });
            let (is_here, since) = peer.presence();
            PeerStatus { peer: peer.settings.name.clone(), is_here, since, sessions, trouble }
        };
        self.peers().map(status).collect()
    }

    /// The peer's place on the list has changed. Cuts what was made under the old one.
    pub(super) fn restand(peer: &Peer, is_revoked: bool) {
        *lock(&peer.standing) = (is_revoked, Some(Instant::now()));
        Self::cut(peer);
    }

    /// Cuts all connections with a peer; new ones may be made.
    pub(super) fn cut(peer: &Peer) {
        let sessions: Vec<_> = lock(&peer.sessions).values().cloned().collect();
        for session in sessions {
            session.cut();
        }
        peer.changed();
    }

    /// Closes all sessions.
    pub(super) async fn close(&self) {
        for peer in self.peers() {
            let sessions: Vec<_> = lock(&peer.sessions).values().cloned().collect();
            for session in sessions {
                session.close(Farewell::Stopping);
            }
        }
        self.tasks.close().await;
    }
}

impl Peer {
    /// Tells of each connection that comes or goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether it was taken off the list.
    pub(super) fn is_revoked(&self) -> bool {
        lock(&self.standing).0
    }

    /// Whether a connection that is made now may have been judged by the list before its last change.
    fn is_judged_too_early(&self, handshake_max: Duration) -> bool {
        let (is_revoked, changed_at) = *lock(&self.standing);
        is_revoked || changed_at.is_some_and(|at| at.elapsed() < handshake_max)
    }

    /// Whether any session has a connection.
    pub(super) fn is_here(&self) -> bool {
        lock(&self.sessions).values().any(|session| session.is_up())
    }

    /// Notes what went wrong.
    pub(super) fn trouble(&self, reason: String, advice: Option<&'static str>) {
        let trouble = Trouble { reason, advice, age: Duration::ZERO, at: Instant::now() };
        let previous = lock(&self.trouble).replace(trouble.clone());
        // The same again, every few seconds for days, belongs into the status and not into the log.
        if previous.is_none_or(|previous| previous.reason != trouble.reason) {
            let (peer, advice) = (&self.settings.name, trouble.advice);
            tracing::warn!(%peer, reason = trouble.reason, advice, "peer trouble");
        }
    }

    /// Until when nothing is dialled.
    pub(super) fn fenced_until(&self) -> Option<Instant> {
        *lock(&self.fenced_until)
    }

    fn has(&self, session: &Session) -> bool {
        let key = (session.side, session.instance.clone());
        lock(&self.sessions).get(&key).is_some_and(|known| known.id == session.id)
    }

    /// Whether there is a session, and how long it has been so.
    fn presence(&self) -> (bool, Duration) {
        let is_here = self.is_here();
        let mut presence = lock(&self.presence);
        if presence.0 != is_here {
            *presence = (is_here, Instant::now());
        }
        (is_here, presence.1.elapsed())
    }

    fn changed(&self) {
        self.presence();

        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn forget_old(sessions: &mut HashMap<(Side, InstanceId), Arc<Session>>) {
    sessions.retain(|_, session| session.down_for().is_none_or(|down| down < REMEMBERED_FOR));
}
