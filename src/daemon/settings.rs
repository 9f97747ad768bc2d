//! From the configuration to each module's settings.

use std::time::Duration;

use crate::api;
use crate::batch::Limits;
use crate::config::{ClusterConfig, Config, DaemonConfig, LinkConfig, Offsets, Start};
use crate::link;
use crate::mirror;
use crate::mirror::fetch;
use crate::preflight;
use crate::secrets::SecretError;
use crate::store::{self, StartAt};
use crate::sync;
use crate::types::{ClusterName, InvalidName};
use crate::wire::{Client, SaslSettings};

/// How many records of a source without holes are planned ahead: one state write for so many.
const PLAN_AHEAD: u64 = 1_000_000;
/// Uncompressed bytes of one source batch that must be taken apart.
const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;
/// Compressed batches below this are worth being merged: a request costs the target more than compressing them again.
const MERGE_COMPRESSED_BELOW: usize = 4 << 10;
/// Records of one prepared batch, which bounds its plan as well.
const RECORDS_MAX: usize = 100_000;

/// What MirrorMaker's clients read: heartbeats as often as MirrorMaker writes them, the rest more often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
const OFFSET_SYNC_INTERVAL: Duration = Duration::from_secs(10);

/// What `check` looks at.
///
/// # Errors
/// The group's name gives a state topic that Kafka does not allow.
pub fn preflight(config: &Config) -> Result<preflight::Plan, InvalidName> {
    let state_topic = store::state_topic(&config.daemon.group)?;
    let cluster = |name: &ClusterName| {
        let cluster = config.clusters.get(name)?;
        Some(preflight::ClusterPlan { name: name.clone(), settings: cluster.wire.clone() })
    };
    let plan = |link: &LinkConfig| {
        Some(preflight::LinkPlan {
            name: link.name.clone(),
            source: cluster(&link.source)?,
            target: cluster(&link.target)?,
            selection: link.topics.clone(),
            groups: link.groups.clone(),
            are_offsets_preserved: mirror_offsets(link).is_preserved(),
            fast_forward_max: link.fast_forward_max,
            state_topic: state_topic.clone(),
            group: config.daemon.group.clone(),
            daemon_id: config.daemon.id.clone(),
            extras: preflight::Extras {
                is_copying_acls: link.sync.acls,
                is_protecting: link.protect,
                mirrormaker_topics: if link.mirrormaker_topics {
                    sync::mirrormaker::topic_names(&link.source)
                } else {
                    Vec::new()
                },
            },
        })
    };
    // What is read through a peer is looked at through the peer.
    let is_direct = |name| config.clusters.get(name).is_some_and(|cluster| cluster.via.is_none());
    Ok(preflight::Plan {
        links: config.links.values().filter(|link| is_direct(&link.source)).filter_map(plan).collect(),
    })
}

/// The API.
pub(super) fn api(daemon: &DaemonConfig) -> api::Settings {
    api::Settings {
        listen: daemon.listen.to_string(),
        api_token: daemon.api_token.clone(),
        tls: daemon
            .tls
            .as_ref()
            .map(|tls| api::TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() }),
        limits: api::Limits::default(),
    }
}

/// The state on a cluster can't be reached by these settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreSettingsError {
    /// A secret can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// librdkafka would send the token without them.
    #[error(
        "`sasl.oauthbearer.extensions` does not work towards a target: the client that keeps the state there can't \
         send them; use another mechanism for this cluster"
    )]
    Extensions,
}

/// The state on a target cluster. Reads secrets as they are now; may block. The client is a new one, so that it shows
/// whether these secrets are good.
pub(super) fn store(daemon: &DaemonConfig, cluster: &ClusterConfig) -> Result<store::Settings, StoreSettingsError> {
    let oauth_token = match &cluster.wire.sasl {
        Some(SaslSettings::OAuthBearer { extensions, .. }) if !extensions.is_empty() => {
            return Err(StoreSettingsError::Extensions);
        }
        Some(SaslSettings::OAuthBearer { token, .. }) => Some(token.clone()),
        Some(SaslSettings::Plain { .. } | SaslSettings::ScramSha256 { .. } | SaslSettings::ScramSha512 { .. })
        | None => None,
    };
    Ok(store::Settings {
        client: Client::new(cluster.wire.clone()),
        kafka_properties: cluster.librdkafka_properties()?,
        oauth_token,
        topic_id: None,
        group: daemon.group.clone(),
        daemon_id: daemon.id.clone(),
        session_timeout: Duration::from_secs(10),
    })
}

/// One link.
#[must_use]
pub fn link(daemon: &DaemonConfig, link: &LinkConfig, target: &ClusterConfig) -> link::Settings {
    link::Settings {
        name: link.name.clone(),
        digest: link.digest.clone(),
        meaning: link.meaning.clone(),
        mirror: mirror(daemon, link),
        topics: sync::Settings {
            link: link.name.clone(),
            interval: link.sync.interval,
            is_config_sync_on: link.sync.configs,
            drift: link.sync.drift,
            are_offsets_preserved: mirror_offsets(link).is_preserved(),
            start: match link.start {
                Start::Earliest => StartAt::Earliest,
                Start::Latest => StartAt::Latest,
                Start::Timestamp(timestamp) => StartAt::Timestamp(timestamp),
            },
        },
        acls: sync::acls::Settings {
            link: link.name.clone(),
            interval: link.sync.interval,
            is_copying: link.sync.acls,
            is_deleting: link.sync.acls_deletions,
            is_protecting: link.protect,
            own_principals: link.principals_on(target),
        },
        mirrormaker: link.mirrormaker_topics.then(|| sync::mirrormaker::Settings {
            link: link.name.clone(),
            source: link.source.clone(),
            target: link.target.clone(),
            heartbeat_interval: HEARTBEAT_INTERVAL,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            offset_sync_interval: OFFSET_SYNC_INTERVAL,
        }),
        selection: link.topics.clone(),
        groups: sync::GroupSettings {
            link: link.name.clone(),
            interval: link.sync.group_interval,
            selection: link.groups.clone(),
        },
    }
}

fn mirror(daemon: &DaemonConfig, link: &LinkConfig) -> mirror::Settings {
    let limited = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let merge_bytes_max = usize::try_from(link.tuning.merge_bytes_max).unwrap_or(usize::MAX);
    mirror::Settings {
        link: link.name.clone(),
        daemon: daemon.id.clone(),
        fetch: fetch::Settings {
            link_bytes_max: limited(link.tuning.buffer_bytes_max),
            inbox_bytes_max: limited(link.tuning.inbox_bytes_max),
            response_bytes_max: 16 << 20,
            partition_bytes_max: 16 << 20,
            wait_max: link.tuning.fetch_wait_max,
            connections_per_broker: usize::from(link.tuning.fetch_connections),
            rate: link.rate,
        },
        produce: mirror::ProduceSettings {
            requests_in_flight_max: 5,
            request_bytes_max: 4 << 20,
            acknowledge_timeout: Duration::from_secs(20),
        },
        limits: Limits {
            batch_bytes_max: merge_bytes_max,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
            merge_compressed_below: MERGE_COMPRESSED_BELOW,
            records_max: RECORDS_MAX,
            is_dense: false,
        },
        offsets: mirror_offsets(link),
        fill_id_prefix: format!("causeway-{}-fill-", daemon.group),
        fast_forward_max: link.fast_forward_max,
        gap_fill_max: link.gap_fill_max,
        gap_fill_ratio_max: link.gap_fill_ratio_max,
        window_max: 5,
        plan_ahead: PLAN_AHEAD,
        checkpoint_interval: Duration::from_millis(800),
        observe_timeout: Duration::from_secs(30),
        producer_expiration: Duration::from_hours(24),
        guards: mirror::Guards::from_environment(),
    }
}

fn mirror_offsets(link: &LinkConfig) -> mirror::OffsetsMode {
    match link.offsets {
        Offsets::Preserve => mirror::OffsetsMode::Preserve,
        Offsets::PreserveOrStop => mirror::OffsetsMode::PreserveOrStop,
        Offsets::Translate => mirror::OffsetsMode::Translate,
    }
}
