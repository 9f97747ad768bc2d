//! One subscribed partition, as it travels between the supervisor and the fetchers.
//!
//! Owns: position, epochs, what was told to the inbox, how sure we are of bad news.
//! Promises: a slot is in one place at a time, so nothing in it needs a lock; an outage is told once.
//! Does not know: sessions, connections.

use std::time::Duration;

use tokio::time::Instant;

use super::inbox::Outlet;
use super::session::Ask;
use super::{FetchEvent, FetchStop, Subscription, Watermarks};
use crate::tasks::Backoff;
use crate::types::{LeaderEpoch, SourceOffset, TopicId, TopicName, TopicPartition};
use crate::wire::Leader;

/// Tells one subscription from another, also of the same partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SlotId(pub(super) u64);

/// What is posted to a fetcher.
#[derive(Debug)]
pub(super) enum Mail {
    /// A partition to fetch from now on.
    Add(Box<Slot>),
    /// A partition that was left out has room again.
    Drained(SlotId),
    /// Nobody reads this partition any more.
    Closed(SlotId),
}

/// Why a fetcher gives a partition back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was never placed.
    New,
    /// Another broker leads, or this one doesn't know yet that it leads.
    Moved {
        /// Kafka's error code.
        code: i16,
        /// The leader, where the answer named it.
        hint: Option<Leader>,
    },
    /// The broker has no such offset.
    OutOfRange,
    /// The log at the broker has another history than ours: its epoch `epoch` is the last one not after ours, and
    /// ends at `end_offset`.
    Diverging {
        /// Leader epoch.
        epoch: i32,
        /// The offset after its last.
        end_offset: i64,
    },
    /// The broker doesn't know the topic or partition, or knows it by another id.
    Missing {
        /// Kafka's error code.
        code: i16,
    },
    /// The broker refuses; a person must look.
    Refused {
        /// Kafka's error code.
        code: i16,
    },
    /// The broker has a passing difficulty.
    Busy {
        /// Kafka's error code.
        code: i16,
    },
    /// No connection.
    Lost {
        /// Cluster, broker, cause.
        reason: String,
    },
}

/// How a session and a request name a partition. Where topics go by id a recreated one is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PartitionKey {
    pub(super) topic: TopicName,
    pub(super) id: Option<TopicId>,
    pub(super) partition: i32,
}

/// A subscribed partition.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) partition: TopicPartition,
    /// The life of the topic; taken from metadata where the subscription didn't know it.
    pub(super) topic_id: Option<TopicId>,
    pub(super) position: SourceOffset,
    /// Leader epoch of the last batch before the position.
    pub(super) last_epoch: Option<LeaderEpoch>,
    /// The newest leader epoch seen. A leader with an older one is a deposed one that doesn't know it yet.
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) priority: i32,
    /// Largest share in a response; raised when one batch is larger.
    pub(super) bytes_max: i32,
    pub(super) watermarks: Option<Watermarks>,
    pub(super) outlet: Outlet,
    /// Pauses between attempts to place it.
    pub(super) backoff: Backoff,
    /// Failures since the last good answer.
    pub(super) failures: u32,
    /// The outage that was told.
    outage: Option<String>,
    doubt: Option<Doubt>,
    /// Left out because others go first under the rate limit.
    pub(super) is_held_back: bool,
    /// Whether the broker that it is asked of has answered about it.
    pub(super) is_proven: bool,
    /// Whether the source has more than we took, as far as known.
    pub(super) has_backlog: bool,
}

/// Bad news that a second look must confirm, because metadata can be behind.
#[derive(Debug)]
struct Doubt {
    stop: FetchStop,
    looks: u32,
    since: Instant,
}

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

impl Slot {
    pub(super) fn new(id: SlotId, subscription: Subscription, bytes_max: i32, outlet: Outlet) -> Self {
        Self {
            id,
            partition: subscription.partition,
            topic_id: subscription.topic_id,
            position: subscription.from.offset,
            last_epoch: subscription.from.last_epoch,
            leader_epoch: LeaderEpoch(-1),
            priority: subscription.priority,
            bytes_max,
            watermarks: None,
            outlet,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            failures: 0,
            outage: None,
            doubt: None,
            is_held_back: false,
            is_proven: false,
            has_backlog: false,
        }
    }

    /// Where topics go by name the id must not tell two lives of a topic apart, because it doesn't for the broker.
    pub(super) fn key(&self, goes_by_ids: bool) -> PartitionKey {
        PartitionKey {
            topic: self.partition.topic.clone(),
            id: self.topic_id.filter(|_| goes_by_ids),
            partition: self.partition.partition.0,
        }
    }

    pub(super) fn ask(&self) -> Ask {
        Ask {
            offset: self.position.get(),
            last_epoch: self.last_epoch.map_or(-1, |epoch| epoch.0),
            leader_epoch: self.leader_epoch.0,
            bytes_max: self.bytes_max,
        }
    }

    /// The source answered about this partition. The first answer after an outage is told even if nothing changed,
    /// so that the reader sees its end.
    pub(super) fn heard(&mut self, watermarks: Watermarks, has_batches: bool) {
        let is_back = self.outage.take().is_some();
        self.failures = 0;
        self.doubt = None;
        self.backoff.reset();
        let is_changed = self.watermarks.replace(watermarks) != Some(watermarks);
        if (is_changed || is_back) && !has_batches {
            self.outlet.tell(watermarks);
        }
    }

    /// Tells the inbox that the source can't be read, unless it knows this very cause.
    pub(super) fn tell_unreachable(&mut self, reason: String) {
        self.tell(reason, false);
    }

    /// The same, where the source does not permit it.
    pub(super) fn tell_denied(&mut self, reason: String) {
        self.tell(reason, true);
    }

    fn tell(&mut self, reason: String, is_denied: bool) {
        if self.outage.as_ref() != Some(&reason) {
            self.outage = Some(reason.clone());
            self.outlet.send(FetchEvent::Unreachable { reason, is_denied });
        }
    }

    /// Counts one more look that found the same bad news. `Some` when it is certain.
    pub(super) fn confirm(&mut self, stop: FetchStop) -> Option<FetchStop> {
        let (looks_needed, time_needed) = match &stop {
            // A log start doesn't go back, and bytes don't change.
            FetchStop::Gap { .. } | FetchStop::Batch(_) => (1, Duration::ZERO),
            FetchStop::Diverged { .. } => (2, Duration::ZERO),
            // A broker can show metadata from before the change for a while.
            FetchStop::Recreated { now: Some(_) } => (3, Duration::from_secs(2)),
            // Without topic ids the only sign is a leader epoch that went back, which a lost broker shows too.
            FetchStop::Recreated { now: None } => (6, Duration::from_secs(30)),
            FetchStop::Deleted => (4, Duration::from_secs(5)),
        };
        let is_same = self.doubt.as_ref().is_some_and(|doubt| is_same_kind(&doubt.stop, &stop));
        let (looks, since) = match self.doubt.take() {
            Some(doubt) if is_same => (doubt.looks + 1, doubt.since),
            _ => (1, Instant::now()),
        };
        if looks >= looks_needed && since.elapsed() >= time_needed {
            return Some(stop);
        }
        self.doubt = Some(Doubt { stop, looks, since });
        None
    }
}

fn is_same_kind(a: &FetchStop, b: &FetchStop) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
