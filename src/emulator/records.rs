//! The form of a record batch, read and written on our own account: what the rest of the program believes of it must
//! not be believed here.
//!
//! Owns: the 61 bytes in front (magic 2), the records behind them, control records.
//! Promises: nothing is taken from a length before it was held against what is there.
//! Does not know: what a broker refuses.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::codec::Codec;

/// Bytes in front of the records.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes that `length` does not count: the base offset and itself.
pub(crate) const BEFORE_LENGTH_ENDS: usize = 12;
const CRC_COVERS_FROM: usize = 21;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// What is said about a batch in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    pub(crate) length: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

/// One record; `tail` is everything from the key's length on.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) attributes: i8,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<Bytes>,
    pub(crate) is_tombstone: bool,
    pub(crate) tail: Bytes,
}

impl Header {
    /// Reads what stands at the beginning of these bytes; `None` when they are too few.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            base_offset: bytes.try_get_i64().ok()?,
            length: bytes.try_get_i32().ok()?,
            leader_epoch: bytes.try_get_i32().ok()?,
            magic: bytes.try_get_i8().ok()?,
            crc: bytes.try_get_u32().ok()?,
            attributes: bytes.try_get_i16().ok()?,
            last_offset_delta: bytes.try_get_i32().ok()?,
            base_timestamp: bytes.try_get_i64().ok()?,
            max_timestamp: bytes.try_get_i64().ok()?,
            producer_id: bytes.try_get_i64().ok()?,
            producer_epoch: bytes.try_get_i16().ok()?,
            base_sequence: bytes.try_get_i32().ok()?,
            count: bytes.try_get_i32().ok()?,
        })
    }

    /// The whole batch: this header, with length and checksum made right, and the records as they go over the wire.
    pub(crate) fn with_records(&self, records: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + records.len());
        bytes.put_i64(self.base_offset);
        bytes.put_i32(i32::try_from(HEADER_BYTES - BEFORE_LENGTH_ENDS + records.len()).unwrap_or(i32::MAX));
        bytes.put_i32(self.leader_epoch);
        bytes.put_i8(self.magic);
        bytes.put_u32(0);
        bytes.put_i16(self.attributes);
        bytes.put_i32(self.last_offset_delta);
        bytes.put_i64(self.base_timestamp);
        bytes.put_i64(self.max_timestamp);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.producer_epoch);
        bytes.put_i32(self.base_sequence);
        bytes.put_i32(self.count);
        bytes.put_slice(records);
        let crc = checksum(&bytes);
        if let Some(place) = bytes.get_mut(CRC_COVERS_FROM - 4..CRC_COVERS_FROM) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
        bytes.freeze()
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        Codec::of_attributes(self.attributes)
    }

    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(crate) fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    pub(crate) fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    pub(crate) fn set_log_append_time(&mut self, is_set: bool) {
        self.attributes = if is_set { self.attributes | LOG_APPEND_TIME } else { self.attributes & !LOG_APPEND_TIME };
    }

    pub(crate) fn set_codec(&mut self, codec: Codec) {
        self.attributes = (self.attributes & !7) | codec.number();
    }

    /// From this time on the tombstones of the batch may go. The place of the base timestamp tells it.
    pub(crate) fn set_delete_horizon(&mut self, horizon_ms: i64) {
        self.attributes |= DELETE_HORIZON;
        self.base_timestamp = horizon_ms;
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The sequence of the last record; sequences go on with 0 after 2^31 - 1.
    pub(crate) fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let last = (i64::from(self.base_sequence) + i64::from(self.last_offset_delta)).rem_euclid(1 << 31);
        i32::try_from(last).unwrap_or_default()
    }

    /// When this record was made, as a consumer sees it.
    pub(crate) fn timestamp_of(&self, record: &Record) -> i64 {
        if self.is_log_append_time() {
            self.max_timestamp
        } else {
            self.base_timestamp.saturating_add(record.timestamp_delta)
        }
    }
}

/// What the checksum of this batch must be.
pub(crate) fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CRC_COVERS_FROM..).unwrap_or_default())
}

/// Shows each record of a batch; `None` when they are not what they say they are. A batch can hold far more records
/// than it has bytes, so they are not collected unless somebody needs them together.
pub(crate) fn visit(batch: &Bytes, header: &Header, bytes_max: usize, mut show: impl FnMut(Record)) -> Option<()> {
    let mut rest = header.codec()?.decompress(&batch.slice(HEADER_BYTES.min(batch.len())..), bytes_max).ok()?;
    for _ in 0..header.count {
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        if length > rest.len() {
            return None;
        }
        show(record(rest.split_to(length))?);
    }
    rest.is_empty().then_some(())
}

/// All of them together.
pub(crate) fn records(batch: &Bytes, header: &Header, bytes_max: usize) -> Option<Vec<Record>> {
    let mut found = Vec::new();
    visit(batch, header, bytes_max, |record| found.push(record))?;
    Some(found)
}

fn record(mut rest: Bytes) -> Option<Record> {
    let attributes = rest.try_get_i8().ok()?;
    let timestamp_delta = varint(&mut rest)?;
    let offset_delta = i32::try_from(varint(&mut rest)?).ok()?;
    let tail = rest.clone();
    let key = bytes_with_length(&mut rest)?;
    let value = bytes_with_length(&mut rest)?;
    let headers = varint(&mut rest)?;
    for _ in 0..usize::try_from(headers).ok()? {
        bytes_with_length(&mut rest)??;
        bytes_with_length(&mut rest)?;
    }
    let is_tombstone = value.is_none();
    rest.is_empty().then_some(Record { attributes, timestamp_delta, offset_delta, key, is_tombstone, tail })
}

/// Bytes behind their length; `Some(None)` for null.
#[expect(clippy::option_option, reason = "broken, null and there are three different things")]
fn bytes_with_length(rest: &mut Bytes) -> Option<Option<Bytes>> {
    let length = varint(rest)?;
    if length == -1 {
        return Some(None);
    }
    let length = usize::try_from(length).ok()?;
    (length <= rest.len()).then(|| Some(rest.split_to(length)))
}

/// A zig-zag varint of up to 64 bits.
fn varint(rest: &mut Bytes) -> Option<i64> {
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

fn put_varint(output: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        output.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    output.push(u8::try_from(rest).unwrap_or_default());
}

/// The records as they go over the wire.
pub(crate) fn encode(records: &[Record], codec: Codec) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    let mut one = Vec::new();
    for record in records {
        one.clear();
        one.push(record.attributes.cast_unsigned());
        put_varint(&mut one, record.timestamp_delta);
        put_varint(&mut one, i64::from(record.offset_delta));
        one.extend_from_slice(&record.tail);
        put_varint(&mut output, i64::try_from(one.len()).unwrap_or(i64::MAX));
        output.extend_from_slice(&one);
    }
    codec.compress(&output)
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction.
    pub producer_id: i64,
    /// In which of its epochs.
    pub producer_epoch: i16,
    /// Which life of the coordinator says so.
    pub coordinator_epoch: i32,
    /// Whether its records count.
    pub is_commit: bool,
}

impl Marker {
    /// The control batch that says this.
    pub(crate) fn header_and_records(&self, timestamp: i64) -> (Header, Vec<u8>) {
        let header = Header {
            base_offset: 0,
            length: 0,
            leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: TRANSACTIONAL | CONTROL,
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: -1,
            count: 1,
        };
        let mut tail = Vec::new();
        put_varint(&mut tail, 4);
        tail.put_i16(0);
        tail.put_i16(i16::from(self.is_commit));
        put_varint(&mut tail, 6);
        tail.put_i16(0);
        tail.put_i32(self.coordinator_epoch);
        put_varint(&mut tail, 0);
        let mut body = vec![0, 0, 0];
        body.extend_from_slice(&tail);
        let mut records = Vec::new();
        put_varint(&mut records, i64::try_from(body.len()).unwrap_or_default());
        records.extend_from_slice(&body);
        (header, records)
    }
}
