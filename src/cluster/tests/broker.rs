//! One real broker on the loopback address, for the tests of this module and of those above it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::cluster::Cluster;
use crate::secrets::SecretSource;
use crate::types::{ClusterName, Secret};
use crate::wire::{Client, Route, SaslSettings, Settings};

const START_LIMIT: Duration = Duration::from_mins(2);
const KAFKA: &str = "4.3.1";

/// A running broker. Dropping it kills it and removes its files.
pub(crate) struct Broker {
    process: Child,
    folder: tempfile::TempDir,
    /// Where everybody may do everything.
    side_door: u16,
    /// Where users authenticate (SASL PLAIN) and ACLs hold.
    guarded: u16,
}

impl Broker {
    /// Starts a broker of the newest tested version and waits until it serves. Its users `alice`, `bob` and so on
    /// have their name as password.
    pub(crate) async fn start() -> Self {
        Self::start_version(KAFKA).await
    }

    pub(crate) async fn start_version(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (side_door, guarded, controller) = (free_port(), free_port(), free_port());
        let properties = folder.path().join("server.properties");
        std::fs::write(&properties, text(side_door, guarded, controller, folder.path())).unwrap();
        let class_path = class_path(version);
        let java = |main: &[&str]| {
            let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
            let mut command = Command::new("java");
            command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &class_path]).args(main);
            command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
            command
        };
        let file = properties.display().to_string();
        let formatted = java(&["kafka.tools.StorageTool", "format", "-t", &cluster_id(), "-c", &file]);
        assert!({ formatted }.status().unwrap().success(), "the storage tool; see {}", folder.path().display());
        let process = java(&["kafka.Kafka", &file]).spawn().unwrap();
        let broker = Self { process, folder, side_door, guarded };
        broker.wait_until_it_serves().await;
        broker
    }

    /// The cluster through the side door.
    pub(crate) fn cluster(&self) -> Cluster {
        let settings = Settings::plain(vec![self.open()], "test");
        Cluster::new(ClusterName::new("aws").unwrap(), Client::new(settings))
    }

    /// The cluster as this user has it.
    pub(crate) fn cluster_as(&self, user: &str) -> Cluster {
        let mut settings = Settings::plain(vec![self.guarded()], "test");
        let password = SecretSource::Literal(Secret::new(user.to_owned()));
        settings.sasl = Some(SaslSettings::Plain { username: user.to_owned(), password });
        Cluster::new(ClusterName::new("aws").unwrap(), Client::new(settings))
    }

    /// Address of the side door.
    pub(crate) fn open(&self) -> String {
        format!("127.0.0.1:{}", self.side_door)
    }

    /// Address of the listener where ACLs hold.
    pub(crate) fn guarded(&self) -> String {
        format!("127.0.0.1:{}", self.guarded)
    }

    /// Gives a user rights, and waits until they hold.
    pub(crate) async fn allow(&self, user: &str, rights: &[Right]) {
        let creation = |right: &Right| {
            AclCreation::default()
                .with_resource_type(right.resource_type)
                .with_resource_name(StrBytes::from_string(right.name.clone()))
                .with_resource_pattern_type(right.pattern_type())
                .with_principal(StrBytes::from_string(format!("User:{user}")))
                .with_host(StrBytes::from_static_str("*"))
                .with_operation(right.operation)
                .with_permission_type(ALLOW)
        };
        let request = CreateAclsRequest::default().with_creations(rights.iter().map(creation).collect());
        let response = self.cluster().client().call(Route::Controller, &request).await.unwrap();
        assert!(response.results.iter().all(|result| result.error_code == 0), "{response:?}");
        for right in rights {
            self.wait_for(user, right, true).await;
        }
    }

    /// Takes one right of a user away, and waits until it is gone.
    pub(crate) async fn revoke(&self, user: &str, right: &Right) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(right.resource_type)
            .with_resource_name_filter(Some(StrBytes::from_string(right.name.clone())))
            .with_pattern_type_filter(right.pattern_type())
            .with_principal_filter(Some(StrBytes::from_string(format!("User:{user}"))))
            .with_host_filter(None)
            .with_operation(right.operation)
            .with_permission_type(ALLOW);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        let response = self.cluster().client().call(Route::Controller, &request).await.unwrap();
        let deleted: usize = response.filter_results.iter().map(|result| result.matching_acls.len()).sum();
        assert_eq!(deleted, 1, "{response:?}");
        self.wait_for(user, right, false).await;
    }

    /// The controller has a change before the brokers act by it; they tell what they act by.
    async fn wait_for(&self, user: &str, right: &Right, should_hold: bool) {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(right.resource_type)
            .with_resource_name_filter(Some(StrBytes::from_string(right.name.clone())))
            .with_pattern_type_filter(right.pattern_type())
            .with_principal_filter(Some(StrBytes::from_string(format!("User:{user}"))))
            .with_host_filter(None)
            .with_operation(right.operation)
            .with_permission_type(ALLOW);
        let cluster = self.cluster();
        loop {
            let response = cluster.client().call(Route::Any, &request).await.unwrap();
            if response.resources.is_empty() != should_hold {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn wait_until_it_serves(&self) {
        let cluster = self.cluster();
        let start = Instant::now();
        while cluster.metadata(None).await.map_or(true, |metadata| metadata.brokers.is_empty()) {
            let log = self.folder.path().join("log");
            assert!(start.elapsed() < START_LIMIT, "no broker: {}", std::fs::read_to_string(log).unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One right, in Kafka's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) resource_type: i8,
    pub(crate) name: String,
    pub(crate) is_prefix: bool,
    pub(crate) operation: i8,
}

impl Right {
    pub(crate) fn new(resource_type: i8, name: &str, is_prefix: bool, operation: i8) -> Self {
        Self { resource_type, name: name.to_owned(), is_prefix, operation }
    }

    fn pattern_type(&self) -> i8 {
        if self.is_prefix { 4 } else { 3 }
    }
}

const ALLOW: i8 = 3;

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kafka's form of it: 16 bytes in base 64.
fn cluster_id() -> String {
    use base64::Engine as _;
    let mut bytes = uuid::Uuid::new_v4().into_bytes();
    // No dash in front: the storage tool would take it for an option.
    bytes[0] &= 0x7f;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The jars that the real-Kafka suite fetched.
fn class_path(version: &str) -> String {
    let cache = std::env::var_os("CAUSEWAY_KAFKA_CACHE")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/causeway-kafka"), PathBuf::from);
    let folder = cache.join(version);
    assert!(folder.exists(), "no jars in {}: run the real-Kafka suite first", folder.display());
    format!("{}/*", folder.display())
}

fn text(side_door: u16, guarded: u16, controller: u16, home: &std::path::Path) -> String {
    let users = ["causeway", "alice", "bob"].map(|user| format!("user_{user}=\"{user}\"")).join(" ");
    let data = home.join("data");
    let data = data.display();
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=OPEN://127.0.0.1:{side_door},GUARDED://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=OPEN://127.0.0.1:{side_door},GUARDED://127.0.0.1:{guarded}\n\
         listener.security.protocol.map=OPEN:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=OPEN\n\
         controller.listener.names=CONTROLLER\n\
         listener.name.guarded.sasl.enabled.mechanisms=PLAIN\n\
         listener.name.guarded.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required {users};\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         log.dirs={data}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=2\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=2\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         controlled.shutdown.enable=false\n\
         auto.create.topics.enable=false\n"
    )
}
