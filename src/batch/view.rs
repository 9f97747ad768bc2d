//! Looking at batches without touching them.

use bytes::Bytes;

use super::BatchError;

/// Length of a batch header (magic 2), from base offset to record count.
pub const HEADER_BYTES: usize = 61;

/// The fields of a batch header, as Kafka numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, at the source.
    pub base_offset: i64,
    /// Leader epoch of the append.
    pub leader_epoch: i32,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: i16,
    /// Offset of the last record minus base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, or the delete horizon.
    pub base_timestamp: i64,
    /// Largest timestamp, or the append time.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// First sequence, -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Offset of the last record (or of the last one there was, before compaction).
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }
}

/// One whole batch: its header read, its length checked, its CRC not yet.
#[derive(Debug, Clone)]
pub struct RawBatch {
    /// The header's fields.
    pub header: BatchHeader,
    /// All bytes, header included; a slice of the frame it came in.
    pub bytes: Bytes,
}

/// Splits the records field of a fetch response into whole batches. A cut-off batch at the end is left out
/// (brokers cut there); the first batch being cut off is `Malformed`. Old formats give `OldFormat`.
pub fn split(_records: Bytes) -> Result<Vec<RawBatch>, BatchError> {
    todo!()
}
