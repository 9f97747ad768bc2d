use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::mirror::StoredMap;
use crate::store::{PartitionState, StatusRecord};
use crate::types::{PartitionIndex, TopicName, Translation};

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

/// A source with a hole after every record.
fn sparse(from: i64, count: i64) -> Vec<Run> {
    (from..from + count).map(|n| Run { source: source(2 * n), target: target(n), length: 1 }).collect()
}

/// What the state topic would hold.
#[derive(Default)]
struct Stored {
    chunks: BTreeMap<u32, MapRecord>,
    record: Option<PositionRecord>,
}

impl Stored {
    fn checkpoint(&mut self, position: &mut Position) {
        let link = LinkName::new("test").unwrap();
        let partition = TopicPartition::new(TopicName::new("orders").unwrap(), PartitionIndex(0));
        let (closed, removed) = position.close_chunks(&link, &partition);
        for write in closed.into_iter().chain(removed) {
            match write {
                Write::Put(Key::Map { chunk, .. }, Value::Map(record)) => {
                    self.chunks.insert(chunk, record);
                }
                Write::Remove(Key::Map { chunk, .. }) => {
                    self.chunks.remove(&chunk);
                }
                other => panic!("{other:?}"),
            }
        }
        self.record = Some(PositionRecord {
            source_topic_id: None,
            target_topic_id: None,
            source_position: position.source(),
            source_leader_epoch: position.last_epoch,
            target_position: position.target(),
            sequence: position.sequence(),
            others: position.others(),
            begun_at: position.begun_at,
            map_start: Some((position.map().source_start(), position.map().target_start())),
            open_runs: OffsetMap::encode(position.open_runs()),
            open_chunk: position.open_chunk(),
            resolution: None,
            offsets: Some(position.relation().to_record()),
            status: StatusRecord {
                state: PartitionState::Mirroring,
                daemon: "test".to_owned(),
                at_ms: 0,
                source_log_start: None,
                source_high_watermark: None,
                source_last_stable: None,
                lag_ms: None,
                source_contact_age_ms: None,
                retention_left_ms: None,
                held_by: None,
                stop: None,
            },
        });
    }

    /// What a daemon makes of it that followed all checkpoints, or began with this one.
    fn follow(&self, followed: &mut Option<StoredMap>) -> OffsetMap {
        let record = self.record.as_ref().unwrap();
        let chunk = |number: u32| self.chunks.get(&number).map(|chunk| chunk.runs.clone());
        let is_followed = followed.as_mut().is_some_and(|followed| followed.follow(record, chunk));
        if !is_followed {
            let chunks = self.chunks.iter().map(|(number, chunk)| (*number, chunk.runs.as_str()));
            *followed = Some(StoredMap::read(record, chunks).unwrap());
        }
        followed.as_ref().unwrap().map().clone()
    }

    fn load(&self) -> Position {
        let chunks: Vec<(u32, MapRecord)> = self.chunks.iter().map(|(n, record)| (*n, record.clone())).collect();
        Position::load(self.record.as_ref().unwrap(), &chunks).unwrap()
    }
}

#[test]
fn a_large_map_is_closed_into_chunks_and_read_back_whole() {
    let mut position = Position::new(source(0), target(0), Sequence::ZERO);
    let mut stored = Stored::default();
    for step in 0..13 {
        position.acknowledge(&sparse(step * 1000, 1000)).unwrap();
        stored.checkpoint(&mut position);
        assert!(position.open_runs().len() <= OPEN_RUNS_MAX);
        let loaded = stored.load();
        assert_eq!(loaded.map(), position.map());
        assert_eq!(loaded.sequence(), position.sequence());
    }
    assert!(stored.chunks.len() >= 4);
}

#[test]
fn pruned_chunks_are_removed_and_the_rest_still_reads_back() {
    let mut position = Position::new(source(0), target(0), Sequence::ZERO);
    let mut stored = Stored::default();
    position.acknowledge(&sparse(0, 10_000)).unwrap();
    stored.checkpoint(&mut position);
    let before = stored.chunks.len();
    position.prune_below(source(9_001));
    stored.checkpoint(&mut position);
    assert!(stored.chunks.len() < before, "{} chunks are left of {before}", stored.chunks.len());
    assert_eq!(stored.load().map(), position.map());
    position.prune_below(source(20_000));
    stored.checkpoint(&mut position);
    assert!(stored.chunks.is_empty());
    assert_eq!(stored.load().map(), position.map());
}

#[test]
fn a_rewind_into_a_closed_chunk_opens_it_again() {
    let mut position = Position::new(source(0), target(0), Sequence::ZERO);
    let mut stored = Stored::default();
    position.acknowledge(&sparse(0, 10_000)).unwrap();
    stored.checkpoint(&mut position);
    let lost = position.rewind(target(1_500), Sequence::of_count(1_500)).unwrap();
    assert_eq!((lost.len(), lost[0].target), (8_500, target(1_500)));
    assert_eq!((position.source(), position.target()), (source(2_999), target(1_500)));
    stored.checkpoint(&mut position);
    assert_eq!(stored.load().map(), position.map());
    position.acknowledge(&sparse(1_500, 9_000)).unwrap();
    stored.checkpoint(&mut position);
    assert_eq!(stored.load().map(), position.map());
}

#[test]
fn a_rewind_below_the_map_is_refused() {
    let mut position = Position::new(source(100), target(50), Sequence::ZERO);
    position.acknowledge(&[Run { source: source(100), target: target(50), length: 10 }]).unwrap();
    assert_eq!(position.rewind(target(49), Sequence::ZERO), None);
    assert_eq!(position.target(), target(60));
}

#[test]
fn a_restarted_map_removes_its_chunks_and_numbers_go_on() {
    let mut position = Position::new(source(0), target(0), Sequence::ZERO);
    let mut stored = Stored::default();
    position.acknowledge(&sparse(0, 10_000)).unwrap();
    stored.checkpoint(&mut position);
    position.restart(source(5), target(10_000), Sequence::of_count(10_000));
    stored.checkpoint(&mut position);
    assert!(stored.chunks.is_empty());
    let loaded = stored.load();
    assert_eq!((loaded.source(), loaded.target()), (source(5), target(10_000)));
}

#[test]
fn a_jump_keeps_the_map_before_it() {
    let mut position = Position::new(source(0), target(0), Sequence::ZERO);
    let mut stored = Stored::default();
    position.acknowledge(&sparse(0, 10)).unwrap();
    position.jump(source(100), target(30), Sequence::of_count(10));
    position.acknowledge(&[Run { source: source(100), target: target(30), length: 5 }]).unwrap();
    stored.checkpoint(&mut position);
    assert_eq!(stored.load().map(), position.map());
}

/// 100 are acknowledged; a stranger writes one record; then two batches of ours arrive. Going on at the log's end must
/// not send them a second time.
#[test]
fn own_batches_behind_a_foreign_record_are_taken_in() {
    let start = || {
        let mut position = Position::new(source(0), target(0), Sequence::ZERO);
        position.acknowledge(&[Run { source: source(0), target: target(0), length: 100 }]).unwrap();
        position
    };
    let run = |from, to, length| Run { source: source(from), target: target(to), length };
    let plan = Plan::from_runs(vec![run(100, 100, 15), run(120, 115, 1_000)], vec![]).unwrap();
    let landed = |at, sequence, length| Landed { target: target(at), sequence: Sequence::of_count(sequence), length };
    let mut position = start();
    position.take_in(&plan, &[landed(101, 100, 10), landed(112, 110, 10)]);
    assert_eq!(position.map().runs()[1..], [run(100, 101, 10), run(110, 112, 5), run(120, 117, 5)]);
    assert_eq!((position.source(), position.target()), (source(125), target(122)));
    assert_eq!(position.sequence(), Sequence::of_count(120));
    // Nothing is taken in over a gap, or beyond the plan.
    let mut position = start();
    position.take_in(&plan, &[landed(111, 110, 10)]);
    position.take_in(&Plan::default(), &[landed(101, 100, 10)]);
    assert_eq!(position.source(), source(100));
}

/// Five million records scattered over fifty million offsets.
#[test]
fn a_map_with_very_many_holes_stays_small_exact_at_its_end_and_honest_before() {
    const RUNS: i64 = 5_000_000;
    let source = |n: i64| SourceOffset::new(n * 10 + n % 7).unwrap();
    let mut position = Position::new(SourceOffset::ZERO, TargetOffset::ZERO, Sequence::ZERO);
    for n in 0..RUNS {
        let run = Run { source: source(n), target: TargetOffset::new(n).unwrap(), length: 1 };
        position.acknowledge(&[run]).unwrap();
    }
    let runs = position.map().runs();
    assert!(runs.len() >= 1_000_000 && std::mem::size_of_val(runs) < 32 << 20, "{} runs", runs.len());
    // The fastest of many short rounds: what else the machine does is no matter here.
    let round = |first: i64| {
        let begun = std::time::Instant::now();
        for n in (first..RUNS).step_by(1_000) {
            assert_eq!(position.map().translate(source(n)), Translation::Exact(TargetOffset::new(n).unwrap()));
        }
        begun.elapsed() / 1_000
    };
    let fastest = (0..50).map(|n| round(RUNS - 1_000_000 + n)).min().unwrap();
    assert!(fastest < std::time::Duration::from_micros(5), "{fastest:?} for a lookup");
    assert_eq!(position.map().translate(source(1_000)), Translation::BelowMap);
    assert_eq!(position.map().translate_reverse(TargetOffset::new(1_000).unwrap()), Translation::BelowMap);
}

#[derive(Debug, Clone)]
enum Step {
    /// So many records, each behind a hole.
    Sparse(i64),
    Dense(u64),
    AdvanceSource(u64),
    AdvanceTarget(u64),
    Prune(u64),
    KeepNewest(usize),
    Rewind(u64),
    Restart(u64),
    Jump(u64),
    Checkpoint,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_i64..5_000).prop_map(Step::Sparse),
        2 => (1_u64..100).prop_map(Step::Dense),
        1 => (0_u64..50).prop_map(Step::AdvanceSource),
        1 => (0_u64..50).prop_map(Step::AdvanceTarget),
        2 => (0_u64..15_000).prop_map(Step::Prune),
        1 => (1_usize..9_000).prop_map(Step::KeepNewest),
        3 => prop_oneof![0_u64..10, 0_u64..9_000].prop_map(Step::Rewind),
        1 => (0_u64..100).prop_map(Step::Restart),
        1 => (0_u64..100).prop_map(Step::Jump),
        6 => Just(Step::Checkpoint),
    ]
}

fn apply(position: &mut Position, step: &Step) {
    let (source, target) = (position.source(), position.target());
    match *step {
        Step::Sparse(count) => {
            let run = |n: i64| {
                let n = n.unsigned_abs();
                Run { source: source.plus(2 * n + 1), target: target.plus(n), length: 1 }
            };
            position.acknowledge(&(0..count).map(run).collect::<Vec<_>>()).unwrap();
        }
        Step::Dense(length) => position.acknowledge(&[Run { source, target, length }]).unwrap(),
        Step::AdvanceSource(by) => position.advance_source(source.plus(by)),
        Step::AdvanceTarget(by) => position.advance_target(target.plus(by)),
        Step::Prune(left) => position.prune_below(source.minus(left)),
        Step::KeepNewest(count) => position.keep_newest_runs(count),
        Step::Rewind(by) => drop(position.rewind(target.minus(by), Sequence::ZERO)),
        Step::Restart(by) => position.restart(source.minus(by), target.plus(by), Sequence::ZERO),
        Step::Jump(by) => position.jump(source.plus(by), target.plus(by), Sequence::ZERO),
        Step::Checkpoint => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever happens to a map: what a checkpoint stored reads back as what it was, and so it does for a daemon that
    /// reads on from the checkpoint before, and for one that has missed some.
    #[test]
    fn what_is_stored_is_what_was_there(steps in vec(any_step(), 1..40), misses in vec(any::<bool>(), 40)) {
        let mut position = Position::new(source(0), target(0), Sequence::ZERO);
        let (mut stored, mut follower, mut idler) = (Stored::default(), None, None);
        let checkpoints = misses.into_iter().chain(std::iter::repeat(false));
        for (step, is_missed) in steps.iter().chain([&Step::Checkpoint]).zip(checkpoints) {
            apply(&mut position, step);
            if matches!(step, Step::Checkpoint) {
                stored.checkpoint(&mut position);
                let loaded = stored.load();
                prop_assert_eq!(loaded.map(), position.map());
                prop_assert_eq!(&stored.follow(&mut follower), position.map());
                if !is_missed {
                    prop_assert_eq!(&stored.follow(&mut idler), position.map());
                }
            }
        }
    }
}
