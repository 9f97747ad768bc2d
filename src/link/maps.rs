//! The offset maps of all partitions of a link: live ones of partitions that run here, stored ones of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::mirror::{Registry, stored_map};
use crate::offset_map::OffsetMap;
use crate::store::{Key, Value, View};
use crate::sync::{Mapped, Maps};
use crate::types::{LinkName, SourceOffset, TargetOffset, TopicPartition, Translation};

/// A stored map, and the record that it was read from.
type Stored = (Arc<Value>, Arc<OffsetMap>);

/// See the module. Stored maps are read again only when their record has changed.
pub(super) struct LinkMaps {
    link: LinkName,
    registry: Registry,
    view: View,
    stored: Mutex<HashMap<TopicPartition, Stored>>,
}

impl LinkMaps {
    pub(super) fn new(link: LinkName, registry: Registry, view: View) -> Self {
        Self { link, registry, view, stored: Mutex::default() }
    }

    /// Whether a checkpoint is of the topics as they are now: offsets of a topic that was deleted say nothing.
    fn is_of_this_life(&self, partition: &TopicPartition, record: &Value) -> bool {
        let key = Key::Topic { link: self.link.clone(), topic: partition.topic.clone() };
        let topic = self.view.get(&key);
        match (topic.as_deref(), record) {
            (Some(Value::Topic(topic)), Value::Position(position)) => {
                let now = (topic.source_topic_id, topic.target_topic_id);
                (position.source_topic_id, position.target_topic_id) == now
            }
            (_, _) => false,
        }
    }

    fn stored(&self, partition: &TopicPartition) -> Option<Arc<OffsetMap>> {
        let (topic, index) = (partition.topic.clone(), partition.partition);
        let record = self.view.get(&Key::Position { link: self.link.clone(), topic, partition: index })?;
        if !self.is_of_this_life(partition, &record) {
            return None;
        }
        let known = self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(partition).cloned();
        if let Some((of, map)) = &known
            && Arc::ptr_eq(of, &record)
        {
            return Some(Arc::clone(map));
        }
        // Read back in the middle of a checkpoint it may not fit together: then what was there before still holds.
        let Some(map) = stored_map(&self.view, &self.link, partition).map(Arc::new) else {
            return known.map(|(_, map)| map);
        };
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.insert(partition.clone(), (record, Arc::clone(&map)));
        Some(map)
    }
}

impl Maps for LinkMaps {
    fn locate(&self, partition: &TopicPartition, offset: SourceOffset) -> Option<Mapped> {
        if let Some(live) = self.registry.get(&self.link, partition)
            && let Some((translation, target_end)) = live.locate(offset)
        {
            self.stored.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
            return Some(Mapped { translation, target_end });
        }
        let map = self.stored(partition)?;
        Some(Mapped { translation: map.translate(offset), target_end: map.target_end() })
    }

    fn locate_reverse(&self, partition: &TopicPartition, offset: TargetOffset) -> Option<Translation<SourceOffset>> {
        let live = self.registry.get(&self.link, partition).and_then(|live| live.translate_reverse(offset));
        live.or_else(|| Some(self.stored(partition)?.translate_reverse(offset)))
    }
}
