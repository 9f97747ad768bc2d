//! Record batches by hand: right ones, and wrong in every way that can be thought of.
//!
//! Owns: the form of a batch (magic 2), uncompressed.
//! Promises: what is not said otherwise is as a producer would send it.
//! Does not know: brokers.

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub const TRANSACTIONAL: i16 = 1 << 4;
pub const CONTROL: i16 = 1 << 5;
pub const LOG_APPEND_TIME: i16 = 1 << 3;

/// A batch to be sent.
#[derive(Debug, Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub magic: i8,
    pub attributes: i16,
    pub last_offset_delta: Option<i32>,
    pub timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub sequence: i32,
    pub count: Option<i32>,
    pub values: Vec<String>,
    pub has_keys: bool,
    pub crc_change: u32,
}

impl Batch {
    /// Records without a producer id, stamped now.
    pub fn plain(values: &[&str]) -> Self {
        Self {
            base_offset: 0,
            magic: 2,
            attributes: 0,
            last_offset_delta: None,
            timestamp: now_ms(),
            producer_id: -1,
            producer_epoch: -1,
            sequence: -1,
            count: None,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            has_keys: true,
            crc_change: 0,
        }
    }

    /// So many records of an idempotent producer.
    pub fn of(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Self {
        let values: Vec<String> = (0..count).map(|i| format!("{producer_id}-{sequence}-{i}")).collect();
        Self { producer_id, producer_epoch: epoch, sequence, values, ..Self::plain(&[]) }
    }

    pub fn transactional(self) -> Self {
        Self { attributes: TRANSACTIONAL, ..self }
    }

    pub fn stamped(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    pub fn bytes(&self) -> Bytes {
        let count = i32::try_from(self.values.len()).unwrap();
        let mut covered = BytesMut::new();
        covered.put_i16(self.attributes);
        covered.put_i32(self.last_offset_delta.unwrap_or(count - 1));
        covered.put_i64(self.timestamp);
        covered.put_i64(self.timestamp);
        covered.put_i64(self.producer_id);
        covered.put_i16(self.producer_epoch);
        covered.put_i32(self.sequence);
        covered.put_i32(self.count.unwrap_or(count));
        for (i, value) in self.values.iter().enumerate() {
            let record = record(i64::try_from(i).unwrap(), self.has_keys.then_some("key"), value);
            varint(&mut covered, i64::try_from(record.len()).unwrap());
            covered.put_slice(&record);
        }
        let mut batch = BytesMut::new();
        batch.put_i64(self.base_offset);
        batch.put_i32(i32::try_from(covered.len() + 9).unwrap());
        batch.put_i32(-1);
        batch.put_i8(self.magic);
        batch.put_u32(crc32c::crc32c(&covered) ^ self.crc_change);
        batch.put_slice(&covered);
        batch.freeze()
    }
}

fn record(delta: i64, key: Option<&str>, value: &str) -> BytesMut {
    let mut record = BytesMut::new();
    record.put_i8(0);
    varint(&mut record, 0);
    varint(&mut record, delta);
    match key {
        None => varint(&mut record, -1),
        Some(key) => {
            varint(&mut record, i64::try_from(key.len()).unwrap());
            record.put_slice(key.as_bytes());
        }
    }
    varint(&mut record, i64::try_from(value.len()).unwrap());
    record.put_slice(value.as_bytes());
    varint(&mut record, 0);
    record
}

fn varint(bytes: &mut BytesMut, value: i64) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while rest > 0x7f {
        bytes.put_u8(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.put_u8(u8::try_from(rest).unwrap());
}

/// What is said in front of a batch that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub sequence: i32,
    pub count: i32,
}

impl Header {
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }
}

/// The headers of all whole batches.
pub fn headers(mut bytes: Bytes) -> Vec<Header> {
    let mut all = Vec::new();
    while bytes.len() >= 61 {
        let length = 12 + usize::try_from(i32::from_be_bytes(bytes[8..12].try_into().unwrap())).unwrap();
        if bytes.len() < length {
            break;
        }
        let mut batch = bytes.split_to(length);
        let base_offset = batch.get_i64();
        batch.advance(4);
        let leader_epoch = batch.get_i32();
        batch.advance(5);
        let attributes = batch.get_i16();
        let last_offset_delta = batch.get_i32();
        batch.advance(8);
        let max_timestamp = batch.get_i64();
        let producer_id = batch.get_i64();
        let producer_epoch = batch.get_i16();
        let sequence = batch.get_i32();
        let count = batch.get_i32();
        all.push(Header {
            base_offset,
            leader_epoch,
            attributes,
            last_offset_delta,
            max_timestamp,
            producer_id,
            producer_epoch,
            sequence,
            count,
        });
    }
    all
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
