//! What a configuration says, as plain types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::Exposure;
use crate::peer::PeerSettings;
use crate::secrets::{SecretError, SecretSource};
use crate::selection::{GroupSelection, Selection};
use crate::sync::Drift;
use crate::types::{ClusterName, LinkName, PeerName};
use crate::wire::{self, PemSource};

/// A whole, consistent configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The daemon itself.
    pub daemon: DaemonConfig,
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, ClusterConfig>,
    /// The links by name; at least one, unless something is exposed to a peer. Their clusters are in `clusters`.
    pub links: BTreeMap<LinkName, LinkConfig>,
    /// Sessions with other daemons.
    pub peers: Option<PeersConfig>,
    /// The file it was read from.
    pub file: PathBuf,
}

/// `[peers]` and all `[peer.NAME]`.
#[derive(Debug, Clone)]
pub struct PeersConfig {
    /// Our certificate chain.
    pub certificate: PemSource,
    /// Its private key.
    pub key: PemSource,
    /// Whom to trust; the system's authorities when there is none.
    pub ca: Option<PemSource>,
    /// Where peers may dial us.
    pub listen: Option<String>,
    /// The peers.
    pub peers: Vec<PeerSettings>,
    /// What each may read; the clusters are in `clusters`, and reached directly.
    pub exposed: BTreeMap<PeerName, Expose>,
}

/// What a peer may read.
#[derive(Debug, Clone)]
pub struct Expose {
    /// The cluster.
    pub cluster: ClusterName,
    /// Regular expressions for whole names of topics.
    pub topics: Vec<String>,
    /// Regular expressions for whole names of groups.
    pub groups: Vec<String>,
    /// Both, compiled.
    pub exposure: Exposure,
}

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonConfig {
    /// Tells the daemons of one group apart, also across restarts: 1 to 249 letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// Daemons of one group share the work. Part of the state topic's name.
    pub group: String,
    /// Where the status page, the API and the metrics are served.
    pub listen: SocketAddr,
    /// What callers must show to change state; without it nobody can.
    pub api_token: Option<SecretSource>,
    /// TLS for `listen`. Always there where `listen` is not on loopback and there is an `api_token`.
    pub tls: Option<DaemonTls>,
    /// The most that the offset maps of all mirror partitions of this daemon take: 16 MiB to 1 TiB.
    pub map_bytes_max: u64,
}

/// The certificate of the daemon's own listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonTls {
    /// The PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// The PEM text of the private key.
    pub key: SecretSource,
}

/// `[cluster.NAME]`.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Its name.
    pub name: ClusterName,
    /// For our own client.
    pub wire: wire::Settings,
    /// The peer that it is read through; `None`: it is reached directly, by `wire`.
    pub via: Option<PeerName>,
    /// For librdkafka, under librdkafka's names.
    pub kafka: BTreeMap<String, KafkaValue>,
}

/// The value of a Kafka property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaValue {
    /// An open one.
    Text(String),
    /// A secret one, read when it is needed.
    Secret(SecretSource),
}

impl ClusterConfig {
    /// The properties for a librdkafka client, secrets read as they are now.
    ///
    /// With OAUTHBEARER the token is not among them: librdkafka asks for it by a callback, which takes it from
    /// `wire.sasl`.
    ///
    /// # Errors
    /// A secret can't be read.
    pub fn librdkafka_properties(&self) -> Result<Vec<(String, String)>, SecretError> {
        self.kafka
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    KafkaValue::Text(text) => text.clone(),
                    KafkaValue::Secret(source) => source.read()?.reveal().to_owned(),
                };
                Ok((name.clone(), value))
            })
            .collect()
    }
}

impl ClusterConfig {
    /// Kafka's name for whom we authenticate as, where the configuration tells it: brokers make it of a user's name.
    /// What they make of a certificate or of a token only they know.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        use wire::SaslSettings::{OAuthBearer, Plain, ScramSha256, ScramSha512};
        match &self.wire.sasl {
            Some(Plain { username, .. } | ScramSha256 { username, .. } | ScramSha512 { username, .. }) => {
                Some(format!("User:{username}"))
            }
            Some(OAuthBearer { .. }) => None,
            None => {
                let has_certificate = self.wire.tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
                (!has_certificate).then(|| "User:ANONYMOUS".to_owned())
            }
        }
    }
}

impl LinkConfig {
    /// Who the daemons are on the target: never empty where `protect` or `sync.acls` is on.
    #[must_use]
    pub fn principals_on(&self, target: &ClusterConfig) -> BTreeSet<String> {
        if self.own_principals.is_empty() {
            target.principal().into_iter().collect()
        } else {
            self.own_principals.clone()
        }
    }
}

/// `[link.NAME]`.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Its name.
    pub name: LinkName,
    /// The cluster that is read.
    pub source: ClusterName,
    /// The cluster that is written; another one than `source`.
    pub target: ClusterName,
    /// How source and target offsets relate.
    pub offsets: Offsets,
    /// The most offsets by which an empty mirror partition is brought to the source's log start.
    pub fast_forward_max: u64,
    /// The most offsets of one gap that are filled.
    pub gap_fill_max: u64,
    /// The most offsets that are filled for each record that is copied, over the last million.
    pub gap_fill_ratio_max: f64,
    /// Where topics begin that exist when the link first starts. Later ones begin at their beginning.
    pub start: Start,
    /// The most that is copied, in bytes a second; no limit when there is none.
    pub rate: Option<u64>,
    /// Which topics are mirrored; at least one entry.
    pub topics: Selection,
    /// Which groups are synchronised; without an entry none is.
    pub groups: GroupSelection,
    /// Topic settings and their intervals.
    pub sync: SyncConfig,
    /// Whether MirrorMaker's own topics are written.
    pub mirrormaker_topics: bool,
    /// Whether others are kept from writing to mirror topics.
    pub protect: bool,
    /// Who the daemons are on the target, where the file says so.
    pub own_principals: BTreeSet<String>,
    /// Limits of memory and of requests.
    pub tuning: Tuning,
    /// Everything that all daemons of a group must agree on, by key. Secrets and clusters' addresses are not in it.
    pub meaning: BTreeMap<String, String>,
    /// A hash of `meaning`, the same on every machine and in every version with the same keys: 16 hex digits.
    pub digest: String,
}

/// How source and target offsets relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offsets {
    /// Every record has the same offset on both sides, as long as that is possible; from there on the exact map tells.
    Preserve,
    /// Every record has the same offset on both sides; a partition where that is impossible stops.
    PreserveOrStop,
    /// They may differ; the exact map tells how.
    Translate,
}

impl Offsets {
    /// Whether a record may have another offset on the target.
    #[must_use]
    pub const fn may_differ(self) -> bool {
        match self {
            Self::Translate => true,
            Self::Preserve | Self::PreserveOrStop => false,
        }
    }
}

/// Where the topics begin that exist when a link first starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record.
    Earliest,
    /// With the next record that is written.
    Latest,
    /// With the first record of this time or later, in milliseconds since 1970.
    Timestamp(i64),
}

/// `[link.NAME.sync]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncConfig {
    /// Whether the settings of topics follow the source.
    pub configs: bool,
    /// Whether the ACLs of topics are copied.
    pub acls: bool,
    /// Whether copied ACLs are removed when they are gone at the source.
    pub acls_deletions: bool,
    /// What becomes of settings that are changed on mirror topics.
    pub drift: Drift,
    /// How often topics, partitions and settings are compared: 1 s to 1 h.
    pub interval: Duration,
    /// How often the positions of groups are compared: 100 ms to 1 h.
    pub group_interval: Duration,
}

/// `[link.NAME.tuning]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The most that the link holds in memory, fetched and not yet acknowledged: 4 MiB to 64 GiB.
    pub buffer_bytes_max: u64,
    /// A partition that holds so much is not fetched until half of it is produced: 64 KiB to 1 GiB.
    pub inbox_bytes_max: u64,
    /// The largest batch that merging makes: up to 16 MiB; 0 = never merge.
    pub merge_bytes_max: u64,
    /// Connections to each source broker for fetching: 1 to 32.
    pub fetch_connections: u16,
    /// How long a source broker may wait for new records before it answers: 1 ms to 30 s.
    pub fetch_wait_max: Duration,
}
