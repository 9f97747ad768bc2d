//! What the writer of state counts.
//!
//! Owns: transactions by outcome, and how long the committed ones took.
//! Promises: counting never waits.
//! Does not know: what was written.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::Failure;
use crate::telemetry::{Metrics, names};

/// Counts the transactions on one state topic.
#[derive(Debug, Clone)]
pub struct WriterMeasures {
    seconds: Histogram,
    committed: Counter,
    refused: Counter,
    failed: Counter,
}

impl WriterMeasures {
    /// For the state topic of this target cluster.
    #[must_use]
    pub fn new(metrics: &Metrics, cluster: &str) -> Self {
        let writes =
            |outcome| metrics.counter(names::STATE_WRITES_TOTAL, &[("cluster", cluster), ("outcome", outcome)]);
        Self {
            seconds: metrics.histogram(names::STATE_WRITE_SECONDS, &[("cluster", cluster)]),
            committed: writes("committed"),
            refused: writes("refused"),
            failed: writes("failed"),
        }
    }

    /// A transaction ended after so long.
    pub(super) fn count(&self, outcome: &Result<(), Failure>, took: Duration) {
        match outcome {
            Ok(()) => {
                self.committed.increment(1);
                self.seconds.record(took);
            }
            Err(Failure::Refused(_)) => self.refused.increment(1),
            Err(Failure::Retry(_) | Failure::Broken(_) | Failure::Rejected(_)) => self.failed.increment(1),
        }
    }
}
