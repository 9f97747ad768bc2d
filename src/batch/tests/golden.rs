//! Batches as real clients wrote them to a real broker: `tests/golden/README.md` says how.

use super::Admission::{Aborted, Control, Data};
use super::*;

const TIME: i64 = 1_700_000_000_000;

macro_rules! golden {
    ($name:literal) => {
        ($name, split(Bytes::from_static(include_bytes!(concat!("../../../tests/golden/", $name, ".bin")))).unwrap())
    };
}

/// The five records that every client wrote.
fn five(offset: i64, time: i64) -> Vec<Record> {
    let bytes = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let at = |index, delta, key, value| Record {
        offset: offset + index,
        timestamp: time + delta,
        key,
        value,
        headers: vec![],
    };
    let mut records = vec![
        at(0, 0, bytes(b"key-0"), bytes(b"value-0")),
        at(1, 1000, None, Some(Bytes::from("v".repeat(200)))),
        at(2, 500, bytes(b"key-2"), None),
        at(3, 3000, bytes(b""), bytes(b"")),
        at(4, 3000, bytes(b"\x00\xff\x80"), bytes(b"\xc3\x28")),
    ];
    let header = |key: &'static str, value: Option<&'static str>| (Bytes::from(key), value.map(Bytes::from));
    records[2].headers =
        vec![header("h", Some("1")), header("h", Some("2")), header("empty", Some("")), header("null", None)];
    records[4].headers = vec![header("\u{e9}", Some("\u{e9}"))];
    records
}

/// One by one, together, and from every offset on: always the same records.
fn check_all_ways(name: &str, batches: &[RawBatch], expected: &[Record]) {
    for batch in batches {
        batch.verify_crc().unwrap();
    }
    assert_eq!(seen(batches, 0), expected, "{name}");
    let alone = Limits { records_max: 0, ..LIMITS };
    let last = expected.last().unwrap().offset;
    for from in 0..=last {
        let rest: Vec<_> = expected.iter().filter(|record| record.offset >= from).cloned().collect();
        assert_eq!(records_of(&prepare_all(batches, from, &alone).unwrap()), rest, "{name} {from}");
        assert_eq!(records_of(&prepare_all(batches, from, &LIMITS).unwrap()), rest, "{name} {from}");
    }
}

#[test]
fn plain_and_compressed_batches_of_both_clients() {
    for (codec, (name, batches)) in [
        (Codec::None, golden!("java-none")),
        (Codec::Gzip, golden!("java-gzip")),
        (Codec::Snappy, golden!("java-snappy")),
        (Codec::Lz4, golden!("java-lz4")),
        (Codec::Zstd, golden!("java-zstd")),
        (Codec::None, golden!("librdkafka-none")),
        (Codec::Gzip, golden!("librdkafka-gzip")),
        (Codec::Snappy, golden!("librdkafka-snappy")),
        (Codec::Lz4, golden!("librdkafka-lz4")),
        (Codec::Zstd, golden!("librdkafka-zstd")),
    ] {
        assert_eq!(batches.len(), 2, "{name}");
        assert!(batches.iter().all(|batch| batch.header.codec() == Ok(codec)), "{name}");
        let expected = [five(0, TIME), five(5, TIME + 10_000)].concat();
        check_all_ways(name, &batches, &expected);
        let merged = prepare_all(&batches, 0, &LIMITS).unwrap();
        assert_eq!((merged.len(), merged[0].surgery), (1, Surgery::Merge), "{name}");
    }
}

#[test]
fn our_uncompressed_bytes_are_javas() {
    let (_, batches) = golden!("java-none");
    for (batch, expected) in batches.iter().zip([five(0, TIME), five(5, TIME + 10_000)]) {
        let ours = one(encode_batch(&expected, Codec::None).unwrap());
        assert_eq!(ours.body(), batch.body());
    }
    let merged = prepare_all(&batches, 0, &LIMITS).unwrap().remove(0);
    let together = [five(0, TIME), five(5, TIME + 10_000)].concat();
    assert_eq!(merged.body, one(encode_batch(&together, Codec::None).unwrap()).body());
}

#[test]
fn both_clients_frame_snappy_differently() {
    let (_, java) = golden!("java-snappy");
    let (_, librdkafka) = golden!("librdkafka-snappy");
    assert!(java[0].body().starts_with(b"\x82SNAPPY\0"));
    assert!(!librdkafka[0].body().starts_with(b"\x82SNAPPY\0"));
}

#[test]
fn committed_transactions_are_copied_and_aborted_ones_are_not() {
    for (name, batches) in [golden!("java-transactions"), golden!("librdkafka-transactions")] {
        // Five records and a marker, three times; the second time aborted.
        assert_eq!(batches.len(), 6, "{name}");
        let producer_id = batches[0].header.producer_id;
        let mut filter = AbortedFilter::new(vec![(producer_id, 6)]);
        let admitted: Vec<_> = batches.iter().map(|batch| filter.admit(batch).unwrap()).collect();
        assert_eq!(admitted, [Data, Control, Aborted, Control, Data, Control], "{name}");
        let data = [batches[0].clone(), batches[4].clone()];
        let expected = [five(0, TIME), five(12, TIME + 20_000)].concat();
        check_all_ways(name, &data, &expected);
        let merged = prepare_all(&data, 0, &LIMITS).unwrap().remove(0);
        assert_eq!(merged.runs, [run(0, 5), run(12, 5)]);
    }
}

#[test]
fn append_times_become_the_records_timestamps() {
    let (name, batches) = golden!("log-append-time");
    let time = batches[0].header.max_timestamp;
    assert!(batches[0].header.is_log_append_time() && time > TIME + 100_000);
    let expected: Vec<_> = five(0, TIME).into_iter().map(|record| Record { timestamp: time, ..record }).collect();
    check_all_ways(name, &batches, &expected);
}

#[test]
fn what_compaction_left_is_rebuilt_with_its_timestamps() {
    for (codec, (name, batches)) in [(Codec::None, golden!("compacted-none")), (Codec::Zstd, golden!("compacted-zstd"))]
    {
        let expected = {
            let at = |offset: i64, key: &'static str, value: Option<&'static str>| Record {
                offset,
                timestamp: TIME + offset * 1000,
                key: Some(Bytes::from(key)),
                value: value.map(Bytes::from),
                headers: vec![],
            };
            let mut expected = vec![
                at(3, "a0", Some("first-3")),
                at(5, "a2", Some("first-5")),
                at(6, "a1", None),
                at(7, "tail", Some("last")),
                at(8, "roll", Some("roll")),
                at(9, "roll", Some("roll again")),
            ];
            expected[3].headers =
                vec![(Bytes::from("h"), Some(Bytes::from("1"))), (Bytes::from("h"), Some(Bytes::from("2")))];
            expected
        };
        assert!(batches.iter().any(|batch| batch.header.has_delete_horizon()), "{name}");
        assert!(batches.iter().all(|batch| batch.header.codec() == Ok(codec)), "{name}");
        check_all_ways(name, &batches, &expected);
        let rebuilt = prepare_all(&batches[..1], 0, &LIMITS).unwrap().remove(0);
        assert_eq!(rebuilt.surgery, Surgery::Rebuild, "{name}");
    }
}
