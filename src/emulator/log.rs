//! The log of one partition.
//!
//! Owns: batches, segments, leader epochs, and the producers that follow from them.
//! Promises: offsets only grow; what is cut off is forgotten by all of them.
//! Does not know: replicas, the high watermark, requests.

mod clean;
mod read;

pub(crate) use read::{Found, Read};

use std::collections::VecDeque;

use bytes::Bytes;

use super::configs::TopicSettings;
use super::producers::Producers;
use super::records::{HEADER_BYTES, Header, Marker};

/// A batch in the log.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) header: Header,
    pub(crate) marker: Option<Marker>,
    pub(crate) bytes: Bytes,
}

/// A stretch of the log that is deleted or compacted as a whole.
#[derive(Debug, Clone)]
struct Segment {
    base: i64,
    bytes: u64,
    first_timestamp: Option<i64>,
    largest_timestamp: i64,
    created_ms: i64,
}

/// Two snapshots are enough: the newest may be above a cut, the one before it isn't often.
const SNAPSHOTS_KEPT: usize = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Log {
    batches: VecDeque<Stored>,
    segments: VecDeque<Segment>,
    start: i64,
    end: i64,
    bytes: u64,
    /// The log start as a broker finds it after it was killed.
    start_on_disk: i64,
    /// Leader epochs with the offset at which each began.
    epochs: Vec<(i32, i64)>,
    pub(crate) producers: Producers,
    /// What is known of producers at these offsets, for a reload.
    snapshots: VecDeque<(i64, Producers)>,
    cleaned_to: i64,
}

impl Log {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            batches: VecDeque::new(),
            segments: VecDeque::from([Segment::new(0, now_ms)]),
            start: 0,
            end: 0,
            bytes: 0,
            start_on_disk: 0,
            epochs: Vec::new(),
            producers: Producers::default(),
            snapshots: VecDeque::new(),
            cleaned_to: 0,
        }
    }

    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// The bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a client's batch, which must have been admitted.
    pub(crate) fn append(
        &mut self,
        mut header: Header,
        records: &[u8],
        settings: &TopicSettings,
        now_ms: i64,
    ) -> Header {
        header.base_offset = self.end;
        self.roll_if_full(&header, records.len(), settings, now_ms);
        self.push(header, records, None);
        self.producers.note(&header);
        header
    }

    /// Appends a marker, which must have been checked. Returns its offset.
    pub(crate) fn append_marker(
        &mut self,
        marker: Marker,
        leader_epoch: i32,
        settings: &TopicSettings,
        now_ms: i64,
    ) -> i64 {
        let (mut header, records) = marker.header_and_records(now_ms);
        (header.base_offset, header.leader_epoch) = (self.end, leader_epoch);
        self.roll_if_full(&header, records.len(), settings, now_ms);
        self.push(header, &records, Some(marker));
        self.producers.note_marker(&marker, header.base_offset, now_ms);
        header.base_offset
    }

    fn push(&mut self, header: Header, records: &[u8], marker: Option<Marker>) {
        let bytes = header.with_records(records);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(active) = self.segments.back_mut() {
            active.bytes += length;
            active.first_timestamp.get_or_insert(header.max_timestamp);
            active.largest_timestamp = active.largest_timestamp.max(header.max_timestamp);
        }
        self.begin_epoch(header.leader_epoch);
        self.bytes += length;
        self.end = header.last_offset().saturating_add(1);
        self.batches.push_back(Stored { header, marker, bytes });
    }

    fn roll_if_full(&mut self, next: &Header, records_bytes: usize, settings: &TopicSettings, now_ms: i64) {
        let Some(active) = self.segments.back().filter(|active| active.bytes > 0) else { return };
        let bytes = u64::try_from(records_bytes + HEADER_BYTES).unwrap_or(u64::MAX);
        // Age is measured between the timestamps of records, so history and the present never share a segment.
        let age = match active.first_timestamp {
            Some(first) if first >= 0 => next.max_timestamp.saturating_sub(first),
            Some(_) | None => now_ms.saturating_sub(active.created_ms),
        };
        if active.bytes.saturating_add(bytes) > settings.segment_bytes || age > settings.segment_ms {
            self.roll(now_ms);
        }
    }

    /// Begins a new segment, where the active one holds anything.
    pub(crate) fn roll(&mut self, now_ms: i64) {
        if self.segments.back().is_some_and(|active| active.bytes == 0) {
            return;
        }
        self.segments.push_back(Segment::new(self.end, now_ms));
        self.snapshot();
    }

    fn snapshot(&mut self) {
        let mut producers = self.producers.clone();
        producers.shrink_to_snapshot();
        self.snapshots.push_back((self.end, producers));
        while self.snapshots.len() > SNAPSHOTS_KEPT {
            self.snapshots.pop_front();
        }
    }

    /// A leader of this epoch begins at the end of the log.
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, self.end));
        }
    }

    /// Where an epoch ends: the largest epoch up to the one asked for, and the offset after its last one. `None`:
    /// there was no such epoch yet.
    pub(crate) fn epoch_end(&self, asked: i32) -> Option<(i32, i64)> {
        let (latest, _) = self.epochs.last()?;
        if asked == *latest {
            return Some((asked, self.end));
        }
        let (_, next_start) = self.epochs.iter().find(|(epoch, _)| *epoch > asked)?;
        let floor = self.epochs.iter().rev().find(|(epoch, _)| *epoch <= asked);
        Some((floor.map_or(asked, |(epoch, _)| *epoch), *next_start))
    }

    /// The epoch of the leader that wrote this offset.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch)
    }

    /// Moves the log start, as `DeleteRecords` and retention do.
    pub(crate) fn raise_start(&mut self, to: i64) {
        if to <= self.start {
            return;
        }
        self.start = to.min(self.end);
        self.producers.forget_aborted_below(self.start);
        // Snapshots at or below the log start go; what is known now stays until the next reload.
        self.snapshots.retain(|(offset, _)| *offset > to);
        let start = self.start;
        let below = self.epochs.iter().filter(|(_, begin)| *begin <= start).count();
        self.epochs.drain(..below.saturating_sub(1));
        if let Some((_, begin)) = self.epochs.first_mut() {
            *begin = (*begin).max(start);
        }
    }

    /// Writes the log start down, as brokers do once a minute.
    pub(crate) fn checkpoint_start(&mut self) {
        self.start_on_disk = self.start;
    }

    /// Cuts off everything from this offset on, which must be the beginning of a batch, and reloads the producers.
    pub(crate) fn truncate(&mut self, to: i64, now_ms: i64, expiration_ms: i64) {
        if to >= self.end {
            return;
        }
        while let Some(last) = self.batches.back().filter(|last| last.header.base_offset >= to) {
            let length = u64::try_from(last.bytes.len()).unwrap_or_default();
            self.bytes -= length;
            while self.segments.len() > 1 && self.segments.back().is_some_and(|s| s.base > last.header.base_offset) {
                self.segments.pop_back();
            }
            if let Some(active) = self.segments.back_mut() {
                active.bytes -= length;
            }
            self.batches.pop_back();
        }
        self.end = to;
        self.start = self.start.min(to);
        self.epochs.retain(|(_, begin)| *begin < to);
        self.snapshots.retain(|(offset, _)| *offset <= to);
        self.cleaned_to = self.cleaned_to.min(to);
        self.reload(now_ms, expiration_ms);
    }

    /// The broker was stopped in an orderly way: it took a snapshot, which holds one batch of each producer.
    pub(crate) fn restart_cleanly(&mut self, now_ms: i64, expiration_ms: i64) {
        self.snapshot();
        self.reload(now_ms, expiration_ms);
    }

    /// The broker was killed: the log start may fall back, and snapshots are as old as the last roll.
    pub(crate) fn restart_after_kill(&mut self, now_ms: i64, expiration_ms: i64) {
        let held = self.batches.front().map_or(self.end, |first| first.header.base_offset);
        self.start = self.start_on_disk.max(held).min(self.start);
        self.reload(now_ms, expiration_ms);
    }

    /// Producers from the newest snapshot and from the batches after it.
    fn reload(&mut self, now_ms: i64, expiration_ms: i64) {
        let (from, mut producers) = self.snapshots.back().cloned().unwrap_or((self.start, Producers::default()));
        producers.expire(now_ms, expiration_ms);
        for stored in self.batches.iter().filter(|stored| stored.header.base_offset >= from) {
            match &stored.marker {
                Some(marker) => producers.note_marker(marker, stored.header.base_offset, stored.header.max_timestamp),
                None => producers.note(&stored.header),
            }
        }
        producers.keep_aborted_of(&self.producers, self.end);
        self.producers = producers;
    }
}

impl Segment {
    fn new(base: i64, now_ms: i64) -> Self {
        Self { base, bytes: 0, first_timestamp: None, largest_timestamp: -1, created_ms: now_ms }
    }
}
