//! What the API tells of peers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::group::others;
use crate::api::json::{DialledBy, Peer, PeerError, PeerSession, PeerState};
use crate::config::LinkConfig;
use crate::daemon::Daemon;
use crate::daemon::partitions::Shown;
use crate::peer::{PeerStatus, SessionStatus, Side, Trouble};
use crate::tasks::wall_clock_ms;
use crate::types::PeerName;

impl Daemon {
    /// All peers, as the API tells them.
    pub(in crate::daemon) fn shown_peers(&self) -> Vec<Peer> {
        let Some(peers) = &self.peers else { return Vec::new() };
        let (holders, since) = (self.holders(), self.remembered_absence());
        let shown = |status: PeerStatus| {
            let served_by = holders.get(&status.peer).cloned().unwrap_or_default();
            let remembered = since.get(&status.peer).copied().filter(|_| !status.is_here);
            self.shown_peer(&status, served_by, remembered)
        };
        peers.status().into_iter().map(shown).collect()
    }

    fn shown_peer(&self, status: &PeerStatus, served_by: Vec<String>, remembered_since_ms: Option<i64>) -> Peer {
        let via = self.config.clusters.values().filter(|cluster| cluster.via.as_ref() == Some(&status.peer));
        let clusters: Vec<_> = via.map(|cluster| cluster.name.clone()).collect();
        let exposed = self.config.peers.as_ref().and_then(|of_peers| of_peers.exposed.get(&status.peer));
        let over_it = self.config.links.values().filter(|link| clusters.contains(&link.source));
        let state = match (status.is_here, served_by.is_empty()) {
            (true, _) => PeerState::Connected,
            (false, false) => PeerState::ServedElsewhere,
            (false, true) => PeerState::Away,
        };
        let own_since_ms = wall_clock_ms().saturating_sub(millis(status.since));
        Peer {
            name: status.peer.clone(),
            state,
            // Whoever was away before this daemon started has been away since then.
            since_ms: remembered_since_ms.map_or(own_since_ms, |since| since.min(own_since_ms)),
            sessions: status.sessions.iter().map(session).collect(),
            served_by,
            retention_left_ms: over_it.filter_map(|link| self.least_retention_left(link)).min(),
            clusters,
            exposes: exposed.map(|expose| expose.cluster.clone()),
            error: status.trouble.as_ref().map(error),
        }
    }

    fn least_retention_left(&self, link: &LinkConfig) -> Option<u64> {
        let of_topics = |shown: &Shown<'_>| {
            let topics = shown.topics();
            topics.iter().flat_map(|topic| &topic.partitions).filter_map(|one| one.retention_left_ms).min()
        };
        self.shown(link.name.as_str(), of_topics).flatten()
    }

    /// Daemons of the group, other than this one, that have a session, by peer.
    fn holders(&self) -> BTreeMap<PeerName, Vec<String>> {
        let mut holders: BTreeMap<PeerName, Vec<String>> = BTreeMap::new();
        for store in self.sides.values().filter_map(|side| side.store()) {
            for (id, peers) in others(&store, &self.config.daemon.id) {
                for peer in peers {
                    let of_peer = holders.entry(peer).or_default();
                    if !of_peer.contains(&id) {
                        of_peer.push(id.clone());
                    }
                }
            }
        }
        holders
    }

    /// Since when peers have been away, as this daemon left word, perhaps before it was started again.
    fn remembered_absence(&self) -> BTreeMap<PeerName, i64> {
        let mut since = BTreeMap::new();
        for store in self.sides.values().filter_map(|side| side.store()) {
            since.extend(super::group::absences(&store, &self.config.daemon.id));
        }
        since
    }
}

fn session(status: &SessionStatus) -> PeerSession {
    let count = |number: usize| number as u64;
    PeerSession {
        instance: status.instance.to_string(),
        dialled_by: match status.side {
            Side::Dialler => DialledBy::Us,
            Side::Listener => DialledBy::Peer,
        },
        connections: count(status.connections.0),
        connections_wanted: count(status.connections.1),
        up_ms: status.up_for.map(|up| millis(up).unsigned_abs()),
        round_trip_ms: status.round_trip.map(|trip| (trip.as_secs_f64() * 1e5).round() / 100.0),
        streams: count(status.streams),
        credit_bytes: count(status.credit_bytes),
        queued_bytes: count(status.queued_bytes),
        sent_bytes: status.bytes_sent,
        received_bytes: status.bytes_received,
    }
}

fn error(trouble: &Trouble) -> PeerError {
    PeerError {
        message: trouble.reason.clone(),
        advice: trouble.advice.map(str::to_owned),
        at_ms: wall_clock_ms().saturating_sub(millis(trouble.age)),
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
