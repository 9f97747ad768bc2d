//! Partitions that are not fetched because their inboxes are full: where the source's log is meanwhile.
//!
//! Owns: the look under way, and when the next one is due.
//! Promises: the status of a partition whose target is stuck keeps telling how far behind it falls, and how close
//! the source's retention has come. Looking never holds up fetching.
//! Does not know: sessions, inboxes.

use std::future::pending;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::slot::SlotId;
use super::source::Source;
use crate::cluster::OffsetQuery;
use crate::types::{SourceOffset, TopicPartition};

/// Between looks. A partition that is full for less is not looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Partitions asked about in one look; the others come later.
pub(super) const LOOK_AT_MAX: usize = 1_000;

/// Where a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: SlotId,
    pub(super) log_start: SourceOffset,
    pub(super) high_watermark: SourceOffset,
}

/// See the module.
pub(super) struct ParkedLook<S> {
    source: S,
    due: Instant,
    under_way: Option<BoxFuture<'static, Vec<Seen>>>,
}

impl<S: Source> ParkedLook<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, due: Instant::now(), under_way: None }
    }

    /// Waits for the end of the next look. `parked` tells what to look at when it begins. Cancel-safe: a look goes on
    /// with the next call.
    pub(super) async fn next(&mut self, parked: impl Fn() -> Vec<(SlotId, TopicPartition)>) -> Vec<Seen> {
        if self.under_way.is_none() {
            tokio::time::sleep_until(self.due).await;
            let parked = parked();
            if parked.is_empty() {
                // It will be asked again after the next request, or the next mail.
                return pending().await;
            }
            self.due = Instant::now() + LOOK_EVERY;
            self.under_way = Some(Box::pin(look(self.source.clone(), parked)));
        }
        let Some(under_way) = &mut self.under_way else { return Vec::new() };
        let seen = under_way.as_mut().await;
        self.under_way = None;
        seen
    }
}

async fn look<S: Source>(source: S, parked: Vec<(SlotId, TopicPartition)>) -> Vec<Seen> {
    let partitions: Vec<_> = parked.iter().map(|(_, partition)| partition.clone()).collect();
    // What fails is tried again with the next look.
    let Ok(starts) = source.offsets(&partitions, OffsetQuery::LogStart).await else { return Vec::new() };
    let Ok(ends) = source.offsets(&partitions, OffsetQuery::HighWatermark).await else { return Vec::new() };
    let seen = |(id, partition): (SlotId, TopicPartition)| {
        Some(Seen { id, log_start: *starts.get(&partition)?, high_watermark: *ends.get(&partition)? })
    };
    parked.into_iter().filter_map(seen).collect()
}
