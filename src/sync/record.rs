//! The topic record that comes out of a round. Pure.

use super::compare::{Choice, Seen, Side, Wish, is_established, state};
use super::stop::{Stop, StopReason};
use crate::store::{PositionRecord, SettingsRecord, StartAt, TopicRecord};

/// A partition has caught up when what it lacks is this young.
const LAG_MS_MAX: u64 = 10_000;

/// When a round is made, and where topics begin that it finds for the first time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now_ms: i64,
    pub(super) start: StartAt,
}

/// How the topic is to be mirrored, where it is to be.
pub(super) fn choice(seen: &Seen) -> Option<&Choice> {
    match &seen.wish {
        Wish::Mirror(choice) | Wish::Collision { choice, .. } => Some(choice),
        Wish::Nothing => None,
    }
}

/// The record of a topic that is mirrored; `None` while its target topic is not seen.
pub(super) fn mirrored(
    seen: &Seen,
    settings: &SettingsRecord,
    batch_bytes_max: usize,
    moment: Moment,
) -> Option<TopicRecord> {
    let (Side::Present(source), Side::Present(target)) = (&seen.source, &seen.target) else { return None };
    let before = seen.record.as_ref();
    let partitions = source.partitions.min(target.partitions);
    Some(TopicRecord {
        source_topic_id: source.id.or(before.and_then(|record| record.source_topic_id)),
        target_topic: seen.target_topic()?.clone(),
        target_topic_id: target.id.or(before.and_then(|record| record.target_topic_id)),
        // Partitions don't become fewer while both topics live; less was seen by a broker that lags behind.
        partitions: before.filter(|record| is_established(record)).map_or(partitions, |r| r.partitions.max(partitions)),
        state: state(before, None),
        priority: choice(seen).map_or(0, |choice| choice.priority),
        has_local_writers: choice(seen).is_some_and(|choice| choice.has_local_writers),
        batch_bytes_max,
        start: before.map_or(moment.start, |record| record.start),
        start_partitions: before
            .map(|record| record.start_partitions)
            .filter(|count| *count > 0)
            .unwrap_or(source.partitions),
        settings: settings.clone(),
        stop: None,
    })
}

/// The record of a topic that can't be mirrored now; `None` where there is nothing to write it to, or where writing
/// it would take back what a person decided.
pub(super) fn stopped(seen: &Seen, stop: &Stop, moment: Moment) -> Option<TopicRecord> {
    let before = seen.record.as_ref();
    let is_decided = before.is_some_and(|record| !is_established(record) && record.stop.is_none());
    let is_of_making = matches!(stop.reason, StopReason::TargetNotCreated | StopReason::SettingsRefused);
    if is_decided && is_of_making {
        return None;
    }
    let told = stop.clone().record(before.and_then(|record| record.stop.as_ref()), moment.now_ms);
    let source_partitions = match &seen.source {
        Side::Present(life) => life.partitions,
        Side::Absent | Side::Unclear(_) => 0,
    };
    let record = match before {
        Some(record) => record.clone(),
        None => TopicRecord {
            // No id is taken down before the topic is mirrored: until then any life of it will do.
            source_topic_id: None,
            target_topic: seen.target_topic()?.clone(),
            target_topic_id: None,
            partitions: 0,
            state: state(None, Some(&told)),
            priority: choice(seen).map_or(0, |choice| choice.priority),
            has_local_writers: choice(seen).is_some_and(|choice| choice.has_local_writers),
            batch_bytes_max: super::settings::BATCH_BYTES_MAX_DEFAULT,
            start: moment.start,
            start_partitions: source_partitions,
            settings: SettingsRecord::default(),
            stop: None,
        },
    };
    let target_topic = seen.target_topic().cloned().unwrap_or(record.target_topic);
    Some(TopicRecord { state: state(before, Some(&told)), stop: Some(told), target_topic, ..record })
}

/// Whether nothing is left to remember of a topic: it never came to anything, and is not wanted or not there any
/// more.
pub(super) fn is_forgotten(seen: &Seen, stop: &Stop) -> bool {
    let is_gone = matches!(stop.reason, StopReason::NotSelected | StopReason::SourceDeleted);
    is_gone && !seen.record.as_ref().is_some_and(is_established)
}

/// Whether a partition has come so far that its history is there. A position of another life of either topic says
/// nothing.
pub(super) fn has_caught_up(record: &TopicRecord, position: Option<&PositionRecord>) -> bool {
    let lives = (record.source_topic_id, record.target_topic_id);
    let Some(position) = position.filter(|position| (position.source_topic_id, position.target_topic_id) == lives)
    else {
        return false;
    };
    let status = &position.status;
    let is_at_end = status.source_last_stable.is_some_and(|end| position.source_position >= end);
    is_at_end || status.lag_ms.is_some_and(|lag| lag <= LAG_MS_MAX)
}
