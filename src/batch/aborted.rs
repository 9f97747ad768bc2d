//! Telling committed data from aborted data and from markers.

use super::{BatchError, RawBatch};

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
pub struct AbortedFilter {}

impl AbortedFilter {
    /// Takes the list of (producer id, first offset) that came with a `read_committed` fetch response.
    #[must_use]
    pub fn new(_aborted: Vec<(i64, i64)>) -> Self {
        todo!()
    }

    /// Judges the next batch.
    pub fn admit(&mut self, _batch: &RawBatch) -> Result<Admission, BatchError> {
        todo!()
    }
}
