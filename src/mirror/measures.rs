//! What the data path counts.

use dashmap::DashMap;
use metrics::Counter;

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
    }
}

/// Counters of one link.
#[derive(Debug)]
pub(super) struct LinkMeasures {
    metrics: Metrics,
    link: LinkName,
    pub(super) loop_dropped: Counter,
    pub(super) settled: Counter,
    errors: DashMap<i16, Counter>,
}

impl LinkMeasures {
    pub(super) fn new(metrics: &Metrics, link: &LinkName) -> Self {
        let name = link.as_str();
        Self {
            metrics: metrics.clone(),
            link: link.clone(),
            loop_dropped: metrics.counter(names::LOOP_DROPPED_BATCHES_TOTAL, &[("link", name)]),
            settled: metrics.counter(names::RETRIES_TOTAL, &[("link", name), ("operation", "settle")]),
            errors: DashMap::new(),
        }
    }

    pub(super) fn produce_error(&self, code: i16) {
        let counter = self.errors.entry(code).or_insert_with(|| {
            let code = code.to_string();
            self.metrics.counter(names::PRODUCE_ERRORS_TOTAL, &[("link", self.link.as_str()), ("code", code.as_str())])
        });
        counter.increment(1);
    }

    pub(super) fn stop(&self, reason: &str) {
        self.metrics.counter(names::STOPS_TOTAL, &[("link", self.link.as_str()), ("reason", reason)]).increment(1);
    }

    pub(super) fn breach(&self, reason: &str) {
        self.metrics.counter(names::BREACHES_TOTAL, &[("link", self.link.as_str()), ("reason", reason)]).increment(1);
    }
}
