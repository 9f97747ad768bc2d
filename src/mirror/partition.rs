//! One mirror partition from taking over to letting go.
//!
//! Owns: the order of things: know where we are (`take_over`), copy (`stream`), stop with a reason, be resolved.
//! Promises: nothing is written before the target's log was reconciled with what is stored; a lost lease ends all
//! work at the next await.
//! Does not know: which partitions there are, how state is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Services;
use super::fetch::Subscription;
use super::identity::OffsetsMode;
use super::live::Live;
use super::measures::Measures;
use super::plan::Plan;
use super::position::Position;
use super::reconcile::Observation;
use super::stop::StopReason;
use super::stream::Stream;
use super::target;
use crate::batch::Limits;
use crate::cluster::{ClusterError, OffsetQuery, Remedy, Transactional};
use crate::offset_map::OffsetMap;
use crate::store::{Key, Lease, PartitionState, PlanRecord, PositionRecord, StartAt, StoreError, Value, Write};
use crate::tasks::Backoff;
use crate::types::{LinkName, PartitionIndex, SourceOffset, TopicId, TopicName, TopicPartition};
use crate::wire::Leader;

/// What a partition is told when it starts.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The source partition.
    pub source: TopicPartition,
    /// The mirror partition.
    pub target: TopicPartition,
    /// The life of the source topic.
    pub source_topic_id: Option<TopicId>,
    /// The life of the target topic.
    pub target_topic_id: Option<TopicId>,
    /// `max.message.bytes` of the target topic.
    pub batch_bytes_max: usize,
    /// Where to begin if it was never mirrored.
    pub start: StartAt,
    /// Higher first, where a rate limits.
    pub priority: i32,
    /// Whether applications on the target write to the mirror topic as well.
    pub has_local_writers: bool,
    /// How target offsets shall relate to source offsets.
    pub offsets: OffsetsMode,
    /// The proof that the partition is ours.
    pub lease: Lease,
}

impl Assignment {
    /// Whether another assignment asks for the same work under the same kind of lease.
    #[must_use]
    pub fn is_same_work(&self, other: &Self) -> bool {
        let Self {
            source,
            target,
            source_topic_id,
            target_topic_id,
            batch_bytes_max,
            start: _,
            priority,
            has_local_writers,
            offsets,
            lease: _,
        } = self;
        *source == other.source
            && *target == other.target
            && *source_topic_id == other.source_topic_id
            && *target_topic_id == other.target_topic_id
            && *batch_bytes_max == other.batch_bytes_max
            && *priority == other.priority
            && *has_local_writers == other.has_local_writers
            && *offsets == other.offsets
    }
}

/// Where we are, and what may be on the target beyond it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) position: Position,
    pub(super) plan: Plan,
}

/// Why a stretch of work ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Told to stop, or the lease is lost: nothing more to do.
    Over,
    /// Look at the target again, then go on from there.
    Again,
    /// The same, and offsets part there, for this reason.
    Parted(String),
    /// Can't go on without a person.
    Stopped(StopReason),
}

/// One mirror partition.
pub(super) struct Partition {
    pub(super) services: Arc<Services>,
    pub(super) assignment: Assignment,
    pub(super) live: Arc<Live>,
    /// Asks the partition to drain and end.
    pub(super) stop: CancellationToken,
    /// The plan as it is stored, once the partition was taken over; the position is in `live`.
    pub(super) plan: Option<Plan>,
    pub(super) measures: Measures,
    /// Lowered when the target turned out to take less than its settings said.
    batch_bytes_max: AtomicUsize,
    /// Source batches before this offset are not merged: the target refused one of them.
    apart_until: AtomicI64,
    /// Why offsets are to part at the next take-over.
    pub(super) parting: Option<String>,
    /// What gaps are filled by where we may not write markers, once it was taken over.
    pub(super) transactional: Option<Transactional>,
    /// The target offset of a batch that is known to be the former owner's; -1 for none.
    pub(super) former_at: AtomicI64,
}

impl Partition {
    pub(super) fn new(
        services: Arc<Services>,
        assignment: Assignment,
        live: Arc<Live>,
        stop: CancellationToken,
    ) -> Self {
        let measures = Measures::new(&services.metrics, &services.settings.link, &assignment.source);
        let merge_bytes_max = services.settings.limits.batch_bytes_max;
        let batch_bytes_max = AtomicUsize::new(assignment.batch_bytes_max.min(merge_bytes_max));
        let apart_until = AtomicI64::new(0);
        Self {
            services,
            assignment,
            live,
            stop,
            plan: None,
            measures,
            batch_bytes_max,
            apart_until,
            parting: None,
            transactional: None,
            former_at: AtomicI64::new(-1),
        }
    }

    /// What limits a batch that begins at `next`.
    pub(super) fn limits(&self, next: SourceOffset) -> Limits {
        let is_apart = next.get() < self.apart_until.load(Ordering::Relaxed);
        let batch_bytes_max = if is_apart { 0 } else { self.batch_bytes_max.load(Ordering::Relaxed) };
        let is_dense = self.live.lock().position.as_ref().is_some_and(Position::is_identical);
        Limits { batch_bytes_max, is_dense, ..self.services.settings.limits }
    }

    /// Merges nothing before this offset from now on.
    pub(super) fn keep_apart_until(&self, source: SourceOffset) {
        self.apart_until.fetch_max(source.get(), Ordering::Relaxed);
    }

    /// Merges no larger batches than this from now on.
    pub(super) fn lower_merge_limit(&self, bytes: usize) {
        self.batch_bytes_max.fetch_min(bytes, Ordering::Relaxed);
    }

    /// Works until told to stop or the lease is lost.
    pub(super) async fn run(mut self) {
        let lease = self.assignment.lease.clone();
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let ended = tokio::select! {
                biased;
                () = lease.lost() => Ended::Over,
                ended = self.work(&mut backoff) => ended,
            };
            match ended {
                Ended::Over => return,
                Ended::Again | Ended::Parted(_) => {
                    tokio::select! {
                        () = lease.lost() => return,
                        () = stop.cancelled() => return,
                        () = backoff.pause() => {}
                    }
                }
                Ended::Stopped(reason) => {
                    tokio::select! {
                        () = lease.lost() => return,
                        () = stop.cancelled() => return,
                        () = self.stay_stopped(reason) => backoff.reset(),
                    }
                }
            }
        }
    }

    async fn work(&mut self, backoff: &mut Backoff) -> Ended {
        let stop = self.stop.clone();
        let (plan, from) = tokio::select! {
            () = stop.cancelled() => return Ended::Over,
            taken = self.take_over() => match taken {
                Ok(taken) => taken,
                Err(ended) => return ended,
            },
        };
        backoff.reset();
        let subscription = Subscription {
            partition: self.assignment.source.clone(),
            topic_id: self.assignment.source_topic_id,
            from,
            priority: self.assignment.priority,
        };
        let inbox = self.services.fetchers.subscribe(subscription).await;
        {
            let mut live = self.live.lock();
            live.state = PartitionState::Mirroring;
            live.target = Some(self.assignment.target.clone());
            live.contact = Some(inbox.contact());
            // Where others write as well there is nothing to be alarmed about.
            live.sent_to = live.position.as_ref().map(Position::target).filter(|_| !self.assignment.has_local_writers);
            live.stop = None;
            live.trouble = None;
            live.source_trouble = None;
            live.state_trouble = None;
        }
        let (ended, plan) = Stream::new(self, plan, inbox).run().await;
        self.plan = Some(plan);
        if let Ended::Parted(because) = &ended {
            self.parting = Some(because.clone());
        }
        ended
    }

    /// What comes of it, unless the partition is told to stop first: with a cluster down, things take for ever.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Asks the source until it answers.
    pub(super) async fn source_offset(&self, query: OffsetQuery) -> Option<SourceOffset> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let partition = &self.assignment.source;
        loop {
            let listed = self.services.source.list_offsets(std::slice::from_ref(partition), query).await;
            match listed.map(|mut listed| listed.remove(partition)) {
                Ok(Some(Ok(listed))) => {
                    self.live.lock().source_trouble = None;
                    return listed.offset.and_then(|offset| SourceOffset::new(offset).ok());
                }
                Ok(Some(Err(error))) | Err(error) => self.wait_out_source(&error, &mut backoff).await,
                Ok(None) => backoff.pause().await,
            }
        }
    }

    /// Looks at the target until it can be seen.
    pub(super) async fn observe(&self) -> (Observation, Leader) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let limit = self.services.settings.observe_timeout;
            let (writer, guards) = (self.services.writer.0, self.services.settings.guards);
            let observing = target::observe(&self.services.target, &self.assignment.target, writer, guards);
            match tokio::time::timeout(limit, observing).await {
                // That it can be read does not mean that it can be written: what hinders that stays shown.
                Ok(Ok(seen)) => return seen,
                Ok(Err(error)) => self.wait_out(&error, &mut backoff).await,
                Err(_) => {
                    let trouble = "the target's in-sync replicas do not reach its log end".to_owned();
                    self.live.lock().trouble = Some(trouble.into());
                    self.services.target.client().forget_leader(&self.assignment.target);
                }
            }
        }
    }

    /// Shows what is in the way, and waits before the next attempt.
    pub(super) async fn wait_out(&self, error: &ClusterError, backoff: &mut Backoff) {
        self.services.measures.asked_again.increment(1);
        self.live.lock().trouble = Some(error.into());
        self.services.target.client().forget_leader(&self.assignment.target);
        self.pause_after(error, backoff).await;
    }

    /// The same at the source.
    pub(super) async fn wait_out_source(&self, error: &ClusterError, backoff: &mut Backoff) {
        self.services.measures.asked_again.increment(1);
        self.live.lock().source_trouble = Some(error.into());
        self.pause_after(error, backoff).await;
    }

    async fn pause_after(&self, error: &ClusterError, backoff: &mut Backoff) {
        tracing::debug!(partition = %self.assignment.target, %error, "will try again");
        if error.remedy() != Remedy::Retry {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        backoff.pause().await;
    }

    /// The checkpoint of the position, with the status as it is now. `None` before the position is known.
    pub(super) fn position_write(&self) -> Option<Write> {
        let live = self.live.lock();
        let position = live.position.as_ref()?;
        let record = PositionRecord {
            source_topic_id: self.assignment.source_topic_id,
            target_topic_id: self.assignment.target_topic_id,
            source_position: position.source(),
            source_leader_epoch: position.last_epoch,
            target_position: position.target(),
            sequence: position.sequence(),
            others: position.others(),
            begun_at: position.begun_at,
            map_start: Some((position.map().source_start(), position.map().target_start())),
            open_runs: OffsetMap::encode(position.open_runs()),
            open_chunk: position.open_chunk(),
            resolution: live.resolution,
            offsets: Some(position.relation().to_record()),
            status: live.status(&self.services.settings.daemon),
        };
        let (link, topic, partition) = self.key();
        Some(Write::Put(Key::Position { link, topic, partition }, Value::Position(record)))
    }

    /// The stored form of a plan.
    pub(super) fn plan_write(&self, plan: &Plan) -> Write {
        let record = PlanRecord {
            target_topic_id: self.assignment.target_topic_id,
            runs: OffsetMap::encode(plan.runs()),
            inherited: OffsetMap::encode(plan.inherited()),
            sequences: plan.sequences(),
        };
        let (link, topic, partition) = self.key();
        Write::Put(Key::Plan { link, topic, partition }, Value::Plan(record))
    }

    /// Writes state, and notes what was written.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.live.lock().marks.begin(&writes);
        self.services.store.write(&self.assignment.lease, writes).await?;
        self.live.lock().marks.commit();
        Ok(())
    }

    /// What its state records are filed under.
    pub(super) fn key(&self) -> (LinkName, TopicName, PartitionIndex) {
        let source = &self.assignment.source;
        (self.services.settings.link.clone(), source.topic.clone(), source.partition)
    }
}
