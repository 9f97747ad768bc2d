//! Making one batch out of neighbours.
//!
//! Owns: which neighbours go together, and how many.
//! Promises: merges only what is already there; never past the limits; what does not fit stays in the queue as it is.
//! Does not know: why small batches are expensive for a broker (about 65 us a request), only that they are.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::{BatchError, BatchHeader, Codec, HEADER_BYTES, RawBatch, record};
use super::{Limits, Prepared, Refusal, Rewriter, Shape, Surgery};

/// An uncompressed batch of this size is not copied to save a request: it fills one well enough by itself.
const LARGE_BYTES: usize = 256 * 1024;

/// Of what may be compressed into one batch, so many hundredths are taken: the sources may have been compressed
/// better than we do it.
const COMPRESSED_FILL_PERCENT: usize = 75;

/// Merges the batch at the front with its neighbours; `None` when it is better off alone. The queue is not changed.
/// The front batch's CRC has been checked, and it has something to copy.
pub(super) fn merge(queue: &VecDeque<RawBatch>, from: i64, limits: &Limits) -> Result<Option<Prepared>, BatchError> {
    let Some(front) = queue.front() else { return Ok(None) };
    let codec = front.header.codec()?;
    let room = Room::of(codec, limits);
    let plan = plan(queue, codec, from, &room);
    if plan.with_records < 2 {
        return Ok(None);
    }
    let record_bytes = if codec == Codec::None { plan.bytes } else { plan.bytes.saturating_mul(3) };
    let mut rewriter = Rewriter::with_capacity(record_bytes.min(room.record_bytes_max), plan.records);
    let mut used = 0;
    let mut with_records = 0;
    let mut from = from;
    for batch in queue.iter().take(plan.batches) {
        let has_records = match take_in(&mut rewriter, batch, codec, from, &room) {
            Ok(has_records) => has_records,
            Err(Stop::Broken(error)) if used == 0 => return Err(error),
            Err(Stop::Here | Stop::Broken(_)) => break,
        };
        used += 1;
        with_records += usize::from(has_records);
        from = from.max(batch.header.last_offset().saturating_add(1));
    }
    if with_records < 2 {
        return Ok(None);
    }
    let merged = rewriter.finish(&front.header, codec, from, used, Surgery::Merge)?;
    Ok(Some(merged).filter(|merged| merged.byte_len() <= limits.batch_bytes_max))
}

/// What one merged batch has room for.
struct Room {
    /// Only batches smaller than this take part.
    each_below: usize,
    /// Bytes of the batches together, as they are in the queue.
    bytes_max: usize,
    /// Bytes of their records together, uncompressed.
    record_bytes_max: usize,
    /// Bytes of one batch's records, uncompressed.
    decompressed_bytes_max: usize,
    records_max: usize,
    is_dense: bool,
}

impl Room {
    fn of(codec: Codec, limits: &Limits) -> Self {
        let records_max = limits.records_max.min(usize::try_from(i32::MAX).unwrap_or(usize::MAX));
        let decompressed_bytes_max = limits.decompressed_bytes_max;
        let body_max = limits.batch_bytes_max.saturating_sub(HEADER_BYTES);
        match codec {
            Codec::None => Self {
                each_below: LARGE_BYTES,
                // Every batch but one gives up its header; what the deltas take is seen when it is written.
                bytes_max: limits.batch_bytes_max,
                record_bytes_max: body_max,
                decompressed_bytes_max,
                records_max,
                is_dense: limits.is_dense,
            },
            Codec::Gzip | Codec::Snappy | Codec::Lz4 | Codec::Zstd => Self {
                each_below: limits.merge_compressed_below,
                bytes_max: limits.batch_bytes_max / 100 * COMPRESSED_FILL_PERCENT,
                record_bytes_max: decompressed_bytes_max,
                decompressed_bytes_max,
                records_max,
                is_dense: limits.is_dense,
            },
        }
    }
}

#[derive(Default)]
struct Plan {
    batches: usize,
    with_records: usize,
    bytes: usize,
    records: usize,
}

/// How many batches from the front belong together, as far as headers tell.
fn plan(queue: &VecDeque<RawBatch>, codec: Codec, from: i64, room: &Room) -> Plan {
    let mut plan = Plan::default();
    let mut next = from;
    for batch in queue {
        let header = &batch.header;
        let count = usize::try_from(header.record_count).unwrap_or(usize::MAX);
        let bytes = plan.bytes.saturating_add(batch.bytes.len());
        let records = plan.records.saturating_add(count);
        let fits = batch.bytes.len() < room.each_below && bytes <= room.bytes_max && records <= room.records_max;
        let Ok(shape) = Shape::of(header, from) else { break };
        if shape == Shape::Nothing {
            plan.batches += 1;
            continue;
        }
        let is_behind_hole = room.is_dense && plan.with_records > 0 && header.base_offset != next;
        if !fits || header.codec() != Ok(codec) || is_behind_hole {
            break;
        }
        next = header.last_offset().saturating_add(1);
        plan.batches += 1;
        plan.with_records += 1;
        plan.bytes = bytes;
        plan.records = records;
    }
    plan
}

enum Stop {
    /// This batch does not fit: what precedes it is all.
    Here,
    /// This batch can't be read.
    Broken(BatchError),
}

/// Takes one more batch in; whether it had something to copy.
fn take_in(rewriter: &mut Rewriter, batch: &RawBatch, codec: Codec, from: i64, room: &Room) -> Result<bool, Stop> {
    batch.verify_crc().map_err(Stop::Broken)?;
    match Shape::of(&batch.header, from).map_err(Stop::Broken)? {
        Shape::Nothing => return Ok(false),
        Shape::Whole | Shape::Partial => {}
    }
    let records = records_of(&batch.header, &batch.body(), codec, room)?;
    let mark = rewriter.mark();
    rewriter.append(&batch.header, &records, from).map_err(|refusal| match refusal {
        Refusal::Offsets => Stop::Here,
        Refusal::Malformed(_) => Stop::Broken(refusal.into_error(&batch.header)),
    })?;
    let has_holes = room.is_dense && rewriter.run_count() > 1;
    if rewriter.record_bytes() > room.record_bytes_max || has_holes {
        rewriter.go_back(&mark);
        return Err(Stop::Here);
    }
    Ok(rewriter.count() > mark.count())
}

fn records_of(header: &BatchHeader, body: &Bytes, codec: Codec, room: &Room) -> Result<Bytes, Stop> {
    if codec == Codec::None {
        return Ok(body.clone());
    }
    record::decompress(header, body, room.decompressed_bytes_max).map_err(|error| match error {
        // Alone it may need no decompression at all, and if it does, it is named then.
        BatchError::DecompressionLimit { .. } => Stop::Here,
        BatchError::Crc { .. } | BatchError::OldFormat { .. } | BatchError::Malformed { .. } => Stop::Broken(error),
    })
}
