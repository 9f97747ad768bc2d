//! Reading one partition's part of a Fetch response.
//!
//! Owns: what of the bytes is ours, where the position goes, the checks of offset order.
//! Promises: batches rise in offset, none of them ends before the position; the position never goes back.
//! Does not know: brokers, inboxes, memory.

use kafka_protocol::messages::fetch_response::PartitionData;

use super::{FetchPosition, Watermarks};
use crate::batch::{AbortedFilter, Admission, BatchError, RawBatch, split};
use crate::types::{LeaderEpoch, SourceOffset};

/// A batch larger than this can't be a batch: Kafka counts them in 31 bits, and nobody allows more than this.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// The two fields before a batch's length is over: base offset and length.
const LENGTH_END: usize = 12;

/// What a partition's part of a response held.
#[derive(Debug)]
pub(super) struct Reading {
    /// The batches, in offset order.
    pub(super) batches: Vec<(RawBatch, Admission)>,
    /// Memory of the batches and of the list of them, in bytes.
    pub(super) bytes: usize,
    /// Where to go on.
    pub(super) next: FetchPosition,
}

/// Why there is no reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misread {
    /// The first batch did not fit: ask for so many bytes.
    TooSmall {
        /// Bytes.
        needed: usize,
    },
    /// A batch that can't be read.
    Batch(BatchError),
}

/// The offsets in a partition's part. Brokers that leave one out (-1) leave the one that is known.
pub(super) fn watermarks(data: &PartitionData, known: Option<Watermarks>) -> Watermarks {
    let known = known.unwrap_or(Watermarks {
        log_start: SourceOffset::ZERO,
        high_watermark: SourceOffset::ZERO,
        last_stable: SourceOffset::ZERO,
    });
    let high_watermark = SourceOffset::new(data.high_watermark).unwrap_or(known.high_watermark);
    Watermarks {
        log_start: SourceOffset::new(data.log_start_offset).unwrap_or(known.log_start),
        high_watermark,
        // Without transactions some brokers leave it out; then all is stable.
        last_stable: SourceOffset::new(data.last_stable_offset).unwrap_or(high_watermark),
    }
}

/// Whether the bytes are to be copied out of the frame they came in. A slice keeps its whole frame in memory; slices
/// of less than a quarter are copied, so a frame is kept by four partitions at most, and a partition that can't move
/// on never keeps more than four times what it holds. A frame of one partition is never copied.
pub(super) fn is_copied(bytes: usize, frame_bytes: usize) -> bool {
    bytes.saturating_mul(4) < frame_bytes
}

/// Reads the batches.
pub(super) fn read(at: FetchPosition, data: &mut PartitionData, is_copied: bool) -> Result<Reading, Misread> {
    let records = data.records.take().unwrap_or_default();
    let mut reading = Reading { batches: Vec::new(), bytes: 0, next: at };
    if records.is_empty() {
        return Ok(reading);
    }
    let bytes = records.len();
    if let Some(needed) = missing_bytes(&records) {
        return if needed > BATCH_BYTES_MAX {
            let reason = format!("its length field says {needed} bytes");
            Err(Misread::Batch(BatchError::Malformed { base_offset: at.offset.get(), reason }))
        } else {
            Err(Misread::TooSmall { needed })
        };
    }
    let records = if is_copied { bytes::Bytes::copy_from_slice(&records) } else { records };
    let aborted = data.aborted_transactions.take().unwrap_or_default();
    let aborted = aborted.into_iter().map(|entry| (entry.producer_id.0, entry.first_offset)).collect();
    let mut filter = AbortedFilter::new(aborted);
    for batch in split(records).map_err(Misread::Batch)? {
        if let Err(error) = reading.take(batch, &mut filter) {
            // The good batches before it are handed over; the next fetch begins with this one and ends there.
            if reading.batches.is_empty() {
                return Err(Misread::Batch(error));
            }
            break;
        }
    }
    if reading.batches.is_empty() {
        return Err(Misread::TooSmall { needed: bytes.saturating_mul(2).min(BATCH_BYTES_MAX) });
    }
    Ok(reading)
}

impl Reading {
    fn take(&mut self, batch: RawBatch, filter: &mut AbortedFilter) -> Result<(), BatchError> {
        let header = batch.header;
        // The filter sees batches before the position too: a transaction's marker can be among them.
        let admission = filter.admit(&batch)?;
        let malformed = |reason: String| Err(BatchError::Malformed { base_offset: header.base_offset, reason });
        let (Ok(base), Ok(last)) = (SourceOffset::new(header.base_offset), SourceOffset::new(header.last_offset()))
        else {
            return malformed("it has a negative offset".to_owned());
        };
        if last < base {
            return malformed(format!("it ends at {last}, before it begins"));
        }
        if last < self.next.offset {
            return if self.batches.is_empty() {
                Ok(())
            } else {
                malformed(format!("it comes after offset {}", self.next.offset))
            };
        }
        if base < self.next.offset && !self.batches.is_empty() {
            return malformed(format!("it overlaps the batch before it, which ends before {}", self.next.offset));
        }
        let last_epoch = Some(LeaderEpoch(header.leader_epoch)).filter(|epoch| epoch.0 >= 0);
        self.next = FetchPosition { offset: last.plus(1), last_epoch };
        self.bytes += batch.bytes.len() + size_of::<(RawBatch, Admission)>();
        self.batches.push((batch, admission));
        Ok(())
    }
}

/// How long the first batch is, if it is longer than what is there.
fn missing_bytes(records: &[u8]) -> Option<usize> {
    let Some((head, _)) = records.split_first_chunk::<LENGTH_END>() else { return Some(LENGTH_END * 1024) };
    let (_, length) = head.split_last_chunk::<4>()?;
    let needed = usize::try_from(i32::from_be_bytes(*length)).ok()?.saturating_add(LENGTH_END);
    (needed > records.len()).then_some(needed)
}
