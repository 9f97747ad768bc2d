//! What is shown of mirror topics and partitions: live where this daemon works on them, stored otherwise.

use crate::api::json;
use crate::mirror::{Registry, Snapshot};
use crate::store::{OffsetsRecord, PartitionState, StatusRecord, StopRecord, Store, TopicRecord, TopicState};
use crate::tasks::wall_clock_ms;
use crate::types::{LinkName, PartitionIndex, SourceOffset, TargetOffset, TopicName, TopicPartition, Translation};

/// Answers from the state of one target cluster.
pub(super) struct Shown<'a> {
    pub(super) store: &'a Store,
    pub(super) registry: &'a Registry,
    pub(super) link: &'a LinkName,
    /// The link as a whole is paused.
    pub(super) is_paused: bool,
}

/// The source counts as unreachable when it did not answer for so long, milliseconds.
pub(super) const CONTACT_LIMIT_MS: u64 = 30_000;

impl Shown<'_> {
    pub(super) fn topics(&self) -> Vec<json::Topic> {
        let topics = self.store.view().topics(self.link);
        topics.into_iter().map(|(topic, record)| self.topic_of(topic, &record)).collect()
    }

    pub(super) fn topic(&self, topic: &TopicName) -> Option<json::Topic> {
        let record = self.store.view().topic(self.link, topic)?;
        Some(self.topic_of(topic.clone(), &record))
    }

    fn topic_of(&self, topic: TopicName, record: &TopicRecord) -> json::Topic {
        let partitions: Vec<json::Partition> =
            (0..record.partitions).map(|index| self.partition(&topic, PartitionIndex(index), record)).collect();
        let error = record.stop.as_ref().map(stop);
        let state = match record.state {
            _ if error.is_some() => json::TopicState::Stopped,
            TopicState::Stopped => json::TopicState::Stopped,
            TopicState::Paused => json::TopicState::Paused,
            TopicState::Mirroring => json::TopicState::worst_of(&partitions),
        };
        let is_identical = partitions.iter().all(|partition| partition.offsets == json::TopicOffsets::Identical);
        let offsets = if is_identical { json::TopicOffsets::Identical } else { json::TopicOffsets::Translated };
        json::Topic {
            source_topic: topic,
            target_topic: record.target_topic.clone(),
            state,
            offsets,
            error,
            partitions,
        }
    }

    fn partition(&self, topic: &TopicName, index: PartitionIndex, topic_record: &TopicRecord) -> json::Partition {
        let live = self.registry.get(self.link, &TopicPartition::new(topic.clone(), index));
        let mut shown = match live.map(|live| live.snapshot()) {
            Some(snapshot) => shown_live(index, &snapshot),
            None => self.stored_partition(topic, index, topic_record),
        };
        // Nobody works on the partitions of a topic that is stopped as a whole, whatever they stored last.
        if let Some(of_topic) = &topic_record.stop {
            shown.state = json::PartitionState::Stopped;
            shown.error = shown.error.or_else(|| Some(stop(of_topic)));
        }
        shown
    }

    fn stored_partition(
        &self,
        topic: &TopicName,
        index: PartitionIndex,
        topic_record: &TopicRecord,
    ) -> json::Partition {
        let is_paused = self.is_paused || topic_record.state == TopicState::Paused;
        let Some(record) = self.store.view().position(self.link, topic, index) else {
            return unknown(index, is_paused);
        };
        let position = (Some(record.source_position), Some(record.target_position));
        // Who works on it tells the group of it. Outside the group, what was told last gets old.
        let aged = (!self.store.is_ready()).then(|| record.status.aged(wall_clock_ms()));
        let status = aged.as_ref().unwrap_or(&record.status);
        let mut shown = related(partition(index, position, status), record.offsets.as_ref());
        shown.map_start = record.map_start.map(|(source, _)| source);
        if is_paused && shown.state != json::PartitionState::Stopped {
            shown.state = json::PartitionState::Paused;
        }
        shown
    }

    pub(super) fn translate(
        &self,
        partition: &TopicPartition,
        source: SourceOffset,
    ) -> Option<Translation<TargetOffset>> {
        let located = self.registry.locate(self.store.view(), self.link, partition, source);
        located.map(|(translation, _)| translation)
    }

    pub(super) fn translate_reverse(
        &self,
        partition: &TopicPartition,
        target: TargetOffset,
    ) -> Option<Translation<SourceOffset>> {
        self.registry.locate_reverse(self.store.view(), self.link, partition, target)
    }
}

/// With how its offsets relate to the source's. Where they are as they come they may happen to be the same: offsets
/// that parted once never meet again by themselves, so the ends tell.
fn related(mut partition: json::Partition, offsets: Option<&OffsetsRecord>) -> json::Partition {
    let ends = partition.source_position.zip(partition.target_position);
    let is_same = match offsets {
        Some(OffsetsRecord::Identical { .. } | OffsetsRecord::FastForwarding { .. }) => true,
        Some(OffsetsRecord::Translated { since: Some(_), .. }) => false,
        Some(OffsetsRecord::Translated { since: None, .. }) | None => {
            ends.is_none_or(|(source, target)| source.get() == target.get())
        }
    };
    partition.offsets = if is_same { json::TopicOffsets::Identical } else { json::TopicOffsets::Translated };
    if let Some(OffsetsRecord::Translated { since, because }) = offsets {
        partition.offsets_since = *since;
        partition.offsets_because.clone_from(because);
    }
    partition
}

fn shown_live(index: PartitionIndex, snapshot: &Snapshot) -> json::Partition {
    let mut shown = partition(index, (snapshot.source_position, snapshot.target_position), &snapshot.status);
    shown.map_start = snapshot.map_start;
    related(shown, snapshot.offsets.as_ref())
}

fn partition(
    index: PartitionIndex,
    (source_position, target_position): (Option<SourceOffset>, Option<TargetOffset>),
    status: &StatusRecord,
) -> json::Partition {
    let is_reachable = status.source_contact_age_ms.is_some_and(|age| age < CONTACT_LIMIT_MS);
    let lag = status.source_high_watermark.zip(source_position).map(|(mark, position)| mark.distance_from(position));
    json::Partition {
        partition: index,
        state: state(status.state),
        offsets: json::TopicOffsets::Identical,
        offsets_since: None,
        offsets_because: None,
        map_start: None,
        source_log_start: status.source_log_start,
        source_high_watermark: status.source_high_watermark,
        source_last_stable: status.source_last_stable,
        source_position,
        target_position,
        lag_records: lag.filter(|_| is_reachable),
        lag_ms: status.lag_ms,
        retention_left_ms: status.retention_left_ms,
        source_contact_age_ms: status.source_contact_age_ms,
        held_back: held_back(status),
        daemon: Some(status.daemon.clone()),
        error: status.stop.as_ref().map(stop),
    }
}

fn held_back(status: &StatusRecord) -> Option<json::HeldBack> {
    let records = status.source_high_watermark?.distance_from(status.source_last_stable?);
    (records > 0).then_some(json::HeldBack {
        records,
        producer_id: status.held_by.and_then(|holder| holder.producer_id),
        age_ms: status.held_by.map(|holder| holder.age_ms),
    })
}

fn unknown(index: PartitionIndex, is_paused: bool) -> json::Partition {
    json::Partition {
        partition: index,
        state: if is_paused { json::PartitionState::Paused } else { json::PartitionState::Starting },
        offsets: json::TopicOffsets::Identical,
        offsets_since: None,
        offsets_because: None,
        map_start: None,
        source_log_start: None,
        source_high_watermark: None,
        source_last_stable: None,
        source_position: None,
        target_position: None,
        lag_records: None,
        lag_ms: None,
        retention_left_ms: None,
        source_contact_age_ms: None,
        held_back: None,
        daemon: None,
        error: None,
    }
}

fn state(state: PartitionState) -> json::PartitionState {
    match state {
        PartitionState::Mirroring => json::PartitionState::Mirroring,
        PartitionState::FastForwarding => json::PartitionState::FastForwarding,
        PartitionState::Starting => json::PartitionState::Starting,
        PartitionState::Paused => json::PartitionState::Paused,
        PartitionState::Stopped => json::PartitionState::Stopped,
    }
}

fn stop(stop: &StopRecord) -> json::Stop {
    json::Stop {
        reason: stop.reason.clone(),
        message: stop.message.clone(),
        since_ms: stop.since_ms,
        source_offset: stop.source_offset,
        resolve: stop.resolve.clone(),
    }
}
