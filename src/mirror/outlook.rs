//! Looking at the source for what its fetch responses don't tell: how long until retention overtakes us, and whose
//! open transaction holds readers back.
//!
//! Owns: a look every few seconds over the partitions of a link; what is remembered of the topics' settings.
//! Promises: what is not known is not told; nothing here holds up the data path.
//! Does not know: fetching, what anybody does about it.
//!
//! `retention_left_ms` is the time until the source may delete the next record to copy, by `retention.ms` and that
//! record's batch's largest timestamp: a segment goes when its largest timestamp is older than that, so this is never
//! later than told. With nothing to copy it is `retention.ms` less the lag. It is not known with `retention.bytes` in
//! force (that depends on what will be written), without timestamps, and where nothing is ever deleted by age.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::live::{Live, Registry};
use crate::batch::{BatchHeader, split};
use crate::cluster::{Cluster, ClusterError, ConfigEntry, Isolation};
use crate::store::PartitionState;
use crate::types::{LinkName, SourceOffset, TopicName, TopicPartition};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// For so long the settings of topics are believed.
const SETTINGS_AGE_MAX: Duration = Duration::from_mins(1);
/// An open transaction is of interest when the last stable offset has not moved for so long.
const STILL_MIN: Duration = Duration::from_secs(5);
/// Younger lags are not worth a request.
const LAG_MS_MIN: u64 = 10_000;
/// Partitions of one look that a request is sent about: with more of them each is looked at less often.
const QUESTIONS_MAX: usize = 200;
/// Brokers send one batch whole, however little is asked for (KIP-74).
const ONE_BATCH_BYTES: usize = 1 << 10;

/// By what age a topic's records are deleted, where that alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// After so many milliseconds.
    After(u64),
    /// Never, or not by age alone.
    Untold,
}

/// Reads a topic's settings.
pub(super) fn retention_of(configs: &[ConfigEntry]) -> Retention {
    let value = |name: &str| configs.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref());
    let is_deleting =
        value("cleanup.policy").is_some_and(|policy| policy.split(',').any(|part| part.trim() == "delete"));
    let has_size_limit = value("retention.bytes").and_then(|bytes| bytes.parse::<i64>().ok()).is_none_or(|b| b >= 0);
    let age = value("retention.ms").and_then(|age| age.parse::<u64>().ok());
    match age {
        Some(age) if is_deleting && !has_size_limit => Retention::After(age),
        Some(_) | None => Retention::Untold,
    }
}

/// How long until a record with this timestamp may be deleted.
pub(super) fn left(retention_ms: u64, timestamp_ms: i64, now_ms: i64) -> Option<u64> {
    let timestamp = u64::try_from(timestamp_ms).ok()?;
    let age = u64::try_from(now_ms).ok()?.saturating_sub(timestamp);
    Some(retention_ms.saturating_sub(age))
}

/// What is known of a topic's settings, and since when.
struct Known {
    retention: HashMap<TopicName, Retention>,
    read_at: Option<Instant>,
    /// Where the next look begins.
    start: usize,
}

/// Looks until dropped.
pub(super) async fn watch(link: LinkName, source: Cluster, registry: Registry) {
    let mut known = Known { retention: HashMap::new(), read_at: None, start: 0 };
    loop {
        tokio::time::sleep(INTERVAL).await;
        let all = registry.of_link(&link);
        known.refresh(&source, &all).await;
        let count = all.len().max(1);
        let mut questions = 0;
        for (number, (partition, live)) in all.iter().cycle().skip(known.start).take(all.len()).enumerate() {
            let retention = known.retention.get(&partition.topic).copied().unwrap_or(Retention::Untold);
            // A source that can't be asked is noticed by those who fetch.
            questions += look(&source, partition, live, retention).await.unwrap_or(1);
            if questions >= QUESTIONS_MAX {
                known.start = (known.start + number + 1) % count;
                break;
            }
        }
    }
}

impl Known {
    async fn refresh(&mut self, source: &Cluster, live: &[(TopicPartition, Arc<Live>)]) {
        let topics: BTreeSet<&TopicName> = live.iter().map(|(partition, _)| &partition.topic).collect();
        let is_new = topics.iter().any(|topic| !self.retention.contains_key(*topic));
        let is_old = self.read_at.is_none_or(|at| at.elapsed() > SETTINGS_AGE_MAX);
        if topics.is_empty() || !(is_new || is_old) {
            return;
        }
        let topics: Vec<TopicName> = topics.into_iter().cloned().collect();
        let Ok(configs) = source.topic_configs(&topics).await else { return };
        self.read_at = Some(Instant::now());
        let read = |topic: TopicName| {
            let of_topic = configs.get(&topic).and_then(|told| told.as_ref().ok());
            let retention = of_topic.map_or(Retention::Untold, |configs| retention_of(configs));
            (topic, retention)
        };
        self.retention = topics.into_iter().map(read).collect();
    }
}

/// What one partition shows now.
struct Seen {
    position: Option<SourceOffset>,
    log_start: SourceOffset,
    high_watermark: SourceOffset,
    lag_ms: u64,
    silence_ms: u64,
    is_fetched: bool,
    held_at: Option<SourceOffset>,
}

fn seen(live: &Live) -> Option<Seen> {
    let inner = live.lock();
    let marks = inner.watermarks?;
    let held_at = inner.held.as_ref().filter(|held| held.is_to_be_named(STILL_MIN)).map(|held| held.at);
    Some(Seen {
        position: inner.position.as_ref().map(super::position::Position::source),
        log_start: marks.log_start,
        high_watermark: marks.high_watermark,
        lag_ms: inner.lag_ms(),
        silence_ms: inner.contact_age_ms().unwrap_or(0),
        is_fetched: inner.state == PartitionState::Mirroring,
        held_at,
    })
}

/// Looks at one partition. Gives how many requests that took.
async fn look(
    source: &Cluster,
    partition: &TopicPartition,
    live: &Live,
    retention: Retention,
) -> Result<usize, ClusterError> {
    let Some(seen) = seen(live) else { return Ok(0) };
    let mut questions = 0;
    if let Some(at) = seen.held_at {
        questions += 1;
        // The last stable offset is where the oldest open transaction begins.
        let holder = batch_at(source, partition, at).await?.map(|header| header.producer_id);
        live.lock().name_holder(at, holder.filter(|id| *id >= 0));
    }
    let left = match (retention, seen.position) {
        (Retention::Untold, _) | (_, None) => None,
        (Retention::After(_), Some(position)) if position < seen.log_start => Some(0),
        (Retention::After(age), Some(position)) if position >= seen.high_watermark => {
            // What was written since the source answered last is not known: it may be as old as that.
            Some(age.saturating_sub(seen.lag_ms.max(seen.silence_ms)))
        }
        (Retention::After(age), Some(_)) if seen.is_fetched && seen.lag_ms < LAG_MS_MIN => {
            Some(age.saturating_sub(seen.lag_ms))
        }
        (Retention::After(age), Some(position)) => {
            questions += 1;
            let now = crate::tasks::wall_clock_ms();
            batch_at(source, partition, position).await?.and_then(|header| left(age, header.max_timestamp, now))
        }
    };
    live.lock().retention_left = left.map(|left| (left, Instant::now()));
    Ok(questions)
}

/// The header of the first batch at or after an offset.
async fn batch_at(
    source: &Cluster,
    partition: &TopicPartition,
    at: SourceOffset,
) -> Result<Option<BatchHeader>, ClusterError> {
    let read = source.fetch_once(partition, at.get(), ONE_BATCH_BYTES, Isolation::ReadUncommitted).await?;
    let batches = split(read.records).unwrap_or_default();
    Ok(batches.iter().map(|batch| batch.header).find(|header| header.last_offset() >= at.get()))
}

#[cfg(test)]
mod tests;
