//! What the data path counts.
//!
//! Owns: the counters of partitions and links, the gauges of a link's memory.
//! Promises: counting never waits.
//! Does not know: who looks at the numbers.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::fetch::Fetchers;
use crate::batch::{Prepared, Surgery};
use crate::telemetry::{Metrics, names};
use crate::types::{LinkName, TopicPartition};

/// Counters of one partition.
#[derive(Debug)]
pub(super) struct Measures {
    records: Counter,
    bytes: Counter,
    restamped: Counter,
    merged: Counter,
    rebuilt: Counter,
    end_to_end: Histogram,
}

impl Measures {
    pub(super) fn new(metrics: &Metrics, link: &LinkName, partition: &TopicPartition) -> Self {
        let index = partition.partition.to_string();
        let labels = &[("link", link.as_str()), ("topic", partition.topic.as_str()), ("partition", index.as_str())];
        let batches = |surgery| metrics.counter(names::BATCHES_TOTAL, &[("link", link.as_str()), ("surgery", surgery)]);
        Self {
            records: metrics.counter(names::RECORDS_TOTAL, labels),
            bytes: metrics.counter(names::BYTES_TOTAL, labels),
            restamped: batches("restamp"),
            merged: batches("merge"),
            rebuilt: batches("rebuild"),
            end_to_end: metrics
                .histogram(names::END_TO_END_SECONDS, &[("link", link.as_str()), ("topic", partition.topic.as_str())]),
        }
    }

    pub(super) fn acknowledged(&self, batch: &Prepared) {
        self.records.increment(u64::from(batch.record_count));
        self.bytes.increment(batch.byte_len() as u64);
        match batch.surgery {
            Surgery::Restamp => self.restamped.increment(1),
            Surgery::Merge => self.merged.increment(1),
            Surgery::Rebuild => self.rebuilt.increment(1),
        }
        if let Some(age) = age_of(batch.max_timestamp, crate::tasks::wall_clock_ms()) {
            self.end_to_end.record(age);
        }
    }
}

/// Counters of one link.
#[derive(Debug)]
pub(super) struct LinkMeasures {
    metrics: Metrics,
    link: LinkName,
    pub(super) loop_dropped: Counter,
    /// Appends without a good answer, which the target's log decided about.
    pub(super) settled: Counter,
    /// Questions to either cluster that failed and are asked again.
    pub(super) asked_again: Counter,
    /// Writes of state that failed and are made again.
    pub(super) written_again: Counter,
    /// Offsets without a record that were filled.
    pub(super) filled: Counter,
    /// Offsets by which empty mirror partitions were brought forward.
    pub(super) fast_forwarded: Counter,
}

impl LinkMeasures {
    pub(super) fn new(metrics: &Metrics, link: &LinkName) -> Self {
        let name = link.as_str();
        let retries = |what| metrics.counter(names::RETRIES_TOTAL, &[("link", name), ("operation", what)]);
        Self {
            metrics: metrics.clone(),
            link: link.clone(),
            loop_dropped: metrics.counter(names::LOOP_DROPPED_BATCHES_TOTAL, &[("link", name)]),
            settled: retries("settle"),
            asked_again: retries("ask"),
            written_again: retries("state"),
            filled: metrics.counter(names::FILLED_OFFSETS_TOTAL, &[("link", name)]),
            fast_forwarded: metrics.counter(names::FAST_FORWARDED_OFFSETS_TOTAL, &[("link", name)]),
        }
    }

    pub(super) fn stop(&self, reason: &str) {
        self.metrics.counter(names::STOPS_TOTAL, &[("link", self.link.as_str()), ("reason", reason)]).increment(1);
    }

    /// The offsets of a partition are translated from now on, although they were to be the same.
    pub(super) fn fallback(&self) {
        self.metrics.counter(names::FALLBACKS_TOTAL, &[("link", self.link.as_str())]).increment(1);
    }

    pub(super) fn breach(&self, reason: &str) {
        self.metrics.counter(names::BREACHES_TOTAL, &[("link", self.link.as_str()), ("reason", reason)]).increment(1);
    }
}

/// How often the memory gauges are set.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the gauges of a link's memory until dropped.
pub(super) async fn keep_memory(metrics: Metrics, link: LinkName, fetchers: Fetchers) {
    let labels = &[("link", link.as_str())];
    loop {
        let (free, max) = (fetchers.bytes_free(), fetchers.bytes_max());
        metrics.set(names::MEMORY_BUDGET_USED_BYTES, labels, number(max.saturating_sub(free)));
        metrics.set(names::MEMORY_BUDGET_MAX_BYTES, labels, number(max));
        tokio::time::sleep(MEMORY_INTERVAL).await;
    }
}

/// Exact, because budgets stay below 4 GiB.
fn number(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// From a record's timestamp to now. `None` where there is no timestamp, and where the clock that set it is ahead of
/// ours: a negative time would be worse than none.
fn age_of(timestamp_ms: i64, now_ms: i64) -> Option<Duration> {
    if timestamp_ms <= 0 {
        return None;
    }
    u64::try_from(now_ms.checked_sub(timestamp_ms)?).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
