//! Dialling: as many connections as a session has places, to every daemon behind every address.
//!
//! Owns: the loops that dial, and the dialler's part of the hello.
//! Promises: names are looked up again and again, every address of a name is dialled; behind a load balancer dialling
//! goes on until each daemon that was ever met there has its connections; failures are spaced out, with jitter.
//! Does not know: who listens.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout};

use super::directory::{Directory, Peer};
use super::error::PeerError;
use super::hello::{Announcement, Claim, HelloError, Refusal, VERSIONS, decode_verdict, read_hello, write_hello};
use super::settings::{Address, InstanceId, PeerSettings};
use super::transport::Transport;
use crate::tasks::{Backoff, TaskGroup, wall_clock_ms};
use crate::types::PeerName;

const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// Connections dialled at the same time to one address.
const AT_ONCE: usize = 8;
/// A daemon that was not met for so long is not looked for any more.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);
/// Clocks further apart than this are worth a word.
const CLOCK_DIFFERENCE_MAX_MS: u64 = 60_000;

/// One thing to dial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// As configured.
    pub(super) address: Address,
    /// What its name stands for now; `None` where the proxy looks it up.
    pub(super) at: Option<std::net::SocketAddr>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) if at.ip().to_string() != self.address.host => write!(f, "{} ({})", self.address, at.ip()),
            Some(_) | None => self.address.fmt(f),
        }
    }
}

/// What makes connections. Tests have one over pipes in memory.
pub(super) trait Connect: Send + Sync {
    /// All that an address stands for.
    fn resolve<'a>(
        &'a self,
        peer: &'a PeerSettings,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Vec<Target>, PeerError>>;
    /// Connects and shakes hands.
    fn connect<'a>(&'a self, peer: &'a PeerSettings, target: &'a Target)
    -> BoxFuture<'a, Result<Transport, PeerError>>;
}

/// How one attempt ended.
enum Met {
    /// A connection more.
    Joined(InstanceId),
    /// That daemon has all its connections.
    Full(InstanceId),
    Failed(PeerError),
}

/// Dials one peer until it is dropped: one loop for each thing that its addresses stand for.
pub(super) async fn run(directory: Arc<Directory>, name: PeerName, connect: Arc<dyn Connect>) {
    let Ok(peer) = directory.peer(&name) else { return };
    let mut seekers: BTreeMap<Target, TaskGroup> = BTreeMap::new();
    let mut backoff = Backoff::new(Duration::from_secs(1), directory.limits.probe_every);
    loop {
        let resolved = join_all(peer.settings.connect.iter().map(|address| connect.resolve(&peer.settings, address)));
        let mut found = BTreeSet::new();
        let mut is_complete = true;
        for resolved in resolved.await {
            match resolved {
                Ok(targets) => found.extend(targets),
                Err(error) => {
                    is_complete = false;
                    peer.trouble(error.to_string(), error.advice());
                }
            }
        }
        if is_complete {
            // Where a name no longer leads is not dialled again; connections that are up stay.
            seekers.retain(|target, tasks| {
                found.contains(target) || {
                    tasks.stop();
                    false
                }
            });
        }
        for target in found {
            seekers.entry(target.clone()).or_insert_with(|| {
                let tasks = directory.tasks.child();
                let seeker = Seeker::new(Arc::clone(&directory), name.clone(), target, Arc::clone(&connect));
                tasks.spawn_until_stopped("dial a peer", seeker.run());
                tasks
            });
        }
        if is_complete {
            backoff.reset();
            tokio::time::sleep(directory.limits.probe_every).await;
        } else {
            backoff.pause().await;
        }
    }
}

/// Dials one target.
struct Seeker {
    directory: Arc<Directory>,
    name: PeerName,
    target: Target,
    connect: Arc<dyn Connect>,
    /// Daemons met there, and when last.
    met: HashMap<InstanceId, Instant>,
}

impl Seeker {
    fn new(directory: Arc<Directory>, name: PeerName, target: Target, connect: Arc<dyn Connect>) -> Self {
        Self { directory, name, target, connect, met: HashMap::new() }
    }

    async fn run(mut self) {
        let directory = Arc::clone(&self.directory);
        let Ok(peer) = directory.peer(&self.name) else { return };
        let mut changes = peer.changes();
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        loop {
            if let Some(until) = peer.fenced_until() {
                tokio::time::sleep_until(until).await;
            }
            changes.mark_unchanged();
            if peer.is_revoked() {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let attempts = self.missing(peer).min(AT_ONCE);
            if attempts == 0 {
                let probe_every = directory.limits.probe_every;
                if timeout(probe_every, changes.changed()).await.is_ok() {
                    continue;
                }
            }
            let met = join_all((0..attempts.max(1)).map(|_| self.attempt(peer))).await;
            let mut has_joined = false;
            for met in met {
                match met {
                    Met::Joined(instance) => {
                        has_joined = true;
                        self.met.insert(instance, Instant::now());
                    }
                    Met::Full(instance) => {
                        self.met.insert(instance, Instant::now());
                    }
                    Met::Failed(error) => {
                        peer.trouble(error.to_string(), error.advice());
                    }
                }
            }
            if has_joined {
                backoff.reset();
            } else {
                backoff.pause().await;
            }
        }
    }

    /// How many connections the daemons behind this target lack, as far as is known.
    fn missing(&mut self, peer: &Peer) -> usize {
        self.met.retain(|_, at| at.elapsed() < REMEMBERED_FOR);
        if self.met.is_empty() {
            return 1;
        }
        let free = |instance: &InstanceId| {
            let session = self.directory.dialled(peer, instance);
            session.map_or(0, |session| session.free_places())
        };
        self.met.keys().map(free).sum()
    }

    async fn attempt(&self, peer: &Peer) -> Met {
        let limit = self.directory.limits.handshake_max;
        match timeout(limit, self.hello(peer)).await {
            Ok(Ok(met)) => met,
            Ok(Err(error)) => Met::Failed(error),
            Err(_) => Met::Failed(PeerError::Slow { address: self.target.to_string(), stage: "the handshake" }),
        }
    }

    async fn hello(&self, peer: &Peer) -> Result<Met, PeerError> {
        let mut transport = self.connect.connect(&peer.settings, &self.target).await?;
        let address = transport.address.clone();
        let failed = |error: HelloError| match error {
            HelloError::Io(error) => {
                PeerError::Tls { address: address.clone(), reason: super::tls::explain_late(&error) }
            }
            HelloError::Violation(violation) => PeerError::Protocol { address: address.clone(), violation },
        };
        let violated = |violation| failed(HelloError::Violation(violation));
        let text = read_hello(&mut transport.reader).await.map_err(failed)?;
        let announced = Announcement::decode(text).map_err(violated)?;
        if announced.binding != transport.binding {
            return Err(violated(super::Violation::Hello("it belongs to another TLS session")));
        }
        note_clock(peer, announced.clock_ms);
        let instance = announced.instance;
        let Some((session, reservation)) = self.directory.dialled(peer, &instance).and_then(|session| {
            let reservation = session.reserve()?;
            Some((session, reservation))
        }) else {
            return Ok(Met::Full(instance));
        };
        let claim = Claim {
            versions: VERSIONS,
            instance: self.directory.instance.clone(),
            session: session.id,
            epoch: session.epoch,
            slot: reservation.place(),
            slots: session.places(),
            clock_ms: wall_clock_ms(),
            binding: transport.binding,
        };
        write_hello(&mut transport.writer, &claim.encode()).await.map_err(|error| failed(error.into()))?;
        let refused = |refusal| PeerError::Refused { address: address.clone(), refusal };
        if VERSIONS.common(announced.versions).is_none() {
            return Err(refused(Refusal::Version));
        }
        let text = read_hello(&mut transport.reader).await.map_err(failed)?;
        if let Err(refusal) = decode_verdict(text).map_err(violated)? {
            if let Refusal::Stale(newest) = refusal {
                Directory::outdated(peer, &session, newest);
            }
            return Err(refused(refusal));
        }
        self.directory.take(&self.name, &session, reservation.place(), transport);
        Ok(Met::Joined(instance))
    }
}

/// Certificates are judged by clocks, and so is everything that people compare between two sides.
pub(super) fn note_clock(peer: &Peer, theirs_ms: i64) {
    let difference_ms = theirs_ms.abs_diff(wall_clock_ms());
    if difference_ms > CLOCK_DIFFERENCE_MAX_MS {
        let seconds = difference_ms / 1000;
        let reason = format!("the clocks of peer {} and ours are {seconds} s apart", peer.settings.name);
        peer.trouble(reason, Some("set the clock on the side where it is wrong"));
    }
}
