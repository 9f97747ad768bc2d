use super::*;
use crate::offset_map::OffsetMap;
use crate::store::{Key, PartitionState, StatusRecord};
use crate::types::{LinkName, PartitionIndex, Run, Sequence, SourceOffset, TargetOffset, TopicName};

fn position(source: i64) -> PositionRecord {
    PositionRecord {
        source_topic_id: None,
        target_topic_id: None,
        source_position: SourceOffset::new(source).unwrap(),
        source_leader_epoch: None,
        target_position: TargetOffset::new(source).unwrap(),
        sequence: Sequence::ZERO,
        others: 0,
        begun_at: None,
        map_start: None,
        open_runs: String::new(),
        open_chunk: 0,
        resolution: None,
        offsets: None,
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
    }
}

fn plan(length: u64) -> PlanRecord {
    let run = Run { source: SourceOffset::ZERO, target: TargetOffset::ZERO, length };
    PlanRecord { target_topic_id: None, runs: OffsetMap::encode(&[run]), inherited: String::new(), sequences: None }
}

fn writes(position: PositionRecord, plan: Option<PlanRecord>) -> Vec<Write> {
    let link = LinkName::new("test").unwrap();
    let (topic, partition) = (TopicName::new("orders").unwrap(), PartitionIndex(0));
    let key = Key::Position { link: link.clone(), topic: topic.clone(), partition };
    let mut writes = vec![Write::Put(key, Value::Position(position))];
    writes.extend(plan.map(|plan| Write::Put(Key::Plan { link, topic, partition }, Value::Plan(plan))));
    writes
}

/// The position did not move, so the position alone would not tell that the plan is still the one before.
#[test]
fn an_older_plan_is_not_enough() {
    let mut marks = Marks::default();
    assert!(marks.is_shown(None, None), "nothing was stored");
    for length in [10, 20] {
        marks.begin(&writes(position(5), Some(plan(length))));
        marks.commit();
    }
    assert!(!marks.is_shown(Some(&position(5)), Some(&plan(10))));
    assert!(!marks.is_shown(None, None));
    assert!(marks.is_shown(Some(&position(5)), Some(&plan(20))));
    marks.begin(&writes(position(6), None));
    marks.commit();
    assert!(!marks.is_shown(Some(&position(5)), Some(&plan(20))));
    assert!(marks.is_shown(Some(&position(6)), Some(&plan(20))));
}

#[test]
fn a_write_without_an_answer_may_be_there_or_not() {
    let mut marks = Marks::default();
    marks.begin(&writes(position(5), Some(plan(10))));
    marks.commit();
    marks.begin(&writes(position(6), None));
    marks.begin(&writes(position(7), Some(plan(20))));
    assert!(marks.is_shown(Some(&position(5)), Some(&plan(10))));
    assert!(marks.is_shown(Some(&position(6)), Some(&plan(10))));
    assert!(marks.is_shown(Some(&position(7)), Some(&plan(20))));
    assert!(!marks.is_shown(Some(&position(4)), Some(&plan(10))));
    marks.commit();
    assert!(!marks.is_shown(Some(&position(5)), Some(&plan(10))));
}
