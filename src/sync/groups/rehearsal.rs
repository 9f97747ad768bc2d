//! The rehearsal: would each group read the same record next on both sides?
//!
//! Once a minute, for some hundred positions in turn, the next record is read on both sides and compared: key, value,
//! timestamp and headers. Groups at the same position are looked at once. Where a side has deleted records since (by
//! compaction or retention), there is nothing to compare, and that is told as such.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use super::decide::{Topics, target_of};
use super::memory::Memory;
use super::{GroupSync, Maps};
use crate::batch::{AbortedFilter, Admission, Record, decode, split};
use crate::cluster::{Cluster, ClusterError, Isolation};
use crate::types::{GroupName, GroupPositionState, SourceOffset, TargetOffset, TopicPartition, Translation};

/// Positions of one rehearsal.
const POSITIONS_MAX: usize = 500;
/// Positions that are compared at the same time.
const AT_ONCE: usize = 8;
/// Bytes read for one record; a larger batch comes as a whole all the same.
const BYTES_MAX: usize = 64 << 10;
/// The most that one batch may unpack to.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// Reads without data before we stop looking for the next record: markers, aborted records.
const READS_MAX: usize = 20;
/// Mismatches that are told.
const MISMATCHES_TOLD: usize = 10;

/// What a rehearsal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// When it ended.
    pub at: Instant,
    /// Positions whose next record is the same on both sides.
    pub matching: usize,
    /// Positions at the end of both sides.
    pub at_end: usize,
    /// Positions of which nothing could be said: one side has deleted records there, or did not answer.
    pub not_compared: usize,
    /// Positions whose next record differs.
    pub mismatching: usize,
    /// Some of them, as sentences.
    pub mismatches: Vec<String>,
}

/// One position to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    source: TopicPartition,
    target: TopicPartition,
    source_offset: SourceOffset,
    target_offset: TargetOffset,
}

/// What comparing one position has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Match,
    AtEnd,
    NotCompared,
    Mismatch(String),
}

/// The next record of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Record(Record),
    End,
    /// It could not be found.
    Unclear,
}

impl GroupSync {
    /// Compares the positions whose turn it is.
    pub(super) async fn rehearse(&self, topics: &Topics) {
        let (points, up_to) = self.memory().points(topics);
        let mut rehearsal = Rehearsal {
            at: Instant::now(),
            matching: 0,
            at_end: 0,
            not_compared: 0,
            mismatching: 0,
            mismatches: Vec::new(),
        };
        let points: Vec<(Point, GroupName)> = points.into_iter().collect();
        for some in points.chunks(AT_ONCE) {
            let mut compared = Vec::new();
            for (point, _) in some {
                compared.push(self.compare(point));
            }
            for (finding, (point, group)) in join_all(compared).await.into_iter().zip(some) {
                match finding {
                    Finding::Match => rehearsal.matching += 1,
                    Finding::AtEnd => rehearsal.at_end += 1,
                    Finding::NotCompared => rehearsal.not_compared += 1,
                    Finding::Mismatch(what) => {
                        rehearsal.mismatching += 1;
                        if rehearsal.mismatches.len() < MISMATCHES_TOLD {
                            rehearsal.mismatches.push(format!("group {group} on {}: {what}", point.source));
                        }
                    }
                }
            }
        }
        rehearsal.at = Instant::now();
        for mismatch in &rehearsal.mismatches {
            tracing::error!(link = %self.settings.link, "rehearsal: {mismatch}");
        }
        let mut memory = self.memory();
        let problem = rehearsal
            .mismatches
            .first()
            .map(|first| format!("{} positions would not go on with the same record: {first}", rehearsal.mismatching));
        memory.mismatch = problem;
        memory.rehearsed_up_to = up_to;
        memory.rehearsal = Some(rehearsal);
    }

    /// Reads the target first: what arrives at the source meanwhile is no difference.
    async fn compare(&self, point: &Point) -> Finding {
        let there = next_record(&self.parts.target, &point.target, point.target_offset.get()).await;
        let here = next_record(&self.parts.source, &point.source, point.source_offset.get()).await;
        match (here, there) {
            (Ok(here), Ok(there)) => {
                let from = (point.source_offset, point.target_offset);
                weigh(&point.source, from, &here, &there, self.parts.maps.as_ref())
            }
            (_, _) => Finding::NotCompared,
        }
    }
}

/// Judges the next records of a position on both sides.
pub(super) fn weigh(
    partition: &TopicPartition,
    (source, target): (SourceOffset, TargetOffset),
    here: &Next,
    there: &Next,
    maps: &dyn Maps,
) -> Finding {
    let counterpart = |record: &Record| {
        let offset = SourceOffset::new(record.offset).ok()?;
        Some(maps.locate(partition, offset)?.translation)
    };
    let missed = |record: &Record, at: TargetOffset| {
        let from = record.offset;
        Finding::Mismatch(format!(
            "the target's position {target} lies behind record {at}, source record {from}, the next one to read"
        ))
    };
    match (here, there) {
        (Next::Unclear, _) | (_, Next::Unclear) => Finding::NotCompared,
        (Next::End, Next::End) => Finding::AtEnd,
        (Next::Record(here), Next::End) => match counterpart(here) {
            Some(Translation::Exact(at)) if at < target => missed(here, at),
            _ => Finding::AtEnd,
        },
        (Next::End, Next::Record(there)) => again(partition, source, there, maps),
        (Next::Record(here), Next::Record(there)) => match counterpart(here) {
            Some(Translation::Exact(at)) if at < target => missed(here, at),
            Some(Translation::Exact(at)) if at.get() == there.offset => {
                if is_same(here, there) {
                    Finding::Match
                } else {
                    let (here, there) = (here.offset, there.offset);
                    Finding::Mismatch(format!("source record {here} and target record {there} have other contents"))
                }
            }
            Some(_) => again(partition, source, there, maps),
            None => Finding::NotCompared,
        },
    }
}

/// Whether the target's next record is one that the group has read at the source.
fn again(partition: &TopicPartition, source: SourceOffset, there: &Record, maps: &dyn Maps) -> Finding {
    let origin = TargetOffset::new(there.offset).ok().and_then(|offset| maps.locate_reverse(partition, offset));
    match origin {
        Some(Translation::Exact(origin)) if origin < source => Finding::Mismatch(format!(
            "the next record on the target, {}, is source record {origin}, which was read before {source}",
            there.offset
        )),
        _ => Finding::NotCompared,
    }
}

fn is_same(here: &Record, there: &Record) -> bool {
    here.key == there.key
        && here.value == there.value
        && here.timestamp == there.timestamp
        && here.headers == there.headers
}

/// The first committed record at or after an offset, as a consumer would get it.
async fn next_record(cluster: &Cluster, partition: &TopicPartition, from: i64) -> Result<Next, ClusterError> {
    let mut from = from;
    for _ in 0..READS_MAX {
        let fetched = cluster.fetch_once(partition, from, BYTES_MAX, Isolation::ReadCommitted).await?;
        let Ok(batches) = split(fetched.records) else { return Ok(Next::Unclear) };
        if batches.is_empty() {
            return Ok(if from >= fetched.last_stable { Next::End } else { Next::Unclear });
        }
        let mut filter = AbortedFilter::new(fetched.aborted);
        for batch in batches {
            match filter.admit(&batch) {
                Ok(Admission::Data) => {
                    let Ok(records) = decode(&batch, DECOMPRESSED_BYTES_MAX) else { return Ok(Next::Unclear) };
                    if let Some(mut record) = records.into_iter().find(|record| record.offset >= from) {
                        if batch.header.is_log_append_time() {
                            record.timestamp = batch.header.max_timestamp;
                        }
                        return Ok(Next::Record(record));
                    }
                }
                Ok(Admission::Control | Admission::Aborted) => {}
                Err(_) => return Ok(Next::Unclear),
            }
            from = from.max(batch.header.last_offset().saturating_add(1));
        }
    }
    Ok(Next::Unclear)
}

impl Memory {
    /// The positions whose turn it is, each with a group that has it, and the last group among them.
    fn points(&self, topics: &Topics) -> (BTreeMap<Point, GroupName>, Option<GroupName>) {
        let is_after = |name: &GroupName| self.rehearsed_up_to.as_ref().is_none_or(|last| name > last);
        let after = self.groups.iter().filter(|(name, _)| is_after(name));
        let before = self.groups.iter().filter(|(name, _)| !is_after(name));
        let mut points = BTreeMap::new();
        let mut up_to = None;
        for (name, known) in after.chain(before) {
            if points.len() >= POSITIONS_MAX {
                break;
            }
            up_to = Some(name.clone());
            for (partition, standing) in &known.standings {
                let target = target_of(topics, partition).zip(standing.committed);
                if let (GroupPositionState::Synced, Some((target, target_offset))) = (standing.state, target) {
                    let (source, source_offset) = (partition.clone(), standing.source);
                    points.insert(Point { source, target, source_offset, target_offset }, name.clone());
                }
            }
        }
        (points, up_to)
    }
}
