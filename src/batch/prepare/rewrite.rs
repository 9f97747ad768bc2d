//! Rewriting the records of batches into one batch, without looking at keys, values or headers.
//!
//! Owns: the walk over records, their new deltas, and the header that fits them.
//! Promises: one pass; of each record only the length, the two deltas and nothing else changes; what does not follow
//! the format is refused, and a refused batch leaves no trace.
//! Does not know: codecs of what it reads (it gets decompressed records), limits.

use bytes::Bytes;

use super::super::view::BodyLength;
use super::super::{BatchError, BatchHeader, Codec, varint};
use super::{Prepared, SourceRun, Surgery, source_offset};

/// Room for what gets longer in a record: its offset delta up to three bytes, its timestamp delta, its length.
const GROWTH_BYTES: usize = 4;

/// Why a batch is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The offsets within it don't rise or leave the range of its header. Brokers don't look at them in uncompressed
    /// batches, so a batch like that may still be forwarded as it is.
    Offsets,
    /// The bytes don't follow the format.
    Malformed(&'static str),
}

impl Refusal {
    pub(super) fn into_error(self, header: &BatchHeader) -> BatchError {
        let reason = match self {
            Self::Offsets => "the offsets of its records contradict its header",
            Self::Malformed(reason) => reason,
        };
        BatchError::malformed(header.base_offset, reason)
    }
}

/// A batch in the making.
pub(super) struct Rewriter {
    out: Vec<u8>,
    runs: Vec<SourceRun>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Whether records behind a hole are left out.
    is_stopping_at_holes: bool,
    /// The first record that was left out for that.
    stopped_at: Option<i64>,
}

/// What to go back to when a batch turns out not to fit.
pub(super) struct Mark {
    bytes: usize,
    count: u32,
    max_timestamp: i64,
    runs: usize,
    last_run_length: u64,
}

impl Mark {
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

impl Rewriter {
    /// Expects about so many bytes of records; `records` is what a header claims, so it is believed up to a point.
    pub(super) fn with_capacity(record_bytes: usize, records: usize) -> Self {
        let growth = records.saturating_mul(GROWTH_BYTES).min(record_bytes / 2);
        Self {
            out: Vec::with_capacity(record_bytes.saturating_add(growth)),
            runs: Vec::new(),
            count: 0,
            base_timestamp: -1,
            max_timestamp: i64::MIN,
            is_stopping_at_holes: false,
            stopped_at: None,
        }
    }

    /// From now on, records behind a hole in the source offsets are left out.
    pub(super) fn stop_at_holes(&mut self) {
        self.is_stopping_at_holes = true;
    }

    /// The source offset of the first record that was left out.
    pub(super) fn stopped_at(&self) -> Option<i64> {
        self.stopped_at
    }

    /// Stretches of consecutive source offsets so far.
    pub(super) fn run_count(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of records so far, uncompressed.
    pub(super) fn record_bytes(&self) -> usize {
        self.out.len()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            bytes: self.out.len(),
            count: self.count,
            max_timestamp: self.max_timestamp,
            runs: self.runs.len(),
            last_run_length: self.runs.last().map_or(0, |run| run.length),
        }
    }

    pub(super) fn go_back(&mut self, mark: &Mark) {
        self.out.truncate(mark.bytes);
        self.count = mark.count;
        self.max_timestamp = mark.max_timestamp;
        self.runs.truncate(mark.runs);
        if let Some(run) = self.runs.last_mut() {
            run.length = mark.last_run_length;
        }
    }

    /// Takes in the records from source offset `from` on. After a refusal nothing of the batch is left.
    pub(super) fn append(&mut self, header: &BatchHeader, records: &[u8], from: i64) -> Result<(), Refusal> {
        let mark = self.mark();
        let appended = self.walk(header, records, from);
        if appended.is_err() {
            self.go_back(&mark);
        }
        appended
    }

    fn walk(&mut self, header: &BatchHeader, records: &[u8], from: i64) -> Result<(), Refusal> {
        let is_log_append_time = header.is_log_append_time();
        let mut rest = records;
        let mut seen = 0_i32;
        let mut next_delta = 0_i32;
        while !rest.is_empty() {
            let record;
            (record, rest) = Parts::read(rest).ok_or(Refusal::Malformed("a record ends early"))?;
            if seen == header.record_count {
                return Err(Refusal::Malformed("it holds more than it counts"));
            }
            seen += 1;
            if record.offset_delta < next_delta || record.offset_delta > header.last_offset_delta {
                return Err(Refusal::Offsets);
            }
            next_delta = record.offset_delta.saturating_add(1);
            let offset = header.base_offset + i64::from(record.offset_delta);
            let is_behind_hole = self.runs.last().is_some_and(|run| run.source.plus(run.length).get() != offset);
            if self.is_stopping_at_holes && is_behind_hole {
                self.stopped_at = self.stopped_at.or(Some(offset));
            } else if offset >= from {
                let timestamp = if is_log_append_time {
                    header.max_timestamp
                } else {
                    header.base_timestamp.wrapping_add(record.timestamp_delta)
                };
                self.push(header, offset, timestamp, &record)?;
            }
        }
        if seen == header.record_count { Ok(()) } else { Err(Refusal::Malformed("it holds less than it counts")) }
    }

    fn push(&mut self, header: &BatchHeader, offset: i64, timestamp: i64, record: &Parts<'_>) -> Result<(), Refusal> {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let length = 1 + varint::len_long(timestamp_delta) + varint::len_long(offset_delta) + record.tail.len();
        let length = i64::try_from(length).map_err(|_| Refusal::Malformed("a record is too long"))?;
        varint::write_long(&mut self.out, length);
        self.out.push(record.attributes);
        varint::write_long(&mut self.out, timestamp_delta);
        varint::write_long(&mut self.out, offset_delta);
        self.out.extend_from_slice(record.tail);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count = self.count.checked_add(1).ok_or(Refusal::Malformed("too many records"))?;
        match self.runs.last_mut() {
            Some(run) if run.source.plus(run.length).get() == offset => run.length += 1,
            Some(_) | None => {
                let source = source_offset(header, offset).map_err(|_| Refusal::Offsets)?;
                self.runs.push(SourceRun { source, length: 1 });
            }
        }
        Ok(())
    }

    /// Closes the batch. `first` is the header of the first source batch that went into it, `batches` how many there
    /// were, `next_source` the source offset after the last of them.
    pub(super) fn finish(
        self,
        first: &BatchHeader,
        codec: Codec,
        next_source: i64,
        batches: usize,
        surgery: Surgery,
    ) -> Result<Prepared, BatchError> {
        let base_offset = first.base_offset;
        let body = match codec {
            Codec::None => Bytes::from(self.out),
            codec => codec
                .compress(&self.out)
                .map(Bytes::from)
                .map_err(|error| BatchError::malformed(base_offset, format!("can't be compressed again: {error}")))?,
        };
        let too_long = || BatchError::malformed(base_offset, "it gets too long when it is written anew");
        let length = BodyLength::of(&body).ok_or_else(too_long)?;
        let record_count = i32::try_from(self.count).map_err(|_| too_long())?;
        let mut header = BatchHeader {
            base_offset: 0,
            leader_epoch: -1,
            crc: 0,
            attributes: codec.id(),
            last_offset_delta: record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count,
        };
        let anchor = header.covered_crc();
        header.crc = crc32c::crc32c_append(anchor, &body);
        Ok(Prepared {
            runs: self.runs,
            next_source: source_offset(first, next_source)?,
            record_count: self.count,
            max_timestamp: self.max_timestamp,
            surgery,
            batches,
            header,
            anchor,
            body,
            length,
        })
    }
}

/// A record, as far as it is looked at.
struct Parts<'a> {
    attributes: u8,
    timestamp_delta: i64,
    offset_delta: i32,
    /// Key, value, headers.
    tail: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads the first record; gives the bytes after it.
    #[inline]
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, bytes) = varint::read(bytes)?;
        let (record, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        let (&attributes, record) = record.split_first()?;
        let (timestamp_delta, record) = varint::read_long(record)?;
        let (offset_delta, tail) = varint::read(record)?;
        Some((Self { attributes, timestamp_delta, offset_delta, tail }, rest))
    }
}
