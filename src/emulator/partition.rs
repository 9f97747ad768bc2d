//! One partition: a log, and how far each replica has it.
//!
//! Owns: leader, leader epoch, in-sync replicas, high watermark.
//! Promises: the high watermark is what all in-sync replicas have, and never falls but in an unclean election.
//! Does not know: which brokers there are.
//!
//! All replicas share one log, the leader's; of a follower only its end is known. A leader that has less than the
//! log cuts it off: those records existed on the old leader only.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;

use super::configs::TopicSettings;
use super::inspect::{Inspected, Refusal};
use super::log::Log;
use super::records::{Header, Marker};

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: Log,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    epoch_start: i64,
    high_watermark: i64,
    /// What followers know of it: their fetch before the last.
    high_watermark_told: i64,
    followers: BTreeMap<i32, Follower>,
    /// Where the log ended when a replica last had to reload its producers.
    reloaded: BTreeMap<i32, i64>,
}

/// How far a follower is, and since when (milliseconds since 1970) it has not been at the end.
#[derive(Debug, Clone, Copy, Default)]
struct Follower {
    end: i64,
    behind_since_ms: Option<i64>,
}

/// What an append did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) log_append_time: i64,
    pub(crate) is_duplicate: bool,
}

/// What time it is, and how long producers are remembered, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) ms: i64,
    pub(crate) producer_expiration_ms: i64,
    pub(crate) is_first_sequence_zero: bool,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, alive: &BTreeSet<i32>, now_ms: i64) -> Self {
        let in_sync: Vec<i32> = replicas.iter().copied().filter(|id| alive.contains(id)).collect();
        let mut log = Log::new(now_ms);
        log.begin_epoch(0);
        Self {
            log,
            leader: in_sync.first().copied(),
            in_sync,
            followers: replicas.iter().map(|id| (*id, Follower::default())).collect(),
            replicas,
            leader_epoch: 0,
            epoch_start: 0,
            high_watermark: 0,
            high_watermark_told: 0,
            reloaded: BTreeMap::new(),
        }
    }

    /// Whether this broker leads, at the epoch that the client believes in (-1: at whichever).
    pub(crate) fn check_leader(&self, broker: i32, client_epoch: i32) -> Result<(), ResponseError> {
        if client_epoch >= 0 && client_epoch < self.leader_epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if client_epoch > self.leader_epoch {
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        if self.leader == Some(broker) { Ok(()) } else { Err(ResponseError::NotLeaderOrFollower) }
    }

    /// Whether this broker has a replica, at the epoch that the client believes in.
    pub(crate) fn check_replica(&self, broker: i32, client_epoch: i32) -> Result<(), ResponseError> {
        match self.check_leader(broker, client_epoch) {
            Err(ResponseError::NotLeaderOrFollower) if self.replicas.contains(&broker) && self.leader.is_some() => {
                Ok(())
            }
            other => other,
        }
    }

    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The high watermark as this replica knows it.
    pub(crate) fn high_watermark_at(&self, broker: i32) -> i64 {
        self.high_watermark.min(self.end_at(broker))
    }

    /// Whether the leader does not know its high watermark yet.
    pub(crate) fn is_high_watermark_old(&self) -> bool {
        self.high_watermark < self.epoch_start
    }

    pub(crate) fn last_stable_offset(&mut self) -> i64 {
        self.log.producers.last_stable_offset(self.high_watermark)
    }

    fn end_at(&self, broker: i32) -> i64 {
        if self.leader == Some(broker) {
            return self.log.end();
        }
        self.followers.get(&broker).map_or(0, |follower| follower.end)
    }

    /// All checks of an append, in the order of a broker, and the append.
    pub(crate) fn append(
        &mut self,
        inspected: Inspected,
        settings: &TopicSettings,
        is_all_acks: bool,
        now: Now,
    ) -> Result<Appended, Refusal> {
        if is_all_acks && self.in_sync.len() < settings.in_sync_min {
            return Err(ResponseError::NotEnoughReplicas.into());
        }
        let (mut header, records) = inspected.admit(&settings.rules, now.ms)?;
        let length = u64::try_from(records.len()).unwrap_or(u64::MAX);
        if length > settings.segment_bytes {
            return Err(ResponseError::RecordListTooLarge.into());
        }
        header.leader_epoch = self.leader_epoch;
        if header.has_producer() {
            if let Some(known) = self.log.producers.duplicate_of(&header) {
                return Ok(Appended {
                    base_offset: known.base_offset,
                    last_offset: known.last_offset,
                    log_append_time: known.timestamp,
                    is_duplicate: true,
                });
            }
            let is_empty_for_ever = self.log.end() == 0;
            self.log.producers.check(&header, now.is_first_sequence_zero && is_empty_for_ever)?;
        }
        let header = self.log.append(header, &records, settings, now.ms);
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: if settings.rules.is_log_append_time { now.ms } else { -1 },
            is_duplicate: false,
        })
    }

    /// Appends the end of a transaction. Returns its offset.
    pub(crate) fn append_marker(
        &mut self,
        marker: Marker,
        settings: &TopicSettings,
        now_ms: i64,
    ) -> Result<i64, ResponseError> {
        self.log.producers.check_marker(&marker)?;
        Ok(self.log.append_marker(marker, self.leader_epoch, settings, now_ms))
    }

    /// Whether a transactional batch of this producer continues what it began here.
    pub(crate) fn is_in_transaction(&self, header: &Header) -> bool {
        self.log.producers.is_in_transaction(header.producer_id, header.producer_epoch)
    }

    /// These followers fetch up to here; the others stand still. Who stands still for too long is in sync no more.
    pub(crate) fn replicate(&mut self, following: &BTreeSet<i32>, to: i64, now_ms: i64, lag_max_ms: i64) {
        let Some(leader) = self.leader else { return };
        let end = self.log.end();
        for (id, follower) in self.followers.iter_mut().filter(|(id, _)| **id != leader) {
            if following.contains(id) {
                follower.end = follower.end.max(to.min(end));
            }
            follower.behind_since_ms = (follower.end < end).then(|| follower.behind_since_ms.unwrap_or(now_ms));
            let is_late = follower.behind_since_ms.is_some_and(|since| now_ms.saturating_sub(since) > lag_max_ms);
            if is_late {
                self.in_sync.retain(|one| one != id);
            } else if follower.end >= self.high_watermark && following.contains(id) && !self.in_sync.contains(id) {
                self.in_sync.push(*id);
            }
        }
        let least = self.in_sync.iter().map(|id| self.end_at(*id)).min().unwrap_or(end);
        self.high_watermark_told = self.high_watermark;
        self.high_watermark = self.high_watermark.max(least);
    }

    /// Makes this replica the leader, or nobody. A leader that has less than the log cuts the rest off, and one that
    /// was a follower does not show all that it has until the others in sync have fetched from it.
    pub(crate) fn elect(&mut self, leader: Option<i32>, now: Now) {
        let Some(id) = leader else {
            self.note_end_of_leader();
            self.leader = None;
            self.leader_epoch += 1;
            return;
        };
        let end = self.end_at(id);
        self.note_end_of_leader();
        self.log.truncate(end, now.ms, now.producer_expiration_ms);
        for follower in self.followers.values_mut() {
            *follower = Follower { end: follower.end.min(end), behind_since_ms: None };
        }
        if let Some(end) = self.reloaded.remove(&id) {
            self.log.producers.forget_batches_before(end);
        }
        if !self.in_sync.contains(&id) {
            self.in_sync = vec![id];
        }
        self.high_watermark =
            if self.in_sync == [id] { end } else { self.high_watermark.min(self.high_watermark_told).min(end) };
        self.leader = Some(id);
        self.leader_epoch += 1;
        self.epoch_start = end;
        self.log.begin_epoch(self.leader_epoch);
    }

    /// The old leader has all of the log, until another one cuts it.
    fn note_end_of_leader(&mut self) {
        let end = self.log.end();
        if let Some(follower) = self.leader.and_then(|old| self.followers.get_mut(&old)) {
            follower.end = end;
        }
    }

    /// A broker with a replica is gone. Another replica in sync takes over, or one that is up where that is allowed,
    /// or nobody does.
    pub(crate) fn broker_stopped(&mut self, broker: i32, is_unclean_allowed: bool, alive: &BTreeSet<i32>, now: Now) {
        if !self.replicas.contains(&broker) {
            return;
        }
        // The last one stays in the list: only it has everything.
        if self.in_sync.len() > 1 {
            self.in_sync.retain(|id| *id != broker);
        }
        if self.leader == Some(broker) {
            let mut others = self.replicas.iter().copied().filter(|id| *id != broker && alive.contains(id));
            let in_sync = others.clone().find(|id| self.in_sync.contains(id));
            let next = in_sync.or_else(|| others.next().filter(|_| is_unclean_allowed));
            self.elect(next, now);
        }
    }

    /// It is back, having lost what a broker loses: `was_killed` tells how much that is.
    pub(crate) fn broker_started(&mut self, broker: i32, was_killed: bool, now: Now) {
        if !self.replicas.contains(&broker) {
            return;
        }
        if self.leader.is_some() {
            self.reloaded.insert(broker, self.log.end());
        } else if self.in_sync.contains(&broker) {
            if was_killed {
                self.log.restart_after_kill(now.ms, now.producer_expiration_ms);
            } else {
                self.log.restart_cleanly(now.ms, now.producer_expiration_ms);
            }
            self.elect(Some(broker), now);
        }
    }

    /// `DeleteRecords`: -1 is the high watermark. Returns the log start.
    pub(crate) fn delete_records(&mut self, to: i64) -> Result<i64, ResponseError> {
        let to = if to == -1 { self.high_watermark } else { to };
        if to < 0 || to > self.high_watermark {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.log.raise_start(to);
        Ok(self.log.start())
    }
}
