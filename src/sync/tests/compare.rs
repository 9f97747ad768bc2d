use super::super::compare::{Choice, Life, Seen, Side, Verdict, Wish, compare};
use super::*;
use crate::selection::ExistingTarget;
use crate::types::ResolveVerb;

fn choice(target: &str) -> Choice {
    Choice {
        target: topic(target),
        priority: 0,
        replication_factor: None,
        existing_target: ExistingTarget::Refuse,
        has_local_writers: false,
    }
}

fn life(number: u128, partitions: i32) -> Side {
    Side::Present(Life { id: Some(id(number)), partitions })
}

/// A topic that is selected, exists on the source, and was never seen before.
fn newcomer() -> Seen {
    Seen {
        wish: Wish::Mirror(choice("orders")),
        record: None,
        source: life(1, 3),
        target: Side::Absent,
        has_records: None,
        is_own_target: false,
    }
}

/// A topic that is being mirrored.
fn running() -> Seen {
    Seen { record: Some(established("orders")), target: life(101, 3), ..newcomer() }
}

fn verdict(seen: &Seen) -> Verdict {
    compare(&topic("orders"), seen)
}

fn reason(seen: &Seen) -> StopReason {
    match verdict(seen) {
        Verdict::Stop(stop) => stop.reason,
        other => panic!("{other:?}"),
    }
}

const GO: Verdict = Verdict::Mirror { add_partitions_to: None, is_adopted: false };
const ADOPT: Verdict = Verdict::Mirror { add_partitions_to: None, is_adopted: true };

#[test]
fn a_newcomer_is_created_with_as_many_partitions() {
    assert_eq!(verdict(&newcomer()), Verdict::Create { partitions: 3 });
    assert_eq!(verdict(&Seen { wish: Wish::Nothing, ..newcomer() }), Verdict::Ignore);
}

#[test]
fn an_existing_target_is_used_when_it_is_empty_or_when_somebody_says_so() {
    let there = Seen { target: life(101, 3), has_records: Some(false), ..newcomer() };
    assert_eq!(verdict(&there), ADOPT);
    let narrow = Seen { target: life(101, 1), ..there.clone() };
    assert_eq!(verdict(&narrow), Verdict::Mirror { add_partitions_to: Some(3), is_adopted: true });
    let wide = Seen { target: life(101, 9), ..there.clone() };
    assert_eq!(verdict(&wide), ADOPT);
    let full = Seen { has_records: Some(true), ..there.clone() };
    assert_eq!(reason(&full), StopReason::TargetNotEmpty);
    let allowed = Choice { existing_target: ExistingTarget::Translate, ..choice("orders") };
    assert_eq!(verdict(&Seen { wish: Wish::Mirror(allowed), ..full.clone() }), ADOPT);
    assert!(matches!(verdict(&Seen { has_records: None, ..there }), Verdict::Unclear(_)));

    let stop = match verdict(&full) {
        Verdict::Stop(stop) => stop.record(None, 5),
        other => panic!("{other:?}"),
    };
    let stopped = TopicRecord { partitions: 0, state: TopicState::Stopped, stop: Some(stop), ..established("orders") };
    assert_eq!(reason(&Seen { record: Some(stopped.clone()), ..full.clone() }), StopReason::TargetNotEmpty);
    assert_eq!(resolve_topic(&stopped, ResolveVerb::Skip), None);
    let resolved = resolve_topic(&stopped, ResolveVerb::Translate).unwrap();
    assert_eq!(verdict(&Seen { record: Some(resolved), ..full }), ADOPT);
}

#[test]
fn a_running_topic_follows_added_partitions_only() {
    assert_eq!(verdict(&running()), GO);
    let grown = Seen { source: life(1, 5), ..running() };
    assert_eq!(verdict(&grown), Verdict::Mirror { add_partitions_to: Some(5), is_adopted: false });
    assert_eq!(verdict(&Seen { target: life(101, 9), ..running() }), GO);
}

#[test]
fn a_running_topic_is_not_pointed_elsewhere() {
    let moved = Seen { wish: Wish::Mirror(choice("other")), ..running() };
    assert_eq!(reason(&moved), StopReason::MappingChanged);
    let not_begun = TopicRecord { partitions: 0, state: TopicState::Stopped, ..established("orders") };
    let moved = Seen { record: Some(not_begun), target: Side::Absent, ..moved };
    assert_eq!(verdict(&moved), Verdict::Create { partitions: 3 }, "nothing was written there yet");
}

#[test]
fn of_colliding_topics_the_one_that_runs_goes_on() {
    let collision = Wish::Collision { choice: choice("orders"), message: "two".to_owned() };
    assert_eq!(reason(&Seen { wish: collision.clone(), ..newcomer() }), StopReason::NameCollision);
    assert_eq!(verdict(&Seen { wish: collision, ..running() }), GO);
}

#[test]
fn what_was_deleted_or_recreated_is_not_made_anew_silently() {
    assert_eq!(reason(&Seen { source: Side::Absent, ..running() }), StopReason::SourceDeleted);
    assert_eq!(reason(&Seen { source: life(2, 3), ..running() }), StopReason::SourceRecreated);
    assert_eq!(reason(&Seen { target: Side::Absent, ..running() }), StopReason::TargetDeleted);
    assert_eq!(reason(&Seen { target: life(102, 3), ..running() }), StopReason::TargetRecreated);
    assert_eq!(reason(&Seen { wish: Wish::Nothing, ..running() }), StopReason::NotSelected);
    assert_eq!(reason(&Seen { is_own_target: true, ..newcomer() }), StopReason::OntoItself);
}

#[test]
fn nothing_is_concluded_from_what_could_not_be_seen() {
    let unclear = || Side::Unclear("no leader".to_owned());
    assert_eq!(verdict(&Seen { source: unclear(), ..running() }), Verdict::Unclear("no leader".to_owned()));
    assert_eq!(verdict(&Seen { target: unclear(), ..running() }), Verdict::Unclear("no leader".to_owned()));
    let without_ids = |partitions| Side::Present(Life { id: None, partitions });
    assert_eq!(verdict(&Seen { source: without_ids(3), target: without_ids(3), ..running() }), GO);
}

/// Whatever a person resolves, the round after it mirrors again.
#[test]
fn remirror_begins_a_new_life() {
    let cases = [
        (Seen { source: life(2, 3), ..running() }, ADOPT),
        (Seen { target: Side::Absent, ..running() }, Verdict::Create { partitions: 3 }),
        (Seen { target: life(102, 3), has_records: Some(true), ..running() }, ADOPT),
    ];
    for (seen, after) in cases {
        let Verdict::Stop(stop) = verdict(&seen) else { panic!("{seen:?}") };
        let stop = stop.record(None, 5);
        assert_eq!(stop.resolve, [ResolveVerb::Remirror]);
        let stopped = TopicRecord { state: TopicState::Stopped, stop: Some(stop), ..established("orders") };
        let resolved = resolve_topic(&stopped, ResolveVerb::Remirror).unwrap();
        assert_eq!(
            (resolved.partitions, resolved.start, resolved.state),
            (0, StartAt::Earliest, TopicState::Mirroring)
        );
        assert_eq!(verdict(&Seen { record: Some(resolved), ..seen }), after);
    }
}
