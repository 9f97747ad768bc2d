//! Tests of batch surgery; what they share.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "small numbers of the tests' own making"
)]

mod codecs;
mod golden;
mod hostile;
mod properties;
mod speed;
mod surgery;
mod viewing;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::record::seal;
use super::*;
use crate::types::{ProducerEpoch, ProducerId, Sequence, SourceOffset};

const STAMP: Stamp =
    Stamp { producer_id: ProducerId(4711), producer_epoch: ProducerEpoch(3), base_sequence: Sequence::of_count(77) };

const LIMITS: Limits = Limits {
    batch_bytes_max: 1_000_000,
    decompressed_bytes_max: 16_000_000,
    merge_compressed_below: 65_536,
    records_max: 100_000,
    is_dense: false,
};

fn record(offset: i64, timestamp: i64, value: &str) -> Record {
    Record {
        offset,
        timestamp,
        key: Some(Bytes::from(format!("key-{offset}"))),
        value: Some(Bytes::from(value.to_owned())),
        headers: Vec::new(),
    }
}

/// Records of every odd kind, from this offset on.
fn odd_records(offset: i64) -> Vec<Record> {
    let at = |index: i64, key: Option<&'static [u8]>, value: Option<&'static [u8]>| Record {
        offset: offset + index,
        timestamp: 1_700_000_000_000 + index * 1000,
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: Vec::new(),
    };
    let mut odd = vec![
        at(0, Some(b"key"), Some(b"value")),
        at(1, None, Some(b"v")),
        at(2, Some(b"tombstone"), None),
        at(3, Some(b""), Some(b"")),
        at(4, None, None),
    ];
    odd[1].headers = vec![
        (Bytes::from_static(b"twice"), Some(Bytes::from_static(b"1"))),
        (Bytes::from_static(b"once"), None),
        (Bytes::from_static(b"twice"), Some(Bytes::from_static(b""))),
        (Bytes::from_static(b"\xff\xfe"), Some(Bytes::from_static(b"\x00"))),
        (Bytes::new(), None),
    ];
    odd[3].timestamp -= 90_000_000;
    odd
}

fn batch(records: &[Record], codec: Codec) -> RawBatch {
    one(encode_batch(records, codec).unwrap())
}

fn one(bytes: Bytes) -> RawBatch {
    let mut batches = split(bytes).unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// The batch with other header fields and the CRC that fits them.
fn with_header(batch: &RawBatch, edit: impl FnOnce(&mut BatchHeader)) -> RawBatch {
    let mut header = batch.header;
    edit(&mut header);
    one(seal(header, &batch.body()).unwrap())
}

/// A batch without records, as compaction leaves it.
fn empty_batch(base_offset: i64, last_offset_delta: i32) -> RawBatch {
    let header = BatchHeader {
        base_offset,
        leader_epoch: 5,
        crc: 0,
        attributes: 0,
        last_offset_delta,
        base_timestamp: -1,
        max_timestamp: 1,
        producer_id: 9,
        producer_epoch: 0,
        base_sequence: 4,
        record_count: 0,
    };
    one(seal(header, &[]).unwrap())
}

fn offset(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn run(source: i64, length: u64) -> SourceRun {
    SourceRun { source: offset(source), length }
}

/// Prepares until nothing is left; gives what is to be sent, checked.
fn prepare_all(batches: &[RawBatch], from: i64, limits: &Limits) -> Result<Vec<Prepared>, BatchError> {
    let mut queue: VecDeque<_> = batches.iter().cloned().collect();
    let mut from = offset(from);
    let mut sent = Vec::new();
    loop {
        let before = queue.len();
        match prepare(&mut queue, from, limits)? {
            Step::Idle => return Ok(sent),
            Step::Skip { next_source } => {
                assert_eq!(queue.len(), before - 1);
                assert!(next_source >= from);
                from = next_source;
            }
            Step::Send(prepared) => {
                // The first pieces of a batch with holes leave it where it is.
                assert!(limits.is_dense || queue.len() == before - prepared.batches);
                assert!(prepared.next_source > from);
                check(&prepared, limits);
                from = prepared.next_source;
                sent.push(prepared);
            }
        }
    }
}

/// The batch as the target gets it.
fn stamped(prepared: &Prepared) -> RawBatch {
    let stamped = prepared.stamp(&STAMP);
    let mut bytes = BytesMut::from(stamped.header.as_slice());
    bytes.extend_from_slice(&stamped.body);
    assert_eq!(stamped.byte_len(), bytes.len());
    let batch = one(bytes.freeze());
    assert_eq!(batch.header.crc, stamped.crc);
    batch
}

/// What a broker checks, and what the daemon believes about the batch.
fn check(prepared: &Prepared, limits: &Limits) {
    let batch = stamped(prepared);
    batch.verify_crc().unwrap();
    let header = batch.header;
    let records = decode(&batch, usize::MAX).unwrap();
    let count = i32::try_from(records.len()).unwrap();
    assert!(count > 0);
    assert_eq!((header.base_offset, header.leader_epoch), (0, -1));
    assert_eq!((header.record_count, header.last_offset_delta), (count, count - 1));
    assert_eq!(prepared.record_count, records.len() as u32);
    assert_eq!(header.attributes, header.codec().unwrap().id());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4711, 3, 77));
    assert!(records.iter().map(|record| record.offset).eq(0..i64::from(count)));
    assert_eq!(header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
    assert_eq!(prepared.max_timestamp, header.max_timestamp);
    assert_eq!(prepared.runs.iter().map(|run| run.length).sum::<u64>(), records.len() as u64);
    assert!(prepared.runs.iter().all(|run| run.length > 0));
    assert!(prepared.runs.windows(2).all(|pair| pair[0].source.plus(pair[0].length) < pair[1].source));
    let last = prepared.runs.last().unwrap();
    assert!(prepared.next_source >= last.source.plus(last.length));
    assert_eq!(prepared.byte_len(), batch.bytes.len());
    if prepared.batches > 1 {
        assert!(prepared.byte_len() <= limits.batch_bytes_max);
        assert!(records.len() <= limits.records_max);
    }
    let is_one = prepared.batches == 1;
    assert_eq!(is_one, prepared.surgery != Surgery::Merge);
}

/// The records that the prepared batches hold, with their source offsets.
fn records_of(prepared: &[Prepared]) -> Vec<Record> {
    let mut all = Vec::new();
    for prepared in prepared {
        let mut sources =
            prepared.runs.iter().flat_map(|run| (0..run.length).map(|index| run.source.plus(index).get()));
        for mut record in decode(&stamped(prepared), usize::MAX).unwrap() {
            record.offset = sources.next().unwrap();
            all.push(record);
        }
    }
    all
}

/// What a consumer of the source sees from this offset on.
fn seen(batches: &[RawBatch], from: i64) -> Vec<Record> {
    let mut records: Vec<_> = batches.iter().flat_map(|batch| decode(batch, usize::MAX).unwrap()).collect();
    records.retain(|record| record.offset >= from);
    records
}
