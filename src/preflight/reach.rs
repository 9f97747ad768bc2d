//! Whether a cluster can be reached, at each of its addresses, and speaks what we need.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DescribeConfigsRequest, DescribeProducersRequest, FetchRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, ProduceRequest,
};

use super::ClusterPlan;
use super::report::Report;
use crate::cluster::Cluster;
use crate::types::BrokerId;
use crate::wire::{BrokerAddress, Client, Connection, Metadata, WireError};

/// What a link does with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Source,
    Target,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// A cluster that answers.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    pub(super) cluster: Cluster,
    pub(super) id: String,
    pub(super) brokers: usize,
}

/// Longest wait for one answer while checking.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tries all addresses. `None`: no answer from any.
pub(super) async fn reach(plan: &ClusterPlan, role: Role, report: &mut Report) -> Option<Reached> {
    let about = about(plan, role);
    let metadata = try_bootstrap(plan, &about, report).await?;
    if metadata.cluster_id.is_empty() {
        report.warn(&about, "the cluster tells no id of its own", "check that it is an Apache Kafka of 2.8 or later");
    } else {
        report.ok(&about, format!("its cluster id is {}", metadata.cluster_id));
    }
    let mut settings = plan.settings.clone();
    shorten(&mut settings);
    let client = Client::new(settings);
    // The client learns the brokers' addresses by this.
    if let Err(error) = client.metadata(Some(&[])).await {
        report.fail(&about, error.to_string(), remedy(&error));
        return None;
    }
    try_brokers(&client, &metadata, role, &about, report).await;
    let cluster = Cluster::new(plan.name.clone(), client);
    Some(Reached { cluster, id: metadata.cluster_id, brokers: metadata.brokers.len() })
}

pub(super) fn about(plan: &ClusterPlan, role: Role) -> String {
    format!("cluster {} ({})", plan.name, role.name())
}

fn shorten(settings: &mut crate::wire::Settings) {
    settings.connect_timeout = settings.connect_timeout.min(PATIENCE);
    settings.request_timeout = settings.request_timeout.min(PATIENCE);
}

/// Asks each bootstrap server on its own: one that works hides the others until the day it is down.
async fn try_bootstrap(plan: &ClusterPlan, about: &str, report: &mut Report) -> Option<Metadata> {
    let asked = plan.settings.bootstrap.iter().map(|address| async move {
        let mut settings = plan.settings.clone();
        settings.bootstrap = vec![address.clone()];
        shorten(&mut settings);
        Client::new(settings).metadata(Some(&[])).await
    });
    let answers: Vec<Result<Metadata, WireError>> = join_all(asked).await;
    let does_any_answer = answers.iter().any(Result::is_ok);
    for (address, answer) in plan.settings.bootstrap.iter().zip(&answers) {
        match answer {
            Ok(_) => report.ok(about, format!("{address} answers{}", as_whom(plan))),
            Err(error) if does_any_answer => {
                report.warn(about, format!("bootstrap server {address}: {error}"), remedy(error));
            }
            Err(error) => report.fail(about, format!("bootstrap server {address}: {error}"), remedy(error)),
        }
    }
    let ids: BTreeSet<&str> = answers.iter().flatten().map(|metadata| metadata.cluster_id.as_str()).collect();
    if ids.len() > 1 {
        let ids: Vec<&str> = ids.into_iter().collect();
        let sentence = format!("its bootstrap servers belong to different clusters: {}", ids.join(", "));
        report.fail(about, sentence, "list the servers of one cluster only in bootstrap.servers");
    }
    answers.into_iter().find_map(Result::ok)
}

fn as_whom(plan: &ClusterPlan) -> String {
    match (plan.principal(), &plan.settings.tls) {
        (Some(principal), _) => format!(", we are {principal}"),
        (None, Some(tls)) if tls.certificate.is_some() => ", we have shown our certificate".to_owned(),
        (None, _) => String::new(),
    }
}

/// Connects to every broker by the address that it advertises, and looks at what each offers.
async fn try_brokers(client: &Client, metadata: &Metadata, role: Role, about: &str, report: &mut Report) {
    let tried = metadata
        .brokers
        .iter()
        .map(|(broker, address)| async move { (*broker, address.clone(), client.connect(*broker).await) });
    let mut connected: Vec<(BrokerId, Connection)> = Vec::new();
    for (broker, BrokerAddress { host, port }, outcome) in join_all(tried).await {
        match outcome {
            Ok(connection) => connected.push((broker, connection)),
            Err(error) => {
                let sentence = format!("broker {broker} can't be reached at {host}:{port}, as it advertises: {error}");
                report.fail(about, sentence, advertised_remedy(&error));
            }
        }
    }
    if !connected.is_empty() {
        let count = connected.len();
        report.ok(about, format!("{count} of {} brokers answer at their advertised address", metadata.brokers.len()));
    }
    let mut missing: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (_, connection) in &connected {
        let lacks = |need: &&Need| (need.offered)(connection).is_none_or(|version| version < need.version_min);
        missing.extend(needs(role).iter().filter(lacks).map(|need| (need.api, need.reason)));
    }
    for (api, reason) in &missing {
        let sentence = format!("it does not offer {api} in a version that we speak: {reason}");
        report.fail(about, sentence, "use Apache Kafka 2.8 or later, or a system that offers this request");
    }
    if missing.is_empty() && !connected.is_empty() {
        report.ok(about, "it offers every request that a link needs");
    }
    let is_without_ids =
        |connection: &Connection| connection.version::<MetadataRequest>().is_ok_and(|version| version < WITH_TOPIC_IDS);
    if connected.iter().any(|(_, connection)| is_without_ids(connection)) {
        let sentence = "it has no topic ids: a topic that is deleted and created again is not recognised";
        report.warn(about, sentence, "upgrade to Kafka 2.8 or later, or don't recreate mirrored topics");
    }
}

/// From this version on metadata has topic ids.
const WITH_TOPIC_IDS: i16 = 10;

/// A request that a link can't do without.
struct Need {
    api: &'static str,
    version_min: i16,
    reason: &'static str,
    offered: fn(&Connection) -> Option<i16>,
}

macro_rules! need {
    ($request:ty, $api:literal, $version_min:literal, $reason:literal) => {
        Need {
            api: $api,
            version_min: $version_min,
            reason: $reason,
            offered: |connection| connection.version::<$request>().ok(),
        }
    };
}

const BOTH: &[Need] = &[
    need!(FetchRequest, "Fetch", 11, "records are read with it"),
    need!(ListOffsetsRequest, "ListOffsets", 4, "logs are located with it"),
    need!(OffsetForLeaderEpochRequest, "OffsetForLeaderEpoch", 3, "truncated logs are recognised with it"),
    need!(DescribeConfigsRequest, "DescribeConfigs", 1, "topic settings are read with it"),
];

const TARGET: &[Need] = &[
    need!(FetchRequest, "Fetch", 11, "what was written is read back with it"),
    need!(ListOffsetsRequest, "ListOffsets", 4, "logs are located with it"),
    need!(OffsetForLeaderEpochRequest, "OffsetForLeaderEpoch", 3, "the true end of a log is seen with it"),
    need!(DescribeConfigsRequest, "DescribeConfigs", 1, "topic settings are read with it"),
    need!(ProduceRequest, "Produce", 8, "records are written with it"),
    need!(InitProducerIdRequest, "InitProducerId", 2, "nothing is written twice thanks to it"),
    need!(DescribeProducersRequest, "DescribeProducers", 0, "nothing is written twice after a crash thanks to it"),
    need!(CreateTopicsRequest, "CreateTopics", 4, "mirror topics are created with it"),
    need!(CreatePartitionsRequest, "CreatePartitions", 1, "mirror topics grow with it"),
    need!(IncrementalAlterConfigsRequest, "IncrementalAlterConfigs", 0, "topic settings are changed with it"),
];

const fn needs(role: Role) -> &'static [Need] {
    match role {
        Role::Source => BOTH,
        Role::Target => TARGET,
    }
}

/// What a person can do about an unreachable address.
fn remedy(error: &WireError) -> &'static str {
    match error {
        WireError::Connect { .. } => "check the address, the listener and the firewall",
        WireError::Tls { .. } => {
            "check security.protocol, ssl.ca.location, the name in the broker's certificate, and our own certificate"
        }
        WireError::Authentication { .. } => "check sasl.mechanism, sasl.username and sasl.password",
        WireError::Timeout { .. } | WireError::Closed { .. } => {
            "check that the port's listener has the security.protocol configured here, and the firewall"
        }
        WireError::FrameTooLarge { .. } | WireError::Malformed { .. } => {
            "check that this is a Kafka listener, and that it has the security.protocol configured here"
        }
        WireError::Unsupported { .. } => "use Apache Kafka 2.8 or later",
        WireError::Encode { .. } => "this is a fault of causeway: report it",
        WireError::Denied { .. } => "give the permission; `causeway check --acls` prints the commands",
        WireError::NotAvailable { .. } => "check that the cluster is up",
    }
}

fn advertised_remedy(error: &WireError) -> String {
    match error {
        WireError::Connect { .. } | WireError::Timeout { .. } => {
            "make the address in the broker's advertised.listeners reachable from here".to_owned()
        }
        other => remedy(other).to_owned(),
    }
}
