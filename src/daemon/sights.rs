//! Whether the clusters can be reached at all.
//!
//! Owns: a look at each cluster every second, its gauges, and what hinders us there at the moment.
//! Promises: holds whatever else goes on: with the group left, no shard ours and every loop ended, it still says so.
//! Does not know: what a cluster is needed for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::GAUGE_INTERVAL;
use super::gauges::flag;
use crate::api::json;
use crate::cluster::{Cluster, ClusterError};
use crate::tasks::wall_clock_ms;
use crate::telemetry::{Metrics, names};
use crate::types::ClusterName;
use crate::wire::WireError;

/// How long one look at a cluster may take before it counts as unreachable.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// What the last look at each cluster found.
#[derive(Default)]
pub(super) struct Sights {
    hindrances: Mutex<BTreeMap<ClusterName, Hindrance>>,
}

/// Why a cluster can't be worked with.
struct Hindrance {
    kind: Kind,
    message: String,
    since_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    LogInRefused,
    Unreachable,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::LogInRefused => "log_in_refused",
            Self::Unreachable => "cluster_unreachable",
        }
    }
}

impl Sights {
    /// Looks until dropped.
    pub(super) async fn keep(&self, clusters: &BTreeMap<ClusterName, Cluster>, metrics: &Metrics) {
        loop {
            join_all(clusters.iter().map(|(name, cluster)| self.look_at(name, cluster, metrics))).await;
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    }

    async fn look_at(&self, name: &ClusterName, cluster: &Cluster, metrics: &Metrics) {
        let found = match tokio::time::timeout(REACH_LIMIT, cluster.metadata(Some(&[]))).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                let is_refused = matches!(&error, ClusterError::Wire { error: WireError::Authentication { .. }, .. });
                Some((if is_refused { Kind::LogInRefused } else { Kind::Unreachable }, error.to_string()))
            }
            Err(_) => Some((Kind::Unreachable, format!("cluster {name}: no answer within {REACH_LIMIT:?}"))),
        };
        metrics.set(names::CLUSTER_REACHABLE, &[("cluster", name.as_str())], flag(found.is_none()));
        let is_refused = found.as_ref().is_some_and(|(kind, _)| *kind == Kind::LogInRefused);
        let labels = [("cluster", name.as_str()), ("kind", "authentication")];
        metrics.set(names::ACCESS_PROBLEMS, &labels, flag(is_refused));
        self.note(name, found);
    }

    /// The time is that of the first look that found it. The words may change from look to look, as the brokers take
    /// turns, so only a change of kind is logged.
    fn note(&self, name: &ClusterName, found: Option<(Kind, String)>) {
        let mut hindrances = self.hindrances.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hindrances.remove(name);
        let Some((kind, message)) = found else {
            if before.is_some() {
                tracing::info!(cluster = %name, "the cluster can be reached again");
            }
            return;
        };
        let before = before.filter(|before| before.kind == kind);
        if before.is_none() {
            tracing::warn!(cluster = %name, kind = kind.word(), "{message}");
        }
        let since_ms = before.map_or_else(wall_clock_ms, |before| before.since_ms);
        hindrances.insert(name.clone(), Hindrance { kind, message, since_ms });
    }

    /// What hinders us at a cluster.
    pub(super) fn problem(&self, cluster: &ClusterName) -> Option<json::Problem> {
        let hindrances = self.hindrances.lock().unwrap_or_else(PoisonError::into_inner);
        let Hindrance { kind, message, since_ms } = hindrances.get(cluster)?;
        Some(json::Problem {
            kind: kind.word().to_owned(),
            message: message.clone(),
            since_ms: Some(*since_ms),
            cluster: Some(cluster.clone()),
            ..json::Problem::default()
        })
    }
}

#[cfg(test)]
mod tests;
