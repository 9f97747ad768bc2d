//! The link's rate limit, and who goes first under it.
//!
//! Owns: when the next request may be sent, and which priorities have data waiting.
//! Promises: over any second no more than the rate and one response per connection is read; while the limit bites,
//! partitions wait for those of higher priority that have data.
//! Does not know: partitions, sessions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::mailbox::locked;

/// What may be read at once after a quiet time.
const BURST: Duration = Duration::from_millis(250);
/// For how long after a request had to wait the limit counts as biting.
const BITES_FOR: Duration = Duration::from_secs(1);

/// The pace of one link. Without a rate everything passes at once.
#[derive(Debug)]
pub(super) struct Pace {
    limited: Option<(u64, Mutex<Meter>)>,
}

#[derive(Debug)]
struct Meter {
    /// When what was read so far will have been paid for. Reading is paid afterwards, because nobody knows before
    /// how much a broker will send.
    paid_at: Instant,
    bites_until: Option<Instant>,
    /// How many partitions of each priority have data waiting at the source.
    backlog: BTreeMap<i32, usize>,
}

impl Pace {
    /// A rate in bytes per second; a rate of 0 is taken as 1.
    pub(super) fn new(rate: Option<u64>) -> Self {
        let meter = || Meter { paid_at: Instant::now(), bites_until: None, backlog: BTreeMap::new() };
        Self { limited: rate.map(|rate| (rate.max(1), Mutex::new(meter()))) }
    }

    /// Waits until a request may be sent.
    pub(super) async fn turn(&self) {
        let Some((_, meter)) = &self.limited else { return };
        loop {
            let now = Instant::now();
            let paid_at = {
                let mut meter = locked(meter);
                if meter.paid_at > now {
                    meter.bites_until = Some(meter.paid_at + BITES_FOR);
                }
                meter.paid_at
            };
            if paid_at <= now {
                return;
            }
            tokio::time::sleep_until(paid_at).await;
        }
    }

    /// Notes what was read.
    pub(super) fn spend(&self, bytes: usize) {
        let Some((rate, meter)) = &self.limited else { return };
        let cost = cost(bytes, *rate);
        let now = Instant::now();
        let mut meter = locked(meter);
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        meter.paid_at = meter.paid_at.max(oldest) + cost;
    }

    /// Largest request that keeps a quarter of a second's pace; `None` without a rate.
    pub(super) fn bytes_at_once(&self) -> Option<usize> {
        let (rate, _) = self.limited.as_ref()?;
        Some(usize::try_from(rate / 4).unwrap_or(usize::MAX))
    }

    /// Partitions below this priority wait; `None`: nobody waits.
    pub(super) fn priority_floor(&self) -> Option<i32> {
        let (_, meter) = self.limited.as_ref()?;
        let meter = locked(meter);
        if meter.bites_until.is_none_or(|until| until <= Instant::now()) {
            return None;
        }
        meter.backlog.last_key_value().map(|(priority, _)| *priority)
    }

    /// A partition of this priority has, or no longer has, data waiting that could be fetched.
    pub(super) fn note_backlog(&self, priority: i32, has_backlog: bool) {
        let Some((_, meter)) = &self.limited else { return };
        let mut meter = locked(meter);
        let count = meter.backlog.entry(priority).or_default();
        if has_backlog {
            *count += 1;
        } else {
            *count = count.saturating_sub(1);
        }
        if *count == 0 {
            meter.backlog.remove(&priority);
        }
    }
}

fn cost(bytes: usize, rate: u64) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
