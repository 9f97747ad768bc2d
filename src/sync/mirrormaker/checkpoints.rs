//! Which checkpoints are to be written.

use std::collections::HashMap;

use super::GroupPosition;
use crate::store::View;
use crate::types::{GroupName, LinkName, SourceOffset, TargetOffset, TopicPartition};

/// What was written last. All of it may be lost: then everything is written once more.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    written: HashMap<(GroupName, TopicPartition), (SourceOffset, TargetOffset, String)>,
}

impl Checkpoints {
    /// The positions that differ from what was written, further back as well. None is past what is stored to be on
    /// the target, which `end_of` tells: instead of a position beyond, that end is told, which moves on with the copy.
    pub(super) fn changed(
        &self,
        positions: Vec<GroupPosition>,
        end_of: impl Fn(&TopicPartition) -> Option<End>,
    ) -> Vec<GroupPosition> {
        let mut ends: HashMap<TopicPartition, Option<End>> = HashMap::new();
        let clamped = positions.into_iter().filter_map(|position| {
            let known = ends.entry(position.source.clone());
            let end = (*known.or_insert_with(|| end_of(&position.source)))?;
            Some(clamp(position, end))
        });
        clamped.filter(|position| self.is_new(position)).collect()
    }

    fn is_new(&self, position: &GroupPosition) -> bool {
        let key = (position.group.clone(), position.target.clone());
        self.written.get(&key).is_none_or(|(source_offset, target_offset, metadata)| {
            let written = (*source_offset, *target_offset, metadata.as_str());
            written != (position.source_offset, position.target_offset, position.metadata.as_str())
        })
    }

    /// These are on the target now.
    pub(super) fn written(&mut self, positions: Vec<GroupPosition>) {
        for position in positions {
            let key = (position.group, position.target);
            self.written.insert(key, (position.source_offset, position.target_offset, position.metadata));
        }
    }
}

/// How far a mirror partition has come, on both sides.
pub(super) type End = (SourceOffset, TargetOffset);

fn clamp(position: GroupPosition, end: End) -> GroupPosition {
    if position.target_offset <= end.1 {
        return position;
    }
    GroupPosition { source_offset: end.0, target_offset: end.1, ..position }
}

/// The offsets before which everything is acknowledged; `None` where nothing of this life of the topics is.
pub(super) fn mirrored_end(view: &View, link: &LinkName, source: &TopicPartition) -> Option<End> {
    let topic = view.topic(link, &source.topic)?;
    let position = view.position(link, &source.topic, source.partition)?;
    let lives = (topic.source_topic_id, topic.target_topic_id);
    ((position.source_topic_id, position.target_topic_id) == lives)
        .then_some((position.source_position, position.target_position))
}
