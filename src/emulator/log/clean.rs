//! Making a log smaller: retention takes whole segments, compaction takes records out of batches.
//!
//! Not as real brokers: a pass always looks at everything below the active segment, and a marker goes once it is older
//! than `delete.retention.ms`, since the records that it aborted went in the same pass.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{Log, Segment, Stored};
use crate::emulator::configs::TopicSettings;
use crate::emulator::inspect::DECOMPRESSED_BYTES_MAX;
use crate::emulator::records::{self, HEADER_BYTES, Record};

/// What decides over a record: its key's newest offset, whose transactions were aborted, what time it is.
struct Pass {
    newest: BTreeMap<Bytes, i64>,
    aborted: BTreeSet<(i64, i64)>,
    now_ms: i64,
    horizon_ms: i64,
}

impl Log {
    /// Takes away segments that are too old or too many, as far as they are replicated, and frees what lies below the
    /// log start.
    pub(crate) fn retain(&mut self, settings: &TopicSettings, high_watermark: i64, now_ms: i64) {
        if settings.is_deleted_from {
            let is_old = |segment: &Segment| {
                let age = now_ms.saturating_sub(segment.largest_timestamp);
                settings.retention_ms.is_some_and(|longest| age > longest) && segment.bytes > 0
            };
            if self.segments.iter().all(is_old) && self.end <= high_watermark {
                self.roll(now_ms);
            }
            let mut surplus = settings.retention_bytes.map_or(0, |most| self.bytes.saturating_sub(most));
            let mut keep_from = self.start;
            for (segment, next) in self.segments.iter().zip(self.segments.iter().skip(1)) {
                let is_surplus = segment.bytes <= surplus && surplus > 0;
                if next.base > high_watermark || !(is_old(segment) || is_surplus) {
                    break;
                }
                surplus = surplus.saturating_sub(segment.bytes);
                keep_from = next.base;
            }
            self.raise_start(keep_from);
        }
        self.drop_below_start();
    }

    /// The active segment stays, so records below the log start can be there still.
    fn drop_below_start(&mut self) {
        while self.segments.len() > 1 && self.segments.get(1).is_some_and(|next| next.base <= self.start) {
            let Some(gone) = self.segments.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(gone.bytes);
            let kept_from = self.segments.front().map_or(self.end, |first| first.base);
            while self.batches.front().is_some_and(|first| first.header.base_offset < kept_from) {
                self.batches.pop_front();
            }
        }
    }

    /// Whether enough was written since the last pass to be worth another one.
    pub(crate) fn is_dirty(&self, settings: &TopicSettings) -> bool {
        let active = self.segments.back().map_or(self.end, |active| active.base);
        let size = |from: i64, to: i64| self.bytes_between(from, to, usize::MAX);
        let (dirty, all) = (size(self.cleaned_to, active), size(self.start, active));
        let ratio =
            |part: usize, whole: usize| f64::from(u32::try_from(part * 1_000 / whole.max(1)).unwrap_or(0)) / 1e3;
        dirty > 0 && ratio(dirty, all) >= settings.dirty_ratio_min
    }

    /// Keeps the newest record of each key below the active segment and below `to`; tombstones stay until
    /// `delete.retention.ms` after the first pass that saw them.
    pub(crate) fn compact(&mut self, settings: &TopicSettings, to: i64, now_ms: i64) {
        let to = self.segments.back().map_or(self.end, |active| active.base).min(to);
        let aborted = self.producers.aborted_between(self.start, to);
        let mut pass = Pass {
            newest: BTreeMap::new(),
            aborted: BTreeSet::new(),
            now_ms,
            horizon_ms: now_ms.saturating_add(settings.delete_retention_ms),
        };
        let is_aborted = |stored: &Stored| {
            let header = &stored.header;
            let holds = |first: i64, last: i64| first <= header.base_offset && header.base_offset < last;
            let mut all = aborted.iter();
            header.is_transactional()
                && all.any(|one| one.producer_id == header.producer_id && holds(one.first_offset, one.last_offset))
        };
        for stored in self.batches.iter().filter(|stored| stored.header.last_offset() < to && stored.marker.is_none()) {
            if is_aborted(stored) {
                pass.aborted.insert((stored.header.producer_id, stored.header.base_offset));
                continue;
            }
            let base = stored.header.base_offset;
            let note = |record: Record| {
                if let Some(key) = record.key {
                    pass.newest.insert(Bytes::copy_from_slice(&key), base + i64::from(record.offset_delta));
                }
            };
            // Broken records can't be in the log; if they were, they would simply stay.
            let _ = records::visit(&stored.bytes, &stored.header, DECOMPRESSED_BYTES_MAX, note);
        }
        let mut kept = VecDeque::with_capacity(self.batches.len());
        for stored in std::mem::take(&mut self.batches) {
            let age = now_ms.saturating_sub(stored.header.max_timestamp);
            if stored.header.last_offset() >= to || stored.header.base_offset < self.start {
                kept.push_back(stored);
            } else if stored.marker.is_none() {
                kept.extend(self.cleaned(stored, &pass));
            } else if age <= settings.delete_retention_ms {
                kept.push_back(stored);
            }
        }
        self.producers.forget_aborted_below(to);
        self.batches = kept;
        self.cleaned_to = to;
        self.count_bytes();
    }

    /// What is left of a batch. An empty one is kept as long as it holds the last sequence of its producer.
    fn cleaned(&self, stored: Stored, pass: &Pass) -> Option<Stored> {
        let header = stored.header;
        let all = records::records(&stored.bytes, &header, DECOMPRESSED_BYTES_MAX)?;
        let is_aborted = pass.aborted.contains(&(header.producer_id, header.base_offset));
        let is_past_horizon = header.has_delete_horizon() && header.base_timestamp <= pass.now_ms;
        let is_kept = |record: &Record| {
            let offset = header.base_offset + i64::from(record.offset_delta);
            let is_newest =
                record.key.as_ref().and_then(|key| pass.newest.get(key)).is_none_or(|newest| offset >= *newest);
            !is_aborted && is_newest && !(record.is_tombstone && is_past_horizon)
        };
        let count = all.len();
        let mut left: Vec<Record> = all.into_iter().filter(is_kept).collect();
        let has_new_horizon = !header.has_delete_horizon() && left.iter().any(|record| record.is_tombstone);
        if left.len() == count && !has_new_horizon {
            return Some(stored);
        }
        if left.is_empty() && !(header.has_producer() && self.producers.is_last_batch(&header)) {
            return None;
        }
        let mut changed = header;
        changed.count = i32::try_from(left.len()).unwrap_or(i32::MAX);
        changed.max_timestamp = left.iter().map(|record| header.timestamp_of(record)).max().unwrap_or(-1);
        if has_new_horizon {
            changed.set_delete_horizon(pass.horizon_ms);
            for record in &mut left {
                record.timestamp_delta = header.timestamp_of(record).saturating_sub(changed.base_timestamp);
            }
        }
        let codec = header.codec()?;
        let encoded = if left.is_empty() { Vec::new() } else { records::encode(&left, codec).ok()? };
        Some(Stored { header: changed, marker: None, bytes: changed.with_records(&encoded) })
    }

    fn count_bytes(&mut self) {
        let bases: Vec<i64> = self.segments.iter().map(|segment| segment.base).skip(1).chain([i64::MAX]).collect();
        let mut batches = self.batches.iter().peekable();
        for (segment, next) in self.segments.iter_mut().zip(bases) {
            segment.bytes = 0;
            while let Some(stored) = batches.next_if(|stored| stored.header.base_offset < next) {
                segment.bytes += u64::try_from(stored.bytes.len().max(HEADER_BYTES)).unwrap_or_default();
            }
        }
        self.bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        // A segment that nothing is left of goes; the active one stays.
        let active = self.segments.back().map_or(0, |active| active.base);
        let first = self.segments.front().map_or(0, |first| first.base);
        self.segments.retain(|segment| segment.bytes > 0 || segment.base == active || segment.base == first);
    }
}
