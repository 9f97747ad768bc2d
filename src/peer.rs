//! Sessions between daemons: how the two sides of a source-initiated link reach each other.
//!
//! Owns: dialling and listening, TLS between daemons, the frames, streams with credits, who fences whom.
//! Promises: a peer is who its certificate shows, on both ends, and nothing it says counts; bytes of a stream arrive
//! in order or the stream ends; memory is bounded whatever the other side does; every wait has an end; control never
//! waits behind bulk.
//! Does not know: what streams carry. [`Handler`] serves those that the other side opens.
//!
//! # One connection
//!
//! TCP, TLS 1.3 with certificates on both sides, a hello of three messages (`hello`), then frames of at most 64 KiB
//! (`frame`). A connection is a bundle of streams (`streams`), each with credits in bytes in both directions. Windows
//! begin small and double while the reader keeps up, as far as the session's budget goes.
//!
//! # One session
//!
//! Eight connections by default, because one TCP connection moves a few MB for each round trip, whatever the line
//! could do. A stream stays on the connection it was opened on, so its bytes stay in order; a lost connection ends
//! its streams, and whoever used them opens new ones. Who dials is independent of who asks: both sides open streams.
//!
//! # Many daemons
//!
//! The listener names itself in its first word, so that a dialler behind a load balancer knows whom it met, and goes
//! on dialling until each daemon has its session. A daemon that comes back makes a newer session; the older one is
//! closed by the listener.

mod certificate;
mod dialler;
mod directory;
mod error;
mod frame;
mod hello;
mod identity;
mod issue;
mod line;
mod listener;
mod pace;
mod proxy;
mod session;
mod settings;
mod squeeze;
mod stream;
mod streams;
mod tcp;
mod tls;
mod transport;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use self::dialler::Connect;
use self::directory::Directory;
use self::tcp::TcpConnect;
use self::tls::Tls;
use crate::types::PeerName;

pub use directory::{PeerStatus, Trouble};
pub use error::PeerError;
pub use frame::{Class, Farewell, ResetReason, Violation};
pub use hello::{Refusal, SessionEpoch, Versions};
pub use identity::{Identity, InvalidIdentity, KeyDigest};
pub use issue::{Issued, Proof, issue};
pub use line::Loss;
pub use session::SessionStatus;
pub use settings::{Address, CONNECTIONS, CONNECTIONS_MAX, InstanceId, PeerSettings, Proxy, SessionLimits, Settings};
pub use stream::{MessageError, Stream, StreamReader, StreamWriter};
pub use streams::{Side, StreamEnd};
pub use tls::OwnCertificate;

/// Who opened a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The peer, as its certificate shows.
    pub peer: PeerName,
    /// Which of its daemons, as it says itself: for people only.
    pub instance: InstanceId,
}

/// Serves the streams that the other side opens.
pub trait Handler: Send + Sync {
    /// Serves one. The future is dropped when the connection ends.
    fn serve(&self, caller: Caller, stream: Stream) -> BoxFuture<'static, ()>;
}

/// Serves nothing: for daemons that only ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServeNothing;

impl Handler for ServeNothing {
    fn serve(&self, _caller: Caller, stream: Stream) -> BoxFuture<'static, ()> {
        stream.reset(ResetReason::Refused);
        Box::pin(std::future::ready(()))
    }
}

/// All sessions of a daemon. Clones share them; they end with [`Peers::close`].
#[derive(Clone)]
pub struct Peers {
    directory: Arc<Directory>,
    tls: Option<Arc<Tls>>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("instance", &self.directory.instance).finish_non_exhaustive()
    }
}

impl Peers {
    /// Listens and dials as configured. Peers that are away are no error: they are waited for. The error is that the
    /// port can't be listened on.
    pub async fn start(settings: Settings, handler: Arc<dyn Handler>) -> Result<Self, PeerError> {
        let rules = settings.peers.iter().map(|peer| (peer.name.clone(), peer.identity.clone())).collect();
        let (certificate, key, ca) = (settings.certificate.clone(), settings.key.clone(), settings.ca.clone());
        let tls = Arc::new(Tls::new(certificate, key, ca, rules));
        let directory = Arc::new(Directory::new(&settings, handler));
        if let Some(listen) = &settings.listen {
            let refuse = |error: std::io::Error| PeerError::Connect {
                address: listen.clone(),
                reason: format!("can't listen there: {error}"),
            };
            let listener = TcpListener::bind(listen).await.map_err(refuse)?;
            let accepting = listener::run(Arc::clone(&directory), listener, Arc::clone(&tls));
            directory.tasks.spawn_until_stopped("listen for peers", accepting);
        }
        let connect = TcpConnect { tls: Arc::clone(&tls), silence_max: settings.limits.silence_max };
        Self::dial_all(&directory, &Arc::new(connect));
        Ok(Self { directory, tls: Some(tls) })
    }

    fn dial_all<C: Connect + 'static>(directory: &Arc<Directory>, connect: &Arc<C>) {
        for peer in directory.peers().filter(|peer| !peer.settings.connect.is_empty()) {
            let connect = Arc::clone(connect) as Arc<dyn Connect>;
            let dialling = dialler::run(Arc::clone(directory), peer.settings.name.clone(), connect);
            directory.tasks.spawn_until_stopped("dial a peer's addresses", dialling);
        }
    }

    /// Opens a stream to a peer, on the idlest connection of any session with it. `purpose`: at most 4 KiB that tell
    /// the other side's handler what the stream is for.
    pub fn open(&self, peer: &PeerName, class: Class, purpose: &Bytes) -> Result<Stream, PeerError> {
        self.directory.open(peer, class, purpose)
    }

    /// Waits until there is a session with the peer. Returns at once when the peer is not configured.
    pub async fn wait_for(&self, peer: &PeerName) -> Result<(), PeerError> {
        let peer = self.directory.peer(peer)?;
        let mut changes = peer.changes();
        while !peer.is_here() {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Takes another list of who may have a session, and as whom. Whoever is on it no more, or under another identity,
    /// is cut at once. Peers that there were no settings for at the start are not added.
    pub fn allow(&self, allowed: &[(PeerName, Identity)]) {
        let Some(tls) = &self.tls else { return };
        let before = tls.allowed();
        let is_known = |name: &PeerName| self.directory.peer(name).is_ok();
        tls.allow(allowed.iter().filter(|(name, _)| is_known(name)).cloned().collect());
        for peer in self.directory.peers() {
            let of = |list: &[(PeerName, Identity)]| {
                list.iter().find(|(name, _)| *name == peer.settings.name).map(|(_, identity)| identity.clone())
            };
            let (then, now) = (of(&before), of(allowed));
            if then != now {
                Directory::restand(peer, now.is_none());
            }
        }
    }

    /// Cuts all connections with a peer; both sides may make new ones at once.
    pub fn cut(&self, peer: &PeerName) {
        if let Ok(peer) = self.directory.peer(peer) {
            Directory::cut(peer);
        }
    }

    /// All peers, for people.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        self.directory.status()
    }

    /// Our own certificate, as the other side has to know it.
    pub async fn own_certificate(&self) -> Result<OwnCertificate, PeerError> {
        match &self.tls {
            Some(tls) => tls.own().await,
            None => Err(PeerError::Own("there is none".to_owned())),
        }
    }

    /// Ends all sessions, with a word to the other sides.
    pub async fn close(&self) {
        self.directory.close().await;
    }
}

/// Locks a mutex. A panic of another holder is no reason to stop: every critical section here leaves its data whole.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
