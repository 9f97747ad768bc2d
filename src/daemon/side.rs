//! One target cluster: its state, our shards of it, and the links that write there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{settings, signals};
use crate::cluster::Cluster;
use crate::config::{ClusterConfig, DaemonConfig, LinkConfig};
use crate::link::{Leases, Link, Parts};
use crate::mirror::Registry;
use crate::shards::WriterMeasures;
use crate::store::{DaemonRecord, Lease, ShardEvent, Store};
use crate::tasks::{Backoff, TaskGroup};
use crate::telemetry::Metrics;
use crate::types::{ClusterName, LinkName};

/// A target cluster with its links.
pub(super) struct Side {
    pub(super) cluster: ClusterName,
    daemon: DaemonConfig,
    settings: ClusterConfig,
    target: Cluster,
    sources: BTreeMap<ClusterName, Cluster>,
    links: Vec<LinkConfig>,
    registry: Registry,
    metrics: Metrics,
    now: Mutex<Now>,
}

/// What there is at the moment.
#[derive(Default)]
struct Now {
    store: Option<Store>,
    links: BTreeMap<LinkName, Arc<Link>>,
    leases: usize,
    problem: Option<String>,
}

impl Side {
    pub(super) fn new(
        daemon: &DaemonConfig,
        settings: &ClusterConfig,
        target: &Cluster,
        clusters: &BTreeMap<ClusterName, Cluster>,
        links: Vec<LinkConfig>,
        registry: &Registry,
        metrics: &Metrics,
    ) -> Self {
        Self {
            cluster: settings.name.clone(),
            daemon: daemon.clone(),
            settings: settings.clone(),
            target: target.clone(),
            sources: clusters.clone(),
            links,
            registry: registry.clone(),
            metrics: metrics.clone(),
            now: Mutex::default(),
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once it was read.
    pub(super) fn store(&self) -> Option<Store> {
        self.now().store.clone()
    }

    /// A link, once the state was read.
    pub(super) fn link(&self, name: &LinkName) -> Option<Arc<Link>> {
        self.now().links.get(name).cloned()
    }

    /// How many shards are ours.
    pub(super) fn leases(&self) -> usize {
        self.now().leases
    }

    /// Why nothing works here at the moment.
    pub(super) fn problem(&self) -> Option<String> {
        let problem = self.now().problem.clone();
        problem.or_else(|| self.store().and_then(|store| store.trouble().borrow().clone()))
    }

    /// Opens the state, trying for as long as it takes, and runs the links. State that can't be used any more (the
    /// topic is gone, another daemon has our id) ends the work on this cluster for good: beginning anew by itself
    /// could make a second, empty state, or fight with the other daemon for ever.
    pub(super) async fn run(self: Arc<Self>, tasks: TaskGroup) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        while !tasks.is_stopping() {
            let state_tasks = TaskGroup::new();
            let opened = tokio::select! {
                () = tasks.stopped() => return,
                opened = self.open(&state_tasks) => opened,
            };
            match opened {
                Ok((store, events)) => {
                    self.now().problem = None;
                    self.serve(&store, events, &tasks).await;
                    store.close().await;
                    state_tasks.close().await;
                    return;
                }
                Err(problem) => {
                    tracing::warn!(cluster = %self.cluster, "{problem}");
                    self.now().problem = Some(problem);
                }
            }
            state_tasks.close().await;
            tokio::select! {
                () = tasks.stopped() => return,
                () = backoff.pause() => {}
            }
        }
    }

    async fn open(&self, tasks: &TaskGroup) -> Result<(Store, mpsc::Receiver<ShardEvent>), String> {
        let about = |error: &dyn std::fmt::Display| format!("state on cluster {}: {error}", self.cluster);
        // Our own client first: its errors name broker and cause.
        self.target.id().await.map_err(|error| about(&error))?;
        let settings = settings::store(&self.daemon, &self.settings).map_err(|error| about(&error))?;
        let measures = WriterMeasures::new(&self.metrics, self.cluster.as_str());
        Store::open(settings, measures, tasks).await.map_err(|error| about(&error))
    }

    /// Runs the links until told to stop, or until the state is unusable.
    async fn serve(&self, store: &Store, mut events: mpsc::Receiver<ShardEvent>, tasks: &TaskGroup) {
        let (leases, _) = watch::channel::<Leases>(Arc::default());
        let link_tasks = TaskGroup::new();
        for config in &self.links {
            let Some(source) = self.sources.get(&config.source) else { continue };
            let parts = Parts {
                source: source.clone(),
                target: self.target.clone(),
                store: store.clone(),
                leases: leases.subscribe(),
                registry: self.registry.clone(),
                metrics: self.metrics.clone(),
            };
            let link = Arc::new(Link::new(settings::link(&self.daemon, config), parts));
            self.now().links.insert(config.name.clone(), Arc::clone(&link));
            link_tasks.spawn("link", link.run(link_tasks.clone()));
        }
        self.now().store = Some(store.clone());
        tokio::select! {
            () = tasks.stopped() => {}
            () = self.introduce(store) => {}
        }
        let mut trouble = store.trouble();
        let mut held: BTreeMap<i32, Lease> = BTreeMap::new();
        loop {
            tokio::select! {
                () = tasks.stopped() => break,
                event = events.recv() => match event {
                    Some(ShardEvent::Acquired(lease)) => drop(held.insert(lease.shard(), lease)),
                    Some(ShardEvent::Lost(shard)) => drop(held.remove(&shard)),
                    None => break,
                },
                changed = trouble.changed() => if changed.is_err() || trouble.borrow().is_some() { break },
            }
            self.now().leases = held.len();
            leases.send_replace(Arc::new(held.clone()));
        }
        link_tasks.close().await;
        let unusable =
            trouble.borrow().as_ref().map(|trouble| format!("{trouble}; restart the daemon when it is mended"));
        // Nothing else ends this, but if it did, it must not look as if all were well.
        let ended = || Some("the membership of the daemon group ended; restart the daemon".to_owned());
        let problem = unusable.or_else(|| if tasks.is_stopping() { None } else { ended() });
        if let Some(problem) = &problem {
            tracing::error!(cluster = %self.cluster, "all work on this target has stopped: {problem}");
        }
        let mut now = self.now();
        now.links.clear();
        now.leases = 0;
        now.problem = problem;
    }

    /// Tells the group about this daemon.
    async fn introduce(&self, store: &Store) {
        let record = DaemonRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digests: self.links.iter().map(|link| (link.name.clone(), link.digest.clone())).collect(),
            started_at_ms: signals::wall_clock_ms(),
            listen: self.daemon.listen.to_string(),
        };
        if let Err(error) = store.post_daemon(&self.daemon.id, record).await {
            tracing::warn!(cluster = %self.cluster, %error, "the group could not be told about this daemon");
        }
    }
}
