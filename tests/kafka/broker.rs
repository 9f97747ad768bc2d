//! Real Kafka clusters on the loopback address.
//!
//! Owns: [`Cluster`], one or three `KRaft` nodes, each broker and controller at once (before 3.0 one broker beside a
//! `ZooKeeper`); their files and ports.
//! Promises: `start` returns when every broker is registered and serves; nothing outlives the test run; the logs of a
//! cluster that a failing test used stay on disk, and their folder is printed.
//! Does not know: what the tests do with it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use crate::admin::Admin;
use crate::jars::{Version, class_path};
use crate::process::{Process, Usage, free_port, run_tool, scratch, tail_of};
use crate::relay::Relay;
use crate::security::Security;

const START_LIMIT: Duration = Duration::from_mins(4);
/// Keeps a JVM's start short; the tests are bound by start-up, not by throughput. A broker whose memory is exhausted
/// ends: one thread less, it would go on to answer, and never answer some.
const QUICK_START: [&str; 4] =
    ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"];
/// What is told of a broker's log when a test fails.
const TOLD_LINES: usize = 6;

/// What kind of cluster to start.
pub struct Options {
    /// The release.
    pub version: Version,
    /// 1 or 3.
    pub nodes: usize,
    /// Broker properties on top of (or instead of) the usual ones.
    pub properties: Vec<(String, String)>,
    /// Clients reach each broker through a [`Relay`].
    pub is_relayed: bool,
    /// `SASL_SSL` with SCRAM for clients, and `StandardAuthorizer`.
    pub security: Option<Security>,
    /// JVM arguments.
    pub jvm: Vec<String>,
}

impl Options {
    /// One node, plain, no relay.
    pub fn new(version: Version) -> Self {
        let jvm = QUICK_START.map(str::to_owned).to_vec();
        Self { version, nodes: 1, properties: Vec::new(), is_relayed: false, security: None, jvm }
    }

    /// Another number of nodes.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// One more broker property.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// With a relay before every broker.
    pub fn relayed(mut self) -> Self {
        self.is_relayed = true;
        self
    }

    /// With TLS, SCRAM and ACLs.
    pub fn secured(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }
}

/// A running cluster. Dropping it kills its brokers.
pub struct Cluster {
    nodes: Vec<Node>,
    _zookeeper: Option<Process>,
    folder: PathBuf,
    security: Option<Security>,
}

/// One node: its ports and files, and its process while it runs.
pub struct Node {
    id: usize,
    ports: Ports,
    relay: Option<Relay>,
    arguments: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    /// TLS with client certificates, on secured clusters.
    mutual: u16,
    internal: u16,
    controller: u16,
}

impl Cluster {
    /// Formats and starts a cluster, and waits until all its brokers serve.
    pub fn start(options: Options) -> Self {
        let folder = scratch(&format!("kafka-{}", options.version.0));
        let ports: Vec<Ports> = (0..options.nodes)
            .map(|_| Ports { client: free_port(), mutual: free_port(), internal: free_port(), controller: free_port() })
            .collect();
        let nodes: Vec<Node> = (0..options.nodes).map(|i| Node::prepare(i, &ports, &folder, &options)).collect();
        let zookeeper = options.version.needs_zookeeper().then(|| zookeeper(&options, ports[0].controller, &folder));
        if zookeeper.is_none() {
            let id = cluster_id();
            std::thread::scope(|scope| {
                for node in &nodes {
                    scope.spawn(|| node.format(&id, &options));
                }
            });
        }
        nodes.iter().for_each(Node::start);
        let cluster = Self { nodes, _zookeeper: zookeeper, folder, security: options.security };
        cluster.wait_ready();
        cluster
    }

    /// Where clients connect: through the relay, or with TLS and SASL, where the cluster has them.
    pub fn bootstrap(&self) -> String {
        join(self.nodes.iter().map(|n| n.relay.as_ref().map_or(n.ports.client, Relay::port)))
    }

    /// Where clients of a secured cluster connect who show a certificate instead of a password.
    pub fn mutual_bootstrap(&self) -> String {
        join(self.nodes.iter().map(|n| n.ports.mutual))
    }

    /// A plain listener that leads around relay and authentication: for the checker, and for administration.
    pub fn side_door(&self) -> String {
        join(self.nodes.iter().map(|n| n.ports.internal))
    }

    /// Administration through the side door.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.side_door())
    }

    /// What a secured cluster was started with.
    pub fn security(&self) -> &Security {
        self.security.as_ref().expect("a secured cluster")
    }

    /// The node with this id (from 1).
    pub fn node(&self, id: usize) -> &Node {
        &self.nodes[id - 1]
    }

    /// The relay of a one-node cluster.
    pub fn relay(&self) -> &Relay {
        self.nodes[0].relay()
    }

    /// How many bytes of batches the first node holds of a topic.
    pub fn log_bytes(&self, topic: &str) -> u64 {
        let is_of_topic = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(topic).is_some_and(|rest| rest.starts_with('-'))
        };
        let partitions = entries(&self.folder.join("node-1/data")).into_iter().filter(is_of_topic);
        let files = partitions.flat_map(|partition| entries(&partition));
        let segments = files.filter(|path| path.extension().is_some_and(|e| e == "log"));
        segments.map(|path| fs::metadata(path).map_or(0, |m| m.len())).sum()
    }

    /// Undoes what an earlier test has done: faults of the relays, frozen and dead brokers.
    pub fn heal(&self) {
        for node in &self.nodes {
            node.relay.iter().for_each(Relay::heal);
            if node.is_running() {
                node.resume();
            } else {
                eprintln!("broker {} has to be started again: {}", node.id, tail_of(&node.log, TOLD_LINES));
                node.start();
            }
        }
        self.wait_ready();
    }

    /// Says on stderr how its brokers are.
    pub fn tell(&self) {
        for node in &self.nodes {
            let is = if node.is_running() { "runs" } else { "does not run" };
            eprintln!("broker {} {is}, {}: {}", node.id, node.log.display(), tail_of(&node.log, TOLD_LINES));
        }
    }

    /// Waits until every broker is registered and answers.
    pub fn wait_ready(&self) {
        for node in &self.nodes {
            let admin = Admin::new(&format!("127.0.0.1:{}", node.ports.internal));
            let what = || format!("broker {} to serve; its log ends:\n{}", node.id, tail_of(&node.log, 30));
            let begin = std::time::Instant::now();
            while admin.brokers().unwrap_or_default() < self.nodes.len() {
                assert!(node.is_running(), "broker {} has ended; its log:\n{}", node.id, tail_of(&node.log, 30));
                assert!(begin.elapsed() < START_LIMIT, "waited in vain for {}", what());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        for node in &self.nodes {
            node.kill();
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Node {
    fn prepare(index: usize, ports: &[Ports], folder: &Path, options: &Options) -> Self {
        let own = ports[index];
        let id = index + 1;
        let relay = options.is_relayed.then(|| Relay::start(SocketAddr::from(([127, 0, 0, 1], own.client))));
        let advertised = relay.as_ref().map_or(own.client, Relay::port);
        let home = folder.join(format!("node-{id}"));
        fs::create_dir_all(&home).expect("the node's folder");
        let file = home.join("server.properties");
        fs::write(&file, properties(id, ports, advertised, &home, options)).expect("the properties");
        let mut arguments = options.jvm.clone();
        arguments.extend(["-cp".into(), class_path(options.version), "kafka.Kafka".into(), file.display().to_string()]);
        Self { id, ports: own, relay, arguments, log: home.join("server.log"), process: Mutex::new(None) }
    }

    fn format(&self, cluster_id: &str, options: &Options) {
        let properties = self.arguments.last().expect("the properties file").clone();
        let mut arguments: Vec<String> = QUICK_START.map(str::to_owned).to_vec();
        arguments.extend(["-cp".into(), class_path(options.version), "kafka.tools.StorageTool".into()]);
        arguments.extend(["format", "-t", cluster_id, "-c"].map(str::to_owned));
        arguments.push(properties);
        for (user, password) in options.security.iter().flat_map(|s| s.users.iter()) {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                arguments.extend(["--add-scram".into(), format!("{mechanism}=[name={user},password={password}]")]);
            }
        }
        run_tool("the storage tool", "java", &arguments, &self.log, START_LIMIT);
    }

    /// The folder of its files.
    pub fn home(&self) -> &Path {
        self.log.parent().expect("the node's folder")
    }

    /// Starts it on the data that it has, without waiting.
    pub fn start(&self) {
        let process = Process::start(&format!("broker {}", self.id), "java", &self.arguments, &self.log, &[]);
        *self.process() = Some(process);
    }

    /// Ends it at once, as a power failure would.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Asks it to shut down and waits until it has.
    pub fn stop(&self) {
        if let Some(mut process) = self.process().take() {
            process.signal("TERM");
            process.wait(START_LIMIT);
        }
    }

    /// Its relay.
    pub fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("a relayed cluster")
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.process().as_ref().expect("a running broker").signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.process().as_ref().expect("a running broker").signal("CONT");
    }

    /// What its process has used since it was started.
    pub fn usage(&self) -> Usage {
        self.process().as_ref().expect("a running broker").usage()
    }

    /// Whether it has a process (which may be frozen).
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(Process::is_alive)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A `ZooKeeper` for one broker, at the port where the broker's controller would listen.
fn zookeeper(options: &Options, port: u16, folder: &Path) -> Process {
    let home = folder.join("zookeeper");
    fs::create_dir_all(&home).expect("the folder");
    let file = home.join("zookeeper.properties");
    let text = format!(
        "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n",
        home.display()
    );
    fs::write(&file, text).expect("the properties");
    let mut arguments: Vec<String> = QUICK_START.map(str::to_owned).to_vec();
    let main = "org.apache.zookeeper.server.ZooKeeperServerMain";
    arguments.extend(["-cp".into(), class_path(options.version), main.into(), file.display().to_string()]);
    Process::start("ZooKeeper", "java", &arguments, &home.join("zookeeper.log"), &[])
}

/// Every cluster has its own: links tell clusters apart by it.
fn cluster_id() -> String {
    let mut bytes = *uuid::Uuid::new_v4().as_bytes();
    // The storage tool would take an id that begins with a hyphen for an option.
    bytes[0] = 0;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn join(ports: impl Iterator<Item = u16>) -> String {
    ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

fn properties(id: usize, ports: &[Ports], advertised: u16, home: &Path, options: &Options) -> String {
    let own = ports[id - 1];
    let voters: Vec<String> =
        ports.iter().enumerate().map(|(i, p)| format!("{}@127.0.0.1:{}", i + 1, p.controller)).collect();
    let copies = if ports.len() >= 3 { "3" } else { "1" };
    let protocol = if options.security.is_some() { "SASL_SSL" } else { "PLAINTEXT" };
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    if options.version.needs_zookeeper() {
        set("broker.id", &id.to_string());
        set("zookeeper.connect", &format!("127.0.0.1:{}", own.controller));
    } else {
        set("process.roles", "broker,controller");
        set("node.id", &id.to_string());
        set("controller.quorum.voters", &voters.join(","));
        set("controller.listener.names", "CONTROLLER");
    }
    let mut listeners = vec![("CLIENT", own.client, advertised), ("INTERNAL", own.internal, own.internal)];
    if options.security.is_some() {
        listeners.push(("MUTUAL", own.mutual, own.mutual));
    }
    let listed = |address: &dyn Fn(&(&str, u16, u16)) -> String| listeners.iter().map(address).collect::<Vec<_>>();
    let mut bound = listed(&|(name, bound, _)| format!("{name}://127.0.0.1:{bound}"));
    if !options.version.needs_zookeeper() {
        bound.push(format!("CONTROLLER://127.0.0.1:{}", own.controller));
    }
    set("listeners", &bound.join(","));
    set("advertised.listeners", &listed(&|(name, _, shown)| format!("{name}://127.0.0.1:{shown}")).join(","));
    set("inter.broker.listener.name", "INTERNAL");
    let protocols = format!("CLIENT:{protocol},MUTUAL:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT");
    set("listener.security.protocol.map", &protocols);
    set("log.dirs", &home.join("data").display().to_string());
    set("offsets.topic.replication.factor", copies);
    set("offsets.topic.num.partitions", "4");
    set("transaction.state.log.replication.factor", copies);
    set("transaction.state.log.min.isr", "1");
    set("transaction.state.log.num.partitions", "4");
    set("share.coordinator.state.topic.replication.factor", copies);
    set("share.coordinator.state.topic.min.isr", "1");
    set("default.replication.factor", copies);
    set("group.initial.rebalance.delay.ms", "0");
    set("auto.create.topics.enable", "false");
    // 128 MB by default: more than half of such a broker's memory.
    set("log.cleaner.dedupe.buffer.size", "16777216");
    set("controlled.shutdown.enable", if ports.len() > 1 { "true" } else { "false" });
    if let Some(security) = &options.security {
        all.extend(security.broker_properties(home));
    }
    all.extend(options.properties.iter().cloned());
    all.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}={value}");
        text
    })
}
