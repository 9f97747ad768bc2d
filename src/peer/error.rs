//! What can keep two daemons from having a session.

use super::frame::Violation;
use super::hello::Refusal;
use super::settings::Address;
use super::streams::StreamEnd;
use crate::types::PeerName;

/// No session, or nothing over it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// There is no `[peer.NAME]` of this name.
    #[error("no peer is called {0}")]
    Unknown(PeerName),
    /// No session is up.
    #[error("there is no session with peer {peer}{}", because(.reason.as_deref()))]
    Away {
        /// The peer.
        peer: PeerName,
        /// What went wrong last.
        reason: Option<String>,
    },
    /// A stream could not be opened.
    #[error("peer {peer}: {end}")]
    Stream {
        /// The peer.
        peer: PeerName,
        /// Why.
        end: StreamEnd,
    },
    /// No connection.
    #[error("can't connect to {address}: {reason}")]
    Connect {
        /// What was dialled.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The proxy does not let us through.
    #[error("the proxy {proxy} does not connect us to {address}: {reason}")]
    Proxy {
        /// The proxy.
        proxy: Address,
        /// What was dialled.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// The other end.
        address: String,
        /// Why.
        reason: String,
    },
    /// Our own certificate, key or authorities can't be used.
    #[error("our own certificate can't be used: {0}")]
    Own(String),
    /// The other side does not speak our protocol.
    #[error("{address}: {violation}")]
    Protocol {
        /// The other end.
        address: String,
        /// What it did.
        violation: Violation,
    },
    /// The other side refused the session.
    #[error("{address} refused the session: {refusal}")]
    Refused {
        /// The other end.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// The handshake was not finished in time.
    #[error("{address}: {stage} not finished in time")]
    Slow {
        /// The other end.
        address: String,
        /// What took too long.
        stage: &'static str,
    },
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

impl PeerError {
    /// What a person can do about it; `None` where waiting is all.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(_) => Some("add a section [peer.NAME]"),
            Self::Tls { .. } => {
                Some("compare `identity` on this side with the certificate on the other, and theirs with ours")
            }
            Self::Own(_) => Some("look at `certificate`, `key` and `ca` in [peers]"),
            Self::Protocol { .. } => Some("is that the peers' port of a causeway daemon?"),
            Self::Refused { refusal, .. } => refusal.advice(),
            Self::Proxy { .. } => Some("the proxy must allow CONNECT to this address"),
            Self::Connect { .. } => Some("look at the address, the port and the firewall"),
            Self::Away { .. } | Self::Stream { .. } | Self::Slow { .. } => None,
        }
    }
}
