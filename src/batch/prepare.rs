//! Turning what waits at the source side into one batch that a broker accepts.
//!
//! Owns: the choice between restamp, merge and rebuild, and what is sent in the end.
//! Promises: the cheapest way that is right; offsets, count and largest timestamp of what is prepared are exact; a
//! batch in the queue stays until its records are prepared or known to be nothing.
//! Does not know: sequences before they are stamped, the target's offsets, time.

mod merge;
mod rewrite;

use std::collections::VecDeque;

use bytes::Bytes;

use self::merge::merge;
use self::rewrite::{Refusal, Rewriter};
use super::view::BodyLength;
use super::{BatchError, BatchHeader, HEADER_BYTES, RawBatch, crc};
use crate::types::{ProducerEpoch, ProducerId, Sequence, SourceOffset};

/// What limits one prepared batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The target topic's `max.message.bytes`: a merge never exceeds it (a single source batch may; the broker judges).
    pub batch_bytes_max: usize,
    /// Uncompressed bytes of one source batch, at most; more is `DecompressionLimit`.
    pub decompressed_bytes_max: usize,
    /// Compressed neighbours are merged (decompress, compress once) only while each is smaller than this.
    pub merge_compressed_below: usize,
    /// Records of one merged batch, at most (a single source batch may have more).
    pub records_max: usize,
    /// Whether each prepared batch holds consecutive source offsets only: a batch with holes is taken in pieces, and
    /// nothing is merged across a hole.
    pub is_dense: bool,
}

/// How a batch was made acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surgery {
    /// Header only.
    Restamp,
    /// Several batches became one.
    Merge,
    /// Decoded and encoded again.
    Rebuild,
}

/// Records with consecutive source offsets within a prepared batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRun {
    /// The first source offset.
    pub source: SourceOffset,
    /// How many; never 0.
    pub length: u64,
}

/// A batch ready to be stamped. Base offset 0, leader epoch -1, no transactional, log-append-time or
/// delete-horizon bit.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Which source offsets its records have, in order; never empty.
    pub runs: Vec<SourceRun>,
    /// The source offset to go on from: after the last offset that the batches used up.
    pub next_source: SourceOffset,
    /// Number of records; never 0.
    pub record_count: u32,
    /// Largest record timestamp, -1 for none: what the broker's producer-state expiry goes by.
    pub max_timestamp: i64,
    /// How it was made.
    pub surgery: Surgery,
    /// Source batches that went into it.
    pub batches: usize,
    /// Header without stamp; its CRC is that of `anchor`.
    header: BatchHeader,
    /// CRC of the part of a header which, together with `body`, has the CRC in `header`.
    anchor: u32,
    /// Record bytes.
    pub(super) body: Bytes,
    /// Their length, as a header writes it.
    length: BodyLength,
}

/// What a broker knows an append by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The link's data producer id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
}

/// A batch that can be sent. Only [`Prepared::stamp`] makes one. Its bytes never change: a retry sends the same ones.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// The 61 bytes of the header.
    pub header: [u8; HEADER_BYTES],
    /// The bytes after it.
    pub body: Bytes,
    /// The CRC in the header.
    pub crc: u32,
}

/// What became of the batches at the front of the queue.
#[derive(Debug)]
pub enum Step {
    /// A batch to send. The batches it used were taken off the queue.
    Send(Prepared),
    /// The front batch held nothing to copy (empty, or all of it before `from`); it was taken off; go on from here.
    Skip {
        /// The source offset after it.
        next_source: SourceOffset,
    },
    /// The queue is empty.
    Idle,
}

/// Makes the next batch out of those at the front of `queue` (admitted data batches, in order), leaving out records
/// before `from`. Checks each batch's CRC before use. On an error the failing batch stays at the front.
///
/// A neighbour that can't be merged, for whatever reason, waits until it is at the front itself and is judged there:
/// what precedes it is sent first.
pub fn prepare(queue: &mut VecDeque<RawBatch>, from: SourceOffset, limits: &Limits) -> Result<Step, BatchError> {
    let Some(front) = queue.front() else { return Ok(Step::Idle) };
    front.verify_crc()?;
    let shape = Shape::of(&front.header, from.get())?;
    if shape != Shape::Nothing
        && let Some(merged) = merge(queue, from.get(), limits)?
    {
        queue.drain(..merged.batches);
        return Ok(Step::Send(merged));
    }
    let prepared = match shape {
        Shape::Nothing => None,
        Shape::Whole => Some(restamp(front)?),
        Shape::Partial => rebuild(front, from.get(), limits)?,
    };
    let next_source = next_source(&front.header)?.max(from);
    // The first piece of a batch with holes leaves the others for the next time.
    if prepared.as_ref().is_none_or(|prepared| prepared.next_source >= next_source) {
        queue.pop_front();
    }
    Ok(prepared.map_or(Step::Skip { next_source }, Step::Send))
}

/// What the header says about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// No records, or none at or after the offset to begin with.
    Nothing,
    /// A record at every offset, all of them wanted, timestamps as the records say: the header is all to change.
    Whole,
    /// Holes, unwanted records, or timestamps that only the header has.
    Partial,
}

impl Shape {
    fn of(header: &BatchHeader, from: i64) -> Result<Self, BatchError> {
        let malformed = |reason: &str| Err(BatchError::malformed(header.base_offset, reason));
        let last_offset = header.base_offset.checked_add(i64::from(header.last_offset_delta));
        let Some(last_offset) = last_offset.filter(|last| *last < i64::MAX && header.base_offset >= 0) else {
            return malformed("its offsets are out of range");
        };
        if header.last_offset_delta < 0 || header.record_count < 0 {
            return malformed("its record count or last offset is negative");
        }
        let holes = i64::from(header.last_offset_delta) + 1 - i64::from(header.record_count);
        if holes < 0 {
            return malformed("it counts more records than it has offsets");
        }
        if header.is_control() {
            return malformed("it is a control batch, not data");
        }
        header.codec()?;
        if header.record_count == 0 || last_offset < from {
            Ok(Self::Nothing)
        } else if holes > 0 || header.base_offset < from || header.is_log_append_time() {
            Ok(Self::Partial)
        } else {
            Ok(Self::Whole)
        }
    }
}

/// The offset after a batch.
fn next_source(header: &BatchHeader) -> Result<SourceOffset, BatchError> {
    source_offset(header, header.last_offset()).map(|last| last.plus(1))
}

fn source_offset(header: &BatchHeader, offset: i64) -> Result<SourceOffset, BatchError> {
    SourceOffset::new(offset).map_err(|error| BatchError::malformed(header.base_offset, error.to_string()))
}

/// Changes the header of a whole batch and nothing else.
fn restamp(batch: &RawBatch) -> Result<Prepared, BatchError> {
    let source = &batch.header;
    let too_long = || BatchError::malformed(source.base_offset, "it is too long");
    let count = u32::try_from(source.record_count).map_err(|_| too_long())?;
    let body = batch.body();
    Ok(Prepared {
        runs: vec![SourceRun { source: source_offset(source, source.base_offset)?, length: u64::from(count) }],
        next_source: next_source(source)?,
        record_count: count,
        max_timestamp: source.max_timestamp,
        surgery: Surgery::Restamp,
        batches: 1,
        header: BatchHeader {
            base_offset: 0,
            leader_epoch: -1,
            // Neither transactions nor the delete horizon go along: the timestamps stay base plus delta without it.
            attributes: source.codec()?.id(),
            ..*source
        },
        // The CRC stays derived from the source's: if memory changes a bit of the body, the broker will notice.
        anchor: source.covered_crc(),
        length: BodyLength::of(&body).ok_or_else(too_long)?,
        body,
    })
}

/// Writes the wanted records of one batch anew; `None` when there are none.
fn rebuild(batch: &RawBatch, from: i64, limits: &Limits) -> Result<Option<Prepared>, BatchError> {
    let records = super::record::decompress(&batch.header, &batch.body(), limits.decompressed_bytes_max)?;
    let header = &batch.header;
    let mut rewriter = Rewriter::with_capacity(records.len(), usize::try_from(header.record_count).unwrap_or(0));
    if limits.is_dense {
        rewriter.stop_at_holes();
    }
    rewriter.append(header, &records, from).map_err(|refusal| refusal.into_error(header))?;
    if rewriter.count() == 0 {
        return Ok(None);
    }
    let next_source = rewriter.stopped_at().unwrap_or_else(|| header.last_offset().saturating_add(1));
    rewriter.finish(header, header.codec()?, next_source, 1, Surgery::Rebuild).map(Some)
}

impl Prepared {
    /// Length in bytes, header included.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Writes producer id, epoch and sequence, and the CRC that follows from them.
    #[must_use]
    pub fn stamp(&self, stamp: &Stamp) -> Stamped {
        let mut header = BatchHeader {
            producer_id: stamp.producer_id.0,
            producer_epoch: stamp.producer_epoch.0,
            base_sequence: stamp.base_sequence.to_kafka(),
            ..self.header
        };
        // CRCs are linear: what changes in front of the body changes the whole by what it is shifted to behind it.
        let change = self.anchor ^ header.covered_crc();
        header.crc = self.header.crc ^ crc::difference_behind(change, self.body.len());
        Stamped { header: header.write(self.length), body: self.body.clone(), crc: header.crc }
    }
}

impl Stamped {
    /// Length in bytes, header included.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}
