//! Looking at batches without touching them.
//!
//! Owns: the header's layout, splitting a fetch response into batches, the CRC check.
//! Promises: a [`RawBatch`] from [`split`] is whole, magic 2, and as long as its length field says.
//! Does not know: what is inside the records.

use bytes::{Buf, BufMut, Bytes};

use super::{BatchError, Codec};

/// Length of a batch header (magic 2), from base offset to record count.
pub const HEADER_BYTES: usize = 61;

/// Base offset and length: what the length field does not count.
const OVERHEAD_BYTES: usize = 12;
/// Up to the magic byte, which all formats have at the same place.
const MAGIC_END: usize = 17;
/// From the attributes to the record count: the part of the header that the CRC covers.
const COVERED_BYTES: usize = 40;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

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
    /// What the records' timestamps are relative to: the timestamp of the first record, or the delete horizon.
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

    /// How the records are compressed. `Malformed` for a codec that Kafka does not have.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        let id = self.attributes & CODEC_MASK;
        Codec::from_id(id)
            .ok_or_else(|| BatchError::malformed(self.base_offset, format!("there is no compression codec {id}")))
    }

    /// Written within a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// A batch of markers, not of data.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The records' timestamps are all `max_timestamp`, whatever the records themselves say.
    #[must_use]
    pub const fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// `base_timestamp` is the time from which compaction may drop tombstones and markers. Kafka writes the records'
    /// deltas anew when it sets the horizon, so base plus delta is the record's time with and without this bit.
    #[must_use]
    pub const fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let mut field: &[u8] = bytes;
        let base_offset = field.get_i64();
        let _length = field.get_i32();
        let leader_epoch = field.get_i32();
        let _magic = field.get_i8();
        Self {
            base_offset,
            leader_epoch,
            crc: field.get_u32(),
            attributes: field.get_i16(),
            last_offset_delta: field.get_i32(),
            base_timestamp: field.get_i64(),
            max_timestamp: field.get_i64(),
            producer_id: field.get_i64(),
            producer_epoch: field.get_i16(),
            base_sequence: field.get_i32(),
            record_count: field.get_i32(),
        }
    }

    /// Writes the header of a batch with so many bytes of records.
    pub(super) fn write(&self, body_bytes: BodyLength) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut field: &mut [u8] = &mut bytes;
        field.put_i64(self.base_offset);
        field.put_i32(body_bytes.0);
        field.put_i32(self.leader_epoch);
        field.put_i8(2);
        field.put_u32(self.crc);
        field.put_i16(self.attributes);
        field.put_i32(self.last_offset_delta);
        field.put_i64(self.base_timestamp);
        field.put_i64(self.max_timestamp);
        field.put_i64(self.producer_id);
        field.put_i16(self.producer_epoch);
        field.put_i32(self.base_sequence);
        field.put_i32(self.record_count);
        bytes
    }

    /// CRC-32C of the part of the header that a batch's CRC covers.
    pub(super) fn covered_crc(&self) -> u32 {
        // The length is not covered, so any will do.
        self.write(BodyLength(0)).last_chunk::<COVERED_BYTES>().map_or(0, |covered| crc32c::crc32c(covered))
    }
}

/// The length field of a header: proof that a batch with this body can be written at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLength(i32);

impl BodyLength {
    /// `None` when the whole batch would be longer than Kafka's length field can say.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let length = body.len().checked_add(HEADER_BYTES - OVERHEAD_BYTES)?;
        // The whole batch must be countable too: brokers add the overhead in 32 bits.
        i32::try_from(length.checked_add(OVERHEAD_BYTES)?).ok()?;
        i32::try_from(length).ok().map(Self)
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

impl RawBatch {
    /// Compares the CRC in the header with the bytes.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let covered = self.bytes.get(HEADER_BYTES - COVERED_BYTES..).unwrap_or_default();
        if crc32c::crc32c(covered) == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::Crc { base_offset: self.header.base_offset })
        }
    }

    /// The bytes after the header: records, possibly compressed.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES.min(self.bytes.len())..)
    }
}

/// Splits the records field of a fetch response into whole batches. A cut-off batch at the end is left out
/// (brokers cut there); the first batch being cut off is `Malformed`. Old formats give `OldFormat`.
///
/// A batch that can't be read ends the list when others precede it: those are good, and the next fetch begins with
/// the bad one and names it.
pub fn split(records: Bytes) -> Result<Vec<RawBatch>, BatchError> {
    let mut batches = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        match take_first(&mut rest) {
            Ok(batch) => batches.push(batch),
            Err(error) if batches.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(batches)
}

fn take_first(rest: &mut Bytes) -> Result<RawBatch, BatchError> {
    let Some((overhead, _)) = rest.split_first_chunk::<MAGIC_END>() else {
        return Err(BatchError::malformed(-1, "it is cut off before the format byte"));
    };
    let mut field: &[u8] = overhead;
    let base_offset = field.get_i64();
    let length = field.get_i32();
    field.advance(4);
    let magic = field.get_i8();
    match magic {
        2 => {}
        0 | 1 => return Err(BatchError::OldFormat { base_offset, magic }),
        _ => return Err(BatchError::malformed(base_offset, format!("there is no message format v{magic}"))),
    }
    let size = usize::try_from(length).unwrap_or(0).saturating_add(OVERHEAD_BYTES);
    if size < HEADER_BYTES {
        return Err(BatchError::malformed(base_offset, format!("its length field is {length}, less than a header")));
    }
    if size > rest.len() {
        return Err(BatchError::malformed(base_offset, "it is cut off"));
    }
    let bytes = rest.split_to(size);
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(BatchError::malformed(base_offset, "it is cut off within the header"));
    };
    Ok(RawBatch { header: BatchHeader::read(header), bytes })
}
