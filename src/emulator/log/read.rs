//! Reading a log: by offset, by time.

use bytes::{Bytes, BytesMut};

use super::{Log, Stored};
use crate::emulator::inspect::DECOMPRESSED_BYTES_MAX;
use crate::emulator::records;

/// A record that was found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

/// What a read gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    /// Batches as they are stored; the last one may be cut short.
    pub(crate) bytes: Bytes,
    /// The offset after the last batch that was looked at.
    pub(crate) next: i64,
}

impl Log {
    /// The batches from `from` up to `to`, in one segment. The first one may lie before `from` in part, and is given
    /// whole when `is_first_whole`; otherwise a first batch that is larger than `bytes_max` gives nothing.
    pub(crate) fn read(&self, from: i64, to: i64, bytes_max: usize, is_first_whole: bool) -> Read {
        let first = self.batches.partition_point(|stored| stored.header.last_offset() < from);
        let segment = self.segments.partition_point(|segment| segment.base <= from);
        let segment_end = self.segments.get(segment).map_or(self.end, |next| next.base).max(from);
        // After a hole the next batch may be in the next segment only.
        let begin = self.batches.get(first).map_or(from, |stored| stored.header.base_offset);
        let limit = if begin >= segment_end { to } else { to.min(segment_end) };
        let mut read = Read { bytes: Bytes::new(), next: from };
        let mut parts: Vec<&Stored> = Vec::new();
        let mut length = 0;
        for stored in self.batches.range(first..).take_while(|stored| stored.header.last_offset() < limit) {
            if length >= bytes_max && !(parts.is_empty() && is_first_whole) {
                break;
            }
            length += stored.bytes.len();
            read.next = stored.header.last_offset() + 1;
            parts.push(stored);
        }
        let Some(one) = parts.first() else { return read };
        if one.bytes.len() > bytes_max && !is_first_whole {
            return Read { bytes: Bytes::new(), next: from };
        }
        let kept = length.min(bytes_max.max(one.bytes.len()));
        read.bytes = match parts.as_slice() {
            [only] => only.bytes.clone(),
            several => several
                .iter()
                .fold(BytesMut::with_capacity(length), |mut all, part| {
                    all.extend_from_slice(&part.bytes);
                    all
                })
                .freeze(),
        }
        .slice(..kept);
        read
    }

    /// How many bytes there are to be read between these offsets, as far as they matter to `enough`.
    pub(crate) fn bytes_between(&self, from: i64, to: i64, enough: usize) -> usize {
        let first = self.batches.partition_point(|stored| stored.header.last_offset() < from);
        let mut bytes = 0;
        for stored in self.batches.range(first..).take_while(|stored| stored.header.last_offset() < to) {
            bytes += stored.bytes.len();
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// The first record that is not older than this.
    pub(crate) fn first_at_or_after(&self, timestamp: i64) -> Option<Found> {
        let visible = self.batches.iter().filter(|stored| stored.header.last_offset() >= self.start);
        visible
            .filter(|stored| stored.header.max_timestamp >= timestamp)
            .find_map(|stored| self.find_in(stored, |found, _| found >= timestamp))
    }

    /// The newest record.
    pub(crate) fn newest(&self) -> Option<Found> {
        let visible = self.batches.iter().filter(|stored| stored.header.last_offset() >= self.start);
        let newest = visible.fold(None::<&Stored>, |best, stored| match best {
            Some(best) if best.header.max_timestamp >= stored.header.max_timestamp => Some(best),
            Some(_) | None => Some(stored),
        })?;
        self.find_in(newest, |found, largest| found == largest)
    }

    fn find_in(&self, stored: &Stored, is_it: impl Fn(i64, i64) -> bool) -> Option<Found> {
        let header = &stored.header;
        let mut found = None;
        records::visit(&stored.bytes, header, DECOMPRESSED_BYTES_MAX, |record| {
            let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
            let timestamp = header.timestamp_of(&record);
            if found.is_none() && offset >= self.start && is_it(timestamp, header.max_timestamp) {
                found = Some(Found { offset, timestamp, leader_epoch: header.leader_epoch });
            }
        })?;
        found
    }
}
