//! Restamp, merge and rebuild, case by case.

use super::*;

fn queue(batches: &[RawBatch]) -> VecDeque<RawBatch> {
    batches.iter().cloned().collect()
}

fn only(batches: &[RawBatch], from: i64) -> Prepared {
    let mut sent = prepare_all(batches, from, &LIMITS).unwrap();
    assert_eq!(sent.len(), 1);
    let prepared = sent.remove(0);
    assert_eq!(records_of(std::slice::from_ref(&prepared)), seen(batches, from));
    prepared
}

/// Every kind of field that belongs to the source.
fn worn(batch: &RawBatch) -> RawBatch {
    with_header(batch, |header| {
        header.leader_epoch = 12;
        header.attributes |= 0x50;
        header.producer_id = 5;
        header.producer_epoch = 6;
        header.base_sequence = 7;
    })
}

#[test]
fn an_empty_queue_is_idle() {
    assert!(matches!(prepare(&mut VecDeque::new(), offset(0), &LIMITS), Ok(Step::Idle)));
}

#[test]
fn a_whole_batch_is_restamped_without_touching_its_records() {
    for codec in Codec::ALL {
        let source = worn(&batch(&odd_records(100), codec));
        let prepared = only(std::slice::from_ref(&source), 100);
        assert_eq!(prepared.surgery, Surgery::Restamp);
        assert_eq!(prepared.runs, [run(100, 5)]);
        assert_eq!(prepared.next_source, offset(105));
        assert_eq!(prepared.body.as_ptr(), source.body().as_ptr());
        assert_eq!(stamped(&prepared).header.base_timestamp, source.header.base_timestamp);
    }
}

#[test]
fn stamping_again_changes_only_the_stamp() {
    let prepared = only(&[batch(&odd_records(0), Codec::Lz4)], 0);
    let first = prepared.stamp(&STAMP);
    assert_eq!(first.header, prepared.stamp(&STAMP).header);
    let second = prepared.stamp(&Stamp { base_sequence: Sequence::of_count(99), ..STAMP });
    assert_ne!(first.crc, second.crc);
    assert_eq!(first.body.as_ptr(), second.body.as_ptr());
}

#[test]
fn a_bit_that_memory_flips_after_the_check_shows_in_the_stamped_batch() {
    let mut prepared = only(&[batch(&odd_records(0), Codec::None)], 0);
    let mut body = prepared.body.to_vec();
    body[20] ^= 0x10;
    prepared.body = Bytes::from(body);
    let stamped = prepared.stamp(&STAMP);
    let bytes = [stamped.header.as_slice(), stamped.body.as_ref()].concat();
    assert!(one(Bytes::from(bytes)).verify_crc().is_err());
}

#[test]
fn a_delete_horizon_goes_and_the_timestamps_stay() {
    // Compaction writes the deltas anew when it sets the horizon, so base plus delta stays the time.
    let records = odd_records(0);
    let whole = with_header(&batch(&records, Codec::None), |header| {
        header.attributes |= 0x40;
        header.base_timestamp += 50;
        header.max_timestamp += 50;
    });
    assert_eq!(only(&[whole], 0).surgery, Surgery::Restamp);
}

#[test]
fn log_append_time_becomes_the_timestamp_of_every_record() {
    for codec in Codec::ALL {
        let source = with_header(&batch(&odd_records(0), codec), |header| {
            header.attributes |= 0x08;
            header.max_timestamp = 1_750_000_000_000;
        });
        let prepared = only(&[source], 0);
        assert_eq!((prepared.surgery, prepared.max_timestamp), (Surgery::Rebuild, 1_750_000_000_000));
        assert!(records_of(&[prepared]).iter().all(|record| record.timestamp == 1_750_000_000_000));
    }
}

#[test]
fn holes_are_closed_and_remembered() {
    for codec in Codec::ALL {
        let mut records = odd_records(50);
        records.remove(0);
        records.remove(2);
        let source = with_header(&batch(&records, codec), |header| {
            // Holes at both ends, too.
            header.last_offset_delta += 3;
        });
        let prepared = only(&[source], 50);
        assert_eq!(prepared.surgery, Surgery::Rebuild);
        assert_eq!(prepared.runs, [run(51, 2), run(54, 1)]);
        assert_eq!(prepared.next_source, offset(58));
    }
}

#[test]
fn records_before_the_offset_to_begin_with_are_left_out() {
    for codec in Codec::ALL {
        let source = batch(&odd_records(50), codec);
        for from in 51..55 {
            let prepared = only(std::slice::from_ref(&source), from);
            assert_eq!((prepared.surgery, prepared.next_source), (Surgery::Rebuild, offset(55)));
            assert_eq!(prepared.runs, [run(from, u64::try_from(55 - from).unwrap())]);
        }
        let mut all_before = queue(std::slice::from_ref(&source));
        let step = prepare(&mut all_before, offset(55), &LIMITS).unwrap();
        assert!(matches!(step, Step::Skip { next_source } if next_source == offset(55)));
        assert!(all_before.is_empty());
        let step = prepare(&mut queue(&[source]), offset(90), &LIMITS).unwrap();
        assert!(matches!(step, Step::Skip { next_source } if next_source == offset(90)));
    }
}

#[test]
fn empty_batches_are_passed_over() {
    let step = prepare(&mut queue(&[empty_batch(7, 12)]), offset(7), &LIMITS).unwrap();
    assert!(matches!(step, Step::Skip { next_source } if next_source == offset(20)));
    // All its remaining records are before the offset to begin with, though its last offset is not.
    let hollow = with_header(&batch(&odd_records(0), Codec::None), |header| header.last_offset_delta = 20);
    let step = prepare(&mut queue(&[hollow]), offset(9), &LIMITS).unwrap();
    assert!(matches!(step, Step::Skip { next_source } if next_source == offset(21)));
}

#[test]
fn neighbours_are_merged() {
    for codec in Codec::ALL {
        let batches: Vec<_> = (0..20).map(|index| worn(&batch(&odd_records(index * 5), codec))).collect();
        let prepared = only(&batches, 0);
        assert_eq!((prepared.surgery, prepared.batches), (Surgery::Merge, 20));
        assert_eq!((prepared.runs.as_slice(), prepared.next_source), ([run(0, 100)].as_slice(), offset(100)));
    }
}

#[test]
fn gaps_between_and_within_merged_batches_are_remembered() {
    let mut holey = odd_records(30);
    holey.remove(1);
    let batches = [
        batch(&odd_records(2), Codec::None),
        empty_batch(7, 4),
        batch(&odd_records(20), Codec::None),
        batch(&holey, Codec::None),
        with_header(&batch(&odd_records(35), Codec::None), |header| header.attributes |= 0x08),
        empty_batch(60, 39),
    ];
    let prepared = only(&batches, 4);
    assert_eq!(prepared.runs, [run(4, 3), run(20, 5), run(30, 1), run(32, 8)]);
    assert_eq!((prepared.batches, prepared.next_source), (6, offset(100)));
}

#[test]
fn batches_without_timestamps_keep_that_in_a_merge() {
    let none: Vec<_> = (0..3).map(|index| record(index, -1, "none")).collect();
    let some: Vec<_> = (3..6).map(|index| record(index, 1_700_000_000_000 + index, "some")).collect();
    let (none, some) = (batch(&none, Codec::None), batch(&some, Codec::None));
    let prepared = only(&[none.clone(), some.clone()], 0);
    assert_eq!(stamped(&prepared).header.base_timestamp, -1);
    let later = with_header(&none, |header| header.base_offset = 6);
    assert_eq!(only(&[some, later], 0).max_timestamp, 1_700_000_000_005);
    let alone = only(&[none.clone(), with_header(&none, |header| header.base_offset = 3)], 0);
    assert_eq!(alone.max_timestamp, -1);
}

#[test]
fn merging_stops_at_every_limit() {
    let value = "x".repeat(1000);
    for codec in [Codec::None, Codec::Lz4] {
        let batches: Vec<_> = (0..40).map(|index| batch(&[record(index, index, &value)], codec)).collect();
        let bytes = Limits { batch_bytes_max: 5000, ..LIMITS };
        let sent = prepare_all(&batches, 0, &bytes).unwrap();
        assert!(sent.len() >= 2 && sent.len() < 40, "{}", sent.len());
        assert_eq!(records_of(&sent), seen(&batches, 0));
        let records = Limits { records_max: 7, ..LIMITS };
        let sent = prepare_all(&batches, 0, &records).unwrap();
        assert_eq!(sent.iter().map(|prepared| prepared.record_count).collect::<Vec<_>>(), [7, 7, 7, 7, 7, 5]);
        let inflated = Limits { decompressed_bytes_max: 5000, ..LIMITS };
        let sent = prepare_all(&batches, 0, &inflated).unwrap();
        let each: Vec<_> = sent.iter().map(|prepared| prepared.record_count).collect();
        assert_eq!(each, if codec == Codec::None { vec![40] } else { vec![4; 10] });
        let tiny = Limits { batch_bytes_max: 10, records_max: 0, ..LIMITS };
        let sent = prepare_all(&batches, 0, &tiny).unwrap();
        assert!(sent.len() == 40 && sent.iter().all(|prepared| prepared.surgery == Surgery::Restamp));
    }
    let compressed: Vec<_> = (0..5).map(|index| batch(&[record(index, index, &value)], Codec::Zstd)).collect();
    let large = Limits { merge_compressed_below: 50, ..LIMITS };
    assert_eq!(prepare_all(&compressed, 0, &large).unwrap().len(), 5);
}

#[test]
fn deltas_that_grow_past_the_limit_push_the_last_batch_out() {
    let batches: Vec<_> =
        (0..500).map(|index| batch(&[record(index, index * 1_000_000_000, "")], Codec::None)).collect();
    let total: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let mut fewest = usize::MAX;
    for batch_bytes_max in (700..total).step_by(997) {
        let limits = Limits { batch_bytes_max, ..LIMITS };
        let sent = prepare_all(&batches, 0, &limits).unwrap();
        assert_eq!(records_of(&sent), seen(&batches, 0));
        fewest = fewest.min(sent.len());
    }
    assert!(fewest <= 2);
}

#[test]
fn large_batches_and_other_codecs_stay_apart() {
    let large = "x".repeat(300_000);
    let batches = [
        batch(&odd_records(0), Codec::None),
        batch(&odd_records(5), Codec::None),
        batch(&odd_records(10), Codec::Gzip),
        batch(&odd_records(15), Codec::Zstd),
        batch(&odd_records(20), Codec::None),
        batch(&[record(25, 1, &large)], Codec::None),
        batch(&odd_records(26), Codec::None),
    ];
    let sent = prepare_all(&batches, 0, &LIMITS).unwrap();
    assert_eq!(sent.iter().map(|prepared| prepared.batches).collect::<Vec<_>>(), [2, 1, 1, 1, 1, 1]);
    assert_eq!(records_of(&sent), seen(&batches, 0));
}

#[test]
fn a_bad_neighbour_is_judged_when_it_is_at_the_front() {
    let good = [batch(&odd_records(0), Codec::None), batch(&odd_records(5), Codec::None)];
    let last = batch(&odd_records(10), Codec::None);
    let mut flipped = last.bytes.to_vec();
    flipped[80] ^= 1;
    let bad = [
        (one(Bytes::from(flipped)), BatchError::Crc { base_offset: 10 }),
        (
            with_header(&last, |header| header.attributes = 0x20),
            BatchError::malformed(10, "it is a control batch, not data"),
        ),
        (
            with_header(&last, |header| header.attributes = 7),
            BatchError::malformed(10, "there is no compression codec 7"),
        ),
        (
            with_header(&last, |header| header.record_count = 4),
            BatchError::malformed(10, "it holds more than it counts"),
        ),
        (
            with_header(&last, |header| header.record_count = 7),
            BatchError::malformed(10, "it counts more records than it has offsets"),
        ),
    ];
    for (bad, error) in bad {
        let mut queue = queue(&[good[0].clone(), good[1].clone(), bad]);
        let Ok(Step::Send(prepared)) = prepare(&mut queue, offset(0), &LIMITS) else { panic!("nothing to send") };
        assert_eq!((prepared.batches, prepared.next_source), (2, offset(10)));
        assert_eq!(prepare(&mut queue, prepared.next_source, &LIMITS).unwrap_err(), error);
        assert_eq!(queue.len(), 1);
    }
}

#[test]
fn offsets_that_brokers_do_not_look_at_are_forwarded_as_they_are() {
    // An uncompressed batch all of whose records say delta 0: a broker takes it, and so its mirror must.
    let one_record = batch(&[record(0, 1, "same")], Codec::None);
    let body = one_record.body().repeat(3);
    let odd = BatchHeader { record_count: 3, last_offset_delta: 2, ..one_record.header };
    let odd = one(seal(odd, &body).unwrap());
    let next = batch(&odd_records(3), Codec::None);
    let mut queue = queue(&[odd.clone(), next]);
    let Ok(Step::Send(prepared)) = prepare(&mut queue, offset(0), &LIMITS) else { panic!("nothing to send") };
    assert_eq!((prepared.surgery, prepared.batches), (Surgery::Restamp, 1));
    assert_eq!(prepared.body, odd.body());
    // Where the offsets matter, such a batch can't be copied.
    let step = prepare(&mut VecDeque::from([odd]), offset(1), &LIMITS);
    assert!(matches!(step, Err(BatchError::Malformed { base_offset: 0, .. })));
}

#[test]
fn too_large_to_decompress_matters_only_where_it_must_be_decompressed() {
    let big = batch(&[record(0, 1, &"x".repeat(200_000)), record(1, 1, "")], Codec::Zstd);
    let next = batch(&odd_records(2), Codec::Zstd);
    let limits = Limits { decompressed_bytes_max: 100_000, ..LIMITS };
    let mut queue = queue(&[big.clone(), next]);
    let Ok(Step::Send(prepared)) = prepare(&mut queue, offset(0), &limits) else { panic!("nothing to send") };
    assert_eq!((prepared.surgery, prepared.batches), (Surgery::Restamp, 1));
    let error = prepare(&mut VecDeque::from([big]), offset(1), &limits).unwrap_err();
    assert_eq!(error, BatchError::DecompressionLimit { base_offset: 0, bytes_max: 100_000 });
}

#[test]
fn an_independent_reader_agrees() {
    use kafka_protocol::records::{Compression, RecordBatchDecoder};
    let decompress = |data: &mut Bytes, compression: Compression| {
        let codec = Codec::from_id(compression as i16).unwrap();
        Ok(Bytes::from(codec.decompress(data, 1_000_000).unwrap()))
    };
    for codec in Codec::ALL {
        let plain: Vec<_> = (0..10).map(|index| record(index, 1000 - index, "value")).collect();
        let holey: Vec<_> = plain.iter().filter(|record| record.offset % 3 != 0).cloned().collect();
        for (sources, from) in [
            (vec![batch(&plain, codec)], 0),
            (vec![batch(&plain, codec)], 4),
            (vec![batch(&holey, codec)], 0),
            (vec![batch(&plain[..4], codec), batch(&plain[4..], codec)], 0),
        ] {
            let prepared = only(&sources, from);
            let mut bytes = stamped(&prepared).bytes;
            let read = RecordBatchDecoder::decode_with_custom_compression(&mut bytes, Some(decompress)).unwrap();
            let expected = seen(&sources, from);
            assert_eq!(read.records.len(), expected.len());
            for (index, (read, expected)) in read.records.iter().zip(&expected).enumerate() {
                assert_eq!((read.offset, read.sequence), (index as i64, 77 + index as i32));
                assert_eq!((read.producer_id, read.producer_epoch), (4711, 3));
                assert_eq!(
                    (read.timestamp, &read.key, &read.value),
                    (expected.timestamp, &expected.key, &expected.value)
                );
                assert!(!read.transactional && !read.control && !read.delete_horizon);
            }
        }
    }
}

#[test]
fn dense_pieces_have_no_holes_and_leave_nothing_out() {
    let dense = Limits { is_dense: true, ..LIMITS };
    for codec in Codec::ALL {
        let of = |offsets: &[i64]| {
            let records: Vec<_> = offsets.iter().map(|offset| record(*offset, 1000 + offset, "value")).collect();
            batch(&records, codec)
        };
        let batches = [of(&[0, 1, 2]), of(&[3, 4]), of(&[7, 8, 10, 13, 14]), of(&[15]), of(&[20])];
        for from in [0, 1, 8, 9, 13] {
            let sent = prepare_all(&batches, from, &dense).unwrap();
            assert!(sent.iter().all(|prepared| prepared.runs.len() == 1), "{sent:?}");
            let offsets: Vec<i64> = sent
                .iter()
                .flat_map(|prepared| &prepared.runs)
                .flat_map(|run| run.source.get()..run.source.plus(run.length).get())
                .collect();
            let expected: Vec<i64> =
                [0, 1, 2, 3, 4, 7, 8, 10, 13, 14, 15, 20].into_iter().filter(|offset| *offset >= from).collect();
            assert_eq!(offsets, expected, "{codec:?} from {from}");
            assert!(sent.windows(2).all(|two| two[0].next_source <= two[1].runs[0].source));
        }
    }
}
