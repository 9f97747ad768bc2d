//! Turning what waits at the source side into one batch that a broker accepts.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{BatchError, HEADER_BYTES, RawBatch};
use crate::types::{ProducerEpoch, ProducerId, Sequence, SourceOffset};

/// What limits one prepared batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The target topic's `max.message.bytes`: a merge never exceeds it (a single batch may; the broker judges).
    pub batch_bytes_max: usize,
    /// Uncompressed bytes of one source batch, at most; more is `DecompressionLimit`.
    pub decompressed_bytes_max: usize,
    /// Compressed neighbours are merged (decompress, compress once) only while each is smaller than this.
    pub merge_compressed_below: usize,
    /// Records of one prepared batch, at most (bounds the plan as well).
    pub records_max: usize,
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
    /// Header without stamp.
    header: [u8; HEADER_BYTES],
    /// Record bytes.
    body: Bytes,
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
pub fn prepare(_queue: &mut VecDeque<RawBatch>, _from: SourceOffset, _limits: &Limits) -> Result<Step, BatchError> {
    todo!()
}

impl Prepared {
    /// Length in bytes, header included.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Writes producer id, epoch and sequence, and the CRC that follows from them.
    #[must_use]
    pub fn stamp(&self, _stamp: &Stamp) -> Stamped {
        let _ = &self.header;
        todo!()
    }
}
