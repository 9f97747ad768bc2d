use super::*;
use crate::mirror::identity::Account;
use crate::mirror::take_over_identical::same_on_both_sides;
use crate::types::{Run, SourceOffset, Translation};

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

fn records(runs: &[(i64, u64)]) -> Vec<Run> {
    same_on_both_sides(runs.iter().map(|(from, length)| SourceRun { source: source(*from), length: *length }))
}

/// A position at offset 10 on both sides, with sequence 10.
fn at_ten() -> Position {
    let position = Position::new(source(10), target(10), Sequence::of_count(10));
    position.related(Relation::Identical(Account::default()))
}

/// Ten records, a gap of five, ten records; and what a former owner planned.
fn plan(inherited: &[(i64, u64)]) -> Plan {
    let first = Sequence::of_count(10);
    Plan::identical(records(&[(10, 10), (25, 10)]), first, records(inherited), first).unwrap()
}

fn landed(at: i64, sequence: u64, length: u64) -> Piece {
    Piece::Records(Landed { target: target(at), sequence: Sequence::of_count(sequence), length })
}

#[test]
fn batches_and_fills_in_their_places_are_followed() {
    let pieces = [landed(10, 10, 4), landed(14, 14, 6), Piece::Filler, landed(25, 20, 3)];
    let position = follow(&at_ten(), &plan(&[]), &pieces, target(28), None).unwrap();
    assert!(position.is_identical());
    assert_eq!(
        (position.source(), position.target(), position.sequence()),
        (source(28), target(28), Sequence::of_count(23))
    );
    assert_eq!(position.map().runs(), [Run { source: source(10), target: target(10), length: 18 }]);
}

#[test]
fn half_a_fill_is_gone_on_with() {
    let position = follow(&at_ten(), &plan(&[]), &[landed(10, 10, 10), Piece::Filler], target(22), None).unwrap();
    assert!(position.is_identical());
    assert_eq!((position.source(), position.target()), (source(20), target(22)));
    // Nobody knows yet what the source has there: the next record is to come at the log's end.
    assert_eq!(position.map().translate(source(20)), Translation::Next(target(22)));
}

#[test]
fn a_batch_behind_one_control_record_too_many_is_found_by_its_sequence() {
    let pieces = [landed(10, 10, 10), Piece::Filler, landed(26, 20, 2)];
    let position = follow(&at_ten(), &plan(&[]), &pieces, target(28), None).unwrap();
    let Relation::Translated { since, because } = position.relation() else { panic!("{position:?}") };
    assert_eq!((*since, because.as_deref()), (Some(source(25)), Some(SHIFTED)));
    assert_eq!(position.map().translate(source(25)), Translation::Exact(target(26)));
    assert_eq!(position.map().translate(source(19)), Translation::Exact(target(19)));
    assert_eq!((position.source(), position.target()), (source(27), target(28)));
}

#[test]
fn foreign_batches_wrong_sequences_and_what_no_plan_has_are_not_explained() {
    let explains = |pieces: &[Piece], end| follow(&at_ten(), &plan(&[]), pieces, target(end), None).is_some();
    assert!(explains(&[landed(10, 10, 10)], 20));
    assert!(!explains(&[Piece::Foreign], 11));
    assert!(!explains(&[landed(10, 11, 1)], 11));
    assert!(!explains(&[landed(9, 10, 1)], 11));
    assert!(!explains(&[landed(10, 10, 21)], 31), "more than was planned");
    assert!(!explains(&[landed(10, 10, 10)], 19), "the log ends before its batches");
}

#[test]
fn a_batch_of_the_former_owner_is_known_by_its_place() {
    // It planned the records 12 to 16 first; the source was compacted since, and we begin at 10.
    let theirs = plan(&[(12, 5)]);
    let position = follow(&at_ten(), &theirs, &[Piece::Filler, landed(12, 10, 5)], target(17), None).unwrap();
    assert!(position.is_identical());
    assert_eq!(position.source(), source(17));
    // Where its place does not tell, having read the batch does.
    let position = follow(&at_ten(), &theirs, &[landed(10, 10, 5)], target(15), Some(target(10))).unwrap();
    assert_eq!(position.map().translate(source(12)), Translation::Exact(target(10)));
    assert!(!position.is_identical());
}

#[test]
fn a_person_can_have_what_is_ours_picked_out_from_among_others() {
    let pieces = [landed(10, 10, 2), Piece::Foreign, landed(13, 12, 3), landed(17, 99, 1)];
    let position = follow_among_others(at_ten(), &plan(&[]), &pieces);
    assert_eq!((position.source(), position.target()), (source(15), target(16)));
    assert_eq!(position.map().translate(source(12)), Translation::Exact(target(13)));
}

#[test]
fn what_retention_took_meanwhile_is_told_by_what_is_left() {
    let pieces = [Piece::Deleted, Piece::Filler, landed(25, 20, 3)];
    let position = follow(&at_ten(), &plan(&[]), &pieces, target(28), None).unwrap();
    assert!(position.is_identical());
    assert_eq!((position.source(), position.sequence()), (source(28), Sequence::of_count(23)));
    assert_eq!(position.map().translate(source(12)), Translation::Exact(target(12)));
    assert!(follow(&at_ten(), &plan(&[]), &[Piece::Deleted, landed(19, 20, 3)], target(27), None).is_none());
    let mut all = at_ten();
    take_in_deleted(&mut all, &plan(&[]), Sequence::of_count(20), target(22)).unwrap();
    assert_eq!((all.source(), all.target()), (source(20), target(20)));
    assert!(take_in_deleted(&mut all, &plan(&[]), Sequence::of_count(31), target(40)).is_none());
}

/// A late control record lies where a record was planned. That record may still arrive, behind it: it must not be taken
/// for the one whose place it has then, or the last one of its batch would never be copied.
#[test]
fn a_record_behind_a_late_control_record_is_not_taken_for_its_neighbour() {
    let before = follow(&at_ten(), &plan(&[]), &[Piece::Filler], target(11), None).unwrap();
    assert_eq!((before.source(), before.target()), (source(10), target(11)));
    let first = before.sequence();
    let left = Plan::identical(Vec::new(), first, plan(&[]).left_from(first), first).unwrap();
    let plan = left.gone_on_with((before.source(), before.target()), first, 100);
    let position = follow(&before, &plan, &[landed(11, 10, 4)], target(15), None).unwrap();
    assert_eq!(position.map().translate(source(10)), Translation::Exact(target(11)));
    assert_eq!((position.source(), position.target()), (source(14), target(15)));
    assert!(!position.is_identical());
}

/// A source that elected another leader meanwhile must not look as if it had lost what the epoch before did not have.
#[test]
fn behind_what_a_former_owner_sent_the_epoch_at_the_source_is_not_known() {
    let mut known = at_ten();
    known.last_epoch = Some(crate::types::LeaderEpoch(3));
    let moved = follow(&known, &plan(&[]), &[landed(10, 10, 4)], target(14), None).unwrap();
    assert_eq!((moved.source(), moved.last_epoch), (source(14), None));
    let of_deleted = [Piece::Deleted, landed(25, 20, 3)];
    let moved = follow(&known, &plan(&[]), &of_deleted, target(28), None).unwrap();
    assert_eq!((moved.source(), moved.last_epoch), (source(28), None));
    let stays = follow(&known, &plan(&[]), &[], target(10), None).unwrap();
    assert_eq!(stays.last_epoch, known.last_epoch);
}
