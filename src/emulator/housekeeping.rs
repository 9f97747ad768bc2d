//! What a cluster does without being asked.
//!
//! Owns: replication with a delay, retention, compaction, expiry of producers, the log start on disk.
//! Promises: each at its interval, by tokio's clock.
//! Does not know: requests.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Cluster;
use super::clock::milliseconds;

/// As `log.flush.start.offset.checkpoint.interval.ms`.
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(1);
/// Slow followers are looked at so often.
const REPLICA_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Something that is done again and again.
struct Chore {
    every: Duration,
    due: Instant,
}

impl Chore {
    fn new(every: Duration) -> Self {
        let every = every.max(Duration::from_millis(1));
        Self { every, due: Instant::now() + every }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.due <= now;
        if is_due {
            self.due = now + self.every;
        }
        is_due
    }
}

/// Does all of it until it is dropped.
pub(crate) async fn keep(cluster: Cluster) {
    let setting = |name: &str| Duration::from_millis(cluster.lock().broker_number(name).unsigned_abs());
    let mut replicas = Chore::new(REPLICA_CHECK_INTERVAL);
    let mut retention = Chore::new(setting("log.retention.check.interval.ms"));
    let mut expiry = Chore::new(setting("producer.id.expiration.check.interval.ms"));
    let mut compaction = Chore::new(cluster.settings().compaction_interval);
    let mut checkpoint = Chore::new(CHECKPOINT_INTERVAL);
    let mut changes = cluster.changes();
    loop {
        let chores = [&replicas, &retention, &expiry, &compaction, &checkpoint];
        let next = chores.iter().map(|chore| chore.due).min().unwrap_or_else(Instant::now);
        let next = cluster.lock().next_replication().map_or(next, |due| due.min(next));
        let is_delayed = !cluster.settings().replication_delay.is_zero();
        tokio::select! {
            () = sleep_until(next) => {}
            _ = changes.changed(), if is_delayed => {}
        }
        let now_ms = cluster.now_ms();
        let mut has_changed = cluster.lock().replicate_due(Instant::now(), now_ms);
        if replicas.is_due() {
            has_changed |= cluster.lock().check_replicas(now_ms, milliseconds(cluster.settings().replication_delay));
        }
        if retention.is_due() {
            cluster.lock().retain(now_ms);
        }
        if expiry.is_due() {
            cluster.lock().expire_producers(now_ms);
        }
        if compaction.is_due() {
            cluster.lock().compact_dirty(now_ms);
        }
        if checkpoint.is_due() {
            cluster.lock().each_partition(|partition| partition.log.checkpoint_start());
        }
        if has_changed {
            cluster.changed();
        }
    }
}
