//! Where groups are on both sides, for MirrorMaker's checkpoints: also of groups that are not written to the target
//! because they have members there, or a position of their own.

use super::GroupSync;
use super::decide::{target_of, topics};
use super::tag::Tag;
use crate::cluster::Committed;
use crate::store::{Key, Value};
use crate::sync::mirrormaker::{GroupPosition, GroupPositions};
use crate::types::{GroupName, SourceOffset, TargetOffset, TopicPartition, Translation};

impl GroupPositions for GroupSync {
    fn positions(&self) -> Vec<GroupPosition> {
        let link = Key::Link { link: self.settings.link.clone() };
        let record = self.parts.store.view().get(&link);
        let Some(Value::Link(record)) = record.as_deref() else { return Vec::new() };
        let opposite = Tag::of(&record.target_cluster_id);
        let topics = topics(self.parts.store.view().topics(&self.settings.link));
        let position = |(group, source, committed): (GroupName, TopicPartition, Committed)| {
            // What came from the target is known there.
            if opposite.is_on(&committed.metadata) {
                return None;
            }
            let target = target_of(&topics, &source)?;
            let (source_offset, target_offset) = self.both_sides(&source, SourceOffset::new(committed.offset).ok()?)?;
            Some(GroupPosition { group, source, target, source_offset, target_offset, metadata: committed.metadata })
        };
        self.known().into_iter().filter_map(position).collect()
    }
}

impl GroupSync {
    /// Every position that the source has told since we began. One that is only remembered may be of the past.
    fn known(&self) -> Vec<(GroupName, TopicPartition, Committed)> {
        let memory = self.memory();
        let fresh = memory.groups.values().filter(|known| known.is_fresh && known.is_synced_kind());
        let of_group = |known: &super::memory::Known| {
            let target = known.target.clone();
            let offsets = known.source.iter();
            offsets
                .map(move |(partition, committed)| (target.clone(), partition.clone(), committed.clone()))
                .collect::<Vec<_>>()
        };
        fresh.flat_map(of_group).collect()
    }

    /// A position as offsets that mean the same. Of one that is ahead of the copy the end of the copy is told, on both
    /// sides; of one that lies before everything that is mapped nothing can be told.
    fn both_sides(&self, partition: &TopicPartition, offset: SourceOffset) -> Option<(SourceOffset, TargetOffset)> {
        let mapped = self.parts.maps.locate(partition, offset)?;
        match mapped.translation {
            Translation::Exact(target) => Some((offset, target)),
            Translation::Next(target) => Some((offset, target.min(mapped.target_end))),
            Translation::NotYetMirrored => match self.parts.maps.locate_reverse(partition, mapped.target_end)? {
                Translation::Exact(source) | Translation::Next(source) => Some((source, mapped.target_end)),
                Translation::NotYetMirrored | Translation::BelowMap => None,
            },
            Translation::BelowMap => None,
        }
    }
}
