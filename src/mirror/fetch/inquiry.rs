//! Finding out what became of a partition that a fetcher could not read: where it is now, or that it is over.
//!
//! Owns: the decisions gap, diverged, recreated, deleted; the pauses between attempts; telling of outages.
//! Promises: reading ends only on what the leader or metadata said, twice where they can be behind; it never goes on
//! at an offset that was not asked for.
//! Does not know: sessions, fetchers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::FetchStop;
use super::codes::code_name;
use super::request::{LAST_EPOCH_FROM, TOPIC_IDS_FROM};
use super::slot::{Slot, Trouble};
use super::source::Source;
use crate::cluster::{ClusterError, EpochEnd, OffsetQuery};
use crate::types::{LeaderEpoch, SourceOffset};
use crate::wire::{Leader, TopicMetadata};

/// Between attempts when a person must do something first.
const SLOW_PAUSE: Duration = Duration::from_secs(5);

/// For how long a leader is waited for before the attempt counts as failed.
const LEADER_PATIENCE: Duration = Duration::from_secs(3);

/// Failures that are told only when they last: leaders move without anybody being the worse for it.
const FAILURES_UNTOLD: u32 = 4;

/// `UNKNOWN_TOPIC_OR_PARTITION` and `TOPIC_AUTHORIZATION_FAILED` in metadata.
const CODE_NO_TOPIC: i16 = 3;
const CODE_NOT_ALLOWED: i16 = 29;

/// How an inquiry ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// To be fetched from this leader.
    Place(Box<Slot>, Leader),
    /// Reading ended; the inbox was told, or nobody reads it any more.
    Over,
}

/// What one look found.
#[derive(Debug)]
enum Look {
    Place(Leader),
    Stop(FetchStop),
    /// Nothing certain. Look again, for this trouble; `reason` is shown when it lasts.
    Again {
        trouble: Trouble,
        reason: String,
    },
}

/// Looks until the partition has a place or is over.
pub(super) async fn inquire<S: Source>(
    source: S,
    at_once: Arc<Semaphore>,
    mut slot: Box<Slot>,
    trouble: Trouble,
) -> Outcome {
    let closing = slot.outlet.closing();
    tokio::select! {
        () = closing.closed() => Outcome::Over,
        found = look_until_found(&source, &at_once, &mut slot, trouble) => match found {
            Ok(leader) => Outcome::Place(slot, leader),
            Err(stop) => {
                slot.outlet.stop(stop);
                Outcome::Over
            }
        },
    }
}

async fn look_until_found<S: Source>(
    source: &S,
    at_once: &Semaphore,
    slot: &mut Slot,
    mut trouble: Trouble,
) -> Result<Leader, FetchStop> {
    loop {
        pause_before(source, slot, &trouble).await;
        match (Inquiry { source, at_once, slot }).look(trouble).await {
            Look::Place(leader) => return Ok(leader),
            Look::Stop(stop) => return Err(stop),
            Look::Again { trouble: again, reason } => {
                if slot.failures > FAILURES_UNTOLD {
                    slot.tell_unreachable(reason);
                }
                trouble = again;
            }
        }
    }
}

/// The first failure is looked into at once, later ones after a pause.
async fn pause_before<S: Source>(source: &S, slot: &mut Slot, trouble: &Trouble) {
    let place = format!("cluster {}, {}", source.name(), slot.partition);
    match trouble {
        Trouble::New if slot.failures == 0 => {
            slot.failures = 1;
            return;
        }
        Trouble::Refused { code: CODE_NOT_ALLOWED } => {
            slot.tell_denied(not_allowed(source, slot, "Read"));
            return tokio::time::sleep(SLOW_PAUSE).await;
        }
        Trouble::Refused { code } => {
            slot.tell_unreachable(format!("{place}: Fetch was refused with {}", code_name(*code)));
            return tokio::time::sleep(SLOW_PAUSE).await;
        }
        Trouble::Lost { reason } => slot.tell_unreachable(reason.clone()),
        Trouble::Busy { code } | Trouble::Moved { code, .. } | Trouble::Missing { code }
            if slot.failures > FAILURES_UNTOLD =>
        {
            slot.tell_unreachable(format!("{place}: Fetch goes on failing with {}", code_name(*code)));
        }
        Trouble::New
        | Trouble::Busy { .. }
        | Trouble::Moved { .. }
        | Trouble::Missing { .. }
        | Trouble::OutOfRange
        | Trouble::Diverging { .. } => {}
    }
    slot.failures = slot.failures.saturating_add(1);
    let can_be_at_once = !matches!(trouble, Trouble::Busy { .. } | Trouble::Lost { .. });
    if slot.failures > 1 || !can_be_at_once {
        slot.backoff.pause().await;
    }
}

fn not_allowed<S: Source>(source: &S, slot: &Slot, operation: &str) -> String {
    format!("cluster {}: no permission to {operation} topic {}", source.name(), slot.partition.topic)
}

/// One look at one partition.
struct Inquiry<'a, S> {
    source: &'a S,
    at_once: &'a Semaphore,
    slot: &'a mut Slot,
}

impl<S: Source> Inquiry<'_, S> {
    async fn look(&mut self, trouble: Trouble) -> Look {
        match trouble {
            Trouble::New => self.locate(Trouble::New).await,
            Trouble::Moved { code, hint } => {
                self.source.forget_leader(&self.slot.partition);
                match hint.filter(|hint| hint.epoch > self.slot.leader_epoch) {
                    Some(hint) => self.check_place(hint, Trouble::Moved { code, hint: None }).await,
                    None => self.locate(Trouble::Moved { code, hint: None }).await,
                }
            }
            Trouble::Lost { .. } | Trouble::Refused { .. } | Trouble::Busy { .. } => {
                self.source.forget_leader(&self.slot.partition);
                self.locate(Trouble::New).await
            }
            Trouble::Missing { .. } => {
                self.source.forget_leader(&self.slot.partition);
                match self.check_topic(trouble.clone()).await {
                    Ok(_) => self.locate(trouble).await,
                    Err(look) => look,
                }
            }
            Trouble::OutOfRange => self.check_range().await,
            Trouble::Diverging { epoch, end_offset } => self.check_divergence(epoch, end_offset).await,
        }
    }

    /// Asks with others, but not with all others: a deleted topic can have a thousand partitions. Leaders are not
    /// asked for through here; the client puts those questions into one request, and some are long in coming.
    async fn asked<T>(&self, question: impl Future<Output = T>) -> T {
        // Never closed; without a permit there would be one question more at once, nothing worse.
        let _permit = self.at_once.acquire().await.ok();
        question.await
    }

    async fn leader(&self) -> Result<Leader, String> {
        match tokio::time::timeout(LEADER_PATIENCE, self.source.leader(&self.slot.partition)).await {
            Ok(Ok(leader)) => Ok(leader),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no leader was found within {LEADER_PATIENCE:?}")),
        }
    }

    fn again(&self, trouble: Trouble, error: &dyn std::fmt::Display) -> Look {
        let reason = format!("cluster {}, {}: {error}", self.source.name(), self.slot.partition);
        Look::Again { trouble, reason }
    }

    /// Bad news that may need another look.
    fn suspect(&mut self, stop: FetchStop, trouble: Trouble) -> Look {
        let reason = stop.to_string();
        match self.slot.confirm(stop) {
            Some(stop) => Look::Stop(stop),
            None => self.again(trouble, &reason),
        }
    }

    /// Looks the leader up.
    async fn locate(&mut self, trouble: Trouble) -> Look {
        match self.leader().await {
            Ok(leader) => self.check_place(leader, trouble).await,
            // The leader can be unknown because the topic is gone, or because we may not see it.
            Err(error) => match self.check_topic(trouble.clone()).await {
                Ok(_) => self.again(trouble, &error),
                Err(look) => look,
            },
        }
    }

    /// Whether the partition can be read at this leader.
    async fn check_place(&mut self, leader: Leader, trouble: Trouble) -> Look {
        if leader.epoch < self.slot.leader_epoch {
            self.source.forget_leader(&self.slot.partition);
            return match self.check_topic(trouble.clone()).await {
                Ok(TopicMetadata { id: None, .. }) => self.suspect(FetchStop::Recreated { now: None }, trouble),
                Ok(_) => self.again(trouble, &"metadata still shows an earlier leader"),
                Err(look) => look,
            };
        }
        let version = match self.source.fetch_version(leader.broker).await {
            Ok(version) => version,
            Err(error) => return self.lost(leader, &error),
        };
        // A fetch by name does not notice a recreated topic, and one by id needs the id.
        if (version < TOPIC_IDS_FROM || self.slot.topic_id.is_none())
            && let Err(look) = self.check_topic(trouble.clone()).await
        {
            return look;
        }
        if version < LAST_EPOCH_FROM
            && let Some(epoch) = self.slot.last_epoch
            && let Err(look) = self.check_epoch(leader, epoch, trouble).await
        {
            return look;
        }
        self.slot.leader_epoch = leader.epoch;
        Look::Place(leader)
    }

    fn lost(&self, leader: Leader, error: &dyn std::fmt::Display) -> Look {
        let reason = format!("cluster {}, broker {}: {error}", self.source.name(), leader.broker);
        Look::Again { trouble: Trouble::Lost { reason: reason.clone() }, reason }
    }

    /// Whether the topic is there, and is the one we began with. Learns its id where that was not known.
    async fn check_topic(&mut self, trouble: Trouble) -> Result<TopicMetadata, Look> {
        let metadata = match self.asked(self.source.topic(&self.slot.partition.topic)).await {
            Ok(metadata) => metadata,
            Err(error) => return Err(self.again(trouble, &error)),
        };
        let Some(metadata) = metadata.filter(|metadata| metadata.error_code != CODE_NO_TOPIC) else {
            return Err(self.suspect(FetchStop::Deleted, trouble));
        };
        match metadata.error_code {
            0 => {}
            CODE_NOT_ALLOWED => {
                let reason = not_allowed(self.source, self.slot, "Describe");
                self.slot.tell_denied(reason.clone());
                return Err(Look::Again { trouble, reason });
            }
            code => return Err(self.again(trouble, &code_name(code))),
        }
        match (self.slot.topic_id, metadata.id) {
            (Some(known), Some(now)) if known != now => {
                return Err(self.suspect(FetchStop::Recreated { now: Some(now) }, trouble));
            }
            (None, Some(now)) => self.slot.topic_id = Some(now),
            (Some(_) | None, _) => {}
        }
        if !metadata.partitions.contains_key(&self.slot.partition.partition) {
            return Err(self.suspect(FetchStop::Deleted, trouble));
        }
        Ok(metadata)
    }

    /// What became of an offset that the broker does not have.
    async fn check_range(&mut self) -> Look {
        let trouble = Trouble::OutOfRange;
        self.source.forget_leader(&self.slot.partition);
        if let Err(look) = self.check_topic(trouble.clone()).await {
            return look;
        }
        let leader = match self.leader().await {
            Ok(leader) if leader.epoch >= self.slot.leader_epoch => leader,
            Ok(_) => return self.again(trouble, &"metadata still shows an earlier leader"),
            Err(error) => return self.again(trouble, &error),
        };
        let (log_start, log_end) = match self.log_bounds(leader).await {
            Ok(bounds) => bounds,
            Err(error) => return self.again(trouble, &error),
        };
        let position = self.slot.position;
        if position < log_start {
            return self.suspect(FetchStop::Gap { position, log_start }, trouble);
        }
        let epoch_end = match self.epoch_end_of_last(leader).await {
            Ok(epoch_end) => epoch_end,
            Err(error) => return self.again(trouble, &error),
        };
        if position > log_end {
            let diverged_at = epoch_end.map_or(log_end, |end| before(end.end_offset, log_end));
            return self.suspect(FetchStop::Diverged { position, diverged_at }, trouble);
        }
        match epoch_end {
            // The leader has no epoch as old as ours though it has our offsets: nothing says where they part.
            Some(EpochEnd { epoch: None, .. }) => {
                self.suspect(FetchStop::Diverged { position, diverged_at: log_start }, trouble)
            }
            Some(EpochEnd { epoch: Some(epoch), end_offset }) if self.is_diverging(epoch, end_offset) => {
                self.check_divergence(epoch.0, end_offset).await
            }
            // In range by now: leader and follower had not caught up with each other.
            Some(_) | None => self.check_place(leader, trouble).await,
        }
    }

    /// Log start and log end at this leader.
    async fn log_bounds(&self, leader: Leader) -> Result<(SourceOffset, SourceOffset), ClusterError> {
        let partition = &self.slot.partition;
        let log_start =
            self.asked(self.source.offset(partition, OffsetQuery::LogStart)).await?.unwrap_or(SourceOffset::ZERO);
        // The end of the current leader epoch is the log end, which can be beyond the high watermark.
        let log_end = if leader.epoch.0 >= 0 {
            let end = self.asked(self.source.epoch_end(partition, leader, leader.epoch)).await?;
            SourceOffset::new(end.end_offset).unwrap_or(log_start)
        } else {
            self.asked(self.source.offset(partition, OffsetQuery::HighWatermark)).await?.unwrap_or(log_start)
        };
        Ok((log_start, log_end))
    }

    async fn epoch_end_of_last(&self, leader: Leader) -> Result<Option<EpochEnd>, ClusterError> {
        match self.slot.last_epoch {
            Some(epoch) => self.asked(self.source.epoch_end(&self.slot.partition, leader, epoch)).await.map(Some),
            None => Ok(None),
        }
    }

    fn is_diverging(&self, epoch: LeaderEpoch, end_offset: i64) -> bool {
        end_offset < self.slot.position.get() || self.slot.last_epoch.is_some_and(|last| epoch < last)
    }

    /// The same comparison that newer brokers make themselves at each fetch.
    async fn check_epoch(&mut self, leader: Leader, last: LeaderEpoch, trouble: Trouble) -> Result<(), Look> {
        match self.asked(self.source.epoch_end(&self.slot.partition, leader, last)).await {
            Err(error) => Err(self.again(trouble, &error)),
            // The range is looked at before anything is concluded from an epoch that the leader doesn't know.
            Ok(EpochEnd { epoch: None, .. }) => Err(self.again(Trouble::OutOfRange, &"the leader epoch is unknown")),
            Ok(EpochEnd { epoch: Some(epoch), end_offset }) if self.is_diverging(epoch, end_offset) => {
                match self.check_divergence(epoch.0, end_offset).await {
                    Look::Place(_) => Ok(()),
                    look => Err(look),
                }
            }
            Ok(_) => Ok(()),
        }
    }

    /// The leader's last epoch not after ours is `epoch`, and ends at `end_offset`.
    ///
    /// Before our position: what we read from there on is gone. Not before it: the leader has our offsets under an
    /// older epoch than we read them with. That is another history (an unclean election), or it is ours with the
    /// batches of our last epoch compacted away before this replica copied the log, and then nothing is lost. The
    /// batch before our position tells which.
    async fn check_divergence(&mut self, epoch: i32, end_offset: i64) -> Look {
        let position = self.slot.position;
        let trouble = Trouble::Diverging { epoch, end_offset };
        if end_offset < position.get() {
            let diverged_at = before(end_offset, position);
            // The broker compared the two logs itself: there is nothing to confirm.
            return Look::Stop(FetchStop::Diverged { position, diverged_at });
        }
        let last = position.minus(1);
        let found = match self.asked(self.source.batch_at(&self.slot.partition, last)).await {
            Ok(found) => found,
            Err(error) if error.code() == Some(1) => None,
            Err(error) => return self.again(trouble, &error),
        };
        let ours = self.slot.last_epoch;
        if let Some(header) = found
            && header.base_offset <= last.get()
            && ours.is_some_and(|ours| ours.0 != header.leader_epoch)
        {
            let diverged_at = before(header.base_offset, last);
            return Look::Stop(FetchStop::Diverged { position, diverged_at });
        }
        self.slot.last_epoch = Some(LeaderEpoch(epoch)).filter(|epoch| epoch.0 >= 0);
        self.locate_again().await
    }

    /// The leader, without the checks that led here.
    async fn locate_again(&mut self) -> Look {
        match self.leader().await {
            Ok(leader) if leader.epoch >= self.slot.leader_epoch => {
                self.slot.leader_epoch = leader.epoch;
                Look::Place(leader)
            }
            Ok(_) => self.again(Trouble::New, &"metadata still shows an earlier leader"),
            Err(error) => self.again(Trouble::New, &error),
        }
    }
}

/// The smaller of an offset from outside and one of ours.
fn before(offset: i64, ours: SourceOffset) -> SourceOffset {
    SourceOffset::new(offset).map_or(ours, |offset| offset.min(ours))
}
