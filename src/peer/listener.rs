//! Listening: handshakes of others, few at a time, each under one deadline.
//!
//! Owns: the listener's part of the hello, the number of handshakes under way.
//! Promises: who does not finish a handshake holds nothing but a place among few, and that not for long; one address
//! can't take all places; what is wrong is known on this side, and the other side learns no more than it must.
//! Does not know: who dials.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dialler::note_clock;
use super::directory::Directory;
use super::error::PeerError;
use super::hello::{Announcement, Claim, HelloError, Refusal, VERSIONS, encode_verdict, read_hello, write_hello};
use super::lock;
use super::tcp;
use super::tls::{Tls, explain_late};
use super::transport::Transport;
use crate::tasks::wall_clock_ms;

/// What a failing accept is followed by: out of file descriptors, mostly.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Strangers' failures are logged once in so long.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Accepts connections until it is dropped.
pub(super) async fn run(directory: Arc<Directory>, listener: TcpListener, tls: Arc<Tls>) {
    let half_open = Arc::new(Semaphore::new(directory.limits.half_open_max));
    let addresses = Arc::new(Addresses::default());
    let log = Arc::new(Mutex::new(None::<tokio::time::Instant>));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "can't accept a peer's connection");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&half_open).try_acquire_owned() else { continue };
        let Some(visit) = addresses.enter(from.ip(), directory.limits.half_open_per_address_max) else { continue };
        let (accepting, tls, log) = (Arc::clone(&directory), Arc::clone(&tls), Arc::clone(&log));
        directory.tasks.spawn_until_stopped("a peer's handshake", async move {
            let limit = accepting.limits.handshake_max;
            let slow = || PeerError::Slow { address: from.to_string(), stage: "the handshake" };
            let outcome = timeout(limit, shake_hands(&accepting, &tls, stream, from)).await;
            drop((place, visit));
            if let Err(error) = outcome.unwrap_or_else(|_| Err(slow())) {
                complain(&log, &error);
            }
        });
    }
}

async fn shake_hands(
    directory: &Arc<Directory>,
    tls: &Tls,
    stream: TcpStream,
    from: SocketAddr,
) -> Result<(), PeerError> {
    let address = from.to_string();
    let socket = tcp::set_options(&stream, directory.limits.silence_max)
        .map_err(|error| PeerError::Connect { address: address.clone(), reason: error.to_string() })?;
    let transport = tls.accept(&address, stream).await?;
    hello(directory, Transport { socket: Some(socket), ..transport }).await
}

/// The listener's part of the hello. TLS has told which peer it is.
pub(super) async fn hello(directory: &Arc<Directory>, mut transport: Transport) -> Result<(), PeerError> {
    let address = transport.address.clone();
    let name = transport.peer.clone();
    let peer = directory.peer(&name)?;
    let failed = |error: HelloError| match error {
        HelloError::Io(error) => PeerError::Tls { address: address.clone(), reason: explain_late(&error) },
        HelloError::Violation(violation) => PeerError::Protocol { address: address.clone(), violation },
    };
    let announcement = Announcement {
        versions: VERSIONS,
        instance: directory.instance.clone(),
        clock_ms: wall_clock_ms(),
        binding: transport.binding,
    };
    let written = write_hello(&mut transport.writer, &announcement.encode()).await;
    written.map_err(|error| failed(error.into()))?;
    let text = match read_hello(&mut transport.reader).await {
        Ok(text) => text,
        // It met a daemon with which it has all connections already.
        Err(HelloError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let claim = Claim::decode(text).map_err(|violation| failed(violation.into()))?;
    if claim.binding != transport.binding {
        return Err(failed(super::Violation::Hello("it belongs to another TLS session").into()));
    }
    note_clock(peer, claim.clock_ms);
    let claimed = match VERSIONS.common(claim.versions) {
        None => Err(Refusal::Version),
        Some(_) => directory.claimed(peer, &claim),
    };
    let verdict = encode_verdict(claimed.as_ref().map(|_| ()).map_err(|refusal| *refusal));
    write_hello(&mut transport.writer, &verdict).await.map_err(|error| failed(error.into()))?;
    match claimed {
        Ok(session) => {
            directory.take(&name, &session, claim.slot, transport);
            Ok(())
        }
        Err(refusal) => {
            let reason = format!("a session of {} from {address} was refused: {refusal:?}", claim.instance);
            peer.trouble(reason, refusal.advice());
            Ok(())
        }
    }
}

/// Says what went wrong, but not ten thousand times.
fn complain(log: &Mutex<Option<tokio::time::Instant>>, error: &PeerError) {
    let is_due = {
        let mut last = lock(log);
        let is_due = last.is_none_or(|last| last.elapsed() >= LOG_EVERY);
        if is_due {
            *last = Some(tokio::time::Instant::now());
        }
        is_due
    };
    if is_due {
        tracing::warn!(%error, advice = error.advice(), "a peer's connection was refused");
    } else {
        tracing::debug!(%error, "a peer's connection was refused");
    }
}

/// How many handshakes are under way from each address.
#[derive(Debug, Default)]
struct Addresses {
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them.
struct Visit {
    addresses: Arc<Addresses>,
    from: IpAddr,
}

impl Addresses {
    fn enter(self: &Arc<Self>, from: IpAddr, max: usize) -> Option<Visit> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(from).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Visit { addresses: Arc::clone(self), from })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = lock(&self.addresses.counts);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}
