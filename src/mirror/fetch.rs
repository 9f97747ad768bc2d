//! Reading the source: one fetcher per source broker, many partitions a request, an inbox per partition.
//!
//! Owns: connections for fetching, incremental fetch sessions (KIP-227), the link's byte budget, rate and priority.
//! Promises: batches of a partition come in offset order, without a hole that is not reported; a full inbox holds
//! up its own partition only; memory is reserved before it is asked for.
//! Does not know: what happens to the batches.

mod codes;
mod fetcher;
mod holdings;
mod inbox;
mod inquiry;
mod mailbox;
mod memory;
mod pace;
mod parked;
mod reading;
mod request;
mod session;
mod slot;
mod source;
mod supervisor;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::inbox::{ContactWatch, Held, Inbox};
use self::inbox::{InboxLimits, inbox};
use self::source::Source;
use self::supervisor::{Common, Subscribe, Supervisor};
use crate::batch::{Admission, BatchError, RawBatch};
use crate::cluster::Cluster;
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::{LeaderEpoch, SourceOffset, TopicId, TopicPartition};

/// Subscriptions that may wait for the supervisor; the next one waits in [`Fetchers::subscribe`].
const SUBSCRIBES_WAITING_MAX: usize = 256;

/// Limits of fetching for one link on this daemon.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes that may be fetched and not yet acknowledged, all partitions of the link together.
    pub link_bytes_max: u32,
    /// The same for one partition; it is not fetched while it holds more.
    pub inbox_bytes_max: u32,
    /// Largest response, in bytes.
    pub response_bytes_max: u32,
    /// Largest share of one partition in a response, in bytes.
    pub partition_bytes_max: u32,
    /// How long a broker may hold a request when it has nothing new.
    pub wait_max: Duration,
    /// Connections (with a session each) per source broker: 1 nearby, more over a long line.
    pub connections_per_broker: usize,
    /// Bytes per second, all partitions of the link together; `None`: no limit.
    pub rate: Option<u64>,
}

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPosition {
    /// The next source offset.
    pub offset: SourceOffset,
    /// Leader epoch of the last batch before it, where known: lets the broker find a diverged log (KIP-595).
    pub last_epoch: Option<LeaderEpoch>,
}

/// A partition to read.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The source partition.
    pub partition: TopicPartition,
    /// The life of the source topic; another one at the broker is `Recreated`.
    pub topic_id: Option<TopicId>,
    /// Where to begin.
    pub from: FetchPosition,
    /// Higher first, where a rate limits.
    pub priority: i32,
}

/// The offsets that a response told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Log start offset.
    pub log_start: SourceOffset,
    /// High watermark.
    pub high_watermark: SourceOffset,
    /// Last stable offset.
    pub last_stable: SourceOffset,
}

/// What a partition's inbox gets.
#[derive(Debug)]
pub enum FetchEvent {
    /// Whole batches in offset order, each judged, and the memory that they hold.
    Batches {
        /// The batches (control and aborted ones too, so that the reader sees every offset).
        batches: Vec<(RawBatch, Admission)>,
        /// Dropped when the last of these batches is acknowledged.
        permit: Held,
        /// As of this response.
        watermarks: Watermarks,
    },
    /// Nothing new but the offsets. Sent when they changed, and at the first contact after `Unreachable`; only the
    /// newest waits in the inbox. That the source was heard of at all is told by [`Inbox::last_contact`].
    Watermarks(Watermarks),
    /// The source can't be read at the moment; the fetcher goes on trying. Sent at the change, for the status.
    Unreachable {
        /// Cluster, broker, cause.
        reason: String,
        /// Whether the cause is a permission that we lack.
        is_denied: bool,
    },
    /// Reading this partition ended; nothing follows.
    Stopped(FetchStop),
}

/// Why reading a partition ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchStop {
    /// The source's log start is beyond the position: records were deleted before they were read.
    #[error("source offsets {position} to {log_start} were deleted before they were mirrored")]
    Gap {
        /// Where we were.
        position: SourceOffset,
        /// Where the log starts.
        log_start: SourceOffset,
    },
    /// The log ends before the position, or another log has taken its place from some offset on.
    #[error("the source's log no longer has what was mirrored from {diverged_at} on (position {position})")]
    Diverged {
        /// Where we were.
        position: SourceOffset,
        /// The first offset that differs or is gone.
        diverged_at: SourceOffset,
    },
    /// The topic was deleted and created again.
    #[error("the source topic was recreated")]
    Recreated {
        /// The id now.
        now: Option<TopicId>,
    },
    /// The topic, or the partition, is gone.
    #[error("the source topic was deleted")]
    Deleted,
    /// A batch that can't be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The fetchers of one link on this daemon. Clones share them.
#[derive(Debug, Clone)]
pub struct Fetchers {
    common: Arc<Common>,
    subscribes: mpsc::Sender<Subscribe>,
}

impl Fetchers {
    /// Starts with no partition. The tasks end when `tasks` stops; all inboxes end with them.
    #[must_use]
    pub fn new(settings: Settings, source: Cluster, metrics: &Metrics, tasks: &TaskGroup) -> Self {
        Self::start(settings, source, metrics, tasks)
    }

    fn start<S: Source>(settings: Settings, source: S, metrics: &Metrics, tasks: &TaskGroup) -> Self {
        let common = Arc::new(Common::new(settings, metrics));
        let (subscribes, receiver) = mpsc::channel(SUBSCRIBES_WAITING_MAX);
        let supervisor = Supervisor::new(source, Arc::clone(&common), tasks.clone());
        tasks.spawn_until_stopped("fetch supervisor", supervisor.run(receiver));
        Self { common, subscribes }
    }

    /// Begins to read a partition. A former subscription of the same partition ends. After the tasks stopped, the
    /// inbox ends at once.
    pub async fn subscribe(&self, subscription: Subscription) -> Inbox {
        let limits = InboxLimits {
            bytes_max: usize::try_from(self.common.settings.inbox_bytes_max).unwrap_or(usize::MAX),
            budget: self.common.budget.clone(),
        };
        let (outlet, inbox) = inbox(limits);
        // When the supervisor is gone the outlet is dropped here, which ends the inbox.
        self.subscribes.send(Subscribe { subscription, outlet }).await.ok();
        inbox
    }

    /// Bytes of the link's budget that are free at the moment.
    #[must_use]
    pub fn bytes_free(&self) -> usize {
        self.common.budget.bytes_free()
    }

    /// The size of the link's budget in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.common.budget.bytes_max()
    }
}
