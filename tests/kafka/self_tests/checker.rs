//! The checker is only worth what it finds: each damage is done to a copy in memory, and must be seen.

use crate::checker::{Answer, Direction, Pair, Violation, compare, compare_compacted, compare_map, compare_offsets};
use crate::record::{Entry, Identity};

fn entry(offset: i64, number: u64) -> Entry {
    Entry {
        offset,
        key: Some(format!("key-{}", number % 5).into_bytes()),
        value: Some(Identity::new("orders", 0, "p", number).bytes().to_vec()),
        headers: vec![("a".into(), Some(b"1".to_vec())), ("a".into(), None)],
        timestamp: Some(1_700_000_000_000 + i64::try_from(number).unwrap()),
    }
}

/// Twenty records; at the source every fourth offset is a hole.
fn source() -> Vec<Entry> {
    (0..20).map(|i| entry(i + i / 3, u64::try_from(i).unwrap())).collect()
}

fn copy() -> Vec<Entry> {
    source().into_iter().zip(100..).map(|(e, offset)| Entry { offset, ..e }).collect()
}

fn renumbered(mut log: Vec<Entry>) -> Vec<Entry> {
    log.iter_mut().zip(100..).for_each(|(e, offset)| e.offset = offset);
    log
}

fn judge(target: &[Entry]) -> Vec<Violation> {
    compare(0, &source(), target).0
}

#[test]
fn a_clean_copy_passes() {
    let (found, pairs) = compare(0, &source(), &copy());
    assert_eq!(found, []);
    assert_eq!(pairs.len(), 20);
    assert_eq!((pairs[4], pairs[19]), (Pair { source: 5, target: 104 }, Pair { source: 25, target: 119 }));
}

#[test]
fn finds_a_dropped_record() {
    let mut target = copy();
    target.remove(7);
    let found = judge(&renumbered(target));
    assert!(matches!(found.as_slice(), [Violation::Lost { source_offset: 9, .. }]), "{found:?}");
}

#[test]
fn finds_the_last_record_missing() {
    let mut target = copy();
    target.pop();
    assert!(matches!(judge(&target).as_slice(), [Violation::Lost { source_offset: 25, .. }]));
}

#[test]
fn finds_a_doubled_record() {
    let mut target = copy();
    target.insert(8, target[7].clone());
    let found = judge(&renumbered(target));
    assert!(matches!(found.as_slice(), [Violation::Twice { target_offset: 108, .. }]), "{found:?}");
}

#[test]
fn finds_swapped_records() {
    let mut target = copy();
    target.swap(3, 4);
    let found = judge(&renumbered(target));
    assert!(matches!(found.as_slice(), [Violation::OutOfOrder { target_offset: 104, .. }]), "{found:?}");
}

#[test]
fn finds_every_altered_field() {
    type Alter = fn(&mut Entry);
    let alter: [(&str, Alter); 6] = [
        ("key", |e| e.key = None),
        ("key", |e| e.key = Some(Vec::new())),
        ("value", |e| e.value.as_mut().unwrap().push(b'x')),
        ("headers", |e| {
            e.headers.pop();
        }),
        ("headers", |e| e.headers[1].1 = Some(Vec::new())),
        ("timestamp", |e| e.timestamp = e.timestamp.map(|t| t + 1)),
    ];
    for (field, change) in alter {
        let mut target = copy();
        change(&mut target[11]);
        let found = judge(&target);
        assert!(matches!(found.as_slice(), [Violation::Altered { what, .. }] if *what == field), "{field}: {found:?}");
    }
}

#[test]
fn finds_a_foreign_record() {
    let mut target = copy();
    target.push(entry(120, 99));
    assert!(matches!(judge(&target).as_slice(), [Violation::Foreign { target_offset: 120, .. }]));
}

#[test]
fn finds_a_record_in_the_wrong_partition() {
    let (found, _) = compare(1, &source(), &copy());
    assert_eq!(found.iter().filter(|v| matches!(v, Violation::Misplaced { .. })).count(), 20);
}

#[test]
fn a_record_that_the_source_holds_twice_is_expected_twice() {
    let mut twice = source();
    twice.push(entry(26, 19));
    assert_eq!(compare(0, &twice, &renumbered(twice.clone())).0, []);
    assert!(matches!(compare(0, &twice, &copy()).0.as_slice(), [Violation::Lost { source_offset: 26, .. }]));
}

#[test]
fn records_without_an_identity_are_told_apart_by_content() {
    let empty = |offset, timestamp| Entry {
        offset,
        key: None,
        value: Some(Vec::new()),
        headers: Vec::new(),
        timestamp: Some(timestamp),
    };
    let source = [empty(0, 1), empty(1, 2), empty(2, 3)];
    assert_eq!(compare(0, &source, &source).0, []);
    let found = compare(0, &source, &[empty(0, 1), empty(1, 3)]).0;
    assert!(matches!(found.as_slice(), [Violation::Lost { source_offset: 1, .. }]), "{found:?}");
}

/// Answers as an exact map of the clean copy would, `shift` off.
fn answers(direction: Direction, shift: i64) -> impl FnMut(i64) -> Answer {
    let pairs = compare(0, &source(), &copy()).1;
    move |offset| {
        let line = |p: &Pair| if direction == Direction::Forward { (p.source, p.target) } else { (p.target, p.source) };
        let end = if direction == Direction::Forward { 120 } else { 26 };
        match pairs.iter().map(line).find(|(from, _)| *from >= offset) {
            Some((from, to)) => {
                let translation = if from == offset { "exact" } else { "next" };
                Answer { translation: translation.into(), offset: Some(to + shift) }
            }
            None => Answer { translation: "next".into(), offset: Some(end + shift) },
        }
    }
}

#[test]
fn an_exact_map_passes_and_one_off_by_one_does_not() {
    let pairs = compare(0, &source(), &copy()).1;
    let forward: Vec<i64> = (0..=26).collect();
    let reverse: Vec<i64> = (100..=120).collect();
    for (direction, end, offsets) in [(Direction::Forward, 120, &forward), (Direction::Reverse, 26, &reverse)] {
        assert_eq!(compare_map(direction, &pairs, end, offsets, answers(direction, 0)), []);
        for shift in [-1, 1] {
            let found = compare_map(direction, &pairs, end, offsets, answers(direction, shift));
            assert_eq!(found.len(), offsets.len(), "{direction:?} {shift}");
        }
    }
}

#[test]
fn a_map_that_calls_a_hole_exact_is_wrong() {
    let pairs = compare(0, &source(), &copy()).1;
    let exact = |_| Answer { translation: "exact".into(), offset: Some(103) };
    assert_eq!(compare_map(Direction::Forward, &pairs, 120, &[3], exact).len(), 1);
}

#[test]
fn an_answer_ahead_of_the_data_is_wrong() {
    let pairs = compare(0, &source(), &copy()).1;
    let ahead = |_| Answer { translation: "next".into(), offset: Some(121) };
    assert_eq!(compare_map(Direction::Forward, &pairs, 120, &[26], ahead).len(), 1);
    let honest = |_| Answer { translation: "not_yet_mirrored".into(), offset: None };
    assert_eq!(compare_map(Direction::Forward, &pairs, 120, &[26], honest), []);
}

#[test]
fn compaction_may_leave_more_on_the_target_but_never_less() {
    let history = source();
    let kept: Vec<Entry> = history[15..].to_vec();
    assert_eq!(compare_compacted(0, &history, &kept, &copy()).0, []);
    let mut target = copy();
    target.retain(|e| e.offset != 117);
    let found = compare_compacted(0, &history, &kept, &target).0;
    assert!(matches!(found.as_slice(), [Violation::Lost { .. }]), "{found:?}");
    let compacted: Vec<Entry> = copy().split_off(15);
    assert_eq!(compare_compacted(0, &history, &history[10..], &compacted).0, []);
}

/// How a copy's offsets relate to the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are the same, holes included.
    Same,
    /// They run on without holes.
    Translated,
}

/// A copy of these source records, as a daemon in this mode would write them.
fn copy_of(mode: Mode, records: Vec<Entry>) -> Vec<Entry> {
    if mode == Mode::Same { records } else { renumbered(records) }
}

/// All that is wrong with a copy: its records, and where that is promised, its offsets.
fn judge_in(mode: Mode, target: &[Entry]) -> Vec<Violation> {
    let (mut found, pairs) = compare(0, &source(), target);
    if mode == Mode::Same {
        found.extend(compare_offsets(&pairs));
    }
    found
}

/// Damages the ninth record, as a faulty daemon would in either mode.
#[test]
fn each_damage_is_found_in_both_offset_modes() {
    type Damage = fn(&mut Vec<Entry>);
    type IsIt = fn(&Violation) -> bool;
    let damages: [(&str, Damage, IsIt); 5] = [
        ("dropped", |l| drop(l.remove(8)), |v| matches!(v, Violation::Lost { source_offset: 10, .. })),
        (
            "doubled",
            |l| {
                let again = Entry { offset: l[8].offset + 1, ..l[8].clone() };
                l.iter_mut().skip(9).for_each(|e| e.offset += 1);
                l.insert(9, again);
            },
            |v| matches!(v, Violation::Twice { .. }),
        ),
        (
            "swapped",
            |l| {
                let (eighth, ninth) = (l[7].offset, l[8].offset);
                l.swap(7, 8);
                (l[7].offset, l[8].offset) = (eighth, ninth);
            },
            |v| matches!(v, Violation::OutOfOrder { .. }),
        ),
        (
            "altered",
            |l| l[8].value.as_mut().unwrap().push(b'x'),
            |v| matches!(v, Violation::Altered { what: "value", .. }),
        ),
        (
            "replaced",
            |l| l[8] = Entry { offset: l[8].offset, ..entry(0, 77) },
            |v| matches!(v, Violation::Lost { .. } | Violation::Foreign { .. }),
        ),
    ];
    for mode in [Mode::Same, Mode::Translated] {
        assert_eq!(judge_in(mode, &copy_of(mode, source())), [], "{mode:?}");
        for (name, damage, is_it) in damages {
            let mut records = source();
            damage(&mut records);
            let found = judge_in(mode, &copy_of(mode, records));
            assert!(found.iter().any(is_it), "{mode:?} {name}: {found:?}");
            let is_other = |v: &Violation| !is_it(v) && !matches!(v, Violation::Moved { .. });
            assert!(!found.iter().any(is_other), "{mode:?} {name}: {found:?}");
        }
    }
}

#[test]
fn an_offset_off_by_one_is_found_where_offsets_are_the_same() {
    for shift in [-1, 1] {
        let mut target = source();
        target[2].offset += if shift > 0 { 1 } else { 0 };
        target.iter_mut().skip(3).for_each(|e| e.offset += shift);
        let found = judge_in(Mode::Same, &target);
        assert!(found.len() >= 17 && found.iter().all(|v| matches!(v, Violation::Moved { .. })), "{found:?}");
    }
}

#[test]
fn a_map_off_by_one_is_found_in_both_offset_modes() {
    for mode in [Mode::Same, Mode::Translated] {
        let pairs = compare(0, &source(), &copy_of(mode, source())).1;
        let end = pairs[19].target + 1;
        let offsets: Vec<i64> = pairs.iter().map(|p| p.source).collect();
        let ask = |shift: i64| {
            let pairs = pairs.clone();
            move |offset| {
                let target = pairs.iter().find(|p| p.source == offset).map(|p| p.target + shift);
                Answer { translation: "exact".into(), offset: target }
            }
        };
        assert_eq!(compare_map(Direction::Forward, &pairs, end, &offsets, ask(0)), [], "{mode:?}");
        for shift in [-1, 1] {
            let found = compare_map(Direction::Forward, &pairs, end, &offsets, ask(shift));
            assert_eq!(found.len(), offsets.len(), "{mode:?} {shift}");
        }
    }
}
