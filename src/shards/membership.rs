//! Keeping the membership: the loop around a group member.

use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Ownership;
use crate::tasks::Backoff;

/// One life as a member of the group. Dropping it ends the life.
pub trait GroupMember {
    /// Waits up to `timeout` and handles what came: assignments and revocations go to the ownership from within.
    fn poll(&mut self, timeout: Duration) -> Result<(), MemberError>;
}

/// A life as a member that ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The coordinator has another member of our name: another process, or our own former life after a fail over.
    #[error("{0}")]
    Fenced(String),
    /// The membership is gone or in doubt; join again.
    #[error("{0}")]
    Lost(String),
}

/// Why membership is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipEnd {
    /// We were told to stop.
    Stopped,
    /// Another process runs under our name.
    Fenced(String),
}

/// Clocks of two kinds: one that stands still while the machine sleeps, and one that doesn't.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    monotonic: Instant,
    wall: SystemTime,
}

impl Clocks {
    fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// The longer of the two times that passed since `earlier`. A wall clock that was set forward looks like a pause:
    /// that costs one rejoin, and the opposite mistake could cost two owners.
    fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        monotonic.max(self.wall.duration_since(earlier.wall).unwrap_or_default())
    }
}

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// A life as a member that lasted so long was not in dispute.
const SETTLED: Duration = Duration::from_mins(1);
/// So many lives that each ended soon by another member of our name: there is one. Once or twice it may be a
/// coordinator that took over from a broker that died, and knows us by the id of our life before.
const FENCES_MAX: u32 = 3;

/// Joins, polls, and joins again after each loss, until `stop`. Does nothing else, so that no work of ours delays the
/// news that a shard is lost. When it returns, nothing is ours.
pub fn keep_membership<P, M: GroupMember>(
    mut join: impl FnMut() -> Result<M, MemberError>,
    ownership: &Ownership<P>,
    pause_max: Duration,
    stop: &CancellationToken,
) -> MembershipEnd {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut fences = 0;
    while !stop.is_cancelled() {
        let joined_at = Instant::now();
        let end = match join() {
            Ok(mut member) => {
                let end = poll_until_lost(&mut member, ownership, pause_max, stop);
                // What we own is given up before the member says farewell to the broker, which can take long.
                ownership.lose_all();
                end
            }
            Err(error) => Some(error),
        };
        match end {
            None => break,
            Some(MemberError::Fenced(reason)) => {
                fences = if joined_at.elapsed() < SETTLED { fences + 1 } else { 1 };
                if fences >= FENCES_MAX {
                    return MembershipEnd::Fenced(reason);
                }
                tracing::warn!(reason, "the group has another member of our name, it seems; joining again to see");
            }
            Some(MemberError::Lost(reason)) => {
                tracing::warn!(reason, "membership of the daemon group lost, joining again");
            }
        }
        if joined_at.elapsed() > SETTLED {
            backoff.reset();
        }
        sleep_until_stopped(backoff.next_pause(), stop);
    }
    ownership.lose_all();
    MembershipEnd::Stopped
}

/// `None`: told to stop.
fn poll_until_lost<P>(
    member: &mut impl GroupMember,
    ownership: &Ownership<P>,
    pause_max: Duration,
    stop: &CancellationToken,
) -> Option<MemberError> {
    let mut last = Clocks::now();
    ownership.pulse().beat();
    while !stop.is_cancelled() {
        let polled = member.poll(POLL_TIMEOUT);
        let now = Clocks::now();
        let paused = now.since(last);
        if paused >= pause_max {
            // This process slept. Whatever came out of that poll, the coordinator may have given our shards away
            // meanwhile, and a member between two memberships proves nothing.
            return Some(MemberError::Lost(format!("this process stood still for {} ms", paused.as_millis())));
        }
        last = now;
        ownership.pulse().beat();
        if let Err(error) = polled {
            return Some(error);
        }
    }
    None
}

fn sleep_until_stopped(pause: Duration, stop: &CancellationToken) {
    let until = Instant::now() + pause;
    while !stop.is_cancelled() && Instant::now() < until {
        std::thread::sleep(POLL_TIMEOUT.min(until.saturating_duration_since(Instant::now())));
    }
}
