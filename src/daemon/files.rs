//! How many files and connections the system lets us have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of what may be open, the API's callers get a share; the rest is for Kafka's brokers.
const SHARE_OF_CALLERS: u64 = 4;
/// Enough for a thousand that wait for their records, and others besides.
const CALLERS_MAX: u64 = 2_048;
const CALLERS_MIN: u64 = 64;

/// Raises the soft limit to the hard one, as far as we may. Answers with the limit that holds; `None`: there is none.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limit.current
        }
    }
}

/// Connections that the API takes at once.
pub(super) fn connections_max(files: Option<u64>) -> usize {
    let callers = files.map_or(CALLERS_MAX, |files| (files / SHARE_OF_CALLERS).clamp(CALLERS_MIN, CALLERS_MAX));
    usize::try_from(callers).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
