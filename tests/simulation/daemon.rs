//! A daemon: from its configuration to its links, wired as `causeway run` does it.
//!
//! Owns: one life of a daemon after the other.
//! Promises: what runs is the daemon's own store, link, sync and mirror with the settings that its configuration gives.
//! Does not know: what is done to it. Left out are the parts that can't be simulated: the API, signals, sessions with
//! peers, librdkafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway::config::Config;
use causeway::daemon::link_settings;
use causeway::emulator::{self, Clock};
use causeway::link::{Leases, Link, Parts};
use causeway::mirror::{Guards, Registry};
use causeway::shards::{WriterLimits, WriterMeasures};
use causeway::store::{self, Lease, ShardEvent, Store};
use causeway::tasks::{Backoff, Life, TaskGroup};
use causeway::telemetry::Metrics;
use causeway::types::LinkName;
use tokio::sync::{mpsc, watch};

use crate::clusters;
use crate::dice::Dice;
use crate::doors::SimulatedDoors;
use crate::group::{Group, SESSION};
use crate::state_log::StateLog;

pub const LINK: &str = "sim";

/// What daemons share.
#[derive(Clone)]
pub struct Surroundings {
    pub source: emulator::Cluster,
    pub target: emulator::Cluster,
    pub group: Group,
    pub log: StateLog,
    pub offsets: &'static str,
    pub guards: Guards,
    pub limits: WriterLimits,
    pub clock: Clock,
}

/// A daemon that lives.
pub struct Daemon {
    pub id: String,
    pub life: Life,
    pub registry: Registry,
    store: Arc<Mutex<Option<Store>>>,
}

impl Daemon {
    pub fn start(around: &Surroundings, id: &str, dice: Dice) -> Self {
        let clock = around.clock;
        let life = Life::with_wall_clock(move || clock.now_ms());
        let registry = Registry::new(16 << 20);
        let store = Arc::new(Mutex::new(None));
        let running = Running {
            around: around.clone(),
            id: id.to_owned(),
            life: life.clone(),
            registry: registry.clone(),
            store: Arc::clone(&store),
            dice,
            metrics: Metrics::new(),
        };
        tokio::spawn(life.run(running.run()));
        Self { id: id.to_owned(), life, registry, store }
    }

    pub fn store(&self) -> Option<Store> {
        self.store.lock().unwrap().clone()
    }

    pub fn link() -> LinkName {
        LinkName::new(LINK).unwrap()
    }
}

struct Running {
    around: Surroundings,
    id: String,
    life: Life,
    registry: Registry,
    store: Arc<Mutex<Option<Store>>>,
    dice: Dice,
    metrics: Metrics,
}

impl Running {
    fn config(&self) -> Config {
        let text = format!(
            "[daemon]\nid = \"{}\"\ngroup = \"sim\"\n[cluster.a]\nbootstrap.servers = \"a:9092\"\n\
             [cluster.b]\nbootstrap.servers = \"b:9092\"\n[link.{LINK}]\nsource = \"a\"\ntarget = \"b\"\n\
             offsets = \"{}\"\n[[link.{LINK}.topics]]\nmatch = \".*\"\n\
             [[link.{LINK}.groups]]\nmatch = \".*\"\n[link.{LINK}.sync]\ninterval = \"1s\"\n",
            self.id, self.around.offsets
        );
        Config::parse(&text, Path::new("simulation.toml")).unwrap()
    }

    async fn run(mut self) {
        let config = self.config();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        loop {
            let tasks = TaskGroup::new();
            match self.open(&config, &tasks).await {
                Ok((store, events)) => {
                    *self.store.lock().unwrap() = Some(store.clone());
                    self.serve(&config, store, events).await;
                    // The real daemon waits for an operator now, who restarts it.
                    tasks.close().await;
                }
                Err(error) => tracing::warn!(%error, "state can't be opened"),
            }
            backoff.pause().await;
        }
    }

    async fn open(
        &mut self,
        config: &Config,
        tasks: &TaskGroup,
    ) -> Result<(Store, mpsc::Receiver<ShardEvent>), store::StoreError> {
        let target = &config.clusters.values().last().unwrap();
        let settings = store::Settings {
            client: clusters::client(&self.around.target, &self.id, target.wire.clone()),
            kafka_properties: Vec::new(),
            oauth_token: None,
            topic_id: None,
            group: config.daemon.group.clone(),
            daemon_id: self.id.clone(),
            session_timeout: SESSION,
        };
        let Surroundings { group, log, limits, .. } = &self.around;
        let doors = SimulatedDoors::new(&self.id, group, log, &self.life, self.dice.fork(), limits.clone());
        let measures = WriterMeasures::new(&self.metrics, "b");
        Store::open_with(&settings, Arc::new(doors), measures, tasks).await
    }

    /// As `daemon::side` does it.
    async fn serve(&self, config: &Config, store: Store, mut events: mpsc::Receiver<ShardEvent>) {
        let (leases, _) = watch::channel::<Leases>(Arc::default());
        let link_tasks = TaskGroup::new();
        let link_config = config.links.values().next().unwrap();
        let [source, target] = [&link_config.source, &link_config.target].map(|name| &config.clusters[name]);
        let parts = Parts {
            source: clusters::cluster(&self.around.source, &source.name, &self.id, source.wire.clone()),
            target: clusters::cluster(&self.around.target, &target.name, &self.id, target.wire.clone()),
            store: store.clone(),
            leases: leases.subscribe(),
            registry: self.registry.clone(),
            metrics: self.metrics.clone(),
        };
        let mut settings = link_settings(&config.daemon, link_config, target);
        settings.mirror.guards = self.around.guards;
        let link = Arc::new(Link::new(settings, parts));
        link_tasks.spawn("link", link.run(link_tasks.clone()));
        let mut trouble = store.trouble();
        let mut held: BTreeMap<i32, Lease> = BTreeMap::new();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(ShardEvent::Acquired(lease)) => drop(held.insert(lease.shard(), lease)),
                    Some(ShardEvent::Lost(shard)) => drop(held.remove(&shard)),
                    None => break,
                },
                changed = trouble.changed() => if changed.is_err() || trouble.borrow().is_some() { break },
            }
            leases.send_replace(Arc::new(held.clone()));
        }
        link_tasks.close().await;
        store.close().await;
    }
}
