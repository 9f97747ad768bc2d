//! The sessions with other daemons, and the clusters on either side of them.
//!
//! Owns: putting together what each peer may read and what we read through peers; the figures of the sessions.
//! Promises: a peer that is away stops nothing from starting.
//! Does not know: how sessions work.

mod check;
mod group;
mod reload;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use check::check;

use super::DaemonError;
use crate::cluster::{Cluster, Exposed, Server, via};
use crate::config::{Config, PeersConfig};
use crate::peer::{Handler, InstanceId, PeerStatus, Peers, SessionLimits, Settings};
use crate::telemetry::{Metrics, names};
use crate::types::{ClusterName, PeerName};
use crate::wire;

/// All clusters of a configuration, and the sessions that some of them are read through.
pub(super) struct Reached {
    pub(super) clusters: BTreeMap<ClusterName, Cluster>,
    pub(super) peers: Option<Peers>,
    /// What answers peers; none where there are no peers.
    pub(super) server: Option<Arc<Server>>,
}

/// Makes the clients of all clusters; listens for peers and dials them.
pub(super) async fn reach(config: &Config) -> Result<Reached, DaemonError> {
    let direct = config.clusters.values().filter(|cluster| cluster.via.is_none());
    let client = |name: &ClusterName, settings: &wire::Settings| {
        (name.clone(), Cluster::new(name.clone(), wire::Client::new(settings.clone())))
    };
    let mut clusters: BTreeMap<_, _> = direct.map(|cluster| client(&cluster.name, &cluster.wire)).collect();
    let Some(of_peers) = &config.peers else { return Ok(Reached { clusters, peers: None, server: None }) };
    let server = Arc::new(Server::new(exposed(of_peers, &clusters)));
    let handler = Arc::clone(&server) as Arc<dyn Handler>;
    let peers = Peers::start(settings(config, of_peers), handler).await.map_err(DaemonError::Peers)?;
    for cluster in config.clusters.values() {
        if let Some(peer) = &cluster.via {
            let name = cluster.name.clone();
            clusters.insert(name.clone(), via(name, peers.clone(), peer.clone(), &cluster.wire.client_id));
        }
    }
    Ok(Reached { clusters, peers: Some(peers), server: Some(server) })
}

fn exposed(of_peers: &PeersConfig, clusters: &BTreeMap<ClusterName, Cluster>) -> BTreeMap<PeerName, Exposed> {
    let exposed = of_peers.exposed.iter().filter_map(|(peer, expose)| {
        let cluster = clusters.get(&expose.cluster)?;
        Some((peer.clone(), Exposed::new(cluster.clone(), expose.exposure.clone())))
    });
    exposed.collect()
}

fn settings(config: &Config, of_peers: &PeersConfig) -> Settings {
    // Ids are made of fewer characters than instance ids may have, so this never falls back.
    let fallback = || InstanceId::new("causeway").unwrap_or_else(|| unreachable!("it is printable"));
    Settings {
        instance: InstanceId::new(&config.daemon.id).unwrap_or_else(fallback),
        certificate: of_peers.certificate.clone(),
        key: of_peers.key.clone(),
        ca: of_peers.ca.clone(),
        listen: of_peers.listen.clone(),
        peers: of_peers.peers.clone(),
        limits: SessionLimits::default(),
    }
}

/// Sets the gauges of all sessions.
pub(super) fn measure(peers: &Peers, metrics: &Metrics) {
    for status in peers.status() {
        measure_one(&status, metrics);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure_one(status: &PeerStatus, metrics: &Metrics) {
    let peer = status.peer.as_str();
    metrics.set(names::PEER_UP, &[("peer", peer)], f64::from(u8::from(status.is_here)));
    metrics.set(names::PEER_STATE_SECONDS, &[("peer", peer)], status.since.as_secs_f64());
    for session in &status.sessions {
        let labels = [("peer", peer), ("instance", session.instance.as_str())];
        let (up, wanted) = session.connections;
        metrics.set(names::PEER_CONNECTIONS, &labels, up as f64);
        metrics.set(names::PEER_CONNECTIONS_WANTED, &labels, wanted as f64);
        metrics.set(names::PEER_STREAMS, &labels, session.streams as f64);
        metrics.set(names::PEER_CREDIT_BYTES, &labels, session.credit_bytes as f64);
        metrics.set(names::PEER_QUEUED_BYTES, &labels, session.queued_bytes as f64);
        metrics.counter(names::PEER_SENT_BYTES_TOTAL, &labels).absolute(session.bytes_sent);
        metrics.counter(names::PEER_RECEIVED_BYTES_TOTAL, &labels).absolute(session.bytes_received);
        if let Some(round_trip) = session.round_trip {
            metrics.set(names::PEER_ROUND_TRIP_SECONDS, &labels, round_trip.as_secs_f64());
        }
    }
}
