//! What is told of consumer groups: from the loop where it runs here, from the state otherwise; translated as of now.

use std::time::Duration;

use super::partitions::Shown;
use super::side::Side;
use crate::api::json;
use crate::sync::{GroupPosition, GroupReport, GroupsSummary};
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

    /// All of them in numbers; `None` where no group is selected.
    pub(super) fn groups_summary(&self, side: &Side, link: &LinkName) -> Option<json::LinkGroups> {
        let link = side.link(link)?;
        if !link.groups().is_on() {
            return None;
        }
        let summary = link.groups().summary().unwrap_or_else(|| self.stored_summary(link.name()));
        let of = |state| summary.positions.get(&state).copied().unwrap_or_default() as u64;
        Some(json::LinkGroups {
            groups: summary.groups as u64,
            positions: summary.positions.values().map(|count| *count as u64).sum(),
            synced: of(GroupPositionState::Synced),
            ahead_of_data: of(GroupPositionState::AheadOfData),
            pending: of(GroupPositionState::Pending),
            active_on_target: of(GroupPositionState::ActiveOnTarget),
            conflict: of(GroupPositionState::Conflict),
            below_map: of(GroupPositionState::BelowMap),
            from_target: of(GroupPositionState::FromTarget),
            failed: of(GroupPositionState::Failed),
            complete_age_ms: summary.complete_age.map(millis),
            rehearsal: summary.rehearsal.map(|rehearsal| json::LinkRehearsal {
                age_ms: millis(rehearsal.at.elapsed()),
                matching: rehearsal.matching as u64,
                at_end: rehearsal.at_end as u64,
                not_compared: rehearsal.not_compared as u64,
                mismatching: rehearsal.mismatching as u64,
                mismatches: rehearsal.mismatches,
            }),
        })
    }

    fn stored_summary(&self, link: &LinkName) -> GroupsSummary {
        let mut summary = GroupsSummary::default();
        for report in GroupReport::all_stored(self.store.view(), link) {
            summary.groups += usize::from(report.kind.has_plain_offsets());
            for position in report.positions.values() {
                *summary.positions.entry(position.state).or_default() += 1;
            }
        }
        summary
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
