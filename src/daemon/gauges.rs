//! Figures that are looked up once a second instead of being set in the data path.

use std::time::Duration;

use super::{Daemon, GAUGE_INTERVAL, signals};
use crate::api::Backend;
use crate::mirror::Snapshot;
use crate::store::PartitionState;
use crate::telemetry::names;
use crate::types::{LinkName, TopicPartition};

/// How long one look at a cluster may take before it counts as unreachable.
const REACH_LIMIT: Duration = Duration::from_secs(5);

impl Daemon {
    /// Brings gauges up to date, and tells systemd when the daemon is ready for the first time.
    pub(super) async fn keep_gauges(&self) {
        let mut was_ready = false;
        loop {
            let is_ready = self.readiness().ready;
            if is_ready && !was_ready {
                tracing::info!("ready");
                signals::tell_systemd(&[sd_notify::NotifyState::Ready]);
            }
            was_ready = is_ready;
            self.metrics.gauge(names::READY, &[]).set(if is_ready { 1.0 } else { 0.0 });
            for ((link, partition), live) in self.registry.all() {
                self.set_partition(&link, &partition, &live.snapshot());
            }
            for side in self.sides.values() {
                #[expect(clippy::cast_precision_loss, reason = "there are few shards")]
                self.metrics
                    .gauge(names::SHARDS_OWNED, &[("cluster", side.cluster.as_str())])
                    .set(side.leases() as f64);
            }
            self.look_at_clusters().await;
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    }

    async fn look_at_clusters(&self) {
        for (name, cluster) in &self.clusters {
            let seen = tokio::time::timeout(REACH_LIMIT, cluster.metadata(Some(&[]))).await;
            let is_reachable = matches!(seen, Ok(Ok(_)));
            let gauge = self.metrics.gauge(names::CLUSTER_REACHABLE, &[("cluster", name.as_str())]);
            gauge.set(if is_reachable { 1.0 } else { 0.0 });
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating point; offsets beyond 2^53 are not met")]
    fn set_partition(&self, link: &LinkName, partition: &TopicPartition, snapshot: &Snapshot) {
        let index = partition.partition.to_string();
        let labels = &[("link", link.as_str()), ("topic", partition.topic.as_str()), ("partition", index.as_str())];
        let set = |name, value: Option<f64>| {
            if let Some(value) = value {
                self.metrics.gauge(name, labels).set(value);
            }
        };
        let status = &snapshot.status;
        let lag = status.source_high_watermark.zip(snapshot.source_position).map(|(mark, at)| mark.distance_from(at));
        set(names::LAG_RECORDS, lag.map(|lag| lag as f64));
        set(names::LAG_SECONDS, status.lag_ms.map(|lag| lag as f64 / 1000.0));
        set(names::SOURCE_CONTACT_AGE_SECONDS, status.source_contact_age_ms.map(|age| age as f64 / 1000.0));
        set(names::SOURCE_POSITION, snapshot.source_position.map(|offset| offset.get() as f64));
        set(names::TARGET_POSITION, snapshot.target_position.map(|offset| offset.get() as f64));
        let is_stopped = status.state == PartitionState::Stopped;
        set(names::PARTITION_STOPPED, Some(if is_stopped { 1.0 } else { 0.0 }));
    }
}
