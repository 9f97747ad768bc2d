//! Telling committed data from aborted data and from markers.
//!
//! Owns: the rules by which a `read_committed` consumer judges batches.
//! Promises: a batch is left out only after its CRC has been checked: one flipped bit never makes data disappear.
//! Does not know: where the list of aborted transactions came from.

use std::collections::BTreeSet;

use bytes::Buf;

use super::{BatchError, RawBatch, decode};

/// Markers have a handful of bytes each; a control batch that decompresses to more is not one.
const MARKER_BYTES_MAX: usize = 1024 * 1024;

/// The type in a marker's key that ends a transaction without its data.
const ABORT: i16 = 0;

/// Whether a batch's records belong to the topic's committed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Data to copy.
    Data,
    /// A control batch (transaction marker): takes offsets, holds no data.
    Control,
    /// Data of an aborted transaction: takes offsets, must not be copied.
    Aborted,
}

/// The aborted transactions of one fetch response, applied batch by batch in offset order.
#[derive(Debug, Clone, Default)]
pub struct AbortedFilter {
    /// Transactions that begin after the batches seen so far, as (first offset, producer id), the last one first.
    ahead: Vec<(i64, i64)>,
    /// Producers whose data is aborted, until their marker comes.
    producers: BTreeSet<i64>,
}

impl AbortedFilter {
    /// Takes the list of (producer id, first offset) that came with a `read_committed` fetch response.
    #[must_use]
    pub fn new(aborted: Vec<(i64, i64)>) -> Self {
        let mut ahead: Vec<_> =
            aborted.into_iter().map(|(producer_id, first_offset)| (first_offset, producer_id)).collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        Self { ahead, producers: BTreeSet::new() }
    }

    /// Judges the next batch. Checks the CRC of what is not admitted ([`prepare`](super::prepare()) checks the rest).
    pub fn admit(&mut self, batch: &RawBatch) -> Result<Admission, BatchError> {
        let header = &batch.header;
        while let Some((_, producer_id)) = self.ahead.pop_if(|(first_offset, _)| *first_offset <= header.last_offset())
        {
            self.producers.insert(producer_id);
        }
        if header.is_control() {
            batch.verify_crc()?;
            if is_abort_marker(batch)? {
                self.producers.remove(&header.producer_id);
            }
            return Ok(Admission::Control);
        }
        if header.is_transactional() && self.producers.contains(&header.producer_id) {
            batch.verify_crc()?;
            return Ok(Admission::Aborted);
        }
        Ok(Admission::Data)
    }
}

/// A control batch can be empty after compaction; then it says nothing.
fn is_abort_marker(batch: &RawBatch) -> Result<bool, BatchError> {
    let records = decode(batch, MARKER_BYTES_MAX)?;
    let Some(record) = records.into_iter().next() else { return Ok(false) };
    let Some(key) = record.key else {
        return Err(BatchError::malformed(batch.header.base_offset, "its marker has no key"));
    };
    let Some(mut key) = key.get(..4) else {
        return Err(BatchError::malformed(batch.header.base_offset, "its marker's key is too short"));
    };
    let version = key.get_i16();
    if version < 0 {
        return Err(BatchError::malformed(batch.header.base_offset, format!("its marker has version {version}")));
    }
    Ok(key.get_i16() == ABORT)
}
