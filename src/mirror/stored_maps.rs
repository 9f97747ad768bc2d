//! Offset maps of partitions that other daemons work on, as the state tells them.
//!
//! Owns: [`StoredMaps`], and the limit that all maps of a daemon together keep to.
//! Promises: an answer is the one that the last checkpoint gives; a checkpoint is read on from the one before it, so
//! that an answer costs no more than a look-up however large the map is.
//! Does not know: who writes checkpoints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::live::{Live, Registry};
use super::position::LoadedMap;
use crate::offset_map::{MapError, OffsetMap};
use crate::store::{Key, PositionRecord, Value, View};
use crate::types::{LinkName, Run, SourceOffset, TargetOffset, TopicPartition, Translation};

/// A map that nobody asked for in this time is forgotten.
const KEPT_UNUSED: Duration = Duration::from_mins(10);

type Place = (LinkName, TopicPartition);

/// Maps that were asked for.
#[derive(Debug, Default)]
pub(super) struct StoredMaps {
    by_partition: DashMap<Place, Arc<Mutex<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    kept: Option<Kept>,
    used_at: Instant,
}

/// A map, and the checkpoint that it was read from.
#[derive(Debug)]
struct Kept {
    record: Arc<Value>,
    reading: StoredMap,
}

/// A stored map that is read on as checkpoints follow each other.
#[derive(Debug, Clone)]
pub struct StoredMap {
    map: OffsetMap,
    /// The part of it that stands in closed chunks, and the number of the next one.
    closed_to: TargetOffset,
    next_chunk: u32,
    /// Where the map began at the checkpoint.
    start: SourceOffset,
    /// What lies before was given up for want of memory here.
    given_up_to: Option<SourceOffset>,
}

impl StoredMap {
    /// Reads a checkpoint whole. `chunks`: all that are stored, by rising number, each in its stored form.
    ///
    /// # Errors
    /// `MapError` when they don't fit together, as between two writes of one checkpoint.
    pub fn read<'a>(
        record: &PositionRecord,
        chunks: impl IntoIterator<Item = (u32, &'a str)>,
    ) -> Result<Self, MapError> {
        let LoadedMap { map, open_from, .. } = LoadedMap::read(record, chunks)?;
        let (start, next_chunk) = (map.source_start(), record.open_chunk);
        Ok(Self { start, map, closed_to: open_from, next_chunk, given_up_to: None })
    }

    /// Goes on to a later checkpoint of the same life of both topics. False: it does not follow, and has to be read
    /// whole; the map is of no use then. `chunk`: what is stored under a number.
    pub fn follow<C: AsRef<str>>(&mut self, record: &PositionRecord, chunk: impl Fn(u32) -> Option<C>) -> bool {
        self.try_follow(record, chunk).is_some()
    }

    fn try_follow<C: AsRef<str>>(&mut self, record: &PositionRecord, chunk: impl Fn(u32) -> Option<C>) -> Option<()> {
        let begins_at = record.map_start.filter(|(source, _)| *source >= self.start)?;
        let open = OffsetMap::decode(&record.open_runs).ok()?;
        if record.target_position < self.closed_to || record.open_chunk < self.next_chunk {
            return None;
        }
        self.map.cut_at(self.closed_to);
        for number in self.next_chunk..record.open_chunk {
            for run in OffsetMap::decode(chunk(number)?.as_ref()).ok()? {
                self.map.append(run).ok()?;
                self.closed_to = run.target_end();
            }
        }
        for run in open {
            self.map.append(run).ok()?;
        }
        self.map.advance_source(record.source_position);
        self.map.advance_target(record.target_position);
        let ends = (self.map.source_end(), self.map.target_end());
        if ends != (record.source_position, record.target_position) {
            return None;
        }
        self.map.prune_below(begins_at.0);
        if self.given_up_to.is_none() && (self.map.source_start(), self.map.target_start()) != begins_at {
            return None;
        }
        (self.start, self.next_chunk) = (begins_at.0, record.open_chunk);
        Some(())
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &OffsetMap {
        &self.map
    }

    /// Gives the oldest runs up, here and not in the state: offsets there are below the map from now on.
    fn keep_newest_runs(&mut self, count: usize) {
        let runs = self.map.runs();
        let first = runs.len().checked_sub(count).filter(|given_up| *given_up > 0).and_then(|index| runs.get(index));
        if let Some(first) = first.copied() {
            self.given_up_to = self.given_up_to.max(Some(first.source));
            self.map.prune_below(first.source);
        }
    }
}

impl StoredMaps {
    pub(super) fn forget(&self, link: &LinkName, partition: &TopicPartition) {
        self.by_partition.remove(&(link.clone(), partition.clone()));
    }

    /// What a partition's stored map answers; `None` where nothing is stored of the topics as they are now.
    fn ask<T>(
        &self,
        view: &View,
        (link, partition): (&LinkName, &TopicPartition),
        ask: impl FnOnce(&OffsetMap) -> T,
    ) -> Option<T> {
        let (topic, index) = (partition.topic.clone(), partition.partition);
        let value = view.get(&Key::Position { link: link.clone(), topic, partition: index })?;
        let Value::Position(record) = value.as_ref() else { return None };
        // Offsets of a topic that was deleted say nothing.
        let topic = view.topic(link, &partition.topic)?;
        if (record.source_topic_id, record.target_topic_id) != (topic.source_topic_id, topic.target_topic_id) {
            return None;
        }
        let place = (link.clone(), partition.clone());
        let slot = || Arc::new(Mutex::new(Slot { kept: None, used_at: Instant::now() }));
        let slot = Arc::clone(self.by_partition.entry(place).or_insert_with(slot).value());
        let mut slot = lock(&slot);
        slot.used_at = Instant::now();
        slot.refresh(view, (link, partition), &value, record);
        slot.kept.as_ref().map(|kept| ask(&kept.reading.map))
    }

    fn slots(&self) -> Vec<Arc<Mutex<Slot>>> {
        self.by_partition.retain(|_, slot| lock(slot).used_at.elapsed() < KEPT_UNUSED);
        self.by_partition.iter().map(|entry| Arc::clone(entry.value())).collect()
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    /// Brings the map to a checkpoint. In the middle of one its parts may not fit together: nothing is known then.
    fn refresh(
        &mut self,
        view: &View,
        (link, partition): (&LinkName, &TopicPartition),
        value: &Arc<Value>,
        record: &PositionRecord,
    ) {
        let kept = self.kept.take();
        if let Some(kept) = kept {
            if Arc::ptr_eq(&kept.record, value) {
                self.kept = Some(kept);
                return;
            }
            let life = |record: &PositionRecord| (record.source_topic_id, record.target_topic_id);
            let is_same_life = matches!(kept.record.as_ref(), Value::Position(before) if life(before) == life(record));
            let chunk = |chunk| {
                let (topic, partition) = (partition.topic.clone(), partition.partition);
                view.get(&Key::Map { link: link.clone(), topic, partition, chunk }).map(Chunk)
            };
            let mut reading = kept.reading;
            if is_same_life && reading.follow(record, chunk) {
                self.kept = Some(Kept { record: Arc::clone(value), reading });
                return;
            }
        }
        let stored = view.map_chunks(link, &partition.topic, partition.partition);
        let chunks = stored.iter().map(|(number, chunk)| (*number, chunk.runs.as_str()));
        match StoredMap::read(record, chunks) {
            Ok(reading) => self.kept = Some(Kept { record: Arc::clone(value), reading }),
            Err(error) => tracing::warn!(%link, %partition, %error, "a stored offset map can't be read"),
        }
    }
}

/// A closed chunk in the view.
struct Chunk(Arc<Value>);

impl AsRef<str> for Chunk {
    fn as_ref(&self) -> &str {
        match self.0.as_ref() {
            Value::Map(record) => &record.runs,
            _ => "",
        }
    }
}

impl Registry {
    /// Where a source offset lies on the target, with the end of what the target has acknowledged: by the live map
    /// where this daemon works on the partition, else by the stored one. `None` while there is none.
    #[must_use]
    pub fn locate(
        &self,
        view: &View,
        link: &LinkName,
        partition: &TopicPartition,
        source: SourceOffset,
    ) -> Option<(Translation<TargetOffset>, TargetOffset)> {
        let live = self.get(link, partition).and_then(|live| live.locate(source));
        let stored = || self.stored.ask(view, (link, partition), |map| (map.translate(source), map.target_end()));
        live.or_else(stored)
    }

    /// The same from the target to the source. `partition` is the source's.
    #[must_use]
    pub fn locate_reverse(
        &self,
        view: &View,
        link: &LinkName,
        partition: &TopicPartition,
        target: TargetOffset,
    ) -> Option<Translation<SourceOffset>> {
        let live = self.get(link, partition).and_then(|live| live.translate_reverse(target));
        live.or_else(|| self.stored.ask(view, (link, partition), |map| map.translate_reverse(target)))
    }

    /// Brings all maps together back within their limit: the largest ones give up their oldest runs, down to the same
    /// number. Small ones, as those of identical offsets are, keep what they have. Answers with the bytes that maps
    /// take.
    pub fn limit_maps(&self) -> u64 {
        let runs_of = |live: &Live| live.lock().position.as_ref().map_or(0, |position| position.map().runs().len());
        let live: Vec<(Arc<Live>, usize)> =
            self.all().into_iter().map(|(_, live)| (Arc::clone(&live), runs_of(&live))).collect();
        let stored_runs = |slot: &Slot| slot.kept.as_ref().map_or(0, |kept| kept.reading.map.runs().len());
        let stored: Vec<(Arc<Mutex<Slot>>, usize)> =
            self.stored.slots().into_iter().map(|slot| (Arc::clone(&slot), stored_runs(&lock(&slot)))).collect();
        let sizes: Vec<usize> =
            live.iter().map(|(_, runs)| *runs).chain(stored.iter().map(|(_, runs)| *runs)).collect();
        let total: usize = sizes.iter().sum();
        if total <= self.runs_max {
            return bytes_of(total);
        }
        // A tenth below the limit, so that this is not done all the time.
        let kept = share(sizes, self.runs_max / 10 * 9);
        for (live, _) in live.iter().filter(|(_, runs)| *runs > kept) {
            if let Some(position) = live.lock().position.as_mut() {
                position.keep_newest_runs(kept);
            }
        }
        for (slot, _) in stored.iter().filter(|(_, runs)| *runs > kept) {
            if let Some(kept_map) = &mut lock(slot).kept {
                kept_map.reading.keep_newest_runs(kept);
            }
        }
        tracing::warn!(
            runs = total,
            max = self.runs_max,
            kept,
            "offset maps were too large: the oldest parts of the largest ones are given up"
        );
        bytes_of(total)
    }
}

fn bytes_of(runs: usize) -> u64 {
    u64::try_from(runs.saturating_mul(size_of::<Run>())).unwrap_or(u64::MAX)
}

/// The largest number of runs that each may keep so that all together have no more than `total`; at least 1.
fn share(mut sizes: Vec<usize>, total: usize) -> usize {
    sizes.sort_unstable();
    let (mut left, mut count) = (total, sizes.len());
    for size in sizes {
        let each = left / count.max(1);
        if size > each {
            return each.max(1);
        }
        left -= size;
        count -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests;
