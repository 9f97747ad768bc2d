//! The map against a naive list of (source, target) pairs.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

fn run(from: i64, to: i64, length: u64) -> Run {
    Run { source: source(from), target: target(to), length }
}

#[test]
fn an_empty_map_answers_at_its_start_only() {
    let map = OffsetMap::new(source(10), target(4));
    assert_eq!(map.translate(source(9)), Translation::BelowMap);
    assert_eq!(map.translate(source(10)), Translation::Next(target(4)));
    assert_eq!(map.translate(source(11)), Translation::NotYetMirrored);
    assert_eq!(map.translate_reverse(target(3)), Translation::BelowMap);
    assert_eq!(map.translate_reverse(target(4)), Translation::Next(source(10)));
    assert_eq!(map.translate_reverse(target(5)), Translation::NotYetMirrored);
}

#[test]
fn runs_that_continue_each_other_become_one() {
    let mut map = OffsetMap::new(source(0), target(0));
    map.append(run(0, 0, 5)).unwrap();
    map.append(run(5, 5, 5)).unwrap();
    map.append(run(12, 10, 3)).unwrap();
    map.append(run(15, 13, 1)).unwrap();
    // The target has a hole, the source has none.
    map.append(run(16, 20, 1)).unwrap();
    map.append(run(17, 21, 0)).unwrap();
    assert_eq!(map.runs(), [run(0, 0, 10), run(12, 10, 4), run(16, 20, 1)]);
    assert_eq!((map.source_end(), map.target_end()), (source(17), target(21)));
    assert_eq!(map.translate(source(9)), Translation::Exact(target(9)));
    assert_eq!(map.translate(source(10)), Translation::Next(target(10)));
    assert_eq!(map.translate(source(12)), Translation::Exact(target(10)));
    assert_eq!(map.translate(source(17)), Translation::Next(target(21)));
    assert_eq!(map.translate_reverse(target(14)), Translation::Next(source(16)));
    assert_eq!(map.translate_reverse(target(20)), Translation::Exact(source(16)));
    assert_eq!(map.translate_reverse(target(21)), Translation::Next(source(17)));
}

#[test]
fn a_run_that_goes_back_is_refused_and_changes_nothing() {
    let mut map = OffsetMap::new(source(10), target(10));
    map.append(run(10, 10, 5)).unwrap();
    map.advance_source(source(20));
    map.advance_target(target(18));
    let before = map.clone();
    for bad in [run(19, 18, 1), run(20, 17, 1), run(0, 0, 1), run(i64::MAX, 18, 1), run(20, i64::MAX - 1, 2)] {
        assert!(matches!(map.append(bad), Err(MapError::OutOfOrder { .. })), "{bad:?}");
        assert_eq!(map, before);
    }
    map.append(run(20, 18, 1)).unwrap();
    map.advance_source(source(3));
    map.advance_target(target(3));
    assert_eq!((map.source_end(), map.target_end()), (source(21), target(19)));
}

#[test]
fn a_hole_at_the_start_leads_to_the_first_record() {
    let mut map = OffsetMap::new(source(3), target(100));
    map.append(run(8, 100, 2)).unwrap();
    assert_eq!(map.translate(source(2)), Translation::BelowMap);
    assert_eq!(map.translate(source(3)), Translation::Next(target(100)));
    assert_eq!(map.translate(source(8)), Translation::Exact(target(100)));
}

#[test]
fn pruning_moves_the_start_on_both_sides() {
    let mut map = OffsetMap::new(source(0), target(0));
    map.append(run(0, 0, 10)).unwrap();
    map.append(run(20, 12, 10)).unwrap();
    map.prune_below(source(4));
    assert_eq!(map.runs(), [run(4, 4, 6), run(20, 12, 10)]);
    assert_eq!(map.translate_reverse(target(3)), Translation::BelowMap);
    map.prune_below(source(15));
    assert_eq!((map.source_start(), map.target_start()), (source(15), target(10)));
    assert_eq!(map.translate(source(14)), Translation::BelowMap);
    assert_eq!(map.translate(source(15)), Translation::Next(target(12)));
    assert_eq!(map.translate_reverse(target(11)), Translation::Next(source(20)));
    map.prune_below(source(2));
    assert_eq!(map.source_start(), source(15));
    // Retention at the source overtook the copy.
    map.prune_below(source(1000));
    assert_eq!((map.runs(), map.source_start(), map.source_end()), ([].as_slice(), source(30), source(30)));
    assert_eq!(map.translate(source(30)), Translation::Next(target(22)));
    assert_eq!(map.translate_reverse(target(22)), Translation::Next(source(30)));
}

#[test]
fn cutting_moves_both_ends_back() {
    let mut map = OffsetMap::new(source(2), target(0));
    map.append(run(5, 0, 10)).unwrap();
    map.append(run(20, 12, 10)).unwrap();
    map.advance_source(source(40));
    let whole = map.clone();
    map.cut_at(target(22));
    assert_eq!(map, whole);
    map.cut_at(target(15));
    assert_eq!((map.source_end(), map.target_end()), (source(23), target(15)));
    assert_eq!(map.translate(source(23)), Translation::Next(target(15)));
    assert_eq!(map.translate(source(24)), Translation::NotYetMirrored);
    // Between the runs: what is left ends at source offset 15.
    map.cut_at(target(11));
    assert_eq!((map.runs(), map.source_end(), map.target_end()), ([run(5, 0, 10)].as_slice(), source(15), target(11)));
    map.cut_at(target(0));
    assert_eq!((map.runs(), map.source_end(), map.target_end()), ([].as_slice(), source(2), target(0)));
    map.append(run(5, 0, 1)).unwrap();
}

#[test]
fn a_cut_below_the_start_leaves_an_empty_map_at_its_start() {
    let mut map = OffsetMap::new(source(0), target(0));
    map.append(run(0, 0, 10)).unwrap();
    map.prune_below(source(6));
    assert_eq!(map.target_start(), target(6));
    map.cut_at(target(3));
    assert_eq!((map.runs(), map.source_end(), map.target_end()), ([].as_slice(), source(6), target(3)));
    assert_eq!(map.translate(source(6)), Translation::Next(target(3)));
    assert_eq!(map.translate(source(5)), Translation::BelowMap);
}

#[test]
fn the_stored_form_is_small_and_strict() {
    assert_eq!(OffsetMap::encode(&[]), "");
    assert_eq!(OffsetMap::decode("").unwrap(), []);
    // A marker after every hundred records.
    let runs: Vec<_> = (0..1000).map(|index| run(index * 101, index * 100, 100)).collect();
    let text = OffsetMap::encode(&runs);
    assert!(text.len() < 4100, "{}", text.len());
    assert_eq!(OffsetMap::decode(&text).unwrap(), runs);
    let far = [run(0, i64::MAX - 1, 1)];
    assert_eq!(OffsetMap::decode(&OffsetMap::encode(&far)).unwrap(), far);
    for bad in
        ["!", "AQ", "Ag", "AQAA", "AQAAAA", "AQAAAQA", "AQAAgQ", "AQAAAAA", "Af//////////fwAB", "AQD//////////38B"]
    {
        let read = OffsetMap::decode(bad);
        let is_empty = matches!(&read, Ok(runs) if runs.is_empty());
        assert!(matches!(read, Err(MapError::Malformed(_))) || (bad == "AQ" && is_empty), "{bad} {read:?}");
    }
}

/// What the map must know, record by record.
#[derive(Debug, Clone)]
struct Naive {
    pairs: Vec<(i64, i64)>,
    start: (i64, i64),
    end: (i64, i64),
}

impl Naive {
    fn translate(&self, from: i64) -> Translation<TargetOffset> {
        match self.pairs.iter().find(|pair| pair.0 >= from) {
            _ if from < self.start.0 => Translation::BelowMap,
            _ if from > self.end.0 => Translation::NotYetMirrored,
            Some(&(s, t)) if s == from => Translation::Exact(target(t)),
            Some(&(_, t)) => Translation::Next(target(t)),
            None => Translation::Next(target(self.end.1)),
        }
    }

    fn translate_reverse(&self, from: i64) -> Translation<SourceOffset> {
        match self.pairs.iter().find(|pair| pair.1 >= from) {
            _ if from < self.start.1 => Translation::BelowMap,
            _ if from > self.end.1 => Translation::NotYetMirrored,
            Some(&(s, t)) if t == from => Translation::Exact(source(s)),
            Some(&(s, _)) => Translation::Next(source(s)),
            None => Translation::Next(source(self.end.0)),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append { source_gap: i64, target_gap: i64, length: u64 },
    AdvanceSource(i64),
    AdvanceTarget(i64),
    PruneBelow(i64),
    CutAt(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let gap = || prop_oneof![2 => Just(0_i64), 1 => 1_i64..6];
    prop_oneof![
        8 => (gap(), gap(), 1_u64..8).prop_map(|(source_gap, target_gap, length)| Step::Append { source_gap, target_gap, length }),
        1 => (0_i64..5).prop_map(Step::AdvanceSource),
        1 => (0_i64..5).prop_map(Step::AdvanceTarget),
        1 => (0_i64..80).prop_map(Step::PruneBelow),
        1 => (0_i64..80).prop_map(Step::CutAt),
    ]
}

fn apply(map: &mut OffsetMap, naive: &mut Naive, step: &Step) {
    match *step {
        Step::Append { source_gap, target_gap, length } => {
            let (from, to) = (naive.end.0 + source_gap, naive.end.1 + target_gap);
            map.append(run(from, to, length)).unwrap();
            naive.pairs.extend((0..length.cast_signed()).map(|index| (from + index, to + index)));
            naive.end = (from + length.cast_signed(), to + length.cast_signed());
        }
        Step::AdvanceSource(by) => {
            map.advance_source(source(naive.end.0 + by));
            naive.end.0 += by;
        }
        Step::AdvanceTarget(by) => {
            map.advance_target(target(naive.end.1 + by));
            naive.end.1 += by;
        }
        Step::PruneBelow(below) => {
            map.prune_below(source(below));
            naive.start.0 = naive.start.0.max(below.min(naive.end.0));
            let forgotten = naive.pairs.iter().rfind(|pair| pair.0 < naive.start.0);
            naive.start.1 = forgotten.map_or(naive.start.1, |pair| pair.1 + 1);
            naive.pairs.retain(|pair| pair.0 >= naive.start.0);
        }
        Step::CutAt(at) => {
            map.cut_at(target(at));
            if at < naive.end.1 {
                naive.pairs.retain(|pair| pair.1 < at);
                naive.end = (naive.pairs.last().map_or(naive.start.0, |pair| pair.0 + 1), at);
                naive.start.1 = naive.start.1.min(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_the_naive_map(start in (0_i64..20, 0_i64..20), steps in vec(any_step(), 0..25)) {
        let mut map = OffsetMap::new(source(start.0), target(start.1));
        let mut naive = Naive { pairs: Vec::new(), start, end: start };
        for step in &steps {
            apply(&mut map, &mut naive, step);
            prop_assert_eq!((map.source_end().get(), map.target_end().get()), naive.end);
            prop_assert_eq!((map.source_start().get(), map.target_start().get()), naive.start);
        }
        for offset in 0..naive.end.0.max(naive.end.1) + 3 {
            prop_assert_eq!(map.translate(source(offset)), naive.translate(offset), "source {}", offset);
            prop_assert_eq!(map.translate_reverse(target(offset)), naive.translate_reverse(offset), "target {}", offset);
        }
        let held: u64 = map.runs().iter().map(|run| run.length).sum();
        prop_assert_eq!(held, naive.pairs.len() as u64);
        let are_apart = map.runs().windows(2).all(|pair| {
            pair[0].source_end() <= pair[1].source
                && pair[0].target_end() <= pair[1].target
                && (pair[0].source_end(), pair[0].target_end()) != (pair[1].source, pair[1].target)
        });
        prop_assert!(are_apart);
        let stored = OffsetMap::decode(&OffsetMap::encode(map.runs())).unwrap();
        prop_assert_eq!(&stored, &map.runs());
        let start = (map.source_start(), map.target_start());
        let end = (map.source_end(), map.target_end());
        prop_assert_eq!(OffsetMap::restore(start, stored, end).unwrap(), map);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[A-Za-z0-9+/=]{0,60}") {
        if let Ok(runs) = OffsetMap::decode(&text) {
            prop_assert!(runs.len() * 4 <= text.len());
            prop_assert_eq!(OffsetMap::decode(&OffsetMap::encode(&runs)).unwrap(), runs);
        }
    }
}

#[test]
fn a_levelled_map_stays_one_run_and_every_offset_is_itself() {
    let mut map = OffsetMap::new(source(5), target(5));
    for start in [5, 20, 40] {
        map.level(start).unwrap();
        map.append(Run { source: source(start), target: target(start), length: 10 }).unwrap();
    }
    map.advance_source(source(52));
    map.advance_target(target(53));
    assert!(map.level(52).is_err(), "the target is further already");
    map.level(60).unwrap();
    assert_eq!(map.runs(), [Run { source: source(5), target: target(5), length: 55 }]);
    assert_eq!((map.source_end(), map.target_end()), (source(60), target(60)));
    assert_eq!(map.translate(source(17)), Translation::Exact(target(17)));
    assert_eq!(map.translate(source(60)), Translation::Next(target(60)));
    assert_eq!(map.translate(source(4)), Translation::BelowMap);
}
