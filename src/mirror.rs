//! The data path: from a batch at the source to an acknowledged batch at the target.
//!
//! Owns: fetchers, partition pipelines, producers, settling of unknown outcomes, positions.
//! Promises: per partition no loss, no wrong order, no duplicate; what can't be settled stops that partition only.
//! Does not know: how topics are chosen, who asked for a pause, how state is stored.
//!
//! # The way of one batch
//!
//! 1. [`fetch`] reads it from the source's leader, with many partitions in one request, judges it (data, marker,
//!    aborted) and puts it into its partition's inbox with a permit for its memory.
//! 2. `stream` takes it out. A batch that our own target's link wrote at the source is left out (`loops`), unless the
//!    topic that it came from is gone there (`returning`).
//! 3. [`crate::batch::prepare`] makes it acceptable: restamp, merge with its neighbours, or rebuild.
//! 4. `checkpoint` makes sure that the stored plan covers it: which source records get which target offsets and
//!    sequences. Only then
//! 5. `append` stamps it with the link's producer id and the next sequence, which makes the append a
//!    compare-and-swap, and hands it to the `producer` of the target's leader.
//! 6. The answer is good if it has no error and the base offset is the expected one. Any other answer, and no answer,
//!    is settled: nothing is concluded from it; the target's log decides (`target`, `reconcile`).
//! 7. Then position and map move (`position`), and within a second a checkpoint stores them.
//!
//! A partition begins with `takeover`: position and plan from the state, log end and producer state from the target.
//! It ends by being told to stop, by losing its lease, or stopped with a reason (`stop`) until a person resolves it
//! (`resolution`).
//!
//! # Where applications on the target write to the mirror topic as well
//!
//! There the log end says nothing about our appends, and a good answer is one without error. `shifted` has what takes
//! the place of the log end: the last sequence of the producer state says how many of our records landed, and a walk
//! over the log from the acknowledged offset on says where.
//!
//! # Different from the first design
//!
//! - A batch's frame is never changed in place. The new header is 61 bytes of its own, and the record bytes stay a
//!   slice of the frame, so restamping copies nothing, and no frame has to be owned alone.
//! - A plan guesses: a source that had no holes so far is planned a million records ahead. When a hole comes up, a new
//!   plan is stored before anything behind it is sent. So a source without holes costs no state write per batch.
//! - Reading back after a take-over is needed only where the former owner's plan and ours name different records for
//!   the same target offsets. Where they agree, it does not matter whose append landed.

mod append;
mod checkpoint;
mod fast_forward;
pub mod fetch;
mod fill;
mod filler;
mod frozen;
mod guards;
mod identity;
mod intake;
mod live;
pub mod loops;
mod marks;
mod measures;
mod outcome;
mod outlook;
mod partition;
mod plan;
mod position;
mod producer;
mod reconcile;
mod resolution;
mod returning;
mod shifted;
mod stop;
mod stored_maps;
mod stream;
mod take_over_identical;
mod takeover;
mod target;
mod transactions;
mod waiters;
mod walk;
mod watch;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

pub use guards::{Guard, Guards};
pub use identity::OffsetsMode;
pub use live::{Live, Registry, Snapshot};
pub use partition::Assignment;
pub use producer::Settings as ProduceSettings;
pub use stored_maps::StoredMap;

use crate::batch::Limits;
use crate::cluster::Cluster;
use crate::store::{Lease, Store};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::{LinkName, ProducerEpoch, ProducerId, TopicPartition};

/// What the data path of one link needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The link.
    pub link: LinkName,
    /// This daemon's id.
    pub daemon: String,
    /// Limits of fetching.
    pub fetch: fetch::Settings,
    /// Limits of producing.
    pub produce: ProduceSettings,
    /// Limits of one batch; where the target topic takes less than `batch_bytes_max`, that counts.
    pub limits: Limits,
    /// How target offsets shall relate to source offsets.
    pub offsets: OffsetsMode,
    /// What the transactional ids begin with that fill gaps where we may not write markers.
    pub fill_id_prefix: String,
    /// The most offsets by which an empty mirror partition is brought to where the copy begins.
    pub fast_forward_max: u64,
    /// The most offsets of one gap that are filled.
    pub gap_fill_max: u64,
    /// The most offsets that are filled for each record that is copied.
    pub gap_fill_ratio_max: f64,
    /// Batches in flight per partition: brokers remember five.
    pub window_max: usize,
    /// How many records a plan guesses ahead.
    pub plan_ahead: u64,
    /// A checkpoint follows progress within this time.
    pub checkpoint_interval: Duration,
    /// How long the target's high watermark may take to reach the log end before the leader is asked anew.
    pub observe_timeout: Duration,
    /// The target's `producer.id.expiration.ms`.
    pub producer_expiration: Duration,
    /// All on, except in tests of what they guard against.
    pub guards: Guards,
}

/// What all partitions of a link share.
struct Services {
    settings: Settings,
    source: Cluster,
    target: Cluster,
    store: Store,
    fetchers: fetch::Fetchers,
    producers: producer::Producers,
    loops: loops::SourceProducers,
    /// The link's data producer id and epoch.
    writer: (ProducerId, ProducerEpoch),
    /// The producer id of records that are filler, where offsets are preserved.
    filler_id: Option<ProducerId>,
    /// The producer ids of markers that are filler.
    marker_ids: Vec<ProducerId>,
    fillers: filler::Fillers,
    /// Whether the target has told us that we may not write markers.
    are_markers_forbidden: std::sync::atomic::AtomicBool,
    /// A whole batch of filler records, once one was needed; `None` where it could not be made.
    filler_batch: std::sync::OnceLock<Option<crate::batch::Prepared>>,
    metrics: Metrics,
    measures: measures::LinkMeasures,
}

/// The clusters, the state and the numbers that a link's data path works with.
pub struct Parts {
    /// Read from here.
    pub source: Cluster,
    /// Written to here.
    pub target: Cluster,
    /// Where positions and plans are kept.
    pub store: Store,
    /// Which producer ids at the source belong to links of our target.
    pub loops: loops::SourceProducers,
    /// The link's data producer id and epoch, stored already.
    pub writer: (ProducerId, ProducerEpoch),
    /// The link's producer ids for filler, stored already; none where offsets are translated.
    pub fillers: Vec<ProducerId>,
    /// Where running partitions are shown.
    pub registry: Registry,
    /// Where things are counted.
    pub metrics: Metrics,
}

/// Why a partition is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// A person paused it.
    Paused,
    /// This daemon ends, or the partition is started anew with other settings.
    HandedOver,
}

/// The data path of one link on this daemon.
pub struct Mirror {
    services: Arc<Services>,
    registry: Registry,
    tasks: TaskGroup,
    running: HashMap<TopicPartition, Running>,
    /// Partitions that were stopped, with what was stored of them and the lease that it was stored under.
    left: HashMap<TopicPartition, (Lease, marks::Marks)>,
}

struct Running {
    live: Arc<Live>,
    tasks: TaskGroup,
    stop: CancellationToken,
    /// Cancelled when the task has ended, however it did.
    ended: CancellationToken,
    assignment: Assignment,
}

impl Mirror {
    /// A data path without partitions.
    #[must_use]
    pub fn new(settings: Settings, parts: Parts, tasks: &TaskGroup) -> Self {
        let Parts { source, target, store, loops, writer, fillers: filler_ids, registry, metrics } = parts;
        let tasks = tasks.child();
        let fetchers = fetch::Fetchers::new(settings.fetch.clone(), source.clone(), &metrics, &tasks);
        let link = settings.link.clone();
        let producers =
            producer::Producers::new(settings.produce.clone(), target.clone(), link.as_str(), &metrics, &tasks);
        tasks.spawn_until_stopped(
            "target ends",
            watch::watch(link.clone(), source.clone(), target.clone(), registry.clone()),
        );
        tasks.spawn_until_stopped("outlook", outlook::watch(link.clone(), source.clone(), registry.clone()));
        let memory = measures::keep_memory(metrics.clone(), link.clone(), fetchers.clone());
        tasks.spawn_until_stopped("memory gauges", memory);
        let measures = measures::LinkMeasures::new(&metrics, &link);
        let services = Services {
            filler_id: filler_ids.first().copied(),
            marker_ids: filler_ids.into_iter().skip(1).collect(),
            fillers: filler::Fillers::new(target.clone(), &tasks),
            filler_batch: std::sync::OnceLock::new(),
            are_markers_forbidden: std::sync::atomic::AtomicBool::new(false),
            settings,
            source,
            target,
            store,
            fetchers,
            producers,
            loops,
            writer,
            metrics,
            measures,
        };
        Self { services: Arc::new(services), registry, tasks, running: HashMap::new(), left: HashMap::new() }
    }

    /// Starts a partition. One that runs already with another assignment must be stopped first.
    pub fn start(&mut self, assignment: Assignment) {
        let live = Arc::new(Live::new(&self.services.settings.daemon));
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let tasks = self.tasks.child();
        let source = assignment.source.clone();
        if let Some((_, marks)) = self.left.remove(&source).filter(|(lease, _)| !is_lost(lease)) {
            live.lock().marks = marks;
        }
        let partition =
            partition::Partition::new(Arc::clone(&self.services), assignment.clone(), Arc::clone(&live), stop.clone());
        self.registry.insert(&self.services.settings.link, &source, &live);
        let at_its_end = ended.clone().drop_guard();
        tasks.spawn_until_stopped("partition", async move {
            let _at_its_end = at_its_end;
            partition.run().await;
        });
        self.running.insert(source, Running { live, tasks, stop, ended, assignment });
    }

    /// Partitions that were not stopped and yet work no more: their lease was in doubt for a moment, or they failed.
    #[must_use]
    pub fn ended(&self) -> Vec<TopicPartition> {
        let ended = self.running.iter().filter(|(_, running)| running.ended.is_cancelled());
        ended.map(|(partition, _)| partition.clone()).collect()
    }

    /// The partitions that were started and not stopped, with what they were told.
    pub fn running(&self) -> impl Iterator<Item = &Assignment> {
        self.running.values().map(|running| &running.assignment)
    }

    /// Lets partitions drain what is under way, and write a last checkpoint. Waits for them, at most `limit`; what
    /// is not done by then is dropped: a successor settles it.
    pub async fn stop(&mut self, partitions: &[TopicPartition], why: Farewell, limit: Duration) {
        let mut ending = Vec::new();
        for partition in partitions {
            if let Some(running) = self.running.remove(partition) {
                running.live.say_farewell(why);
                running.stop.cancel();
                ending.push((partition.clone(), running));
            }
        }
        let deadline = tokio::time::Instant::now() + limit;
        for (partition, running) in ending {
            running.finish(deadline).await;
            match why {
                // It is still shown, and `watch` keeps its lag up to date.
                Farewell::Paused => running.live.lock().paused_under = Some(running.assignment.lease.clone()),
                Farewell::HandedOver => {
                    self.registry.remove(&self.services.settings.link, &partition, &running.live);
                }
            }
            let marks = std::mem::take(&mut running.live.lock().marks);
            self.left.insert(partition, (running.assignment.lease, marks));
        }
        self.left.retain(|_, (lease, _)| !is_lost(lease));
    }

    /// Drops partitions at once: their lease is lost.
    pub async fn drop_all(&mut self, partitions: &[TopicPartition]) {
        self.stop(partitions, Farewell::HandedOver, Duration::ZERO).await;
    }

    /// Stops everything.
    pub async fn close(mut self, limit: Duration) {
        let all: Vec<TopicPartition> = self.running.keys().cloned().collect();
        self.stop(&all, Farewell::HandedOver, limit).await;
        self.tasks.close().await;
        // Paused partitions are shown as long as somebody looks after their lag, which has ended.
        for (partition, live) in self.registry.of_link(&self.services.settings.link) {
            self.registry.remove(&self.services.settings.link, &partition, &live);
        }
    }
}

/// Whether somebody else may have written under the next lease since.
fn is_lost(lease: &Lease) -> bool {
    lease.lost().now_or_never().is_some()
}

impl Running {
    /// Waits for the partition's task until the deadline, then drops it at its next await.
    async fn finish(&self, deadline: tokio::time::Instant) {
        let ended = tokio::time::timeout_at(deadline, self.tasks.wait()).await;
        if ended.is_err() {
            self.tasks.close().await;
        }
    }
}

#[cfg(test)]
mod tests;
