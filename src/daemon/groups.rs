//! What is told of consumer groups: from the loop where it runs here, from the state otherwise; translated as of now.

use super::partitions::Shown;
use super::side::Side;
use crate::api::json;
use crate::sync::{GroupPosition, GroupReport};
use crate::types::{GroupName, GroupPositionState, LinkName, TopicPartition};

impl Shown<'_> {
    /// The consumer groups of the link.
    pub(super) fn groups(&self, side: &Side, link: &LinkName) -> Vec<json::Group> {
        let live = side.link(link).and_then(|link| link.groups().groups());
        let reports = live.unwrap_or_else(|| GroupReport::all_stored(self.store.view(), link));
        let has_something = |report: &GroupReport| !report.positions.is_empty() || report.message.is_some();
        reports.into_iter().filter(has_something).map(|report| self.group_of(report)).collect()
    }

    /// One of them.
    pub(super) fn group(&self, side: &Side, link: &LinkName, group: &GroupName) -> Option<json::Group> {
        let live = side.link(link).and_then(|link| link.groups().group(group));
        let report = live.or_else(|| GroupReport::stored(self.store.view(), link, group))?;
        Some(self.group_of(report))
    }

    fn group_of(&self, report: GroupReport) -> json::Group {
        let worst = report.positions.values().map(|position| position.state).max_by_key(|state| state.rank());
        let offsets = report.positions.iter().map(|(partition, position)| self.offset(partition, position)).collect();
        json::Group {
            group: report.group,
            target_group: report.target_group,
            kind: report.kind,
            state: worst,
            message: report.message,
            offsets,
        }
    }

    fn offset(&self, partition: &TopicPartition, position: &GroupPosition) -> json::GroupOffset {
        let translation = self.translate(partition, position.source_offset);
        json::GroupOffset {
            topic: partition.topic.clone(),
            partition: partition.partition,
            source_offset: position.source_offset,
            target_offset: translation.as_ref().and_then(crate::types::Translation::offset),
            translation: translation.as_ref().map(json::TranslationName::of),
            committed_on_target: position.committed_on_target,
            conflict: position.state == GroupPositionState::Conflict,
            state: position.state,
        }
    }
}
