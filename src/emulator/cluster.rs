//! A cluster as its owner holds it.
//!
//! Owns: starting and ending of brokers and listeners, the lock around the state.
//! Promises: after [`Cluster::close`] no task is left and all ports are free.
//! Does not know: requests.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};

use super::faults::{Faults, Rule};
use super::network::{Line, Network};
use super::state::{Broker, Random, State};
use super::{Clock, coordinators, housekeeping, serve};
use crate::tasks::TaskGroup;

/// More connections to one broker wait to be accepted.
const CONNECTIONS_MAX: usize = 2_000;
/// What port a broker in memory says that it has.
const MEMORY_PORT: u16 = 9092;

/// How brokers can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// By TCP on 127.0.0.1: one port for each broker, 0 for any that is free. Missing ones are 0.
    Tcp(Vec<u16>),
    /// Through [`Cluster::dial`] only.
    Memory,
}

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, for host names and messages.
    pub name: String,
    /// How many brokers; their ids begin with 1.
    pub brokers: u16,
    /// How they can be reached.
    pub listen: Listen,
    /// What time it is there.
    pub clock: Clock,
    /// Decides the ids of cluster and topics.
    pub seed: u64,
    /// How long a follower takes to have what its leader has.
    pub replication_delay: Duration,
    /// Settings of the brokers, by Kafka's names.
    pub broker_settings: BTreeMap<String, String>,
    /// How often compacted topics are looked at.
    pub compaction_interval: Duration,
    /// Whether the first sequence on a log that never held a record must be 0, as from Kafka 4.5 on.
    pub is_first_sequence_zero: bool,
    /// The largest request, in bytes.
    pub frame_bytes_max: usize,
}

impl Settings {
    /// One broker on a free port, with Kafka's defaults.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            brokers: 1,
            listen: Listen::Tcp(Vec::new()),
            clock: Clock::of_this_machine(),
            seed: 1,
            replication_delay: Duration::ZERO,
            broker_settings: BTreeMap::new(),
            compaction_interval: Duration::from_secs(15),
            is_first_sequence_zero: false,
            frame_bytes_max: 100 << 20,
        }
    }
}

/// A cluster that could not start.
#[derive(Debug, thiserror::Error)]
#[error("port {port} on 127.0.0.1 can't be listened on: {error}")]
pub struct StartError {
    /// Which port; 0 when any would have done.
    pub port: u16,
    /// Why not.
    #[source]
    pub error: io::Error,
}

/// A running cluster. Clones are the same cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    coordinators: Notify,
    faults: Faults,
    network: Network,
    tasks: TaskGroup,
    /// The connections of each broker.
    connections: Mutex<BTreeMap<i32, TaskGroup>>,
}

impl Cluster {
    /// Starts all brokers. Must be called within a tokio runtime.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let mut state = State::new(Random(settings.seed), settings.broker_settings.clone());
        state.is_first_sequence_zero = settings.is_first_sequence_zero;
        state.replication_delay = settings.replication_delay;
        let mut listeners = Vec::new();
        for index in 0..settings.brokers {
            let id = i32::from(index) + 1;
            let broker = match &settings.listen {
                Listen::Memory => Broker::new(format!("broker-{id}.{}", settings.name), MEMORY_PORT),
                Listen::Tcp(ports) => {
                    let port = ports.get(usize::from(index)).copied().unwrap_or_default();
                    let (listener, address) = bind(port).await.map_err(|error| StartError { port, error })?;
                    listeners.push((id, listener));
                    Broker::new(address.ip().to_string(), address.port())
                }
            };
            state.brokers.insert(id, broker);
        }
        let tasks = TaskGroup::new();
        let connections = state.brokers.keys().map(|id| (*id, tasks.child())).collect();
        let inner = Inner {
            settings,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            coordinators: Notify::new(),
            faults: Faults::default(),
            network: Network::default(),
            tasks,
            connections: Mutex::new(connections),
        };
        let cluster = Self { inner: Arc::new(inner) };
        for (id, listener) in listeners {
            let accepting = cluster.clone().accept(id, listener);
            cluster.inner.tasks.spawn_until_stopped("accept connections to a broker", accepting);
        }
        let coordinating = coordinators::keep(cluster.clone());
        cluster.inner.tasks.spawn_until_stopped("coordinators of a cluster", coordinating);
        let keeping = housekeeping::keep(cluster.clone());
        cluster.inner.tasks.spawn_until_stopped("housekeeping of a cluster", keeping);
        Ok(cluster)
    }

    /// Ends everything and waits for it.
    pub async fn close(&self) {
        self.inner.tasks.stop();
        let groups: Vec<TaskGroup> = super::lock(&self.inner.connections).values().cloned().collect();
        for group in groups {
            group.close().await;
        }
        self.inner.tasks.close().await;
    }

    /// `host:port` of all brokers, as a client's `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses =
            self.lock().brokers.values().map(|one| format!("{}:{}", one.host, one.port)).collect::<Vec<_>>();
        addresses.join(",")
    }

    /// Kafka's id of the cluster.
    #[must_use]
    pub fn id(&self) -> String {
        self.lock().cluster_id.clone()
    }

    /// Adds a rule of what goes wrong, behind those that there are.
    pub fn add_rule(&self, rule: Rule) {
        self.inner.faults.add(rule);
    }

    /// Nothing goes wrong any more.
    pub fn clear_rules(&self) {
        self.inner.faults.clear();
    }

    /// How often each rule has applied.
    #[must_use]
    pub fn rules_applied(&self) -> Vec<u32> {
        self.inner.faults.applied()
    }

    /// A connection in memory to a broker, for a client of this name; what is said of the line between the two by
    /// [`Cluster::set_line`] happens to it.
    ///
    /// # Errors
    /// The broker is down, or the line is cut.
    pub fn dial(&self, client: &str, broker: i32) -> io::Result<DuplexStream> {
        let is_up = self.lock().brokers.get(&broker).is_some_and(|one| one.is_up);
        let tasks = super::lock(&self.inner.connections).get(&broker).cloned();
        let (Some(tasks), true) = (tasks, is_up) else { return Err(io::ErrorKind::ConnectionRefused.into()) };
        let (ours, theirs) = self.inner.network.connect(client, broker, &tasks)?;
        self.serve(broker, theirs, &tasks);
        Ok(ours)
    }

    /// The same by the address that metadata gives.
    ///
    /// # Errors
    /// As [`Cluster::dial`], and when no broker has that address.
    pub fn dial_address(&self, client: &str, host: &str, port: u16) -> io::Result<DuplexStream> {
        let id = self.lock().brokers.iter().find(|(_, one)| one.host == host && one.port == port).map(|(id, _)| *id);
        self.dial(client, id.ok_or(io::ErrorKind::NotFound)?)
    }

    /// What the line between a client (`None`: every client) and a broker (`None`: every broker) is like from now on,
    /// for the connections that there are and for new ones.
    pub fn set_line(&self, client: Option<&str>, broker: Option<i32>, line: Line) {
        self.inner.network.set(client, broker, line);
    }

    /// The state. Never held over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        super::lock(&self.inner.state)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.settings.clock.now_ms()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Says that something changed that a waiting request may wait for.
    pub(crate) fn changed(&self) {
        self.inner.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The coordinators may have something to do earlier than they thought.
    pub(crate) fn coordinators_changed(&self) {
        self.inner.coordinators.notify_one();
    }

    /// Waits until somebody says so.
    pub(crate) async fn coordinators_woken(&self) {
        self.inner.coordinators.notified().await;
    }

    /// Closes all connections to a broker; new ones can be made when it is up.
    pub(crate) fn hang_up(&self, broker: i32) {
        let fresh = self.inner.tasks.child();
        if let Some(old) = super::lock(&self.inner.connections).insert(broker, fresh) {
            old.stop();
        }
    }

    async fn accept(self, broker: i32, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: somebody has to hang up first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let is_up = self.lock().brokers.get(&broker).is_some_and(|one| one.is_up);
            let tasks = super::lock(&self.inner.connections).get(&broker).cloned();
            if let (Some(tasks), true) = (tasks, is_up) {
                self.serve_tcp(broker, stream, place, &tasks);
            }
        }
    }

    fn serve_tcp(&self, broker: i32, stream: TcpStream, place: tokio::sync::OwnedSemaphorePermit, tasks: &TaskGroup) {
        let _ = stream.set_nodelay(true);
        let serving = serve::connection(self.clone(), broker, stream);
        tasks.spawn_until_stopped("serve a connection", async move {
            serving.await;
            drop(place);
        });
    }

    fn serve<S>(&self, broker: i32, stream: S, tasks: &TaskGroup)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        tasks.spawn_until_stopped("serve a connection", serve::connection(self.clone(), broker, stream));
    }
}

async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
