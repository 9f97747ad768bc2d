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
    /// The positions that differ from what was written, further back as well, as far as the data is stored to be
    /// there. The others wait.
    pub(super) fn changed(&self, positions: Vec<GroupPosition>, view: &View, link: &LinkName) -> Vec<GroupPosition> {
        let mut ends: HashMap<TopicPartition, Option<TargetOffset>> = HashMap::new();
        let is_new = |position: &GroupPosition| {
            let key = (position.group.clone(), position.target.clone());
            self.written.get(&key).is_none_or(|(source_offset, target_offset, metadata)| {
                let written = (*source_offset, *target_offset, metadata.as_str());
                written != (position.source_offset, position.target_offset, position.metadata.as_str())
            })
        };
        let mut is_there = |position: &GroupPosition| {
            let end = ends.entry(position.source.clone()).or_insert_with(|| mirrored_end(view, link, &position.source));
            end.is_some_and(|end| position.target_offset <= end)
        };
        positions.into_iter().filter(|position| is_new(position) && is_there(position)).collect()
    }

    /// These are on the target now.
    pub(super) fn written(&mut self, positions: Vec<GroupPosition>) {
        for position in positions {
            let key = (position.group, position.target);
            self.written.insert(key, (position.source_offset, position.target_offset, position.metadata));
        }
    }
}

/// The target offset before which everything is acknowledged; `None` where nothing of this life of the topics is.
fn mirrored_end(view: &View, link: &LinkName, source: &TopicPartition) -> Option<TargetOffset> {
    let topic = view.topic(link, &source.topic)?;
    let position = view.position(link, &source.topic, source.partition)?;
    let lives = (topic.source_topic_id, topic.target_topic_id);
    ((position.source_topic_id, position.target_topic_id) == lives).then_some(position.target_position)
}
