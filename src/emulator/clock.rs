//! What time it is in an emulated cluster.
//!
//! Owns: the wall clock of a cluster's brokers.
//! Promises: it moves with tokio's clock, so that a paused one stands still and an advanced one jumps.
//! Does not know: why anybody asks.

use std::time::Duration;

use tokio::time::Instant;

/// The brokers' wall clock. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin_ms: i64,
    started: Instant,
}

impl Clock {
    /// A clock that shows `origin_ms` (milliseconds since 1970) now.
    #[must_use]
    pub fn starting_at(origin_ms: i64) -> Self {
        Self { origin_ms, started: Instant::now() }
    }

    /// This machine's time.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::starting_at(crate::tasks::wall_clock_ms())
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.origin_ms.saturating_add(milliseconds(self.started.elapsed()))
    }
}

/// A duration as Kafka writes it.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration that Kafka wrote; negative ones are none at all.
pub(crate) fn duration(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}
