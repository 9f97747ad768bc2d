use super::*;
use crate::types::SourceOffset;

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

fn run(from: i64, to: i64, length: u64) -> Run {
    Run { source: source(from), target: target(to), length }
}

fn records(from: i64, length: u64) -> SourceRun {
    SourceRun { source: source(from), length }
}

#[test]
fn a_plan_tells_the_source_records_behind_target_offsets() {
    let plan = Plan::from_runs(vec![run(100, 10, 5), run(110, 15, 5)], vec![]).unwrap();
    assert_eq!(plan.between(target(13), target(17)), vec![run(103, 13, 2), run(110, 15, 2)]);
    assert_eq!(plan.between(target(15), target(20)), vec![run(110, 15, 5)]);
    assert_eq!(plan.between(target(18), target(25)), vec![], "it does not reach that far");
}

#[test]
fn only_what_is_planned_is_covered() {
    let plan = Plan::from_runs(lay_out(target(0), [records(0, 100), records(200, 50)]), vec![]).unwrap();
    assert!(plan.covers(target(0), &[records(0, 100), records(200, 50)]));
    assert!(plan.covers(target(40), &[records(40, 10)]));
    assert!(!plan.covers(target(40), &[records(41, 10)]), "another record");
    assert!(!plan.covers(target(90), &[records(90, 20)]), "runs on where the plan jumps");
    assert!(!plan.covers(target(149), &[records(249, 2)]), "beyond the end");
}

#[test]
fn a_stored_plan_with_a_gap_is_refused() {
    assert_eq!(Plan::from_runs(vec![run(0, 0, 5), run(5, 6, 5)], vec![]), None);
}

#[test]
fn plans_that_agree_leave_nothing_in_dispute() {
    let old = Plan::from_runs(vec![run(0, 0, 1000)], vec![]).unwrap();
    let inherited = old.inherit_from(target(50));
    assert_eq!(inherited, vec![run(50, 50, 950)]);
    let same = Plan::from_runs(vec![run(50, 50, 5000)], inherited.clone()).unwrap();
    assert_eq!(same.disputed(), None);
    let other = Plan::from_runs(vec![run(50, 50, 10), run(70, 60, 10)], inherited).unwrap();
    assert_eq!(other.disputed(), Some((target(60), target(1000))));
    assert_eq!(other.end(), Some(target(1000)));
    assert_eq!(other.inherited_between(target(60), target(62)), vec![run(60, 60, 2)]);
}

/// A daemon was frozen with an append in flight that it had planned with a hole; ours has read nothing yet. What we
/// plan in the meantime must explain that append, when it arrives late.
#[test]
fn what_the_former_owner_knew_is_expected_before_anything_is_guessed() {
    let inherited = Plan::from_runs(vec![], vec![run(50, 50, 10), run(70, 60, 100)]).unwrap();
    let runs = lay_out(target(50), inherited.expect(target(50), source(50), 1_000));
    let plan = Plan::from_runs(runs, inherited.inherited().to_vec()).unwrap();
    assert_eq!(plan.between(target(50), target(65)), vec![run(50, 50, 10), run(70, 60, 5)]);
    assert_eq!(plan.disputed(), None);
    assert_eq!(plan.runs(), [run(50, 50, 10), run(70, 60, 990)], "and behind it no hole is expected");
    // Having read to the hole ourselves, the rest is still expected as it was planned.
    assert_eq!(inherited.expect(target(60), source(68), 5), vec![records(70, 100)]);
    // The source was compacted since: what was planned for this place lies behind us.
    assert_eq!(inherited.expect(target(60), source(75), 5), vec![records(75, 5)]);
    assert_eq!(Plan::default().expect(target(0), source(9), 5), vec![records(9, 5)]);
}

/// Looking at every run for each run would take minutes here, and hours in a partition's loop.
#[test]
fn very_many_runs_are_looked_up_fast() {
    let all: Vec<SourceRun> = (0..200_000).map(|n| records(2 * n, 1)).collect();
    let plan = Plan::from_runs(lay_out(target(0), all.clone()), lay_out(target(0), all.clone())).unwrap();
    assert!(plan.covers(target(0), &all));
    assert_eq!(plan.disputed(), None);
}

fn sequence(count: u64) -> Sequence {
    Sequence::of_count(count)
}

#[test]
fn with_identical_offsets_sequences_count_records_and_gaps_are_planned() {
    let plan = Plan::identical(vec![run(10, 10, 5), run(20, 20, 5)], sequence(3), Vec::new(), sequence(3)).unwrap();
    assert_eq!(plan.ours_at(sequence(3), 2), Some(vec![records(10, 2)]));
    assert_eq!(plan.ours_at(sequence(7), 2), Some(vec![records(14, 1), records(20, 1)]));
    assert_eq!(plan.ours_at(sequence(12), 2), None, "only one is left");
    assert_eq!(plan.ours_at(sequence(2), 1), None, "before the plan");
    assert!(plan.is_gap(target(15), target(20)) && plan.is_gap(target(17), target(18)));
    assert!(!plan.is_gap(target(14), target(20)) && !plan.is_gap(target(15), target(21)));
    assert!(!plan.is_gap(target(25), target(26)), "behind the plan nothing is known");
    assert!(plan.covers(target(20), &[records(20, 5)]) && !plan.covers(target(15), &[records(15, 1)]));
    assert_eq!(plan.left_from(sequence(9)), [run(21, 21, 4)]);
    assert!(Plan::identical(vec![run(10, 11, 5)], sequence(0), Vec::new(), sequence(0)).is_none());
}

#[test]
fn a_former_plan_with_other_records_under_the_same_sequences_is_disputed() {
    let of = |ours: Vec<Run>, theirs: Vec<Run>| Plan::identical(ours, sequence(0), theirs, sequence(0)).unwrap();
    assert_eq!(of(vec![run(0, 0, 20)], vec![run(0, 0, 10)]).disputed(), None);
    let hole = of(vec![run(0, 0, 4), run(6, 6, 20)], vec![run(0, 0, 10)]);
    assert_eq!(hole.disputed(), Some((target(6), target(12))));
    let later = Plan::identical(vec![run(6, 6, 20)], sequence(4), vec![run(0, 0, 10)], sequence(0)).unwrap();
    assert_eq!(later.disputed(), Some((target(6), target(12))));
    assert_eq!(later.left_of_former(sequence(8)), [run(8, 8, 2)]);
}
