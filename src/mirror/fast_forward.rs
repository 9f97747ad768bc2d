//! Bringing an empty mirror partition to the offset where the copy begins.
//!
//! Owns: where a copy with preserved offsets begins; filler records, and their removal.
//! Promises: it can be broken off and taken up again at any point; no filler can be read once the first record is
//! copied; a log that holds anything but filler is left alone.
//! Does not know: gaps between records.
//!
//! Filler records are empty, and so old (1970) that the first record of the copy begins a new segment: whatever a
//! broker forgets of their deletion, retention takes them. That age also means that brokers may forget their producer
//! at any time, so nothing relies on it: one batch is under way, and the log end is looked at before each. What is too
//! much nevertheless can't be taken back: then offsets are translated, behind it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use super::identity::{Account, OffsetsMode, Relation};
use super::outcome::{Answer, answer_of};
use super::partition::{Ended, Known, Partition};
use super::plan::Plan;
use super::position::Position;
use super::producer::{Append, Outcome, Produced, Protection};
use super::stop::StopReason;
use super::takeover::next_sequence;
use super::target::{headers_from, log_start};
use crate::batch::{Codec, Limits, Prepared, Record, Stamp, Step, encode_batch, prepare, split};
use crate::cluster::{Cluster, ClusterError, OffsetQuery};
use crate::store::{PartitionState, StartAt};
use crate::tasks::Backoff;
use crate::types::{ProducerEpoch, ProducerId, Sequence, SourceOffset, TargetOffset, TopicPartition};
use crate::wire::Leader;

/// Records of one filler batch: 59 KB, compressed.
pub(super) const FILLER_RECORDS: u64 = 100_000;
/// After so many batches what was written is deleted.
const BATCHES_BETWEEN_DELETIONS: u32 = 16;
/// How often in a row "out of order" may be the answer before somebody else must be writing.
const OUT_OF_ORDER_MAX: u32 = 10;
const OUT_OF_ORDER: i16 = 45;
/// A lost answer is not waited for longer.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// Batches of zstd, uncompressed and with room to spare.
const LIMITS: Limits = Limits {
    batch_bytes_max: 1 << 20,
    decompressed_bytes_max: 16 << 20,
    merge_compressed_below: 0,
    records_max: 1 << 20,
    is_dense: false,
};

/// Why the log could not be brought there.
enum Failed {
    /// For this reason; offsets part.
    Because(String),
    Ended(Ended),
}

impl Partition {
    /// Decides whether a copy that is about to begin can have the same offsets on both sides.
    pub(super) async fn begin_preserving(&self, known: Known) -> Result<Known, Ended> {
        let Known { position, plan } = known;
        let (source, target) = (position.source(), position.target());
        let relation = if source.get() == target.get() {
            Relation::Identical(Account::beginning_at(target))
        } else if source.get() < target.get() || !self.is_empty_at(target).await {
            Relation::parted(source, "the target partition held records before the copy began")
        } else {
            Relation::FastForwarding { to: source }
        };
        let position = position.related(relation);
        if position.is_identical() {
            let sequence = position.sequence();
            let plan = Plan::nothing_from(sequence);
            return Ok(Known { position, plan });
        }
        Ok(Known { position, plan })
    }

    async fn is_empty_at(&self, end: TargetOffset) -> bool {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            match log_start(&self.services.target, &self.assignment.target).await {
                Ok(start) => return start == Some(end.get()),
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Brings the log to where the copy begins, from wherever a former owner left it. The position then begins there.
    pub(super) async fn fast_forward(&mut self, known: &mut Known) -> Result<(), Ended> {
        if !self.assignment.offsets.is_preserved() {
            let because = "the configuration says offsets = \"translate\" since then".to_owned();
            return self.begin_parted(known, because).await;
        }
        loop {
            let to = known.position.source();
            known.position.relation_mut().clone_from(&Relation::FastForwarding { to });
            {
                let mut live = self.live.lock();
                live.position = Some(known.position.clone());
                live.state = PartitionState::FastForwarding;
                live.target = Some(self.assignment.target.clone());
                live.stop = None;
            }
            self.store_taken_over(&Plan::default()).await?;
            let begun = tokio::time::Instant::now();
            match self.bring_to(to).await {
                Ok(()) => {}
                Err(Failed::Because(because)) => return self.begin_parted(known, because).await,
                Err(Failed::Ended(ended)) => return Err(ended),
            }
            // The source may have deleted more meanwhile.
            let start = self.source_offset(OffsetQuery::LogStart).await.filter(|start| *start > to);
            if let (Some(start), StartAt::Earliest) = (start, self.assignment.start) {
                known.position = Position::new(start, known.position.target(), known.position.sequence());
                continue;
            }
            let partition = &self.assignment.target;
            let took = begun.elapsed();
            tracing::info!(%partition, %to, ?took, "the mirror partition begins where its source does");
            let target = to.in_place();
            let sequence = Sequence::of_count(to.get().unsigned_abs());
            let relation = Relation::Identical(Account::beginning_at(target));
            known.position = Position::new(to, target, sequence).related(relation);
            known.plan = Plan::nothing_from(sequence);
            self.live.lock().state = PartitionState::Starting;
            return Ok(());
        }
    }

    /// The copy begins at the log end, with translated offsets.
    async fn begin_parted(&self, known: &mut Known, because: String) -> Result<(), Ended> {
        let source_offset = known.position.source();
        if self.assignment.offsets == OffsetsMode::PreserveOrStop {
            return Err(Ended::Stopped(StopReason::Parted { because, source_offset }));
        }
        let (seen, _) = self.observe().await;
        let relation = Relation::parted(source_offset, because);
        known.position = Position::new(source_offset, seen.log_end, next_sequence(&seen)).related(relation);
        known.plan = Plan::default();
        self.note_parted(known);
        self.live.lock().state = PartitionState::Starting;
        Ok(())
    }

    async fn bring_to(&self, to: SourceOffset) -> Result<(), Failed> {
        let to = to.in_place();
        let Some(filler_id) = self.services.filler_id else {
            return Err(Failed::Because("there is no producer id for filler".to_owned()));
        };
        let (mut end, mut leader) = self.log_end().await;
        let distance = to.distance_from(end);
        let max = self.services.settings.fast_forward_max;
        if distance > max {
            let because =
                format!("the copy begins at {to}, {distance} offsets ahead: more than fast_forward_max ({max})");
            return Err(Failed::Because(because));
        }
        self.refuse_foreign(filler_id, end, to).await?;
        self.try_deletion().await?;
        let mut batches = FillerBatches { count: FILLER_RECORDS, out_of_order: 0 };
        let mut sent = 0_u32;
        while end < to {
            let count = batches.count.min(to.distance_from(end));
            let landed = self.append_filler(&mut batches, filler_id, (end, leader), count).await?;
            let (now, leader_now) = self.log_end().await;
            if landed && now == end.plus(count) {
                self.services.measures.fast_forwarded.increment(count);
                sent += 1;
            }
            (end, leader) = (now, leader_now);
            if sent >= BATCHES_BETWEEN_DELETIONS {
                sent = 0;
                self.delete_filler(end).await;
            }
        }
        if end > to {
            let because = format!("filler was written twice: the mirror partition ends at {end} instead of {to}");
            self.delete_filler(end).await;
            return Err(Failed::Because(because));
        }
        self.delete_filler(to).await;
        Ok(())
    }

    /// The end of the log, and its leader.
    async fn log_end(&self) -> (TargetOffset, Leader) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        let (target, partition) = (&self.services.target, &self.assignment.target);
        loop {
            let asked = async {
                let leader = target.leader(partition).await?;
                let end = target.epoch_end(partition, leader, leader.epoch).await?;
                Ok::<_, ClusterError>((TargetOffset::new(end.end_offset).unwrap_or(TargetOffset::ZERO), leader))
            };
            match asked.await {
                Ok(seen) => return seen,
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Whatever is in the log must be filler.
    async fn refuse_foreign(&self, filler_id: ProducerId, end: TargetOffset, to: TargetOffset) -> Result<(), Failed> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let (target, partition) = (&self.services.target, &self.assignment.target);
        let is_all_filler = async || {
            let mut at = log_start(target, partition).await?.unwrap_or(0);
            while let Some(headers) = headers_from(target, partition, &mut at, end).await? {
                if headers.iter().any(|header| header.producer_id != filler_id.0) {
                    return Ok::<_, ClusterError>(false);
                }
            }
            Ok(true)
        };
        loop {
            match is_all_filler().await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(foreign(end, to)),
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Filler that can't be deleted must not be written.
    async fn try_deletion(&self) -> Result<(), Failed> {
        const POLICY_VIOLATION: i16 = 44;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            let tried = async {
                let start = log_start(&self.services.target, &self.assignment.target).await?.unwrap_or(0);
                let leader = self.services.target.leader(&self.assignment.target).await?;
                self.services.target.delete_records(&self.assignment.target, leader, start).await
            };
            match tried.await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_permission_missing() || error.code() == Some(POLICY_VIOLATION) => {
                    return Err(Failed::Because(format!("filler could not be deleted again: {error}")));
                }
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Sends one batch of filler to the log end. Answers whether the broker said that it is there.
    async fn append_filler(
        &self,
        batches: &mut FillerBatches,
        filler_id: ProducerId,
        (end, leader): (TargetOffset, Leader),
        count: u64,
    ) -> Result<bool, Failed> {
        let Some(prepared) = self.filler_batch(count) else {
            return Err(Failed::Because("filler could not be made".to_owned()));
        };
        let base_sequence = Sequence::of_count(end.get().unsigned_abs());
        let stamp = Stamp { producer_id: filler_id, producer_epoch: ProducerEpoch(0), base_sequence };
        let outcome = self.append_once(leader, &prepared, &stamp).await;
        let (code, message) = match outcome {
            Some(Outcome::Answered { code: 0, .. }) => {
                batches.out_of_order = 0;
                return Ok(true);
            }
            Some(Outcome::Answered { code, message, .. }) => (code, message),
            Some(Outcome::NotSent(error) | Outcome::Unknown(error)) => {
                self.pause_filler(error.to_string()).await;
                return Ok(false);
            }
            None => return Ok(false),
        };
        let said = message.unwrap_or_default();
        match answer_of(code) {
            Answer::Refused(super::outcome::Refusal::TooLarge) if batches.count > 1 => batches.count /= 2,
            Answer::Refused(_) => {
                return Err(Failed::Because(format!("the target refuses filler with error {code} ({said})")));
            }
            Answer::Done | Answer::Look | Answer::Forbidden | Answer::Fenced => {
                batches.out_of_order = if code == OUT_OF_ORDER { batches.out_of_order + 1 } else { 0 };
                if batches.out_of_order > OUT_OF_ORDER_MAX {
                    return Err(foreign(end, end));
                }
                self.pause_filler(format!("filler was refused with error {code} ({said})")).await;
            }
        }
        Ok(false)
    }

    async fn pause_filler(&self, trouble: String) {
        self.live.lock().trouble = Some(trouble.into());
        self.services.target.client().forget_leader(&self.assignment.target);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// `None`: no answer came.
    async fn append_once(&self, leader: Leader, prepared: &Prepared, stamp: &Stamp) -> Option<Outcome> {
        let (reply, mut answers) = mpsc::channel::<Produced>(1);
        let append = Append {
            partition: self.assignment.target.clone(),
            topic_id: self.assignment.target_topic_id,
            batch: prepared.stamp(stamp),
            protection: Protection::Unprotected,
            number: 0,
            reply,
        };
        self.services.producers.append(leader.broker, append).await;
        let answered = tokio::time::timeout(ANSWER_LIMIT, answers.recv()).await;
        answered.ok().flatten().map(|produced| produced.outcome)
    }

    /// So many empty records as one batch.
    fn filler_batch(&self, count: u64) -> Option<Prepared> {
        if count == FILLER_RECORDS {
            self.services.filler_batch.get_or_init(|| make_filler(count)).clone()
        } else {
            make_filler(count)
        }
    }

    /// Moves the log start up to here, trying for as long as it takes.
    async fn delete_filler(&self, before: TargetOffset) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            match hide_filler(&self.services.target, &self.assignment.target, before).await {
                Ok(()) => return,
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }

    /// Where brokers died before they noted that filler was deleted, it can be read again: deletes it again.
    pub(super) async fn keep_filler_hidden(&self, position: &Position) {
        let Some(begins_at) = position.relation().account().and_then(|account| account.begins_at) else { return };
        let (target, partition) = (&self.services.target, &self.assignment.target);
        if let Err(error) = hide_filler(target, partition, begins_at).await {
            tracing::warn!(%partition, %error, "filler before the first record may be readable");
        }
    }
}

/// Somebody else has written into the log.
fn foreign(log_end: TargetOffset, to: TargetOffset) -> Failed {
    let expected = log_end.min(to).minus(1);
    let source_offset = to.in_place();
    Failed::Ended(Ended::Stopped(StopReason::ForeignWrite { expected, log_end, source_offset }))
}

/// How many records a batch of filler has, and what came of the last ones.
struct FillerBatches {
    count: u64,
    out_of_order: u32,
}

/// Moves the log start up to `before`, unless it is there.
pub(super) async fn hide_filler(
    target: &Cluster,
    partition: &TopicPartition,
    before: TargetOffset,
) -> Result<(), ClusterError> {
    let start = log_start(target, partition).await?;
    if start.is_some_and(|start| start < before.get()) {
        let leader = target.leader(partition).await?;
        target.delete_records(partition, leader, before.get()).await?;
    }
    Ok(())
}

fn make_filler(count: u64) -> Option<Prepared> {
    let empty = |offset| Record { offset, timestamp: 0, key: None, value: None, headers: Vec::new() };
    let records: Vec<Record> = (0..i64::try_from(count).ok()?).map(empty).collect();
    let batch = encode_batch(&records, Codec::Zstd).ok()?;
    let mut queue = VecDeque::from(split(batch).ok()?);
    match prepare(&mut queue, SourceOffset::ZERO, &LIMITS) {
        Ok(Step::Send(prepared)) => Some(prepared),
        Ok(Step::Skip { .. } | Step::Idle) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
