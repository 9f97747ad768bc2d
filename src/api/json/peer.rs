//! Other daemons that we have sessions with.

use serde::{Deserialize, Serialize};

use crate::types::{ClusterName, PeerName};

/// All peers: `GET /v1/peers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    /// By name.
    pub peers: Vec<Peer>,
}

/// A peer: the daemons of the other side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Our name for it.
    pub name: PeerName,
    /// Whether there is a session with it.
    pub state: PeerState,
    /// Since when this daemon has had a session, or has had none; milliseconds since 1970.
    pub since_ms: i64,
    /// The sessions, one for each daemon of the peer; those without a connection for a while as well.
    pub sessions: Vec<PeerSession>,
    /// Other daemons of our group that have a session with it.
    pub served_by: Vec<String>,
    /// The clusters that are read through it.
    pub clusters: Vec<ClusterName>,
    /// The cluster of ours that it may read.
    pub exposes: Option<ClusterName>,
    /// The least time until the retention of a source that is read through it would overtake a mirror partition,
    /// milliseconds: what is not copied by then is lost. Null where that is not known.
    pub retention_left_ms: Option<u64>,
    /// What went wrong last, even if all is well now.
    pub error: Option<PeerError>,
}

/// Whether there is a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// With this daemon.
    Connected,
    /// Not with this daemon, but with another one of its group.
    ServedElsewhere,
    /// With none, as far as is known here.
    Away,
}

impl PeerState {
    /// The name as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ServedElsewhere => "served_elsewhere",
            Self::Away => "away",
        }
    }
}

/// A session with one daemon of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerSession {
    /// That daemon's `daemon.id`.
    pub instance: String,
    /// Who dialled.
    pub dialled_by: DialledBy,
    /// Connections that are up.
    pub connections: u64,
    /// Connections that there should be.
    pub connections_wanted: u64,
    /// How long at least one connection has been up, milliseconds; null: none is.
    pub up_ms: Option<u64>,
    /// The shortest round trip measured last, milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Requests and their answers under way: streams that are open.
    pub streams: u64,
    /// What the peer may send us without further credit, bytes.
    pub credit_bytes: u64,
    /// What waits to be sent, bytes.
    pub queued_bytes: u64,
    /// On the wire since the session began, without what TLS adds, bytes.
    pub sent_bytes: u64,
    /// Likewise received.
    pub received_bytes: u64,
}

/// Who dialled a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialledBy {
    /// This daemon.
    Us,
    /// The peer.
    Peer,
}

/// What went wrong last with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerError {
    /// A sentence.
    pub message: String,
    /// What a person can do about it.
    pub advice: Option<String>,
    /// When it was noticed last, milliseconds since 1970.
    pub at_ms: i64,
}
