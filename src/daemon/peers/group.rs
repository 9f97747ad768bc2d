//! What the daemons of a group tell each other of their sessions.
//!
//! Owns: this daemon's word on which peers it has sessions with, in its record in the state.
//! Promises: it is written when it changes, and often enough to show that the daemon lives.
//! Does not know: what anybody makes of it; sharing the work does not depend on it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::peer::{PeerStatus, Peers};
use crate::store::{DaemonRecord, Key, PeerSeenRecord, Store, Value};
use crate::tasks::wall_clock_ms;
use crate::types::PeerName;

/// Time between two looks at our own sessions.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The word is repeated so often.
const REPEAT_MS: i64 = 30_000;
/// An older word is that of a daemon that may be gone.
const BELIEVED_MS: i64 = 90_000;

impl Daemon {
    /// Keeps the group informed, until it is dropped.
    pub(in crate::daemon) async fn tell_of_peers(&self) {
        let Some(peers) = &self.peers else { return };
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            for store in self.sides.values().filter_map(|side| side.store()) {
                tell(&store, &self.config.daemon.id, peers).await;
            }
        }
    }
}

async fn tell(store: &Store, id: &str, peers: &Peers) {
    // The daemon introduces itself first.
    let Some(known) = record(store, id) else { return };
    let now = wall_clock_ms();
    let seen = peers.status().iter().map(|status| (status.peer.clone(), seen(status, &known, now))).collect();
    if seen == known.peers && now.saturating_sub(known.at_ms) < REPEAT_MS {
        return;
    }
    if let Err(error) = store.post_daemon(id, DaemonRecord { peers: seen, at_ms: now, ..known }).await {
        tracing::debug!(%error, "the group could not be told of sessions with peers");
    }
}

/// What is to be told of a peer, after what was told last.
fn seen(status: &PeerStatus, known: &DaemonRecord, now: i64) -> PeerSeenRecord {
    let own_since = now.saturating_sub(i64::try_from(status.since.as_millis()).unwrap_or(0));
    let since_ms = match known.peers.get(&status.peer) {
        // It has not changed, or not for long enough that this daemon would have seen it.
        Some(before) if before.is_here == status.is_here => before.since_ms.min(own_since),
        // It went while this daemon was not running: then it was last here when that was last said.
        Some(before) if before.is_here && known.at_ms > 0 => own_since.min(known.at_ms.max(before.since_ms)),
        Some(_) | None => own_since,
    };
    // A session that was lost and made anew within a look is new all the same.
    let since_ms = if status.is_here { own_since } else { since_ms };
    PeerSeenRecord { is_here: status.is_here, since_ms }
}

/// The other daemons that live, as far as is known, and the peers that each has a session with.
pub(super) fn others(store: &Store, own_id: &str) -> Vec<(String, Vec<PeerName>)> {
    let now = wall_clock_ms();
    let of_daemon = |(key, value): (Key, std::sync::Arc<Value>)| match (key, value.as_ref()) {
        (Key::Daemon { id }, Value::Daemon(record))
            if id != own_id && now.saturating_sub(record.at_ms) < BELIEVED_MS =>
        {
            let here = record.peers.iter().filter(|(_, seen)| seen.is_here);
            Some((id, here.map(|(peer, _)| peer.clone()).collect()))
        }
        _ => None,
    };
    store.view().all().into_iter().filter_map(of_daemon).collect()
}

/// Since when peers have been away, as this daemon said last.
pub(super) fn absences(store: &Store, own_id: &str) -> BTreeMap<PeerName, i64> {
    let peers = record(store, own_id).map(|record| record.peers).unwrap_or_default();
    peers.into_iter().filter(|(_, seen)| !seen.is_here).map(|(peer, seen)| (peer, seen.since_ms)).collect()
}

fn record(store: &Store, id: &str) -> Option<DaemonRecord> {
    match store.view().get(&Key::Daemon { id: id.to_owned() })?.as_ref() {
        Value::Daemon(record) => Some(record.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
