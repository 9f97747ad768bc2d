//! One partition's part of a response.

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::super::reading::{Misread, is_copied, read};
use super::fake::batch;
use super::*;

fn from(offset: i64) -> FetchPosition {
    FetchPosition { offset: SourceOffset::new(offset).unwrap(), last_epoch: None }
}

fn part(batches: &[(i64, i64, i32)]) -> PartitionData {
    let bytes: Vec<_> = batches.iter().map(|(base, count, epoch)| batch(*base, *count, *epoch).bytes).collect();
    PartitionData::default().with_records(Some(bytes.concat().into()))
}

fn bases(part: &mut PartitionData, offset: i64) -> Result<(Vec<i64>, FetchPosition), Misread> {
    let reading = read(from(offset), part, false)?;
    Ok((reading.batches.iter().map(|(batch, _)| batch.header.base_offset).collect(), reading.next))
}

fn next(offset: i64, epoch: i32) -> FetchPosition {
    FetchPosition { offset: SourceOffset::new(offset).unwrap(), last_epoch: Some(LeaderEpoch(epoch)) }
}

#[test]
fn batches_are_taken_from_the_position_on() {
    assert_eq!(bases(&mut part(&[(0, 5, 1), (5, 5, 2)]), 0), Ok((vec![0, 5], next(10, 2))));
    assert_eq!(bases(&mut part(&[(0, 5, 1), (5, 5, 2)]), 7), Ok((vec![5], next(10, 2))), "begins within a batch");
    assert_eq!(
        bases(&mut part(&[(0, 5, 1), (90, 5, 2)]), 3),
        Ok((vec![0, 90], next(95, 2))),
        "compaction leaves holes"
    );
    assert_eq!(bases(&mut PartitionData::default(), 3), Ok((vec![], from(3))));
}

#[test]
fn a_batch_that_is_cut_off_comes_with_the_next_response_or_asks_for_more() {
    let whole = part(&[(0, 5, 1), (5, 5, 1)]).records.unwrap();
    let first = batch(0, 5, 1).bytes.len();
    let cut = |bytes: usize| PartitionData::default().with_records(Some(whole.slice(..bytes)));
    assert_eq!(bases(&mut cut(whole.len() - 1), 0), Ok((vec![0], next(5, 1))));
    assert_eq!(bases(&mut cut(first + 5), 0), Ok((vec![0], next(5, 1))));
    assert_eq!(bases(&mut cut(first - 1), 0), Err(Misread::TooSmall { needed: first }));
    assert!(matches!(bases(&mut cut(11), 0), Err(Misread::TooSmall { .. })));
    // Nothing but batches before the position: more must be asked for, or it would go on so for ever.
    assert!(matches!(bases(&mut part(&[(0, 5, 1)]), 9), Err(Misread::TooSmall { .. })));
}

#[test]
fn offsets_that_do_not_rise_are_refused_after_what_was_good() {
    assert_eq!(bases(&mut part(&[(5, 5, 1), (0, 5, 1)]), 5), Ok((vec![5], next(10, 1))));
    assert_eq!(bases(&mut part(&[(5, 5, 1), (8, 5, 1)]), 5), Ok((vec![5], next(10, 1))));
    let mut bytes = batch(3, 2, 1).bytes.to_vec();
    bytes[0] = 0xff;
    let mut negative = PartitionData::default().with_records(Some(Bytes::from(bytes)));
    assert!(matches!(bases(&mut negative, 0), Err(Misread::Batch(_) | Misread::TooSmall { .. })));
}

#[test]
fn small_slices_are_copied_out_of_shared_frames() {
    assert!(!is_copied(100, 100) && !is_copied(25, 100) && is_copied(24, 100) && !is_copied(0, 0));
    let mut shared = part(&[(0, 5, 1)]);
    let frame = shared.records.clone().unwrap();
    let copied = read(from(0), &mut shared.clone(), true).unwrap();
    assert_ne!(copied.batches[0].0.bytes.as_ptr(), frame.as_ptr());
    let kept = read(from(0), &mut shared, false).unwrap();
    assert_eq!(kept.batches[0].0.bytes.as_ptr(), frame.as_ptr());
}
