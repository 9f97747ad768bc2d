//! The daemon: what runs, in which order it starts, and how it ends.
//!
//! Owns: the clients of all clusters, one state per target cluster, the links, the API, signals.
//! Promises: the API answers before any cluster was reached; a cluster that is down is retried for ever; the order to
//! stop lets everything under way drain, within ten seconds.
//! Does not know: how records are copied, how state is stored, the form of the file.

mod backend;
mod files;
mod gauges;
mod groups;
mod partitions;
mod peers;
mod settings;
mod side;
mod sights;
mod signals;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use settings::{link as link_settings, preflight};
use side::Side;
use sights::Sights;

use crate::api;
use crate::cluster::{Cluster, Server};
use crate::config::Config;
use crate::mirror::Registry;
use crate::peer::{self, Peers};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::ClusterName;

/// How long all of stopping may take; after that what is left is dropped, and a successor settles it.
const STOP_LIMIT: Duration = Duration::from_secs(9);
/// How long the API may take to end after that.
const API_STOP_LIMIT: Duration = Duration::from_millis(500);
/// How often gauges and readiness are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// A daemon that could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The API could not start.
    #[error(transparent)]
    Api(#[from] api::ApiStartError),
    /// The peers' port can't be listened on.
    #[error(transparent)]
    Peers(peer::PeerError),
    /// The system refused to tell us of signals.
    #[error("can't listen for signals: {0}")]
    Signals(#[source] std::io::Error),
}

impl DaemonError {
    /// Whether the configuration must be changed; otherwise the same configuration may work later.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Api(error) => error.is_configuration(),
            Self::Signals(_) | Self::Peers(_) => false,
        }
    }
}

/// Everything that a running daemon is made of; what the API answers from.
struct Daemon {
    config: Config,
    metrics: Metrics,
    registry: Registry,
    clusters: BTreeMap<ClusterName, Cluster>,
    peers: Option<Peers>,
    /// What answers peers.
    server: Option<Arc<Server>>,
    /// By target cluster.
    sides: BTreeMap<ClusterName, Arc<Side>>,
    sights: Sights,
    started: Instant,
    started_at_ms: i64,
}

/// Runs a daemon until SIGTERM or SIGINT.
///
/// # Errors
/// The API can't start, or signals can't be caught. A cluster that can't be reached is not an error.
pub async fn run(config: Config) -> Result<(), DaemonError> {
    let signals = signals::Signals::listen().map_err(DaemonError::Signals)?;
    let reached = peers::reach(&config).await?;
    let daemon = Arc::new(Daemon::new(config, reached));
    let api_tasks = TaskGroup::new();
    let mut api_settings = settings::api(&daemon.config.daemon);
    api_settings.limits.connections_max = files::connections_max(files::raise_limit());
    let address = api::serve(api_settings, daemon.clone(), &api_tasks).await?;
    tracing::info!(id = %daemon.config.daemon.id, group = %daemon.config.daemon.group, %address, "causeway started");
    for warning in daemon.config.warnings() {
        tracing::warn!("{warning}");
    }
    let tasks = TaskGroup::new();
    for side in daemon.sides.values() {
        tasks.spawn("state and links of a target", Arc::clone(side).run(tasks.child()));
    }
    let watched = Arc::clone(&daemon);
    tasks.spawn_until_stopped("gauges", async move { watched.keep_gauges().await });
    let telling = Arc::clone(&daemon);
    tasks.spawn_until_stopped("word of peers", async move { telling.tell_of_peers().await });
    let following = Arc::clone(&daemon);
    tasks.spawn_until_stopped("list of peers", async move { following.follow_list_of_peers().await });
    let signal = signals.wait().await;
    tracing::info!(signal, "stopping: what is under way drains first");
    signals::tell_systemd(&[sd_notify::NotifyState::Stopping]);
    if tokio::time::timeout(STOP_LIMIT, tasks.close()).await.is_err() {
        tracing::warn!("not everything drained in time; a successor will settle the rest");
    }
    if let Some(peers) = &daemon.peers {
        peers.close().await;
    }
    // The API answers until here. Whoever does not read its answer now must not hold up the end.
    if tokio::time::timeout(API_STOP_LIMIT, api_tasks.close()).await.is_err() {
        tracing::debug!("answers were left unread");
    }
    tracing::info!("stopped");
    Ok(())
}

/// What `check` says of the sessions with other daemons, added to what it says of the links.
pub async fn check_peers(config: &Config, report: &mut crate::preflight::Report) {
    peers::check(config, report).await;
}

impl Daemon {
    fn new(config: Config, reached: peers::Reached) -> Self {
        let metrics = Metrics::new();
        let registry = Registry::new(config.daemon.map_bytes_max);
        let peers::Reached { clusters, peers, server } = reached;
        let mut sides = BTreeMap::new();
        for name in config.links.values().map(|link| &link.target) {
            if let (Some(cluster), Some(settings)) = (clusters.get(name), config.clusters.get(name)) {
                let links = config.links.values().filter(|link| link.target == *name).cloned().collect();
                let side = Side::new(&config.daemon, settings, cluster, &clusters, links, &registry, &metrics);
                sides.entry(name.clone()).or_insert_with(|| Arc::new(side));
            }
        }
        let started_at_ms = crate::tasks::wall_clock_ms();
        let (sights, started) = (Sights::default(), Instant::now());
        Self { config, metrics, registry, clusters, peers, server, sides, sights, started, started_at_ms }
    }
}
