//! Records: reading them out of a batch and writing them into one.
//!
//! Owns: the layout of records within a batch.
//! Promises: null stays apart from empty, headers keep their order and their doubles, header keys may be any bytes;
//! every count and length is checked against the bytes that are there before anything is reserved for it.
//! Does not know: what a broker accepts.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::DecompressError;
use super::view::BodyLength;
use super::{BatchError, BatchHeader, Codec, HEADER_BYTES, RawBatch, varint};

/// No record is shorter: length, attributes, two deltas, two null lengths, no headers.
const RECORD_BYTES_MIN: usize = 7;
/// A header has at least its two lengths.
const RECORD_HEADER_BYTES_MIN: usize = 2;

/// One record, with the offset and the timestamp that a consumer sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset, in the log that the batch is from.
    pub offset: i64,
    /// Milliseconds since 1970; the append time where the batch says so; -1 for none.
    pub timestamp: i64,
    /// The key; `None` for null.
    pub key: Option<Bytes>,
    /// The value; `None` for null (a tombstone).
    pub value: Option<Bytes>,
    /// The headers as they were written.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// All records of a batch, markers included. Checks lengths and counts, not the CRC.
///
/// # Errors
/// `Malformed` when the bytes don't follow the format, `DecompressionLimit` above `decompressed_bytes_max`.
pub fn decode(batch: &RawBatch, decompressed_bytes_max: usize) -> Result<Vec<Record>, BatchError> {
    let header = &batch.header;
    let malformed = |reason: &str| BatchError::malformed(header.base_offset, reason);
    let records = decompress(header, &batch.body(), decompressed_bytes_max)?;
    let count = usize::try_from(header.record_count).map_err(|_| malformed("its record count is negative"))?;
    if count > records.len() / RECORD_BYTES_MIN {
        return Err(malformed("it counts more records than its bytes can hold"));
    }
    let mut decoded = Vec::with_capacity(count);
    let mut rest = Reader(records);
    for _ in 0..count {
        decoded.push(read_record(&mut rest, header).ok_or_else(|| malformed("a record ends early"))?);
    }
    if rest.0.is_empty() { Ok(decoded) } else { Err(malformed("it holds more than it counts")) }
}

/// The records of a batch, decompressed.
pub(super) fn decompress(header: &BatchHeader, body: &Bytes, bytes_max: usize) -> Result<Bytes, BatchError> {
    let codec = header.codec()?;
    if codec == Codec::None {
        return Ok(body.clone());
    }
    // Compaction keeps empty batches with their codec's bit, without a byte of a frame behind it.
    if body.is_empty() && header.record_count == 0 {
        return Ok(Bytes::new());
    }
    codec.decompress(body, bytes_max).map(Bytes::from).map_err(|error| match error {
        DecompressError::Limit => BatchError::DecompressionLimit { base_offset: header.base_offset, bytes_max },
        DecompressError::Invalid(reason) => {
            BatchError::malformed(header.base_offset, format!("its {} data can't be read: {reason}", codec.name()))
        }
    })
}

fn read_record(batch: &mut Reader, header: &BatchHeader) -> Option<Record> {
    let length = batch.varint()?;
    let mut record = Reader(batch.take(usize::try_from(length).ok()?)?);
    let _attributes = record.take(1)?;
    let timestamp_delta = record.varlong()?;
    let offset_delta = record.varint()?;
    let key = record.nullable()?;
    let value = record.nullable()?;
    let header_count = usize::try_from(record.varint()?).ok()?;
    if header_count > record.0.len() / RECORD_HEADER_BYTES_MIN {
        return None;
    }
    let mut headers = Vec::with_capacity(header_count);
    for _ in 0..header_count {
        headers.push((record.nullable()??, record.nullable()?));
    }
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.wrapping_add(timestamp_delta)
    };
    let offset = header.base_offset.wrapping_add(i64::from(offset_delta));
    record.0.is_empty().then_some(Record { offset, timestamp, key, value, headers })
}

/// Takes pieces off the front without copying them; `None` when there is less than asked for.
struct Reader(Bytes);

impl Reader {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn varlong(&mut self) -> Option<i64> {
        let (number, rest) = varint::read_long(&self.0)?;
        let used = self.0.len() - rest.len();
        self.take(used)?;
        Some(number)
    }

    fn varint(&mut self) -> Option<i32> {
        i32::try_from(self.varlong()?).ok()
    }

    /// The outer `None`: the bytes end early. The inner: null, which is length -1 and nothing else.
    #[expect(clippy::option_option, reason = "two different absences, told apart right here")]
    fn nullable(&mut self) -> Option<Option<Bytes>> {
        match self.varint()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }
}

/// Writes records, in rising order of offset, as one batch without a producer id, CRC included.
///
/// # Errors
/// `Malformed` when there is no record, when offsets don't rise or are too far apart, or when it gets too long.
pub fn encode_batch(records: &[Record], codec: Codec) -> Result<Bytes, BatchError> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Err(BatchError::malformed(-1, "a batch needs a record"));
    };
    let malformed = |reason: &str| BatchError::malformed(first.offset, reason);
    if !records.is_sorted_by(|a, b| a.offset < b.offset) {
        return Err(malformed("the offsets of its records don't rise"));
    }
    let delta_of = |offset: i64| offset.checked_sub(first.offset).and_then(|delta| i32::try_from(delta).ok());
    let last_offset_delta = delta_of(last.offset).ok_or_else(|| malformed("its offsets are too far apart"))?;
    let mut plain = Vec::new();
    let mut scratch = Vec::new();
    for record in records {
        let offset_delta = record.offset - first.offset;
        write_record(&mut plain, &mut scratch, record, record.timestamp.wrapping_sub(first.timestamp), offset_delta);
    }
    let body = match codec {
        Codec::None => plain,
        _ => codec.compress(&plain).map_err(|error| malformed(&error.to_string()))?,
    };
    let header = BatchHeader {
        base_offset: first.offset,
        leader_epoch: -1,
        crc: 0,
        attributes: codec.id(),
        last_offset_delta,
        base_timestamp: first.timestamp,
        max_timestamp: records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: i32::try_from(records.len()).map_err(|_| malformed("it has too many records"))?,
    };
    seal(header, &body)
}

/// Header and body as one piece, with the CRC that they have.
pub(super) fn seal(mut header: BatchHeader, body: &[u8]) -> Result<Bytes, BatchError> {
    let length =
        BodyLength::of(body).ok_or_else(|| BatchError::malformed(header.base_offset, "it would get too long"))?;
    header.crc = crc32c::crc32c_append(header.covered_crc(), body);
    let mut batch = BytesMut::with_capacity(HEADER_BYTES + body.len());
    batch.put_slice(&header.write(length));
    batch.put_slice(body);
    Ok(batch.freeze())
}

fn write_record(out: &mut Vec<u8>, scratch: &mut Vec<u8>, record: &Record, timestamp_delta: i64, offset_delta: i64) {
    scratch.clear();
    scratch.push(0);
    varint::write_long(scratch, timestamp_delta);
    varint::write_long(scratch, offset_delta);
    varint::write_bytes(scratch, record.key.as_deref());
    varint::write_bytes(scratch, record.value.as_deref());
    varint::write_long(scratch, i64::try_from(record.headers.len()).unwrap_or(i64::MAX));
    for (key, value) in &record.headers {
        varint::write_bytes(scratch, Some(key));
        varint::write_bytes(scratch, value.as_deref());
    }
    varint::write_bytes(out, Some(scratch));
}
