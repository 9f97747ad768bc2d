//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Life;

/// Milliseconds since 1970 by this machine's wall clock: to be shown to people, and to be held against timestamps that
/// others, or daemons before us, have written. Never for waiting. A [`Life`] may have a clock of its own.
#[must_use]
pub fn wall_clock_ms() -> i64 {
    if let Some(now_ms) = Life::current().and_then(|life| life.wall_clock_ms()) {
        return now_ms;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
