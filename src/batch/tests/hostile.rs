//! Bytes that nobody should have written: an error or a result within the limits, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TIGHT: Limits = Limits {
    batch_bytes_max: 100_000,
    decompressed_bytes_max: 50_000,
    merge_compressed_below: 4000,
    records_max: 5000,
    is_dense: false,
};

fn look_at(bytes: Bytes) {
    let Ok(batches) = split(bytes) else { return };
    let mut filter = AbortedFilter::new(vec![(0, 0), (99, 3)]);
    for batch in &batches {
        let _ = filter.admit(batch);
        if let Ok(records) = decode(batch, TIGHT.decompressed_bytes_max) {
            assert!(records.len() <= 50_000.max(batch.bytes.len()));
        }
    }
    let mut queue: VecDeque<_> = batches.into_iter().collect();
    let mut from = offset(1);
    loop {
        let before = queue.len();
        match prepare(&mut queue, from, &TIGHT) {
            Ok(Step::Idle) => break,
            Ok(Step::Skip { next_source }) => from = next_source,
            Ok(Step::Send(prepared)) => {
                assert!(prepared.batches == 1 || prepared.byte_len() <= TIGHT.batch_bytes_max);
                let _ = prepared.stamp(&STAMP);
                from = prepared.next_source;
            }
            Err(_) => {
                assert_eq!(queue.len(), before);
                queue.pop_front();
            }
        }
    }
}

/// Makes the CRC of every batch fit again, so that the damage reaches what is behind the check.
fn mend(bytes: &[u8]) -> Bytes {
    let mut mended = BytesMut::new();
    for batch in split(Bytes::from(bytes.to_vec())).unwrap_or_default() {
        mended.extend_from_slice(&seal(batch.header, &batch.body()).unwrap());
    }
    mended.freeze()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_batches_do_no_harm(
        codecs in vec(proptest::sample::select(Codec::ALL.to_vec()), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = Vec::new();
        for (index, codec) in codecs.iter().enumerate() {
            bytes.extend_from_slice(&encode_batch(&odd_records(index as i64 * 5), *codec).unwrap());
        }
        for (index, byte) in &damage {
            let index = index.index(bytes.len());
            bytes[index] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        look_at(Bytes::from(bytes.clone()));
        look_at(mend(&bytes));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300), body in vec(any::<u8>(), 0..200), attributes in 0_i16..0x80) {
        look_at(Bytes::from(bytes));
        let header = batch(&odd_records(0), Codec::None).header;
        for record_count in [0, 1, 5, i32::MAX] {
            let header = BatchHeader { attributes, record_count, last_offset_delta: record_count.max(1) - 1, ..header };
            look_at(seal(header, &body).unwrap());
        }
    }
}

#[test]
fn offsets_at_the_end_of_the_world_are_malformed() {
    let good = batch(&odd_records(0), Codec::None);
    for (base_offset, last_offset_delta) in [(i64::MAX - 4, 4), (i64::MAX - 2, 4), (-1, 4), (i64::MIN, 4), (0, -1)] {
        let bad = with_header(&good, |header| {
            header.base_offset = base_offset;
            header.last_offset_delta = last_offset_delta;
        });
        let step = prepare(&mut VecDeque::from([bad]), offset(0), &LIMITS);
        assert!(matches!(step, Err(BatchError::Malformed { .. })), "{base_offset} {last_offset_delta}");
    }
    let last = with_header(&good, |header| header.base_offset = i64::MAX - 5);
    let Ok(Step::Send(prepared)) = prepare(&mut VecDeque::from([last]), offset(0), &LIMITS) else { panic!() };
    assert_eq!(prepared.next_source, offset(i64::MAX));
}
