use super::*;
use crate::types::SourceOffset;

const EPOCH: ProducerEpoch = ProducerEpoch(0);

fn sequence(count: u64) -> Sequence {
    Sequence::of_count(count)
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn run(from: i64, to: i64, length: u64) -> Run {
    Run { source: source(from), target: target(to), length }
}

fn landed(at: i64, first: u64, length: u64) -> Landed {
    Landed { target: target(at), sequence: sequence(first), length }
}

/// 100 records acknowledged, 50 more planned; others wrote 10 in between.
fn expected() -> Expected {
    Expected { sequence: sequence(100), place: target(100), from: target(110), planned: 50, epoch: EPOCH }
}

fn seen(last: Option<u64>) -> Observation {
    Observation { state: last.map(|last| (EPOCH, Some(sequence(last)))), log_end: target(1_000) }
}

fn whole(own: &[Landed]) -> Walk {
    Walk { own: own.to_vec(), is_whole: true, is_complete: true }
}

fn with_holes(own: &[Landed]) -> Walk {
    Walk { is_whole: false, ..whole(own) }
}

fn judged(last: Option<u64>, walk: &Walk) -> Account {
    account(&expected(), &seen(last), walk)
}

fn found(own: &[Landed], next: u64) -> Account {
    Account::Landed { landed: own.to_vec(), next: sequence(next) }
}

#[test]
fn state_says_how_many_and_the_log_says_where() {
    let own = [landed(120, 100, 10), landed(140, 110, 5)];
    assert_eq!(judged(Some(114), &whole(&own)), found(&own, 115));
    assert_eq!(judged(Some(99), &whole(&[])), found(&[], 100));
    assert_eq!(judged(None, &whole(&own)), found(&own, 115), "without state the log alone tells");
    assert_eq!(judged(None, &whole(&[])), found(&[], 100));
}

#[test]
fn what_arrives_between_two_questions_is_looked_at_again() {
    let own = [landed(120, 100, 10), landed(140, 110, 5)];
    assert!(matches!(judged(Some(109), &whole(&own)), Account::Unclear(_)));
    assert!(matches!(judged(Some(99), &whole(&own)), Account::Unclear(_)));
    assert!(matches!(judged(Some(119), &whole(&own)), Account::Unclear(_)), "the log must have it");
    let unread = Walk { is_complete: false, ..with_holes(&[]) };
    assert!(matches!(judged(Some(119), &unread), Account::Unclear(_)), "not read is not removed");
    assert!(matches!(judged(None, &unread), Account::Unclear(_)));
}

#[test]
fn removed_batches_count_as_landed_only_where_something_proves_it() {
    let later = [landed(140, 110, 5)];
    assert_eq!(judged(Some(114), &with_holes(&later)), found(&later, 115));
    assert_eq!(judged(Some(129), &with_holes(&later)), found(&later, 130));
    assert_eq!(judged(None, &with_holes(&[landed(140, 110, 40)])), found(&[landed(140, 110, 40)], 150));
    assert_eq!(judged(None, &with_holes(&later)), Account::Unproven);
    assert_eq!(judged(None, &with_holes(&[])), Account::Unproven);
    let nothing_planned = Expected { planned: 0, ..expected() };
    assert_eq!(account(&nothing_planned, &seen(None), &with_holes(&[])), found(&[], 100));
    // Without a hole, a missing batch before a later one never landed: the order is broken.
    assert!(matches!(judged(Some(114), &whole(&later)), Account::Unclear(_)));
}

#[test]
fn a_lower_sequence_than_acknowledged_is_a_loss() {
    assert_eq!(judged(Some(89), &whole(&[])), Account::Lost { count: 10, next: sequence(90) });
    let fenced = Observation { state: Some((ProducerEpoch(1), None)), log_end: target(1_000) };
    assert_eq!(account(&expected(), &fenced, &whole(&[])), Account::Fenced);
}

#[test]
fn twice_or_more_than_planned_is_a_contradiction() {
    let twice = [landed(120, 100, 10), landed(140, 100, 10)];
    assert!(matches!(judged(None, &whole(&twice)), Account::Unclear(_)));
    assert!(matches!(judged(Some(159), &whole(&[landed(120, 100, 60)])), Account::Unclear(_)));
}

#[test]
fn sequences_wrap() {
    let last = 2 * Sequence::HALF - 5;
    let expected = Expected { sequence: sequence(last), ..expected() };
    let own = [landed(120, last, 10)];
    assert_eq!(account(&expected, &seen(Some(4)), &whole(&own)), found(&own, 5));
}

/// 100 records at 0..100, a hole at the source behind 119.
fn position_and_plan() -> (Position, Plan) {
    let mut position = Position::new(source(0), target(0), sequence(0));
    position.acknowledge_at(&[run(0, 0, 60)], target(0)).unwrap();
    position.acknowledge_at(&[run(60, 60, 40)], target(70)).unwrap();
    let plan = Plan::from_runs(vec![run(100, 100, 20), run(125, 120, 100)], vec![]).unwrap();
    (position, plan)
}

#[test]
fn the_plan_counts_without_what_others_wrote() {
    let (mut position, plan) = position_and_plan();
    assert_eq!((position.target(), position.place(), position.others()), (target(110), target(100), 10));
    assert_eq!(position.sequence_at(target(105)), sequence(105));
    follow(&mut position, &plan, &[landed(115, 100, 10), landed(130, 110, 15)], sequence(125)).unwrap();
    let expected = [run(0, 0, 60), run(60, 70, 40), run(100, 115, 10), run(110, 130, 10), run(125, 140, 5)];
    assert_eq!(position.map().runs(), expected);
    assert_eq!((position.source(), position.target(), position.place()), (source(130), target(145), target(125)));
}

#[test]
fn removed_batches_are_left_out_of_the_map() {
    let (mut position, plan) = position_and_plan();
    follow(&mut position, &plan, &[landed(130, 110, 5)], sequence(122)).unwrap();
    assert_eq!(position.map().runs()[2..], [run(110, 130, 5)]);
    assert_eq!((position.source(), position.sequence()), (source(127), sequence(122)));
    assert_eq!(position.place(), target(122));
    let (mut position, plan) = position_and_plan();
    assert!(follow(&mut position, &plan, &[landed(115, 100, 200)], sequence(300)).is_err(), "beyond the plan");
}

#[test]
fn lost_records_are_counted_back_over_what_others_wrote() {
    let (mut position, _) = position_and_plan();
    let lost = position.rewind_by(45, sequence(55)).unwrap();
    assert_eq!(lost, [run(55, 55, 45)]);
    assert_eq!((position.source(), position.target(), position.place()), (source(55), target(55), target(55)));
    let (mut position, _) = position_and_plan();
    assert_eq!(position.rewind_by(5, sequence(95)).unwrap(), [run(95, 95, 5)]);
    assert_eq!((position.target(), position.place(), position.others()), (target(105), target(95), 10));
    assert!(position.rewind_by(500, sequence(0)).is_none());
}
