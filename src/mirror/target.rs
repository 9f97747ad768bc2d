//! Reading the target's log: what it holds of ours.
//!
//! Owns: the order of the three questions to a leader, on which the compare-and-swap rests.
//! Promises: what is observed is replicated and was true of one leader at one epoch.
//! Does not know: what follows.
//!
//! The order matters. Producer state first, log end second: whatever a former owner appends between the two makes the
//! log end later than the state says, so that our next append gets "out of order" and nothing is written. The other
//! way round, the state would be newer than the log end, and our append would be accepted a second time.

use std::time::Duration;

use super::guards::{Guard, Guards};
use super::reconcile::Observation;
use crate::batch::{BatchHeader, split};
use crate::cluster::{Cluster, ClusterError, Isolation, OffsetQuery};
use crate::types::{ProducerEpoch, ProducerId, Sequence, TargetOffset, TopicId, TopicPartition};
use crate::wire::Leader;

/// How long to wait before the high watermark is asked for again.
const HIGH_WATERMARK_PAUSE: Duration = Duration::from_millis(20);
/// Bytes of one read of batch headers.
const WALK_BYTES: usize = 4 << 20;
/// Brokers send one batch whole, however little is asked for (KIP-74).
const ONE_BATCH_BYTES: usize = 1 << 10;

/// Asks the leader for producer state, then for the log end, and waits until the high watermark has reached it. A
/// leader that changes meanwhile is an error: ask again.
pub(super) async fn observe(
    target: &Cluster,
    partition: &TopicPartition,
    producer_id: ProducerId,
    guards: Guards,
) -> Result<(Observation, Leader), ClusterError> {
    let leader = target.leader(partition).await?;
    let (state, end) = if guards.is_on(Guard::SequenceFirst) {
        let state = target.producer_state(partition, leader, producer_id).await?;
        (state, target.epoch_end(partition, leader, leader.epoch).await?)
    } else {
        let end = target.epoch_end(partition, leader, leader.epoch).await?;
        tokio::time::sleep(HIGH_WATERMARK_PAUSE).await;
        (target.producer_state(partition, leader, producer_id).await?, end)
    };
    if !guards.is_on(Guard::LogEnd) {
        let high_watermark = target.high_watermark(partition, leader).await?;
        let log_end = TargetOffset::new(high_watermark).unwrap_or(TargetOffset::ZERO);
        return Ok((Observation { state: state.map(|state| (state.epoch, state.last_sequence)), log_end }, leader));
    }
    let log_end = TargetOffset::new(end.end_offset).unwrap_or(TargetOffset::ZERO);
    while target.high_watermark(partition, leader).await? < log_end.get() {
        tokio::time::sleep(HIGH_WATERMARK_PAUSE).await;
    }
    Ok((Observation { state: state.map(|state| (state.epoch, state.last_sequence)), log_end }, leader))
}

/// Whether all batches between two target offsets are this link's, with the sequences that they must have. Batches
/// that retention or compaction took are not missed: offsets and sequences of the others still tell, as long as there
/// is one.
pub(super) async fn is_ours(
    target: &Cluster,
    partition: &TopicPartition,
    writer: (ProducerId, ProducerEpoch),
    from: (TargetOffset, Sequence),
    to: TargetOffset,
) -> Result<bool, ClusterError> {
    let (start, sequence) = from;
    let mut at = start.get();
    let mut has_own = false;
    while let Some(headers) = headers_from(target, partition, &mut at, to).await? {
        let between = |header: &&BatchHeader| header.last_offset() >= start.get() && header.base_offset < to.get();
        for header in headers.iter().filter(between) {
            if !is_ours_at(header, writer, start, sequence) {
                return Ok(false);
            }
            has_own = true;
        }
    }
    Ok(has_own || start >= to)
}

/// This link's batches between two target offsets: where each begins, its first sequence, and how many records were
/// sent in it.
pub(super) async fn own_batches(
    target: &Cluster,
    partition: &TopicPartition,
    writer: (ProducerId, ProducerEpoch),
    from: TargetOffset,
    to: TargetOffset,
) -> Result<Vec<Landed>, ClusterError> {
    let mut own = walk(target, partition, writer, (from, to), None).await?.own;
    own.retain(|landed| landed.target.plus(landed.length) <= to);
    Ok(own)
}

/// A batch of ours in the target's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Landed {
    pub(super) target: TargetOffset,
    pub(super) sequence: Sequence,
    pub(super) length: u64,
}

impl Landed {
    pub(super) fn of(header: &BatchHeader) -> Option<Self> {
        Some(Self {
            target: TargetOffset::new(header.base_offset).ok()?,
            sequence: Sequence::from_kafka(header.base_sequence)?,
            length: u64::try_from(header.last_offset_delta).ok()? + 1,
        })
    }
}

/// What a walk over a stretch of the target's log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    /// This link's batches that begin in it.
    pub(super) own: Vec<Landed>,
    /// Whether batches follow each other without a missing offset, as far as was walked: where that is so, nothing was
    /// compacted away, deleted, or has expired.
    pub(super) is_whole: bool,
    /// Whether it came to the end.
    pub(super) is_complete: bool,
}

/// Walks over the batches between two target offsets, whoever wrote them; no further than to the batch of ours that
/// ends with the sequence before `enough`.
pub(super) async fn walk(
    target: &Cluster,
    partition: &TopicPartition,
    writer: (ProducerId, ProducerEpoch),
    (from, to): (TargetOffset, TargetOffset),
    enough: Option<Sequence>,
) -> Result<Walk, ClusterError> {
    let mut at = from.get();
    let mut covered = from.get();
    let mut walk = Walk { own: Vec::new(), is_whole: true, is_complete: false };
    let is_there = |header: &&BatchHeader| header.last_offset() >= from.get() && header.base_offset < to.get();
    while let Some(headers) = headers_from(target, partition, &mut at, to).await? {
        for header in headers.iter().filter(is_there) {
            walk.is_whole &= header.base_offset <= covered;
            covered = covered.max(header.last_offset() + 1);
            let is_writer = header.producer_id == writer.0.0 && header.producer_epoch == writer.1.0;
            let own = if is_writer && header.base_offset >= from.get() { Landed::of(header) } else { None };
            walk.own.extend(own);
            if own.is_some_and(|own| Some(own.sequence.plus(own.length)) == enough) {
                return Ok(Walk { is_complete: true, ..walk });
            }
        }
    }
    walk.is_complete = at >= to.get();
    walk.is_whole &= covered >= to.get();
    Ok(walk)
}

/// Whether this link's records are where they were acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    /// Somebody else's record is there, or the log ends before.
    Missing,
    /// The log no longer holds what was there: deleted, expired or compacted away.
    Removed,
}

/// Whose record is at a target offset before the log end.
pub(super) async fn presence(
    target: &Cluster,
    partition: &TopicPartition,
    producer_id: ProducerId,
    at: TargetOffset,
) -> Result<Presence, ClusterError> {
    let read = match target.fetch_once(partition, at.get(), ONE_BATCH_BYTES, Isolation::ReadUncommitted).await {
        Ok(read) => read,
        Err(error) if error.code() == Some(OFFSET_OUT_OF_RANGE) => {
            let start = log_start(target, partition).await?;
            let is_removed = start.is_some_and(|start| start > at.get());
            return Ok(if is_removed { Presence::Removed } else { Presence::Missing });
        }
        Err(error) => return Err(error),
    };
    let batches = split(read.records).unwrap_or_default();
    let holder = batches.iter().map(|batch| batch.header).find(|header| header.last_offset() >= at.get());
    match holder {
        Some(header) if header.base_offset > at.get() => Ok(Presence::Removed),
        Some(header) if header.producer_id == producer_id.0 => Ok(Presence::Present),
        Some(_) => Ok(Presence::Missing),
        None => Err(target.not_shown_yet(partition)),
    }
}

/// The headers of some batches from `at` on, which moves behind them; `None` when there are no more before `to`, where
/// the log was seen to end. What the log no longer holds at its beginning is passed over.
pub(super) async fn headers_from(
    target: &Cluster,
    partition: &TopicPartition,
    at: &mut i64,
    to: TargetOffset,
) -> Result<Option<Vec<BatchHeader>>, ClusterError> {
    while *at < to.get() {
        let read = match target.fetch_once(partition, *at, WALK_BYTES, Isolation::ReadUncommitted).await {
            Ok(read) => read,
            Err(error) if error.code() == Some(OFFSET_OUT_OF_RANGE) => {
                match log_start(target, partition).await? {
                    Some(start) if start > *at => *at = start,
                    Some(_) | None => return Ok(None),
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let headers: Vec<BatchHeader> =
            split(read.records).unwrap_or_default().iter().map(|batch| batch.header).collect();
        let last = headers.last().ok_or_else(|| target.not_shown_yet(partition))?;
        *at = last.last_offset() + 1;
        return Ok(Some(headers));
    }
    Ok(None)
}

pub(super) async fn log_start(target: &Cluster, partition: &TopicPartition) -> Result<Option<i64>, ClusterError> {
    let mut listed = target.list_offsets(std::slice::from_ref(partition), OffsetQuery::LogStart).await?;
    listed.remove(partition).transpose().map(|listed| listed.and_then(|listed| listed.offset))
}

const OFFSET_OUT_OF_RANGE: i16 = 1;

fn is_ours_at(
    header: &BatchHeader,
    writer: (ProducerId, ProducerEpoch),
    start: TargetOffset,
    sequence: Sequence,
) -> bool {
    let Ok(base) = TargetOffset::new(header.base_offset) else { return false };
    header.producer_id == writer.0.0
        && header.producer_epoch == writer.1.0
        && base >= start
        && Sequence::from_kafka(header.base_sequence) == Some(sequence.plus(base.distance_from(start)))
}

/// What readers find at a target offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A batch with this CRC begins there.
    Batch(u32),
    /// No batch begins there, and the log goes on behind it.
    Other,
    /// Nothing is shown there or behind it: the log ends before, or a leader that has just been elected does not know
    /// yet that the in-sync replicas have what it has, or a quota made the broker answer without records.
    Nothing,
}

/// What readers find at a target offset.
pub(super) async fn find(
    target: &Cluster,
    partition: &TopicPartition,
    at: TargetOffset,
) -> Result<Found, ClusterError> {
    let read = target.fetch_once(partition, at.get(), ONE_BATCH_BYTES, Isolation::ReadUncommitted).await?;
    let batches = split(read.records).unwrap_or_default();
    let holder = batches.iter().map(|batch| batch.header).find(|header| header.last_offset() >= at.get());
    Ok(match holder {
        Some(header) if header.base_offset == at.get() => Found::Batch(header.crc),
        Some(_) => Found::Other,
        None => Found::Nothing,
    })
}

/// Whether the topic is still the one that was mirrored into, where the cluster tells ids.
pub(super) async fn is_same_topic(
    target: &Cluster,
    partition: &TopicPartition,
    id: Option<TopicId>,
) -> Result<bool, ClusterError> {
    let metadata = target.metadata(Some(std::slice::from_ref(&partition.topic))).await?;
    let now = metadata.topics.get(&partition.topic).and_then(|topic| topic.id);
    Ok(match (id, now) {
        (Some(id), Some(now)) => id == now,
        (None, _) | (_, None) => true,
    })
}

#[cfg(test)]
mod tests;
