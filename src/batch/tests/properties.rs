//! Any records, any codec, any neighbours, any beginning: what comes out is what a consumer of the source sees.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn any_record() -> impl Strategy<Value = (Record, i64)> {
    let timestamp = prop_oneof![4 => 1_700_000_000_000_i64..1_700_000_100_000, 1 => Just(-1_i64), 1 => any::<i64>()];
    let headers = vec((any_bytes(), option::of(any_bytes())), 0..4);
    let step = prop_oneof![6 => Just(1_i64), 1 => 2_i64..5];
    (timestamp, option::of(any_bytes()), option::of(any_bytes()), headers, step)
        .prop_map(|(timestamp, key, value, headers, step)| (Record { offset: 0, timestamp, key, value, headers }, step))
}

#[derive(Debug, Clone)]
struct Source {
    records: Vec<(Record, i64)>,
    codec: Codec,
    gap: i64,
    has_append_time: bool,
    flags: i16,
    holes_after: i32,
}

fn any_source() -> impl Strategy<Value = Source> {
    let codec = prop_oneof![4 => Just(Codec::None), 4 => proptest::sample::select(Codec::ALL.to_vec())];
    let gap = prop_oneof![3 => Just(0_i64), 1 => 1_i64..50];
    let flags = proptest::sample::select(vec![0_i16, 0x10, 0x40, 0x50]);
    let holes_after = prop_oneof![5 => Just(0), 1 => 0..4];
    (vec(any_record(), 0..12), codec, gap, prop::bool::weighted(0.15), flags, holes_after).prop_map(
        |(records, codec, gap, has_append_time, flags, holes_after)| Source {
            records,
            codec,
            gap,
            has_append_time,
            flags,
            holes_after,
        },
    )
}

/// Lays the batches out one after the other.
fn lay_out(sources: &[Source]) -> Vec<RawBatch> {
    let mut next = 3;
    let mut batches = Vec::new();
    for source in sources {
        next += source.gap;
        if source.records.is_empty() {
            batches.push(empty_batch(next, source.holes_after));
            next += i64::from(source.holes_after) + 1;
            continue;
        }
        let mut records = Vec::new();
        for (record, step) in &source.records {
            next += step - 1;
            records.push(Record { offset: next, ..record.clone() });
            next += 1;
        }
        let encoded = batch(&records, source.codec);
        batches.push(with_header(&encoded, |header| {
            header.attributes |= source.flags | if source.has_append_time { 0x08 } else { 0 };
            header.last_offset_delta += source.holes_after;
            header.producer_id = 99;
        }));
        next += i64::from(source.holes_after);
    }
    batches
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (100_usize..4000, 1_usize..60, prop_oneof![Just(0_usize), 100_usize..400, Just(10_000)]).prop_map(
        |(batch_bytes_max, records_max, merge_compressed_below)| Limits {
            batch_bytes_max,
            decompressed_bytes_max: 20_000,
            merge_compressed_below,
            records_max,
            is_dense: false,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn surgery_keeps_every_record(sources in vec(any_source(), 0..8), start in 0_i64..120, limits in any_limits()) {
        let batches = lay_out(&sources);
        let sent = prepare_all(&batches, start, &limits).unwrap();
        prop_assert_eq!(records_of(&sent), seen(&batches, start));
        for (before, after) in sent.iter().zip(sent.iter().skip(1)) {
            prop_assert!(before.next_source <= after.runs[0].source);
        }
        if let (Some(last), Some(batch)) = (sent.last(), batches.last()) {
            prop_assert!(last.next_source.get() <= batch.header.last_offset() + 1);
        }
    }

    #[test]
    fn cutting_the_response_anywhere_keeps_whole_batches(sources in vec(any_source(), 1..5), cut in any::<prop::sample::Index>()) {
        let batches = lay_out(&sources);
        let all = batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect::<Vec<_>>();
        let cut = cut.index(all.len() + 1);
        let mut whole = 0;
        let mut end = 0;
        for batch in &batches {
            end += batch.bytes.len();
            whole += usize::from(end <= cut);
        }
        match split(Bytes::from(all[..cut].to_vec())) {
            Ok(parts) => {
                prop_assert_eq!(parts.len(), whole);
                for (part, batch) in parts.iter().zip(&batches) {
                    prop_assert_eq!(&part.bytes, &batch.bytes);
                }
            }
            Err(_) => prop_assert!(whole == 0 && cut > 0),
        }
    }
}
