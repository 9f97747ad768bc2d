//! One target cluster: its state, our shards of it, and the links that write there.

mod fingerprint;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::fingerprint::Fingerprint;
use super::settings;
use crate::cluster::Cluster;
use crate::config::{ClusterConfig, DaemonConfig, LinkConfig};
use crate::link::{Leases, Link, Parts};
use crate::mirror::Registry;
use crate::shards::WriterMeasures;
use crate::store::{self, DaemonRecord, Lease, ShardEvent, Store};
use crate::tasks::{Backoff, TaskGroup};
use crate::telemetry::Metrics;
use crate::types::{ClusterName, LinkName, TopicId};

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
    /// The state topic, once it was seen: from then on no other one will do.
    state_topic: Option<TopicId>,
    problem: Option<String>,
}

/// State that was opened.
struct Opened {
    store: Store,
    events: mpsc::Receiver<ShardEvent>,
    /// Of the secrets that it was opened with.
    fingerprint: Fingerprint,
}

/// Why the links of a target stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// We were told to stop.
    Stopped,
    /// The state can't be used any more.
    Unusable,
    /// librdkafka takes secrets and certificates only when a client is made.
    SecretsChanged,
}

/// How often secrets and certificates are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

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
        let of_store = |store: Store| store.trouble().borrow().clone().or_else(|| store.obstacle());
        problem.or_else(|| {
            let problem = self.store().and_then(of_store)?;
            Some(format!("state on cluster {}: {problem}", self.cluster))
        })
    }

    /// Opens the state, trying for as long as it takes, and runs the links. State that can't be used any more (the
    /// topic is gone, another daemon has our id) ends the work on this cluster for good: beginning anew by itself
    /// could make a second, empty state, or fight with the other daemon for ever. Changed secrets open it anew; it is
    /// the same member of the group, which finds its shards where they were.
    pub(super) async fn run(self: Arc<Self>, tasks: TaskGroup) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        while !tasks.is_stopping() {
            let state_tasks = TaskGroup::new();
            let opened = tokio::select! {
                () = tasks.stopped() => return,
                opened = self.open(&state_tasks) => opened,
            };
            match opened {
                Ok(opened) => {
                    let store = opened.store.clone();
                    self.begin(&store);
                    let end = self.serve(opened, &tasks).await;
                    store.close().await;
                    state_tasks.close().await;
                    match end {
                        End::Stopped | End::Unusable => return,
                        End::SecretsChanged => backoff.reset(),
                    }
                }
                Err(problem) => {
                    self.complain(problem);
                    state_tasks.close().await;
                    tokio::select! {
                        () = tasks.stopped() => return,
                        () = backoff.pause() => {}
                    }
                }
            }
        }
    }

    /// Every attempt may fail for the same reason, which is worth one line of the log.
    fn complain(&self, problem: String) {
        let is_known = self.now().problem.as_ref() == Some(&problem);
        if is_known {
            tracing::debug!(cluster = %self.cluster, "{problem}");
        } else {
            tracing::warn!(cluster = %self.cluster, "{problem}");
        }
        self.now().problem = Some(problem);
    }

    fn begin(&self, store: &Store) {
        let mut now = self.now();
        now.problem = None;
        now.state_topic = now.state_topic.or(store.topic_id());
    }

    async fn open(&self, tasks: &TaskGroup) -> Result<Opened, String> {
        let about = |error: &dyn std::fmt::Display| format!("state on cluster {}: {error}", self.cluster);
        let (settings, fingerprint) = self.settings_now().await.map_err(|error| about(&error))?;
        let measures = WriterMeasures::new(&self.metrics, self.cluster.as_str());
        let (store, events) = Store::open(settings, measures, tasks).await.map_err(|error| about(&error))?;
        Ok(Opened { store, events, fingerprint })
    }

    /// The settings with secrets and certificates as they are now.
    async fn settings_now(&self) -> Result<(store::Settings, Fingerprint), String> {
        let (daemon, cluster, topic_id) = (self.daemon.clone(), self.settings.clone(), self.now().state_topic);
        // Files may be on a slow volume, so they are not read on a thread that others need.
        let read = tokio::task::spawn_blocking(move || {
            let settings = settings::store(&daemon, &cluster).map_err(|error| error.to_string())?;
            let fingerprint = Fingerprint::of(&settings.kafka_properties).map_err(|error| error.to_string())?;
            Ok((store::Settings { topic_id, ..settings }, fingerprint))
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Waits until secrets or certificates are others than those in use, and the cluster takes them: connections that
    /// work are not given up for a file that is half written or wrong.
    async fn secrets_changed(&self, in_use: Fingerprint) {
        let mut refused = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let (settings, fingerprint) = match self.settings_now().await {
                Ok(now) => now,
                Err(problem) => {
                    tracing::debug!(cluster = %self.cluster, problem, "secrets can't be looked at");
                    continue;
                }
            };
            if fingerprint == in_use {
                continue;
            }
            match settings.client.metadata(Some(&[])).await {
                Ok(_) => return,
                Err(error) if refused != Some(fingerprint) => {
                    let cluster = &self.cluster;
                    tracing::warn!(%cluster, %error, "changed secrets don't work, going on with those before");
                    refused = Some(fingerprint);
                }
                Err(_) => {}
            }
        }
    }

    /// Starts the links. They work when there are leases.
    fn start_links(&self, store: &Store, leases: &watch::Sender<Leases>) -> TaskGroup {
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
            let link = Arc::new(Link::new(settings::link(&self.daemon, config, &self.settings), parts));
            self.now().links.insert(config.name.clone(), Arc::clone(&link));
            link_tasks.spawn("link", link.run(link_tasks.clone()));
        }
        link_tasks
    }

    /// Runs the links until told to stop, until the state is unusable, or until it must be opened with other secrets.
    async fn serve(&self, opened: Opened, tasks: &TaskGroup) -> End {
        let Opened { store, mut events, fingerprint } = opened;
        let (leases, _) = watch::channel::<Leases>(Arc::default());
        let link_tasks = self.start_links(&store, &leases);
        self.now().store = Some(store.clone());
        tokio::select! {
            () = tasks.stopped() => {}
            () = self.introduce(&store) => {}
        }
        let mut trouble = store.trouble();
        let secrets_changed = self.secrets_changed(fingerprint);
        tokio::pin!(secrets_changed);
        let mut held: BTreeMap<i32, Lease> = BTreeMap::new();
        let end = loop {
            tokio::select! {
                () = tasks.stopped() => break End::Stopped,
                () = &mut secrets_changed => break End::SecretsChanged,
                event = events.recv() => match event {
                    Some(ShardEvent::Acquired(lease)) => drop(held.insert(lease.shard(), lease)),
                    Some(ShardEvent::Lost(shard)) => drop(held.remove(&shard)),
                    None => break End::Unusable,
                },
                changed = trouble.changed() => if changed.is_err() || trouble.borrow().is_some() {
                    break End::Unusable
                },
            }
            self.now().leases = held.len();
            leases.send_replace(Arc::new(held.clone()));
        };
        if end == End::SecretsChanged {
            tracing::info!(cluster = %self.cluster, "secrets have changed: connecting to the state anew");
        }
        link_tasks.close().await;
        let why = match end {
            End::Stopped | End::SecretsChanged => None,
            End::Unusable if tasks.is_stopping() => None,
            // Without a reason it must not look as if all were well.
            End::Unusable => {
                Some(trouble.borrow().clone().unwrap_or_else(|| "the membership of the daemon group ended".to_owned()))
            }
        };
        let problem =
            why.map(|why| format!("state on cluster {}: {why}; restart the daemon when it is mended", self.cluster));
        if let Some(problem) = &problem {
            tracing::error!(cluster = %self.cluster, "all work on this target has stopped: {problem}");
        }
        let mut now = self.now();
        now.links.clear();
        now.leases = 0;
        now.problem = problem;
        end
    }

    /// Tells the group about this daemon.
    async fn introduce(&self, store: &Store) {
        // What it said of its peers before it was started again still counts.
        let before = store.view().get(&store::Key::Daemon { id: self.daemon.id.clone() });
        let (peers, at_ms) = match before.as_deref() {
            Some(store::Value::Daemon(before)) => (before.peers.clone(), before.at_ms),
            Some(_) | None => Default::default(),
        };
        let record = DaemonRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digests: self.links.iter().map(|link| (link.name.clone(), link.digest.clone())).collect(),
            started_at_ms: crate::tasks::wall_clock_ms(),
            listen: self.daemon.listen.to_string(),
            peers,
            at_ms,
        };
        if let Err(error) = store.post_daemon(&self.daemon.id, record).await {
            tracing::warn!(cluster = %self.cluster, %error, "the group could not be told about this daemon");
        }
    }
}
