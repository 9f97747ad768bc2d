//! What a running partition shows to the rest of the daemon.
//!
//! Owns: [`Live`], [`Registry`], the clock behind `lag_ms`.
//! Promises: reading never waits for the data path longer than a copy of some numbers takes.
//! Does not know: who looks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fetch::{ContactWatch, Watermarks};
use super::marks::Marks;
use super::position::Position;
use super::stored_maps::StoredMaps;
use super::waiters::Waiters;
use crate::cluster::ClusterError;
use crate::store::{HolderRecord, Lease, OffsetsRecord, PartitionState, StatusRecord, StopRecord};
use crate::types::{ClusterName, LinkName, Run, SourceOffset, TargetOffset, TopicPartition, Translation};

/// A mirror partition that this daemon works on.
#[derive(Debug)]
pub struct Live {
    daemon: String,
    inner: Mutex<Inner>,
    alarm: Notify,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: PartitionState,
    pub(super) position: Option<Position>,
    /// The mirror partition.
    pub(super) target: Option<TopicPartition>,
    /// The lease under which a paused partition is still shown.
    pub(super) paused_under: Option<Lease>,
    /// The target offset after everything that was handed to a producer.
    pub(super) sent_to: Option<TargetOffset>,
    pub(super) watermarks: Option<Watermarks>,
    /// What holds readers back at the source; see `outlook`.
    pub(super) held: Option<Held>,
    /// How long until the source's retention would overtake us, milliseconds, and when that was looked up; see
    /// `outlook`. Time runs on while the source is away.
    pub(super) retention_left: Option<(u64, Instant)>,
    /// What is stored of the source by whoever had the partition before; told until the source has answered us.
    remembered: Option<StatusRecord>,
    /// When the source was last heard of: by the inbox while there is one, else as far as is remembered.
    pub(super) contact: Option<ContactWatch>,
    last_contact: Option<Instant>,
    pub(super) stop: Option<StopRecord>,
    /// What hinders the partition at the target, or at the state, without stopping it.
    pub(super) trouble: Option<Trouble>,
    /// The same at the source. What works at one side says nothing about the other.
    pub(super) source_trouble: Option<Trouble>,
    /// State that can't be written; data may still go on for a while, and an acknowledgement says nothing about it.
    pub(super) state_trouble: Option<Trouble>,
    /// A person's decision that was carried out last.
    pub(super) resolution: Option<uuid::Uuid>,
    /// What was stored last.
    pub(super) marks: Marks,
    pub(super) waiters: Waiters,
    lag: LagClock,
}

/// Something that hinders a partition without stopping it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    message: String,
    /// The cluster that does not permit us something, where it is that.
    denied_by: Option<ClusterName>,
}

impl Trouble {
    pub(super) fn denied(message: String, by: &ClusterName) -> Self {
        Self { message, denied_by: Some(by.clone()) }
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self { message, denied_by: None }
    }
}

impl From<&ClusterError> for Trouble {
    fn from(error: &ClusterError) -> Self {
        let (ClusterError::Wire { cluster, .. } | ClusterError::Refused { cluster, .. }) = error;
        let denied_by = error.is_permission_missing().then(|| cluster.clone());
        Self { message: error.to_string(), denied_by }
    }
}

/// Progress and status of a partition at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The next source offset to copy, once known.
    pub source_position: Option<SourceOffset>,
    /// The target offset of the next record, once known.
    pub target_position: Option<TargetOffset>,
    /// Where the offset map begins at the source, once known: offsets before it can't be translated.
    pub map_start: Option<SourceOffset>,
    /// How target offsets relate to source offsets, once known.
    pub offsets: Option<OffsetsRecord>,
    /// The rest.
    pub status: StatusRecord,
    /// What hinders it at the moment without stopping it.
    pub trouble: Option<String>,
    /// The cluster that withholds a permission, where the trouble is that.
    pub denied_by: Option<ClusterName>,
}

impl Live {
    pub(super) fn new(daemon: &str) -> Self {
        let inner = Inner {
            state: PartitionState::Starting,
            position: None,
            target: None,
            paused_under: None,
            sent_to: None,
            watermarks: None,
            held: None,
            retention_left: None,
            remembered: None,
            contact: None,
            last_contact: None,
            stop: None,
            trouble: None,
            source_trouble: None,
            state_trouble: None,
            resolution: None,
            marks: Marks::default(),
            waiters: Waiters::default(),
            lag: LagClock::default(),
        };
        Self { daemon: daemon.to_owned(), inner: Mutex::new(inner), alarm: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the partition that its target holds more than it sent.
    pub(super) fn alarm(&self) {
        self.alarm.notify_one();
    }

    /// Waits for [`Live::alarm`].
    pub(super) async fn alarmed(&self) {
        self.alarm.notified().await;
    }

    /// The partition is told to stop: the last checkpoint shows why.
    pub(super) fn say_farewell(&self, why: super::Farewell) {
        let mut inner = self.lock();
        match why {
            super::Farewell::Paused if inner.state != PartitionState::Stopped => inner.state = PartitionState::Paused,
            super::Farewell::Paused | super::Farewell::HandedOver => {}
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        Snapshot {
            source_position: inner.position.as_ref().map(Position::source),
            target_position: inner.position.as_ref().map(Position::target),
            map_start: inner.position.as_ref().map(|position| position.map().source_start()),
            offsets: inner.position.as_ref().map(|position| position.relation().to_record()),
            status: inner.status(&self.daemon),
            trouble: inner.troubles().map(|trouble| trouble.message.clone()).next(),
            denied_by: inner.troubles().find_map(|trouble| trouble.denied_by.clone()),
        }
    }

    /// Source to target by the live map, with the end of what the target has acknowledged; `None` before the position
    /// is known.
    #[must_use]
    pub fn locate(&self, source: SourceOffset) -> Option<(Translation<TargetOffset>, TargetOffset)> {
        let inner = self.lock();
        let position = inner.position.as_ref()?;
        Some((position.map().translate(source), position.target()))
    }

    /// Target to source by the live map; `None` before the position is known.
    #[must_use]
    pub fn translate_reverse(&self, target: TargetOffset) -> Option<Translation<SourceOffset>> {
        self.lock().position.as_ref().map(|position| position.map().translate_reverse(target))
    }
}

impl Inner {
    /// What hinders it, the target first: everything has to pass there.
    fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.trouble.iter().chain(&self.source_trouble).chain(&self.state_trouble)
    }

    /// Age of the oldest high watermark that is not reached.
    pub(super) fn lag_ms(&self) -> u64 {
        self.lag.oldest().map_or(0, millis_since)
    }

    /// Time since the source last answered us; `None`: it never did.
    pub(super) fn contact_age_ms(&self) -> Option<u64> {
        self.contact.as_ref().and_then(ContactWatch::last).max(self.last_contact).map(millis_since)
    }

    fn retention_left_ms(&self) -> Option<u64> {
        let own = self.retention_left.map(|(left, at)| left.saturating_sub(millis_since(at)));
        own.or_else(|| self.remembered()?.retention_left_ms)
    }

    /// Takes over what was stored of the source: it may be away for long yet, and that was known before.
    pub(super) fn remember(&mut self, status: &StatusRecord) {
        self.remembered = Some(status.clone());
    }

    /// What is remembered, as old as it is by now, until the source has answered us.
    fn remembered(&self) -> Option<StatusRecord> {
        let remembered = self.remembered.as_ref().filter(|_| self.contact_age_ms().is_none())?;
        Some(remembered.aged(crate::tasks::wall_clock_ms()))
    }

    /// Names the producer whose open transaction begins at `at`, if readers are still held back there.
    pub(super) fn name_holder(&mut self, at: SourceOffset, producer_id: Option<i64>) {
        if let Some(held) = self.held.as_mut().filter(|held| held.at == at) {
            held.producer_id = producer_id;
        }
    }

    /// Notes what a response told of the source.
    pub(super) fn observe(&mut self, watermarks: Watermarks) {
        let now = Instant::now();
        self.watermarks = Some(watermarks);
        self.last_contact = Some(now);
        self.held = Held::after(self.held.take(), watermarks, now);
        let position = self.position.as_ref().map_or(SourceOffset::ZERO, Position::source);
        self.lag.observe(watermarks.high_watermark, position, now);
    }

    /// The position moved.
    pub(super) fn advanced(&mut self) {
        if let Some(position) = &self.position {
            self.lag.reach(position.source());
            self.waiters.reach(position.source());
        }
    }

    pub(super) fn status(&self, daemon: &str) -> StatusRecord {
        StatusRecord {
            state: self.state,
            daemon: daemon.to_owned(),
            at_ms: crate::tasks::wall_clock_ms(),
            source_log_start: self.watermarks.map(|marks| marks.log_start),
            source_high_watermark: self.watermarks.map(|marks| marks.high_watermark),
            source_last_stable: self.watermarks.map(|marks| marks.last_stable),
            lag_ms: self.watermarks.map(|_| self.lag_ms()),
            source_contact_age_ms: self.contact_age_ms().or_else(|| self.remembered()?.source_contact_age_ms),
            retention_left_ms: self.retention_left_ms(),
            held_by: self
                .held
                .as_ref()
                .map(|held| HolderRecord { producer_id: held.producer_id, age_ms: millis_since(held.since) }),
            stop: self.stop.clone(),
        }
    }
}

fn millis_since(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An open transaction that holds readers back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Where it begins: the last stable offset.
    pub(super) at: SourceOffset,
    /// Since when the last stable offset has stood there, as far as this daemon saw.
    since: Instant,
    /// Whose it is, once looked up.
    producer_id: Option<i64>,
}

impl Held {
    fn after(before: Option<Self>, watermarks: Watermarks, now: Instant) -> Option<Self> {
        let at = watermarks.last_stable;
        if at >= watermarks.high_watermark {
            return None;
        }
        let same = before.filter(|held| held.at == at);
        Some(same.unwrap_or(Self { at, since: now, producer_id: None }))
    }

    /// Whether it has lasted, and nobody has looked yet whose it is.
    pub(super) fn is_to_be_named(&self, still_min: Duration) -> bool {
        self.producer_id.is_none() && self.since.elapsed() >= still_min
    }
}

/// When each high watermark was first seen, as long as it is not reached.
#[derive(Debug, Default)]
struct LagClock {
    seen: VecDeque<(SourceOffset, Instant)>,
}

/// Marks kept per partition: enough for a smooth figure, little enough for many thousand partitions.
const MARKS_MAX: usize = 32;

impl LagClock {
    fn observe(&mut self, high_watermark: SourceOffset, position: SourceOffset, now: Instant) {
        let newest = self.seen.back().map_or(position, |(mark, _)| *mark);
        if high_watermark <= newest.max(position) {
            return;
        }
        if self.seen.len() >= MARKS_MAX {
            self.drop_closest();
        }
        self.seen.push_back((high_watermark, now));
    }

    /// Drops the mark whose neighbours are closest to each other. So marks stay spread over the whole time: were it
    /// the newest only, the figure would fall to almost nothing as soon as the oldest mark is reached.
    fn drop_closest(&mut self) {
        let neighbours = self.seen.iter().zip(self.seen.iter().skip(2)).enumerate();
        let closest = neighbours.min_by_key(|(_, ((_, before), (_, after)))| after.duration_since(*before));
        if let Some(before) = closest.map(|(before, _)| before) {
            self.seen.remove(before + 1);
        }
    }

    fn reach(&mut self, position: SourceOffset) {
        while self.seen.front().is_some_and(|(mark, _)| *mark <= position) {
            self.seen.pop_front();
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.seen.front().map(|(_, at)| *at)
    }
}

/// All mirror partitions that this daemon works on. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    partitions: Arc<DashMap<(LinkName, TopicPartition), Arc<Live>>>,
    /// The maps of partitions that others work on.
    pub(super) stored: Arc<StoredMaps>,
    /// The runs of all maps together.
    pub(super) runs_max: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self { partitions: Arc::default(), stored: Arc::default(), runs_max: usize::MAX }
    }
}

impl Registry {
    /// No partitions yet, whose maps together may take so many bytes.
    #[must_use]
    pub fn new(map_bytes_max: u64) -> Self {
        let bytes = usize::try_from(map_bytes_max).unwrap_or(usize::MAX);
        Self { runs_max: bytes / size_of::<Run>(), ..Self::default() }
    }

    /// A partition of ours.
    #[must_use]
    pub fn get(&self, link: &LinkName, partition: &TopicPartition) -> Option<Arc<Live>> {
        self.partitions.get(&(link.clone(), partition.clone())).map(|entry| Arc::clone(entry.value()))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<((LinkName, TopicPartition), Arc<Live>)> {
        self.partitions.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect()
    }

    /// The partitions of one link.
    pub(super) fn of_link(&self, link: &LinkName) -> Vec<(TopicPartition, Arc<Live>)> {
        let of_link = self.partitions.iter().filter(|entry| entry.key().0 == *link);
        of_link.map(|entry| (entry.key().1.clone(), Arc::clone(entry.value()))).collect()
    }

    pub(super) fn insert(&self, link: &LinkName, partition: &TopicPartition, live: &Arc<Live>) {
        self.partitions.insert((link.clone(), partition.clone()), Arc::clone(live));
        self.stored.forget(link, partition);
    }

    pub(super) fn remove(&self, link: &LinkName, partition: &TopicPartition, live: &Arc<Live>) {
        self.partitions.remove_if(&(link.clone(), partition.clone()), |_, entry| Arc::ptr_eq(entry, live));
    }
}

#[cfg(test)]
mod tests;
