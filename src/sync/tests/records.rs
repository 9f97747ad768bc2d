use super::super::compare::{Choice, Life, Seen, Side, Wish};
use super::super::record::{Moment, has_caught_up, is_forgotten, mirrored, stopped};
use super::super::stop::Stop;
use super::*;
use crate::selection::ExistingTarget;
use crate::store::{PartitionState, PositionRecord, StatusRecord};
use crate::types::{Sequence, SourceOffset, TargetOffset};

const NOW: Moment = Moment { now_ms: 5_000, start: StartAt::Latest };

fn seen(record: Option<TopicRecord>) -> Seen {
    let choice = Choice {
        target: topic("orders"),
        priority: 7,
        replication_factor: None,
        existing_target: ExistingTarget::Refuse,
        has_local_writers: false,
    };
    Seen {
        wish: Wish::Mirror(choice),
        record,
        source: Side::Present(Life { id: Some(id(1)), partitions: 3 }),
        target: Side::Present(Life { id: Some(id(101)), partitions: 4 }),
        has_records: None,
        is_own_target: false,
    }
}

fn stop(reason: StopReason) -> Stop {
    Stop::new(reason, "why".to_owned())
}

#[test]
fn a_first_record_says_where_to_begin() {
    let record = mirrored(&seen(None), &SettingsRecord::default(), 500, NOW).unwrap();
    let expected = TopicRecord {
        priority: 7,
        has_local_writers: false,
        batch_bytes_max: 500,
        start: StartAt::Latest,
        start_partitions: 3,
        ..established("orders")
    };
    assert_eq!(record, expected);
}

#[test]
fn later_partitions_don_t_move_the_start() {
    let before =
        TopicRecord { start: StartAt::Timestamp(9), start_partitions: 2, partitions: 2, ..established("orders") };
    let record = mirrored(&seen(Some(before)), &SettingsRecord::default(), 500, NOW).unwrap();
    assert_eq!((record.start, record.start_partitions, record.partitions), (StartAt::Timestamp(9), 2, 3));
}

#[test]
fn a_stop_keeps_what_was_and_its_own_time() {
    let first = stopped(&seen(Some(established("orders"))), &stop(StopReason::TargetDeleted), NOW).unwrap();
    assert_eq!((first.state, first.partitions, first.start), (TopicState::Stopped, 3, StartAt::Earliest));
    assert_eq!(first.stop.as_ref().unwrap().since_ms, 5_000);
    let later = Moment { now_ms: 9_000, ..NOW };
    assert_eq!(stopped(&seen(Some(first.clone())), &stop(StopReason::TargetDeleted), later).unwrap(), first);
    let healed = mirrored(&seen(Some(first)), &SettingsRecord::default(), 500, later).unwrap();
    assert_eq!((healed.state, healed.stop), (TopicState::Mirroring, None));
}

#[test]
fn a_pause_outlives_a_stop() {
    let paused = TopicRecord { state: TopicState::Paused, ..established("orders") };
    let broken = stopped(&seen(Some(paused)), &stop(StopReason::TargetDeleted), NOW).unwrap();
    assert_eq!(broken.state, TopicState::Paused);
    assert!(broken.stop.is_some());
    let healed = mirrored(&seen(Some(broken)), &SettingsRecord::default(), 500, NOW).unwrap();
    assert_eq!(healed.state, TopicState::Paused);
}

#[test]
fn a_person_s_decision_outlives_a_failed_attempt() {
    let decided = TopicRecord { partitions: 0, ..established("orders") };
    assert_eq!(stopped(&seen(Some(decided.clone())), &stop(StopReason::TargetNotCreated), NOW), None);
    assert!(stopped(&seen(Some(decided)), &stop(StopReason::NameCollision), NOW).is_some());
    let first = stopped(&seen(None), &stop(StopReason::TargetNotCreated), NOW).unwrap();
    assert_eq!((first.partitions, first.source_topic_id, first.start), (0, None, StartAt::Latest));
    assert!(!is_forgotten(&seen(Some(first.clone())), &stop(StopReason::TargetNotCreated)));
    assert!(is_forgotten(&seen(Some(first)), &stop(StopReason::SourceDeleted)));
    assert!(!is_forgotten(&seen(Some(established("orders"))), &stop(StopReason::NotSelected)));
}

#[test]
fn caught_up_means_at_the_end_or_a_few_seconds_behind_it() {
    let at = |position, end, lag_ms| PositionRecord {
        source_topic_id: Some(id(1)),
        target_topic_id: Some(id(101)),
        source_position: SourceOffset::new(position).unwrap(),
        source_leader_epoch: None,
        target_position: TargetOffset::ZERO,
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
            daemon: "one".to_owned(),
            at_ms: 0,
            source_log_start: None,
            source_high_watermark: None,
            source_last_stable: SourceOffset::new(end).ok(),
            lag_ms,
            source_contact_age_ms: None,
            retention_left_ms: None,
            held_by: None,
            stop: None,
        },
    };
    let record = established("orders");
    assert!(has_caught_up(&record, Some(&at(10, 10, Some(60_000)))));
    assert!(has_caught_up(&record, Some(&at(10, 20, Some(500)))));
    assert!(!has_caught_up(&record, Some(&at(10, 20, Some(60_000)))));
    assert!(!has_caught_up(&record, Some(&at(10, 20, None))));
    assert!(!has_caught_up(&record, None));
    let other_life = PositionRecord { source_topic_id: Some(id(2)), ..at(10, 10, None) };
    assert!(!has_caught_up(&record, Some(&other_life)));
}
