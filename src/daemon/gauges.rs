//! Figures that are looked up now and then instead of being set in the data path.
//!
//! Owns: when each gauge of the daemon is set, and the upkeep of the metrics.
//! Promises: what is known is set anew every second, or every five where it takes more work: more often than idle
//! gauges are dropped. What is not known, or is no longer this daemon's, is left alone and disappears.
//! Does not know: how the numbers come about.

use std::collections::BTreeMap;

use super::partitions::{CONTACT_LIMIT_MS, Shown};
use super::side::Side;
use super::{Daemon, GAUGE_INTERVAL, signals};
use crate::api::Backend;
use crate::api::json::TopicState;
use crate::config::LinkConfig;
use crate::mirror::Snapshot;
use crate::store::{LinkState, PartitionState};
use crate::telemetry::{Metrics, names};
use crate::types::{ClusterName, LinkName, TopicPartition};

/// Every so many rounds histograms are emptied into their buckets, and maps are brought back within their limit.
const ROUNDS_TO_UPKEEP: u32 = 5;
/// Every so many rounds idle gauges are dropped, which takes 0.3 s of a core where there are 10,000 partitions.
const ROUNDS_TO_DROP: u32 = 120;
/// Partitions between two chances for other tasks.
const PARTITIONS_AT_ONCE: usize = 256;

impl Daemon {
    /// Brings gauges up to date, and tells systemd when the daemon is ready for the first time.
    pub(super) async fn keep_gauges(&self) {
        // A cluster that does not answer must not make the other gauges look idle.
        tokio::join!(self.keep_own_gauges(), self.sights.keep(&self.clusters, &self.metrics));
    }

    async fn keep_own_gauges(&self) {
        let mut was_ready = false;
        let mut round = 0_u32;
        loop {
            let is_ready = self.readiness().ready;
            if is_ready && !was_ready {
                tracing::info!("ready");
                signals::tell_systemd(&[sd_notify::NotifyState::Ready]);
            }
            was_ready = is_ready;
            self.set_own(is_ready);
            if round.is_multiple_of(ROUNDS_TO_UPKEEP) {
                self.metrics.upkeep();
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                self.metrics.set(names::OFFSET_MAP_BYTES, &[], self.registry.limit_maps() as f64);
            }
            if round.is_multiple_of(ROUNDS_TO_DROP) {
                let metrics = self.metrics.clone();
                // Waited for here, and over soon; if it failed, the next one does it.
                drop(tokio::task::spawn_blocking(move || metrics.drop_idle_gauges()).await);
            }
            round = round.wrapping_add(1);
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    }

    /// All metrics, with the gauges of partitions and topics as they are now.
    pub(super) async fn shown_metrics(&self) -> String {
        self.set_partitions().await;
        self.set_links();
        let metrics = self.metrics.clone();
        // It takes as long as other tasks should not wait; it can't fail but by a panic, and then says nothing.
        tokio::task::spawn_blocking(move || metrics.render()).await.unwrap_or_default()
    }

    fn set_own(&self, is_ready: bool) {
        self.metrics.set(names::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        #[expect(clippy::cast_precision_loss, reason = "a date in milliseconds has 41 bits")]
        self.metrics.set(names::START_TIME_SECONDS, &[], self.started_at_ms as f64 / 1000.0);
        self.metrics.set(names::READY, &[], flag(is_ready));
        if let Some(peers) = &self.peers {
            super::peers::measure(peers, &self.metrics);
        }
        for side in self.sides.values() {
            self.metrics.set(names::SHARDS_OWNED, &[("cluster", side.cluster.as_str())], count(side.leases()));
        }
    }

    async fn set_partitions(&self) {
        let mut denied: BTreeMap<ClusterName, usize> =
            self.clusters.keys().map(|cluster| (cluster.clone(), 0)).collect();
        for (number, ((link, partition), live)) in self.registry.all().into_iter().enumerate() {
            let snapshot = live.snapshot();
            set_partition(&self.metrics, &link, &partition, &snapshot);
            if let Some(count) = snapshot.denied_by.and_then(|cluster| denied.get_mut(&cluster)) {
                *count += 1;
            }
            if number % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
        for cluster in self.denied_to_topics() {
            denied.entry(cluster).and_modify(|count| *count += 1);
        }
        for (cluster, waiting) in denied {
            let labels = [("cluster", cluster.as_str()), ("kind", "authorization")];
            self.metrics.set(names::ACCESS_PROBLEMS, &labels, count(waiting));
        }
    }

    /// The clusters that withhold what the loops over topics need, as the last rounds that were made here have it.
    fn denied_to_topics(&self) -> Vec<ClusterName> {
        let link_of = |config: &LinkConfig| self.sides.get(&config.target)?.link(&config.name);
        let links = self.config.links.values().filter_map(link_of).filter(|link| link.is_kept_here());
        links.flat_map(|link| link.topics_report().denied_by).collect()
    }

    fn set_links(&self) {
        for config in self.config.links.values() {
            if let Some(side) = self.sides.get(&config.target) {
                self.set_link(config, side);
            }
        }
    }

    /// The settings that a link works by are known when its record was read; what its topics are doing is shown by
    /// the one daemon that keeps the link.
    fn set_link(&self, config: &LinkConfig, side: &Side) {
        let (Some(link), Some(store)) = (side.link(&config.name), side.store()) else { return };
        let Some(record) = link.record() else { return };
        let name = config.name.as_str();
        self.metrics.set(names::CONFIG_MISMATCH, &[("link", name)], flag(record.digest != config.digest));
        if !link.is_kept_here() {
            return;
        }
        let is_paused = record.state == LinkState::Paused;
        let shown = Shown { store: &store, registry: &self.registry, link: &config.name, is_paused };
        for topic in shown.topics() {
            let labels = [("link", name), ("topic", topic.source_topic.as_str())];
            self.metrics.set(names::TOPIC_STATE, &labels, number_of(topic.state));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; offsets beyond 2^53 are not met")]
fn set_partition(metrics: &Metrics, link: &LinkName, partition: &TopicPartition, snapshot: &Snapshot) {
    let index = partition.partition.to_string();
    let labels = &[("link", link.as_str()), ("topic", partition.topic.as_str()), ("partition", index.as_str())];
    let set = |name, value: Option<f64>| {
        if let Some(value) = value {
            metrics.set(name, labels, value);
        }
    };
    let status = &snapshot.status;
    let is_reachable = status.source_contact_age_ms.is_some_and(|age| age < CONTACT_LIMIT_MS);
    let lag = status.source_high_watermark.zip(snapshot.source_position).map(|(mark, at)| mark.distance_from(at));
    set(names::LAG_RECORDS, lag.filter(|_| is_reachable).map(|lag| lag as f64));
    set(names::LAG_SECONDS, status.lag_ms.map(|lag| lag as f64 / 1000.0));
    set(names::SOURCE_CONTACT_AGE_SECONDS, status.source_contact_age_ms.map(|age| age as f64 / 1000.0));
    set(names::SOURCE_POSITION, snapshot.source_position.map(|offset| offset.get() as f64));
    set(names::TARGET_POSITION, snapshot.target_position.map(|offset| offset.get() as f64));
    set(names::PARTITION_STOPPED, Some(flag(status.state == PartitionState::Stopped)));
}

/// The legend is in the table of names.
const fn number_of(state: TopicState) -> f64 {
    match state {
        TopicState::Mirroring => 0.0,
        TopicState::Paused => 1.0,
        TopicState::FastForwarding => 2.0,
        TopicState::Starting => 3.0,
        TopicState::Stopped => 4.0,
        TopicState::Promoting => 5.0,
        TopicState::Promoted => 6.0,
        TopicState::FailingOver => 7.0,
        TopicState::FailedOver => 8.0,
        TopicState::Restoring => 9.0,
    }
}

pub(super) const fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
