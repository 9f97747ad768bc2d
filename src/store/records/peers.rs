//! What daemons tell each other of their sessions.

use serde::{Deserialize, Serialize};

/// What a daemon knows of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSeenRecord {
    /// It has a session with it.
    pub is_here: bool,
    /// Since when it has one, or has none, milliseconds.
    pub since_ms: i64,
}
