//! One mirror partition from taking over to letting go.
//!
//! Owns: the order of things: know where we are (`take_over`), copy (`stream`), stop with a reason, be resolved.
//! Promises: nothing is written before the target's log was reconciled with what is stored; a lost lease ends all
//! work at the next await.
//! Does not know: which partitions there are, how state is stored.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Services;
use super::fetch::FetchPosition;
use super::live::{Live, wall_clock_ms};
use super::plan::Plan;
use super::position::Position;
use super::reconcile::{Expectation, Finding, Observation, reconcile};
use super::stop::StopReason;
use super::stream::Stream;
use super::target;
use crate::cluster::{ClusterError, OffsetQuery, Remedy};
use crate::offset_map::OffsetMap;
use crate::store::{Key, Lease, PartitionState, PlanRecord, PositionRecord, StartAt, StoreError, Value, Write};
use crate::tasks::Backoff;
use crate::types::{PartitionIndex, ResolveVerb, Sequence, SourceOffset, TargetOffset, TopicId, TopicPartition};
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
    /// The proof that the partition is ours.
    pub lease: Lease,
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
    /// Can't go on without a person.
    Stopped(StopReason),
}

/// How often the same inexplicable log end must be seen before it counts as foreign: a former owner's request may
/// arrive between the two questions of one observation.
const FOREIGN_SIGHTINGS: u32 = 3;

/// One mirror partition.
pub(super) struct Partition {
    pub(super) services: Arc<Services>,
    pub(super) assignment: Assignment,
    pub(super) live: Arc<Live>,
    /// Asks the partition to drain and end.
    pub(super) stop: CancellationToken,
    known: Option<Known>,
}

impl Partition {
    pub(super) fn new(
        services: Arc<Services>,
        assignment: Assignment,
        live: Arc<Live>,
        stop: CancellationToken,
    ) -> Self {
        Self { services, assignment, live, stop, known: None }
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
                Ended::Again => {
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
        let known = tokio::select! {
            () = self.stop.cancelled() => return Ended::Over,
            known = self.take_over() => match known {
                Ok(known) => known,
                Err(ended) => return ended,
            },
        };
        backoff.reset();
        let subscription = super::fetch::Subscription {
            partition: self.assignment.source.clone(),
            topic_id: self.assignment.source_topic_id,
            from: FetchPosition { offset: known.position.source(), last_epoch: known.position.last_epoch },
            priority: self.assignment.priority,
        };
        let inbox = self.services.fetchers.subscribe(subscription).await;
        self.show(PartitionState::Mirroring, &known.position);
        let (ended, plan) = Stream::new(self, known.plan, inbox).run().await;
        let position = self.live.lock().position.clone();
        self.known = position.map(|position| Known { position, plan });
        ended
    }

    fn show(&self, state: PartitionState, position: &Position) {
        let mut live = self.live.lock();
        live.state = state;
        live.stop = None;
        live.trouble = None;
        live.position = Some(position.clone());
    }

    /// Finds out where we are, on both sides, and stores it.
    async fn take_over(&mut self) -> Result<Known, Ended> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.load().await?,
        };
        self.apply_resolution(&mut known).await?;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut sightings = (None, 0);
        loop {
            let (seen, _) = self.observe().await;
            match self.judge(&mut known, &seen, &mut sightings).await {
                Ok(true) => break,
                Ok(false) => backoff.pause().await,
                Err(Judgement::Ended(ended)) => return Err(ended),
                Err(Judgement::Unreadable(error)) => self.wait_out(&error, &mut backoff).await,
            }
        }
        self.store_taken_over(&mut known).await?;
        Ok(known)
    }

    /// Brings position and plan in line with what was seen. False: look again.
    async fn judge(
        &self,
        known: &mut Known,
        seen: &Observation,
        sightings: &mut (Option<Observation>, u32),
    ) -> Result<bool, Judgement> {
        let expected = self.expectation(known);
        let mut finding = reconcile(&expected, seen);
        if finding == Finding::Unproven {
            let from = (expected.acknowledged, expected.sequence);
            let target = &self.services.target;
            let writer = self.services.writer;
            let ours = target::is_ours(target, &self.assignment.target, writer, from, seen.log_end).await?;
            finding = if ours { Finding::Ours } else { Finding::Foreign };
        }
        match finding {
            Finding::Ours | Finding::Unproven => {
                self.follow_plan(known, seen.log_end).map_err(Judgement::Ended)?;
                Ok(true)
            }
            Finding::Fenced => {
                let source_offset = known.position.source();
                Err(Judgement::Ended(Ended::Stopped(StopReason::Fenced { source_offset })))
            }
            Finding::Lost | Finding::Foreign => {
                *sightings = if sightings.0 == Some(*seen) { (sightings.0, sightings.1 + 1) } else { (Some(*seen), 1) };
                if sightings.1 < FOREIGN_SIGHTINGS {
                    return Ok(false);
                }
                self.judge_surprise(known, seen, finding).await
            }
        }
    }

    /// The log is not where it must be, and stays so.
    async fn judge_surprise(&self, known: &mut Known, seen: &Observation, finding: Finding) -> Result<bool, Judgement> {
        let source_offset = known.position.source();
        let id = self.assignment.target_topic_id;
        if !target::is_same_topic(&self.services.target, &self.assignment.target, id).await? {
            let reason = StopReason::TargetRecreated { source_offset };
            return Err(Judgement::Ended(Ended::Stopped(reason)));
        }
        let expected = known.position.target();
        if finding == Finding::Lost {
            let sequence = next_sequence(seen, || Sequence::of_count(seen.log_end.get().unsigned_abs()));
            if known.position.rewind(seen.log_end, sequence) {
                tracing::error!(
                    link = %self.services.settings.link, partition = %self.assignment.target,
                    acknowledged = %expected, log_end = %seen.log_end, again_from = %known.position.source(),
                    "the target lost acknowledged records; they are copied again"
                );
                self.services.measures.breaches.increment(1);
                known.plan = Plan::default();
                return Ok(true);
            }
        }
        let reason = StopReason::ForeignWrite { expected, log_end: seen.log_end, source_offset };
        Err(Judgement::Ended(Ended::Stopped(reason)))
    }

    /// All up to `log_end` is ours: the plan says which source records they are.
    fn follow_plan(&self, known: &mut Known, log_end: TargetOffset) -> Result<(), Ended> {
        let from = known.position.target();
        if log_end > from {
            let runs = known.plan.between(from, log_end);
            known.position.acknowledge(&runs).map_err(|error| self.contradiction(known, &error.to_string()))?;
            if let Some(source) = known.plan.source_at(log_end) {
                known.position.advance_source(source.min(known.position.source()));
            }
            known.position.last_epoch = None;
        }
        let inherited = known.plan.inherit_from(log_end);
        known.plan = Plan::from_runs(Vec::new(), inherited).unwrap_or_default();
        Ok(())
    }

    fn contradiction(&self, known: &Known, message: &str) -> Ended {
        let message = format!("the stored position and plan of {} contradict each other: {message}", self.assignment.target);
        Ended::Stopped(StopReason::State { message, source_offset: known.position.source() })
    }

    fn expectation(&self, known: &Known) -> Expectation {
        let acknowledged = known.position.target();
        Expectation {
            acknowledged,
            sequence: known.position.sequence(),
            planned_end: known.plan.end().unwrap_or(acknowledged).max(acknowledged),
            epoch: self.services.writer.1,
        }
    }

    /// What is stored of this partition; for one that was never mirrored, where it shall begin.
    async fn load(&mut self) -> Result<Known, Ended> {
        let view = self.services.store.view();
        let link = &self.services.settings.link;
        let (topic, index) = (&self.assignment.source.topic, self.assignment.source.partition);
        let Some(record) = view.position(link, topic, index) else {
            return self.begin().await;
        };
        self.live.lock().resolution = record.resolution;
        if record.source_topic_id != self.assignment.source_topic_id
            || record.target_topic_id != self.assignment.target_topic_id
        {
            // The topic's owner let another life of the topic begin: the old position has no meaning in it.
            return self.begin().await;
        }
        let unreadable = |message: String| Ended::Stopped(StopReason::State { message, source_offset: record.source_position });
        let position = Position::load(&record, &view.map_chunks(link, topic, index)).map_err(|e| unreadable(e.to_string()))?;
        let plan = match view.plan(link, topic, index) {
            Some(plan) => read_plan(&plan).ok_or_else(|| unreadable("the stored plan can't be read".to_owned()))?,
            None => Plan::default(),
        };
        Ok(Known { position, plan })
    }

    /// Begins a copy: at the end of what the target holds, from where the configuration says.
    async fn begin(&mut self) -> Result<Known, Ended> {
        let query = match self.assignment.start {
            StartAt::Earliest => OffsetQuery::LogStart,
            StartAt::Latest => OffsetQuery::HighWatermark,
            StartAt::Timestamp(timestamp) => OffsetQuery::Timestamp(timestamp),
        };
        let source = match self.source_offset(query).await {
            Some(source) => source,
            // Nothing is that young: begin with what comes next.
            None => self.source_offset(OffsetQuery::HighWatermark).await.unwrap_or(SourceOffset::ZERO),
        };
        let (seen, _) = self.observe().await;
        let sequence = next_sequence(&seen, || Sequence::of_count(seen.log_end.get().unsigned_abs()));
        Ok(Known { position: Position::new(source, seen.log_end, sequence), plan: Plan::default() })
    }

    /// Asks the source until it answers.
    async fn source_offset(&self, query: OffsetQuery) -> Option<SourceOffset> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let partition = &self.assignment.source;
        loop {
            let listed = self.services.source.list_offsets(std::slice::from_ref(partition), query).await;
            match listed.map(|mut listed| listed.remove(partition)) {
                Ok(Some(Ok(listed))) => return listed.offset.and_then(|offset| SourceOffset::new(offset).ok()),
                Ok(Some(Err(error))) | Err(error) => self.wait_out(&error, &mut backoff).await,
                Ok(None) => backoff.pause().await,
            }
        }
    }

    /// Looks at the target until it can be seen.
    pub(super) async fn observe(&self) -> (Observation, Leader) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let limit = self.services.settings.observe_timeout;
            let observing = target::observe(&self.services.target, &self.assignment.target, self.services.writer.0);
            match tokio::time::timeout(limit, observing).await {
                Ok(Ok(seen)) => {
                    self.live.lock().trouble = None;
                    return seen;
                }
                Ok(Err(error)) => self.wait_out(&error, &mut backoff).await,
                Err(_) => {
                    let trouble = "the target's in-sync replicas do not reach its log end".to_owned();
                    self.live.lock().trouble = Some(trouble);
                    self.services.target.client().forget_leader(&self.assignment.target);
                }
            }
        }
    }

    /// Shows what is in the way, and waits before the next attempt.
    pub(super) async fn wait_out(&self, error: &ClusterError, backoff: &mut Backoff) {
        self.live.lock().trouble = Some(error.to_string());
        tracing::debug!(partition = %self.assignment.target, %error, "will try again");
        self.services.target.client().forget_leader(&self.assignment.target);
        if error.remedy() != Remedy::Retry {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        backoff.pause().await;
    }

    /// Stores position and inherited plan, before anything is sent that a successor would have to explain.
    async fn store_taken_over(&self, known: &mut Known) -> Result<(), Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut writes = known.position.close_chunks(&self.services.settings.link, &self.assignment.source);
        writes.push(self.position_write(&known.position));
        writes.push(self.plan_write(&known.plan));
        loop {
            match self.services.store.write(&self.assignment.lease, writes.clone()).await {
                Ok(()) => return Ok(()),
                Err(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => return Err(Ended::Over),
                Err(StoreError::Unavailable(reason)) => {
                    self.live.lock().trouble = Some(format!("state could not be written: {reason}"));
                    backoff.pause().await;
                }
            }
        }
    }

    /// The checkpoint of a position, with the status as it is now.
    pub(super) fn position_write(&self, position: &Position) -> Write {
        let live = self.live.lock();
        let record = PositionRecord {
            source_topic_id: self.assignment.source_topic_id,
            target_topic_id: self.assignment.target_topic_id,
            source_position: position.source(),
            source_leader_epoch: position.last_epoch,
            target_position: position.target(),
            sequence: position.sequence(),
            open_runs: OffsetMap::encode(position.open_runs()),
            open_chunk: position.open_chunk(),
            resolution: live.resolution,
            status: live.status(&self.services.settings.daemon),
        };
        let (link, topic, partition) = self.key();
        Write::Put(Key::Position { link, topic, partition }, Value::Position(record))
    }

    /// The stored form of a plan.
    pub(super) fn plan_write(&self, plan: &Plan) -> Write {
        let record = PlanRecord {
            target_topic_id: self.assignment.target_topic_id,
            runs: OffsetMap::encode(plan.runs()),
            inherited: OffsetMap::encode(plan.inherited()),
        };
        let (link, topic, partition) = self.key();
        Write::Put(Key::Plan { link, topic, partition }, Value::Plan(record))
    }

    fn key(&self) -> (crate::types::LinkName, crate::types::TopicName, PartitionIndex) {
        let source = &self.assignment.source;
        (self.services.settings.link.clone(), source.topic.clone(), source.partition)
    }

    /// Shows and stores the reason, then waits for a person's decision.
    async fn stay_stopped(&mut self, reason: StopReason) {
        let word = reason.word();
        let partition = self.assignment.source.clone();
        tracing::error!(link = %self.services.settings.link, %partition, reason = word, "{}", reason.message());
        let mut changes = self.services.store.view().changes();
        let position = {
            let mut live = self.live.lock();
            live.state = PartitionState::Stopped;
            live.stop = Some(reason.to_record(wall_clock_ms()));
            live.position.clone().or_else(|| self.known.as_ref().map(|known| known.position.clone()))
        };
        if let Some(position) = position {
            let _ = self.services.store.write(&self.assignment.lease, vec![self.position_write(&position)]).await;
        }
        self.services.measures.stopped.increment(1.0);
        while self.open_resolution().is_none() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        self.services.measures.stopped.decrement(1.0);
        if let Some(known) = &mut self.known {
            known.plan = Plan::from_runs(known.plan.runs().to_vec(), known.plan.inherited().to_vec()).unwrap_or_default();
        }
        self.beyond = reason.beyond();
    }
}
