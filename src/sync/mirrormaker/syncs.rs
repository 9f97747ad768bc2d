//! Which offset syncs are to be written.

use std::collections::HashMap;

use crate::offset_map::OffsetMap;
use crate::store::{PositionRecord, View};
use crate::types::{LinkName, PartitionIndex, SourceOffset, TargetOffset, TopicPartition};

/// One record's offset on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OffsetSync {
    pub(super) source: TopicPartition,
    pub(super) source_offset: SourceOffset,
    pub(super) target_offset: TargetOffset,
}

/// What was written last. All of it may be lost: then everything is written once more.
#[derive(Debug, Default)]
pub(super) struct OffsetSyncs {
    written: HashMap<TopicPartition, (SourceOffset, TargetOffset)>,
}

impl OffsetSyncs {
    /// The newest acknowledged record of each partition, where it is another one than was written. A reader answers
    /// "one after it" for everything behind, which is never past the data.
    pub(super) fn changed(&self, view: &View, link: &LinkName) -> Vec<OffsetSync> {
        let mut changed = Vec::new();
        for (topic, record) in view.topics(link) {
            for index in (0..record.partitions).map(PartitionIndex) {
                let Some(position) = view.position(link, &topic, index) else { continue };
                let lives = (record.source_topic_id, record.target_topic_id);
                if (position.source_topic_id, position.target_topic_id) != lives {
                    continue;
                }
                let source = TopicPartition::new(topic.clone(), index);
                if let Some(newest) = newest(&position).filter(|newest| self.written.get(&source) != Some(newest)) {
                    changed.push(OffsetSync { source, source_offset: newest.0, target_offset: newest.1 });
                }
            }
        }
        changed
    }

    /// These are on the target now.
    pub(super) fn written(&mut self, syncs: Vec<OffsetSync>) {
        for sync in syncs {
            self.written.insert(sync.source, (sync.source_offset, sync.target_offset));
        }
    }
}

/// The newest record of a partition that is on both sides; `None` where the checkpoint holds none.
fn newest(position: &PositionRecord) -> Option<(SourceOffset, TargetOffset)> {
    let runs = OffsetMap::decode(&position.open_runs).ok()?;
    let last = runs.last()?;
    let before_end = last.length.checked_sub(1)?;
    Some((last.source.plus(before_end), last.target.plus(before_end)))
}
