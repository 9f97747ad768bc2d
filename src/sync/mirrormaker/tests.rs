use std::fmt::Write as _;

use super::form::{Pair, checkpoint, heartbeat, offset_sync};
use super::syncs::OffsetSync;
use super::topics::batches;
use super::*;
use crate::batch::{decode, split};
use crate::types::{PartitionIndex, TopicName};

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

fn position(group: &str, target: TopicPartition, offsets: (i64, i64), metadata: &str) -> GroupPosition {
    GroupPosition {
        group: GroupName::new(group).unwrap(),
        source: target.clone(),
        target,
        source_offset: SourceOffset::new(offsets.0).unwrap(),
        target_offset: TargetOffset::new(offsets.1).unwrap(),
        metadata: metadata.to_owned(),
    }
}

/// Bytes that MirrorMaker's own classes write for the same values.
#[test]
fn the_formats_are_mirrormakers() {
    let hex = |pair: Pair| (hex(&pair.key), hex(&pair.value));
    let expect = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let alias = |name| ClusterName::new(name).unwrap();
    assert_eq!(
        hex(heartbeat(&alias("A"), &alias("B"), 1_700_000_000_000)),
        expect("000141000142", "00000000018bcfe56800")
    );
    assert_eq!(
        hex(checkpoint(&position("g1", partition("A.t", 3), (100, 42), ""))),
        expect("000267310003412e7400000003", "00000000000000000064000000000000002a0000")
    );
    assert_eq!(
        hex(checkpoint(&position("gé", partition("A.t", 0), (1, 2), "meta"))),
        expect("000367c3a90003412e7400000000", "00000000000000000001000000000000000200046d657461")
    );
    let sync = OffsetSync {
        source: partition("t", 3),
        source_offset: SourceOffset::new(100).unwrap(),
        target_offset: TargetOffset::new(42).unwrap(),
    };
    assert_eq!(hex(offset_sync(&sync)), expect("00017400000003", "0000000000000064000000000000002a"));
}

#[test]
fn metadata_that_is_too_long_is_cut_between_letters() {
    let pair = checkpoint(&position("g", partition("t", 0), (1, 2), &"é".repeat(20_000)));
    assert_eq!(pair.value.len(), 2 + 8 + 8 + 2 + 32_766);
}

#[test]
fn many_records_become_several_batches_and_none_is_lost() {
    let records: Vec<Pair> = (0..20_000).map(|n| checkpoint(&position("g", partition("t", n), (1, 2), "m"))).collect();
    let batches = batches(&records, 7).unwrap();
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.len() < 300 << 10));
    let mut read = Vec::new();
    for batch in batches {
        for raw in split(batch).unwrap() {
            read.extend(
                decode(&raw, 1 << 20)
                    .unwrap()
                    .into_iter()
                    .map(|record| Pair { key: record.key.unwrap(), value: record.value.unwrap() }),
            );
        }
    }
    assert_eq!(read, records);
}

/// What a round writes, as (source offset, target offset), when the copy has come to `end`.
fn round(checkpoints: &mut Checkpoints, offsets: (i64, i64), end: Option<(i64, i64)>) -> Vec<(i64, i64)> {
    let end = end.map(|(source, target)| (SourceOffset::new(source).unwrap(), TargetOffset::new(target).unwrap()));
    let changed = checkpoints.changed(vec![position("g", partition("t", 0), offsets, "")], |_| end);
    let told = changed.iter().map(|position| (position.source_offset.get(), position.target_offset.get())).collect();
    checkpoints.written(changed);
    told
}

#[test]
fn checkpoints_are_written_when_they_change_and_never_past_the_data() {
    let mut checkpoints = Checkpoints::default();
    let end = Some((200, 100));
    assert_eq!(round(&mut checkpoints, (150, 50), None), [], "nothing of the partition is there");
    assert_eq!(round(&mut checkpoints, (150, 50), end), [(150, 50)]);
    assert_eq!(round(&mut checkpoints, (150, 50), end), [], "unchanged");
    assert_eq!(round(&mut checkpoints, (120, 20), end), [(120, 20)], "set back");
    assert_eq!(round(&mut checkpoints, (210, 110), end), [(200, 100)], "ahead of what is stored");
    assert_eq!(round(&mut checkpoints, (220, 120), end), []);
    assert_eq!(round(&mut checkpoints, (230, 130), Some((225, 125))), [(225, 125)], "it moves on with the copy");
    assert_eq!(round(&mut checkpoints, (230, 130), Some((300, 200))), [(230, 130)]);
}
