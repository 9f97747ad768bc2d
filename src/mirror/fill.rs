//! Gaps: offsets that hold no record at the source, filled on the target so that the next record lands in its place.
//!
//! Owns: when a gap is filled, and what follows from a fill.
//! Promises: everything before a gap is acknowledged before it is filled; the fill stands in the stored plan before
//! it is begun; nothing is sent behind it before the log was seen to end there. No answer is trusted.
//! Does not know: which of the two ways to fill a broker allows (`transactions` has the other one).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Services;
use super::identity::FillLimits;
use super::partition::Ended;
use super::stream::Stream;
use super::transactions::by_transactions;
use crate::cluster::{ClusterError, Markers};
use crate::types::{SourceOffset, TargetOffset, TopicPartition};
use crate::wire::Leader;

/// A fill under way.
pub(super) type Filling = Pin<Box<dyn Future<Output = Filled> + Send>>;

/// Target offsets without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: TargetOffset,
    pub(super) to: TargetOffset,
}

impl Gap {
    pub(super) fn length(self) -> u64 {
        self.to.distance_from(self.from)
    }
}

/// What came of a fill.
#[derive(Debug)]
pub(super) enum Filled {
    /// The log ends where the gap ends.
    Done(Gap),
    /// It does not, or could not be seen: look at everything again.
    Unclear(Option<ClusterError>),
    /// We may not.
    Forbidden(ClusterError),
}

/// What stands between the log end and the next record.
enum Next {
    /// Nothing.
    Level,
    /// Nothing, and the map does not know it yet.
    LevelAt(SourceOffset),
    Gap(Gap),
    /// The target is ahead of what the source has shown so far.
    Ahead,
    /// A record is to come whose place is taken.
    Taken,
}

/// How long the in-sync replicas may take to have a marker.
const REPLICATION_LIMIT: Duration = Duration::from_secs(10);
const REPLICATION_PAUSE: Duration = Duration::from_millis(5);

impl Stream<'_> {
    /// Fills what lies before the next record, when nothing else is under way.
    pub(super) fn fill(&mut self) -> Option<Ended> {
        if !self.is_identical || self.is_stopping || self.filling.is_some() || !self.window.is_empty() {
            return None;
        }
        let gap = match self.next_gap()? {
            Next::Level | Next::Ahead => return None,
            Next::LevelAt(end) => return self.level(end.get()),
            Next::Taken => {
                let because = "a control record lies on the target where the source has a record".to_owned();
                return Some(Ended::Parted(because));
            }
            Next::Gap(gap) => gap,
        };
        let settings = &self.partition.services.settings;
        let limits = FillLimits { gap_max: settings.gap_fill_max, ratio_max: settings.gap_fill_ratio_max };
        let mut live = self.partition.live.lock();
        let account = live.position.as_ref()?.relation().account()?.clone();
        if let Some(because) = account.refuses(gap.length(), limits) {
            return Some(Ended::Parted(because));
        }
        if !self.plan.is_gap(gap.from, gap.to) {
            return None;
        }
        live.sent_to = Some(gap.to);
        drop(live);
        let services = Arc::clone(&self.partition.services);
        let partition = self.partition.assignment.target.clone();
        let by = self.partition.transactional.clone();
        self.filling = Some(Box::pin(async move {
            let filled = match &by {
                Some(by) => by_transactions(&services, &partition, gap, by).await,
                None => by_markers(&services, &partition, gap, account.counter).await,
            };
            match filled {
                Ok(true) => Filled::Done(gap),
                Ok(false) => Filled::Unclear(None),
                Err(error) if error.is_permission_missing() => Filled::Forbidden(error),
                Err(error) => Filled::Unclear(Some(error)),
            }
        }));
        None
    }

    fn next_gap(&self) -> Option<Next> {
        let live = self.partition.live.lock();
        let position = live.position.as_ref()?;
        let (source, target) = (position.source(), position.target());
        let first = self.ready.front().and_then(|prepared| prepared.runs.first());
        let next = match first {
            Some(run) => run.source,
            None if self.intake.queue.is_empty() => source.max(self.intake.scanned_to()),
            // What waits there can't be prepared: it is as if nothing were to come.
            None => return None,
        };
        let to = next.in_place();
        Some(match to.cmp(&target) {
            std::cmp::Ordering::Less if first.is_some() => Next::Taken,
            std::cmp::Ordering::Less => Next::Ahead,
            std::cmp::Ordering::Equal if source < next => Next::LevelAt(next),
            std::cmp::Ordering::Equal => Next::Level,
            std::cmp::Ordering::Greater => Next::Gap(Gap { from: target, to }),
        })
    }

    /// Both sides are alike up to here.
    fn level(&mut self, end: i64) -> Option<Ended> {
        let reached = SourceOffset::new(end).ok()?;
        let epoch = self.intake.release(reached);
        let mut live = self.partition.live.lock();
        let Some(position) = live.position.as_mut() else { return Some(Ended::Again) };
        if position.level(end).is_err() {
            return Some(Ended::Again);
        }
        position.last_epoch = epoch.or(position.last_epoch);
        live.advanced();
        self.is_dirty = true;
        None
    }

    pub(super) fn on_filled(&mut self, filled: Filled) -> Option<Ended> {
        self.filling = None;
        match filled {
            Filled::Done(gap) => {
                if let Some(account) = self.partition.live.lock().position.as_mut()?.relation_mut().account_mut() {
                    account.filled(gap.length());
                }
                self.partition.services.measures.filled.increment(gap.length());
                self.fill_backoff.reset();
                self.level(gap.to.get())
            }
            Filled::Unclear(error) => {
                let partition = &self.partition.assignment.target;
                tracing::debug!(%partition, ?error, "a fill is to be settled by the log");
                self.partition.services.target.client().forget_leader(partition);
                self.partition.live.lock().trouble = error.as_ref().map(Into::into);
                Some(Ended::Again)
            }
            Filled::Forbidden(error) if self.partition.transactional.is_some() => {
                Some(Ended::Parted(format!("offsets without a record can't be filled: {error}")))
            }
            Filled::Forbidden(error) => {
                // Refused as a whole, so nothing was written. The next take-over prepares the other way.
                let link = &self.partition.services.settings.link;
                tracing::info!(%link, %error, "no markers: offsets without a record are filled by empty transactions");
                self.partition.services.are_markers_forbidden.store(true, std::sync::atomic::Ordering::Relaxed);
                Some(Ended::Again)
            }
        }
    }
}

/// Fills a gap with markers. Answers whether the log was seen to end behind it.
async fn by_markers(
    services: &Services,
    partition: &TopicPartition,
    gap: Gap,
    counter: i32,
) -> Result<bool, ClusterError> {
    let leader = services.target.leader(partition).await?;
    let mut left = usize::try_from(gap.length()).unwrap_or(usize::MAX);
    while left > 0 {
        let producer_ids: Vec<_> = services.marker_ids.iter().copied().take(left).collect();
        if producer_ids.is_empty() {
            return Ok(false);
        }
        left -= producer_ids.len();
        let markers = Markers { partition: partition.clone(), producer_ids, counter };
        services.fillers.write(leader.broker, markers).await?;
    }
    does_end_at(services, partition, leader, gap.to).await
}

/// Whether the log ends here, on all in-sync replicas.
pub(super) async fn does_end_at(
    services: &Services,
    partition: &TopicPartition,
    leader: Leader,
    end: TargetOffset,
) -> Result<bool, ClusterError> {
    let since = tokio::time::Instant::now();
    loop {
        let (log_end, replicated) = tokio::join!(
            services.target.epoch_end(partition, leader, leader.epoch),
            services.target.high_watermark(partition, leader)
        );
        let (log_end, replicated) = (log_end?.end_offset, replicated?);
        if log_end != end.get() || replicated > log_end {
            return Ok(false);
        }
        if replicated == log_end {
            return Ok(true);
        }
        if since.elapsed() > REPLICATION_LIMIT {
            return Ok(false);
        }
        tokio::time::sleep(REPLICATION_PAUSE).await;
    }
}
