use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::decide::{MirrorTopic, Step, Terms, Topics, judge, step};
use super::memory::{Common, Known, Memory};
use super::rehearsal::{Finding, Next, weigh};
use super::tag::Tag;
use super::{Mapped, Maps};
use crate::batch::Record;
use crate::cluster::{Committed, GroupOffsets};
use crate::offset_map::OffsetMap;
use crate::types::{
    BrokerId, GroupKind, GroupName, GroupPositionState as State, PartitionIndex, Run, SourceOffset, TargetOffset,
    TopicName, TopicPartition, Translation,
};

/// One map for all partitions: source 10..20 at 0..10, a hole, 25..30 at 10..15; then nothing up to 40.
struct OneMap(OffsetMap);

impl OneMap {
    fn new() -> Self {
        let run = |source, target, length| Run { source: source_at(source), target: target_at(target), length };
        let mut map = OffsetMap::new(source_at(10), target_at(0));
        map.append(run(10, 0, 10)).unwrap();
        map.append(run(25, 10, 5)).unwrap();
        map.advance_source(source_at(40));
        Self(map)
    }
}

impl Maps for OneMap {
    fn locate(&self, partition: &TopicPartition, offset: SourceOffset) -> Option<Mapped> {
        let mapped = Mapped { translation: self.0.translate(offset), target_end: self.0.target_end() };
        (partition.topic.as_str() != "unknown").then_some(mapped)
    }

    fn locate_reverse(&self, _partition: &TopicPartition, offset: TargetOffset) -> Option<Translation<SourceOffset>> {
        Some(self.0.translate_reverse(offset))
    }
}

fn source_at(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target_at(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))
}

fn name(group: &str) -> GroupName {
    GroupName::new(group).unwrap()
}

fn committed(offset: i64, metadata: &str) -> Committed {
    Committed { offset, metadata: metadata.to_owned() }
}

fn topics() -> Topics {
    let topic = |target: &str| MirrorTopic { target: TopicName::new(target).unwrap(), partitions: 2 };
    BTreeMap::from([
        (TopicName::new("orders").unwrap(), topic("dr.orders")),
        (TopicName::new("unknown").unwrap(), topic("unknown")),
    ])
}

/// What most tests have in common.
struct Scene {
    topics: Topics,
    ours: Tag,
    opposite: Tag,
    maps: OneMap,
}

impl Scene {
    fn new() -> Self {
        Self { topics: topics(), ours: Tag::of("here"), opposite: Tag::of("there"), maps: OneMap::new() }
    }

    fn terms(&self) -> Terms<'_> {
        let Self { topics, ours, opposite, .. } = self;
        Terms { topics, ours, opposite, is_fresh: true, is_refresh_due: false, is_bare: false }
    }

    fn common(&self) -> Common<'_> {
        let Self { topics, ours, opposite, maps } = self;
        Common { topics, maps, ours, opposite, refresh_after: Duration::from_hours(1) }
    }
}

fn step_with(source: &Committed, there: Option<&Committed>, is_fresh: bool, is_refresh_due: bool) -> Step {
    let scene = Scene::new();
    let mapped = scene.maps.locate(&partition("orders", 0), source_at(source.offset));
    step(source, mapped, there, Terms { is_fresh, is_refresh_due, ..scene.terms() })
}

/// A group with this position, whose translation of offset 12 the target has.
fn known_at(group: &str, kind: GroupKind, offset: i64, now: Instant) -> Known {
    let mut known = Known::new(name(group), kind, now);
    known.absorb(GroupOffsets::from([(partition("orders", 0), committed(offset, ""))]), now);
    known.on_target = Some(GroupOffsets::from([(partition("dr.orders", 0), committed(2, "causeway/1 here"))]));
    (known.looked_at, known.refreshed_at) = (Some(now), Some(now));
    known
}

#[test]
fn a_position_becomes_the_first_mirrored_record_at_or_after_it() {
    let steps = |offset| step_with(&committed(offset, ""), None, true, false);
    assert_eq!(steps(12), Step::Commit(target_at(2), State::Synced));
    assert_eq!(steps(22), Step::Commit(target_at(10), State::Synced), "in a hole");
    assert_eq!(steps(40), Step::Commit(target_at(15), State::Synced), "at the end of the copy");
    assert_eq!(steps(41), Step::Commit(target_at(15), State::AheadOfData), "beyond it: never past the data");
    assert_eq!(steps(9), Step::Leave(State::BelowMap));
}

#[test]
fn only_our_own_positions_are_moved() {
    let ours = |offset| committed(offset, "causeway/1 here consumer's own");
    let steps = |there: &Committed| step_with(&committed(12, ""), Some(there), true, false);
    assert_eq!(steps(&ours(2)), Step::Leave(State::Synced));
    assert_eq!(steps(&ours(1)), Step::Commit(target_at(2), State::Synced));
    assert_eq!(steps(&ours(9)), Step::Commit(target_at(2), State::Synced), "a rewind");
    assert_eq!(steps(&committed(1, "")), Step::Leave(State::Conflict));
    assert_eq!(steps(&committed(9, "causeway/1 elsewhere")), Step::Leave(State::Conflict));
    assert_eq!(steps(&committed(9, "causeway/1 hereafter")), Step::Leave(State::Conflict));
    assert_eq!(steps(&committed(2, "")), Step::Leave(State::Synced), "whoever wrote it, it is right");
}

#[test]
fn what_is_only_remembered_moves_nothing_back() {
    let ours = committed(9, "causeway/1 here");
    assert_eq!(step_with(&committed(12, ""), Some(&ours), false, false), Step::Leave(State::Pending));
    let ours = committed(1, "causeway/1 here");
    let forward = Step::Commit(target_at(2), State::Synced);
    assert_eq!(step_with(&committed(12, ""), Some(&ours), false, false), forward);
}

#[test]
fn positions_are_written_again_before_they_expire_but_only_ours() {
    let again = |there: &Committed| step_with(&committed(12, ""), Some(there), true, true);
    assert_eq!(again(&committed(2, "causeway/1 here")), Step::Commit(target_at(2), State::Synced));
    assert_eq!(again(&committed(2, "")), Step::Leave(State::Synced));
}

#[test]
fn what_came_from_the_target_is_not_sent_back() {
    let echo = committed(12, "causeway/1 there");
    assert_eq!(step_with(&echo, None, true, true), Step::Leave(State::FromTarget));
}

#[test]
fn metadata_keeps_the_consumers_own_where_there_is_room() {
    let tag = Tag::of("id");
    assert_eq!(tag.put_on(""), "causeway/1 id");
    assert_eq!(tag.put_on("mine"), "causeway/1 id mine");
    assert_eq!(tag.put_on(&"x".repeat(4090)), "causeway/1 id");
    assert!(tag.is_on(&tag.put_on("mine")) && tag.is_on(&tag.put_on("")) && !tag.is_on("causeway/1 i"));
}

#[test]
fn a_group_is_judged_position_by_position() {
    let source = GroupOffsets::from([
        (partition("orders", 0), committed(12, "")),
        (partition("orders", 1), committed(26, "")),
        (partition("orders", 2), committed(26, "")),
        (partition("unknown", 0), committed(12, "")),
        (partition("elsewhere", 0), committed(12, "")),
    ]);
    let there = GroupOffsets::from([(partition("dr.orders", 1), committed(5, "somebody"))]);
    let scene = Scene::new();
    let judgement = judge(&source, Some(&there), &scene.maps, scene.terms());
    let states: Vec<State> = judgement.standings.values().map(|standing| standing.state).collect();
    assert_eq!(states, [State::Pending, State::Conflict, State::Pending], "not mirrored ones are left out");
    let commits: Vec<_> = judgement.commits.iter().map(|commit| (&commit.partition, commit.offset)).collect();
    assert_eq!(commits, [(&partition("dr.orders", 0), target_at(2))]);
}

#[tokio::test]
async fn groups_with_something_to_write_come_first() {
    let scene = Scene::new();
    let common = scene.common();
    let now = Instant::now();
    let mut memory = Memory::default();
    for (group, offset) in [("a-same", 12), ("b-moved", 13), ("c-active", 13), ("d-share", 13)] {
        let kind = if group == "d-share" { GroupKind::Share } else { GroupKind::Classic };
        memory.groups.insert(name(group), known_at(group, kind, offset, now));
    }
    memory.active.insert(BrokerId(1), [name("c-active")].into());
    assert_eq!(memory.due(&common, now), [name("b-moved")]);
    let later = now + Duration::from_secs(11);
    assert_eq!(memory.due(&common, later), [name("b-moved"), name("a-same"), name("c-active")], "looks follow");
    memory.groups.get_mut(&name("b-moved")).unwrap().failed("no".to_owned(), now);
    assert!(memory.due(&common, now).is_empty(), "after a failure there is a pause");
    assert_eq!(memory.groups[&name("b-moved")].overlaid(State::Pending), State::Failed);
}

#[tokio::test]
async fn of_two_groups_with_one_name_the_first_has_it() {
    let mut memory = Memory::default();
    for group in ["a", "b"] {
        memory.groups.insert(name(group), Known::new(name("same"), GroupKind::Classic, Instant::now()));
    }
    memory.find_collisions();
    assert_eq!(memory.groups[&name("a")].collides_with, None);
    assert_eq!(memory.groups[&name("b")].collides_with, Some(name("a")));
}

fn record(offset: i64, value: &str) -> Next {
    let value = Some(Bytes::from(value.to_owned()));
    Next::Record(Record { offset, timestamp: 5, key: None, value, headers: Vec::new() })
}

fn weighed(from: (i64, i64), here: &Next, there: &Next) -> Finding {
    let from = (source_at(from.0), target_at(from.1));
    weigh(&partition("orders", 0), from, here, there, &OneMap::new())
}

#[test]
fn a_rehearsal_finds_the_same_record_on_both_sides() {
    assert_eq!(weighed((12, 2), &record(12, "x"), &record(2, "x")), Finding::Match);
    assert_eq!(weighed((22, 10), &record(25, "x"), &record(10, "x")), Finding::Match, "over a hole");
    assert_eq!(weighed((40, 15), &Next::End, &Next::End), Finding::AtEnd);
    assert_eq!(weighed((40, 15), &record(41, "x"), &Next::End), Finding::AtEnd, "not copied yet");
}

#[test]
fn a_rehearsal_finds_what_does_not_match() {
    let is_mismatch = |finding: Finding| matches!(finding, Finding::Mismatch(_));
    assert!(is_mismatch(weighed((12, 2), &record(12, "x"), &record(2, "y"))), "other contents");
    assert!(is_mismatch(weighed((12, 3), &record(12, "x"), &record(3, "y"))), "one too far: a record is missed");
    assert!(is_mismatch(weighed((12, 1), &record(12, "x"), &record(1, "y"))), "one short: a record comes again");
    assert!(is_mismatch(weighed((29, 15), &record(29, "x"), &Next::End)), "the last one is missed");
    assert!(is_mismatch(weighed((40, 14), &Next::End, &record(14, "x"))), "the last one comes again");
}

#[test]
fn a_rehearsal_says_nothing_of_what_was_deleted() {
    // Source record 12 was compacted away, or the target's copy of it.
    assert_eq!(weighed((12, 2), &record(15, "x"), &record(2, "y")), Finding::NotCompared);
    assert_eq!(weighed((12, 2), &record(12, "x"), &record(4, "y")), Finding::NotCompared);
    assert_eq!(weighed((12, 2), &Next::Unclear, &record(2, "x")), Finding::NotCompared);
}

/// Everything is where it is not now.
struct NoMap;

impl Maps for NoMap {
    fn locate(&self, _partition: &TopicPartition, _offset: SourceOffset) -> Option<Mapped> {
        None
    }

    fn locate_reverse(&self, _partition: &TopicPartition, _offset: TargetOffset) -> Option<Translation<SourceOffset>> {
        None
    }
}

#[tokio::test]
async fn what_is_settled_is_judged_again_when_something_is_heard() {
    let scene = Scene::new();
    let common = scene.common();
    let now = Instant::now();
    let mut memory = Memory::default();
    memory.groups.insert(name("app"), known_at("app", GroupKind::Classic, 12, now));
    let state = |memory: &Memory| memory.groups[&name("app")].standings[&partition("orders", 0)].state;
    assert!(memory.due(&common, now).is_empty());
    assert_eq!(state(&memory), State::Synced);

    let changed = Common { maps: &NoMap, ..common };
    memory.due(&changed, now);
    assert_eq!(state(&memory), State::Synced, "nobody said that anything changed");
    memory.unsettle();
    memory.due(&changed, now);
    assert_eq!(state(&memory), State::Pending);

    memory.due(&common, now);
    let known = memory.groups.get_mut(&name("app")).unwrap();
    known.absorb(GroupOffsets::from([(partition("orders", 0), committed(13, ""))]), now);
    assert_eq!(memory.due(&common, now), [name("app")], "it moved");
    let refresh = Common { refresh_after: Duration::ZERO, ..common };
    let known = memory.groups.get_mut(&name("app")).unwrap();
    known.absorb(GroupOffsets::from([(partition("orders", 0), committed(12, ""))]), now);
    assert!(memory.due(&common, now).is_empty(), "and back");
    assert_eq!(memory.due(&refresh, now), [name("app")], "it would expire");
}

#[test]
fn only_what_waits_for_nothing_is_settled() {
    let scene = Scene::new();
    let is_settled = |offset: i64, there: i64| {
        let source = GroupOffsets::from([(partition("orders", 0), committed(offset, ""))]);
        let there = GroupOffsets::from([(partition("dr.orders", 0), committed(there, "causeway/1 here"))]);
        judge(&source, Some(&there), &scene.maps, scene.terms()).is_settled
    };
    assert!(is_settled(12, 2), "exactly there");
    assert!(!is_settled(12, 1), "to be written");
    assert!(!is_settled(22, 10), "in a hole: the next record is what counts");
    assert!(!is_settled(50, 15), "ahead of the data");
    assert!(is_settled(5, 0), "before all that is known");
}
