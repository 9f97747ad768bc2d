//! A limit of bytes a second, shared by all connections to a peer.
//!
//! Owns: [`Pace`].
//! Promises: over any few seconds no more goes out than the rate; a burst is a tenth of a second's worth.
//! Does not know: what is sent; control is never asked to wait.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::lock;

/// What may go at once after a pause, as a part of a second's worth.
const BURST: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    /// When all that was sent so far will have been allowed.
    paid_until: Mutex<Instant>,
}

impl Pace {
    /// `None`: no limit.
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second: bytes_per_second.filter(|rate| *rate > 0), paid_until: Mutex::new(Instant::now()) }
    }

    /// When bulk may go; `None`: now.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.bytes_per_second?;
        let paid_until = *lock(&self.paid_until);
        (paid_until > now + BURST).then(|| paid_until - BURST)
    }

    /// So many bytes were sent.
    pub(super) fn sent(&self, bytes: usize, now: Instant) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_until = lock(&self.paid_until);
        *paid_until = (*paid_until).max(now) + cost;
    }
}
