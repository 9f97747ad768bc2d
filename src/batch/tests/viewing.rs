//! Splitting, CRC, flags, and the judgement of transactions.

use super::*;

fn marker(offset: i64, producer_id: i64, kind: u8) -> RawBatch {
    let key = Bytes::from(vec![0, 0, 0, kind]);
    let record =
        Record { offset, timestamp: 1, key: Some(key), value: Some(Bytes::from_static(&[0; 6])), headers: vec![] };
    with_header(&batch(&[record], Codec::None), |header| {
        header.attributes |= 0x30;
        header.producer_id = producer_id;
    })
}

fn transactional(offset: i64, producer_id: i64) -> RawBatch {
    let records = [record(offset, 5, "a"), record(offset + 1, 6, "b")];
    with_header(&batch(&records, Codec::None), |header| {
        header.attributes |= 0x10;
        header.producer_id = producer_id;
    })
}

#[test]
fn splits_into_whole_batches_and_leaves_a_cut_off_end() {
    let first = encode_batch(&odd_records(10), Codec::None).unwrap();
    let second = encode_batch(&odd_records(20), Codec::Zstd).unwrap();
    let both = [first.as_ref(), second.as_ref()].concat();
    for cut in 0..=both.len() {
        let parts = split(Bytes::from(both[..cut].to_vec()));
        match cut {
            0 => assert!(parts.unwrap().is_empty()),
            _ if cut < first.len() => assert!(matches!(parts, Err(BatchError::Malformed { .. })), "{cut}"),
            _ if cut < both.len() => assert_eq!(parts.unwrap().len(), 1),
            _ => {
                let parts = parts.unwrap();
                assert_eq!(parts.iter().map(|part| part.header.base_offset).collect::<Vec<_>>(), [10, 20]);
                assert_eq!(parts[0].bytes, first);
                assert_eq!(parts[1].bytes, second);
                assert_eq!(parts[1].header.codec(), Ok(Codec::Zstd));
                assert_eq!(parts[1].header.last_offset(), 24);
            }
        }
    }
}

#[test]
fn old_formats_are_named_when_they_come_first() {
    for magic in [0_i8, 1] {
        let mut old = vec![0; 40];
        old[7] = 42;
        old[11] = 28;
        old[16] = magic.unsigned_abs();
        assert_eq!(split(Bytes::from(old.clone())).unwrap_err(), BatchError::OldFormat { base_offset: 42, magic });
        // Behind a good batch they wait until the fetch begins with them.
        let mut both = encode_batch(&odd_records(0), Codec::None).unwrap().to_vec();
        both.extend_from_slice(&old);
        assert_eq!(split(Bytes::from(both)).unwrap().len(), 1);
    }
}

#[test]
fn lengths_and_formats_that_cannot_be_are_malformed() {
    let good = encode_batch(&odd_records(0), Codec::None).unwrap();
    for (at, bytes) in
        [(8, [0xff, 0xff, 0xff, 0xff]), (8, [0, 0, 0, 48]), (8, [0x7f, 0xff, 0xff, 0xff]), (13, [0, 0, 0, 3])]
    {
        let mut bad = good.to_vec();
        bad[at..at + 4].copy_from_slice(&bytes);
        assert!(matches!(split(Bytes::from(bad)), Err(BatchError::Malformed { base_offset: 0, .. })));
    }
}

#[test]
fn every_flipped_bit_that_the_crc_covers_is_found() {
    let good = encode_batch(&odd_records(0), Codec::None).unwrap();
    one(good.clone()).verify_crc().unwrap();
    for bit in 17 * 8..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(one(Bytes::from(bad)).verify_crc(), Err(BatchError::Crc { base_offset: 0 }));
    }
}

#[test]
fn flags_and_codecs_are_read() {
    let plain = batch(&odd_records(0), Codec::None);
    let with = |attributes: i16| with_header(&plain, |header| header.attributes = attributes).header;
    assert!(with(0x08).is_log_append_time() && !with(0x77).is_log_append_time());
    assert!(with(0x10).is_transactional() && !with(0x6f).is_transactional());
    assert!(with(0x20).is_control() && !with(0x5f).is_control());
    assert!(with(0x40).has_delete_horizon() && !with(0x3f).has_delete_horizon());
    for codec in Codec::ALL {
        assert_eq!(with(codec.id()).codec(), Ok(codec));
    }
    for attributes in 5..8 {
        assert!(matches!(with(attributes).codec(), Err(BatchError::Malformed { .. })));
    }
}

#[test]
fn aborted_data_is_left_out_until_its_marker() {
    let mut filter = AbortedFilter::new(vec![(7, 20), (7, 0), (8, 6)]);
    let mut admit = |batch: &RawBatch| filter.admit(batch).unwrap();
    assert_eq!(admit(&transactional(0, 7)), Admission::Aborted);
    // Another producer's data, before its own transaction begins.
    assert_eq!(admit(&transactional(2, 8)), Admission::Data);
    // The same producer id without a transaction.
    assert_eq!(admit(&with_header(&batch(&odd_records(4), Codec::None), |h| h.producer_id = 7)), Admission::Data);
    // Begins at or before the batch's last offset.
    assert_eq!(admit(&transactional(9, 8)), Admission::Aborted);
    assert_eq!(admit(&transactional(11, 7)), Admission::Aborted);
    // A commit marker ends nothing; an abort marker ends its own producer's transaction.
    assert_eq!(admit(&marker(13, 7, 1)), Admission::Control);
    assert_eq!(admit(&transactional(14, 7)), Admission::Aborted);
    assert_eq!(admit(&marker(16, 7, 0)), Admission::Control);
    assert_eq!(admit(&transactional(17, 7)), Admission::Data);
    assert_eq!(admit(&transactional(19, 7)), Admission::Aborted);
    assert_eq!(admit(&transactional(21, 8)), Admission::Aborted);
    // What compaction left of a marker says nothing.
    let hollow = with_header(&empty_batch(23, 0), |header| {
        header.attributes = 0x30;
        header.producer_id = 8;
    });
    assert_eq!(admit(&hollow), Admission::Control);
    assert_eq!(admit(&transactional(24, 8)), Admission::Aborted);
}

#[test]
fn nothing_is_left_out_for_a_flipped_bit() {
    let mut filter = AbortedFilter::new(vec![(7, 0)]);
    let good = transactional(0, 7);
    let mut bytes = good.bytes.to_vec();
    bytes[70] ^= 4;
    let bad = one(Bytes::from(bytes));
    assert_eq!(filter.admit(&bad), Err(BatchError::Crc { base_offset: 0 }));
    let mut bytes = marker(3, 7, 0).bytes.to_vec();
    bytes[70] ^= 1;
    assert_eq!(filter.admit(&one(Bytes::from(bytes))), Err(BatchError::Crc { base_offset: 3 }));
    assert_eq!(filter.admit(&good), Ok(Admission::Aborted));
}

#[test]
fn markers_that_cannot_be_read_are_malformed() {
    let edit = |key: Option<Vec<u8>>| {
        let record = Record { offset: 3, timestamp: 1, key: key.map(Bytes::from), value: None, headers: vec![] };
        with_header(&batch(&[record], Codec::None), |header| header.attributes |= 0x20)
    };
    for key in [None, Some(vec![]), Some(vec![0, 0, 0]), Some(vec![0xff, 0xff, 0, 0])] {
        let judged = AbortedFilter::default().admit(&edit(key));
        assert!(matches!(judged, Err(BatchError::Malformed { base_offset: 3, .. })), "{judged:?}");
    }
    // A type that this version does not know is still a marker.
    assert_eq!(AbortedFilter::default().admit(&edit(Some(vec![0, 0, 0, 9]))), Ok(Admission::Control));
}
