//! Taking over a partition: from what is stored and what the target's log shows to where to go on.
//!
//! Owns: carrying out the findings of `reconcile`.
//! Promises: the position that comes out explains every record of the target's log behind the checkpoint; it is
//! stored, with what a former owner may still append, before anything is sent.
//! Does not know: copying.

use std::time::Duration;

use tokio::time::Instant;

use super::fetch::FetchPosition;
use super::identity::{Account, MIRRORED_BEFORE, Relation};
use super::partition::{Ended, Known, Partition};
use super::plan::{AHEAD_FIRST, Plan, lay_out};
use super::position::Position;
use super::reconcile::{Expectation, Finding, Observation, reconcile};
use super::stop::StopReason;
use super::target;
use crate::cluster::{ClusterError, OffsetQuery};
use crate::offset_map::OffsetMap;
use crate::store::{PlanRecord, StartAt, StoreError};
use crate::tasks::Backoff;
use crate::types::{Sequence, SourceOffset, TargetOffset};

/// How often the same inexplicable log end must be seen before it counts as foreign: a former owner's request may
/// arrive between the two questions of one observation.
pub(super) const FOREIGN_SIGHTINGS: u32 = 3;

/// How often the view is looked at for what was just written, and after what time it is worth a word.
const VIEW_PAUSE: Duration = Duration::from_millis(5);
const VIEW_PATIENCE: Duration = Duration::from_secs(2);

/// Why a judgement could not be made, or need not.
pub(super) enum Judgement {
    Ended(Ended),
    Unreadable(ClusterError),
}

impl From<ClusterError> for Judgement {
    fn from(error: ClusterError) -> Self {
        Self::Unreadable(error)
    }
}

/// The same observation, seen in a row.
#[derive(Default)]
pub(super) struct Sightings {
    last: Option<Observation>,
    count: u32,
}

impl Sightings {
    pub(super) fn add(&mut self, seen: Observation) -> u32 {
        self.count = if self.last == Some(seen) { self.count + 1 } else { 1 };
        self.last = Some(seen);
        self.count
    }
}

impl Partition {
    /// Finds out where we are, on both sides, and stores it.
    pub(super) async fn take_over(&mut self) -> Result<(Plan, FetchPosition), Ended> {
        let in_memory = self.live.lock().position.clone();
        let mut known = match (in_memory, self.plan.take()) {
            (Some(position), Some(plan)) => Known { position, plan },
            (_, _) => self.load().await?,
        };
        if let Relation::FastForwarding { .. } = known.position.relation() {
            self.fast_forward(&mut known).await?;
        }
        let was_identical = known.position.is_identical();
        if was_identical {
            self.prepare_fills(&known.position).await;
        }
        let mut reconciled = if self.assignment.has_local_writers || known.position.others() > 0 {
            self.reconcile_among_others(&mut known).await
        } else if was_identical {
            self.reconcile_identical(&mut known).await
        } else {
            self.reconcile_known(&mut known).await
        };
        if reconciled.is_ok() && was_identical {
            reconciled = self.settle_relation(&mut known);
        }
        if reconciled.is_ok() && known.position.is_identical() {
            known.plan = self.first_identical_plan(&known);
        } else if reconciled.is_ok() {
            // What was planned is planned again, and beyond it, until a hole is seen, the source is taken to have none:
            // then the first batch need not wait for a plan, and what a former owner sent last is explained.
            let (source, target) = (known.position.source(), known.position.place());
            let length = AHEAD_FIRST.min(self.services.settings.plan_ahead);
            let runs = lay_out(target, known.plan.expect(target, source, length));
            known.plan = Plan::from_runs(runs, known.plan.inherited().to_vec()).unwrap_or_default();
        }
        let from = FetchPosition { offset: known.position.source(), last_epoch: known.position.last_epoch };
        self.plan = Some(known.plan.clone());
        let at = known.position.clone();
        self.live.lock().position = Some(known.position);
        reconciled?;
        self.keep_filler_hidden(&at).await;
        self.store_taken_over(&known.plan).await?;
        Ok((known.plan, from))
    }

    async fn reconcile_known(&self, known: &mut Known) -> Result<(), Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut sightings = Sightings::default();
        loop {
            let (seen, _) = self.observe().await;
            match self.judge(known, &seen, &mut sightings).await {
                Ok(true) => return Ok(()),
                Ok(false) => backoff.pause().await,
                Err(Judgement::Ended(ended)) => return Err(ended),
                Err(Judgement::Unreadable(error)) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Brings position and plan in line with what was seen. False: look again.
    async fn judge(&self, known: &mut Known, seen: &Observation, sightings: &mut Sightings) -> Result<bool, Judgement> {
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
                if sightings.add(*seen) < FOREIGN_SIGHTINGS {
                    return Ok(false);
                }
                self.judge_surprise(known, seen, finding).await
            }
        }
    }

    /// The log is not where it must be, and stays so.
    async fn judge_surprise(&self, known: &mut Known, seen: &Observation, finding: Finding) -> Result<bool, Judgement> {
        let source_offset = known.position.source();
        if let Some(reason) = self.recreated(source_offset).await? {
            return Err(Judgement::Ended(Ended::Stopped(reason)));
        }
        let expected = known.position.target();
        if finding == Finding::Lost {
            let sequence = next_sequence(seen);
            if let Some(mut lost) = known.position.rewind(seen.log_end, sequence) {
                self.tell_of_loss(expected, seen.log_end, known.position.source());
                // The same records are about to be sent to the same places.
                lost.extend(known.plan.inherit_from(expected));
                known.plan = Plan::from_runs(Vec::new(), lost).unwrap_or_default();
                return Ok(true);
            }
        }
        let reason = StopReason::ForeignWrite { expected, log_end: seen.log_end, source_offset };
        Err(Judgement::Ended(Ended::Stopped(reason)))
    }

    /// The reason to stop, where the target topic is no longer the one that was mirrored into.
    pub(super) async fn recreated(&self, source_offset: SourceOffset) -> Result<Option<StopReason>, ClusterError> {
        let (target, id) = (&self.services.target, self.assignment.target_topic_id);
        let is_same = target::is_same_topic(target, &self.assignment.target, id).await?;
        Ok((!is_same).then_some(StopReason::TargetRecreated { source_offset }))
    }

    pub(super) fn tell_of_loss(&self, acknowledged: TargetOffset, log_end: TargetOffset, again_from: SourceOffset) {
        tracing::error!(
            link = %self.services.settings.link, partition = %self.assignment.target, %acknowledged, %log_end,
            %again_from, "the target lost acknowledged records; they are copied again"
        );
        self.services.measures.breach("lost_acknowledged");
    }

    /// All up to `log_end` is ours: the plan says which source records they are.
    fn follow_plan(&self, known: &mut Known, log_end: TargetOffset) -> Result<(), Ended> {
        let from = known.position.target();
        if log_end > from {
            let runs = known.plan.between(from, log_end);
            if let Err(error) = known.position.acknowledge(&runs) {
                return Err(self.contradiction(known, &error.to_string()));
            }
            if known.position.target() != log_end {
                return Err(self.contradiction(known, "the plan does not reach the target's log end"));
            }
            known.position.last_epoch = None;
        }
        let inherited = known.plan.inherit_from(log_end);
        known.plan = Plan::from_runs(Vec::new(), inherited).unwrap_or_default();
        Ok(())
    }

    pub(super) fn contradiction(&self, known: &Known, message: &str) -> Ended {
        let message =
            format!("the stored position and plan of {} contradict each other: {message}", self.assignment.target);
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

    /// Whether offsets stay the same from here on, and under which counter gaps are filled.
    fn settle_relation(&mut self, known: &mut Known) -> Result<(), Ended> {
        if let (Some(account), Some(by)) = (known.position.relation_mut().account_mut(), &self.transactional) {
            account.transactional = Some(by.producer_id);
        }
        let has_counter = known.position.relation_mut().account_mut().is_none_or(Account::raise_counter);
        let is_unwanted = !self.assignment.offsets.is_preserved();
        let because = match (has_counter, is_unwanted) {
            (_, true) => Some("the configuration says offsets = \"translate\" since then".to_owned()),
            (false, false) => Some("its counter of fills is used up".to_owned()),
            (true, false) => None,
        };
        if let Some(because) = because.or_else(|| self.parting.take()).filter(|_| known.position.is_identical()) {
            self.part(known, because)?;
        }
        self.note_parted(known);
        Ok(())
    }

    /// What is stored of this partition; for one that was never mirrored, where it shall begin.
    async fn load(&self) -> Result<Known, Ended> {
        let view = self.services.store.view();
        let link = &self.services.settings.link;
        let (topic, index) = (&self.assignment.source.topic, self.assignment.source.partition);
        self.wait_for_view().await;
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
        self.live.lock().remember(&record.status);
        let unreadable =
            |message: String| Ended::Stopped(StopReason::State { message, source_offset: record.source_position });
        let mut position =
            Position::load(&record, &view.map_chunks(link, topic, index)).map_err(|e| unreadable(e.to_string()))?;
        if record.offsets.is_none() && self.assignment.offsets.is_preserved() {
            let because = Some(MIRRORED_BEFORE.to_owned());
            *position.relation_mut() = Relation::Translated { since: None, because };
        }
        let plan = match view.plan(link, topic, index) {
            Some(plan) => read_plan(&plan).ok_or_else(|| unreadable("the stored plan can't be read".to_owned()))?,
            None => Plan::default(),
        };
        Ok(Known { position, plan })
    }

    /// Waits until the view shows what this daemon stored last, before the partition was stopped and started again.
    async fn wait_for_view(&self) {
        let view = self.services.store.view();
        let (link, topic, index) = self.key();
        let is_shown = || {
            let (position, plan) = (view.position(&link, &topic, index), view.plan(&link, &topic, index));
            self.live.lock().marks.is_shown(position.as_ref(), plan.as_ref())
        };
        let patience = Instant::now() + VIEW_PATIENCE;
        while !is_shown() {
            if Instant::now() > patience {
                let trouble = "the state that was written last could not be read back yet".to_owned();
                self.live.lock().trouble = Some(trouble.into());
            }
            tokio::time::sleep(VIEW_PAUSE).await;
        }
    }

    /// Begins a copy: at the end of what the target holds, from where the configuration says.
    async fn begin(&self) -> Result<Known, Ended> {
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
        let sequence = next_sequence(&seen);
        let mut position = Position::new(source, seen.log_end, sequence);
        position.begun_at = Some(seen.log_end);
        let known = Known { position, plan: Plan::default() };
        if self.assignment.offsets.is_preserved() { self.begin_preserving(known).await } else { Ok(known) }
    }

    /// Stores position and inherited plan, before anything is sent that a successor would have to explain.
    pub(super) async fn store_taken_over(&self, plan: &Plan) -> Result<(), Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let (link, source) = (&self.services.settings.link, &self.assignment.source);
        let closed = self.live.lock().position.as_mut().map(|position| position.close_chunks(link, source));
        let (mut writes, removals) = closed.unwrap_or_default();
        writes.extend(self.position_write());
        writes.push(self.plan_write(plan));
        writes.extend(removals);
        loop {
            match self.write(writes.clone()).await {
                Ok(()) => {
                    self.live.lock().state_trouble = None;
                    return Ok(());
                }
                Err(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => return Err(Ended::Over),
                Err(StoreError::Unavailable(reason)) => {
                    self.services.measures.written_again.increment(1);
                    let cluster = self.services.target.name();
                    let trouble = format!("state on cluster {cluster} could not be written: {reason}").into();
                    self.live.lock().state_trouble = Some(trouble);
                    backoff.pause().await;
                }
            }
        }
    }
}

/// The sequence that the next append must have.
pub(super) fn next_sequence(seen: &Observation) -> Sequence {
    match seen.state {
        Some((_, Some(last))) => last.plus(1),
        // No producer state: any sequence is taken where the log held records before, and 0 where it never did
        // (KAFKA-15591). Counting by offsets gives both, and is the same for every owner.
        Some((_, None)) | None => Sequence::of_count(seen.log_end.get().unsigned_abs()),
    }
}

/// A stored plan.
fn read_plan(record: &PlanRecord) -> Option<Plan> {
    let runs = OffsetMap::decode(&record.runs).ok()?;
    let inherited = OffsetMap::decode(&record.inherited).ok()?;
    match record.sequences {
        Some((first, inherited_first)) => Plan::identical(runs, first, inherited, inherited_first),
        None => Plan::from_runs(runs, inherited),
    }
}
