//! From which lives of our target's topics the links from there copied.
//!
//! Owns: what the state topics on the source say about the topics and positions of links from our target.
//! Promises: a link stores the life that it copies from before it sends anything of it, so what was read after a batch
//! was seen tells the life of that batch, or a later one. What can't be read is not told.
//! Does not know: which life our target's topic has now, who asks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::ClusterError;
use crate::store::{Key, PositionRecord, Value};
use crate::types::{LinkName, PartitionIndex, SourceOffset, TargetOffset, TopicId, TopicName, TopicPartition};

/// A link of a group of daemons, which is known by its state topic.
type Link = (TopicName, LinkName);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Origins {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The producer ids of links from our target; also those that a link of the same name had before.
    links: HashMap<i64, Link>,
    /// The target topic, by link and source topic.
    topics: HashMap<(Link, TopicName), TopicName>,
    positions: HashMap<(Link, TopicName, PartitionIndex), Life>,
    /// Partitions of state topics that could not be read to their end, and why.
    unread: HashMap<TopicPartition, ClusterError>,
}

/// The life of the topic that a link copies from, and from where on in its target topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    id: Option<TopicId>,
    begun_at: Option<TargetOffset>,
}

/// What the records say about the origin of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It came from this life of the topic.
    Life(TopicId),
    /// It came from a life before this one.
    Before(TopicId),
    /// They say nothing, or it came from a topic of another name.
    Untold,
}

impl Origins {
    /// Notes a link from our target.
    pub(super) fn note_link(&self, link: Link, producer_id: i64) {
        self.lock().links.insert(producer_id, link);
    }

    /// Notes a record of a topic or a position, of whatever link.
    pub(super) fn note(&self, state_topic: &TopicName, key: &Key, value: Option<&Value>) {
        let mut inner = self.lock();
        match (key, value) {
            (Key::Topic { link, topic }, Some(Value::Topic(record))) => {
                let key = ((state_topic.clone(), link.clone()), topic.clone());
                inner.topics.insert(key, record.target_topic.clone());
            }
            (Key::Position { link, topic, partition }, Some(Value::Position(record))) => {
                let key = ((state_topic.clone(), link.clone()), topic.clone(), *partition);
                inner.positions.insert(key, Life::of(record));
            }
            // Removed, or written by a newer version: what it said before must not be believed.
            (Key::Topic { link, topic }, _) => {
                inner.topics.remove(&((state_topic.clone(), link.clone()), topic.clone()));
            }
            (Key::Position { link, topic, partition }, _) => {
                inner.positions.remove(&((state_topic.clone(), link.clone()), topic.clone(), *partition));
            }
            (_, _) => {}
        }
    }

    /// Notes what keeps a partition of a state topic from being read to its end, if anything does.
    pub(super) fn note_unread(&self, state_partition: &TopicPartition, why: Option<ClusterError>) {
        let mut inner = self.lock();
        match why {
            Some(why) => drop(inner.unread.insert(state_partition.clone(), why)),
            None => drop(inner.unread.remove(state_partition)),
        }
    }

    /// Forgets what kept partitions from being read that are there no more.
    pub(super) fn forget_unread_but(&self, is_there: impl Fn(&TopicPartition) -> bool) {
        self.lock().unread.retain(|partition, _| is_there(partition));
    }

    /// Why not all that the link with this producer id stored is known, if so.
    pub(super) fn unread(&self, producer_id: i64) -> Option<ClusterError> {
        let inner = self.lock();
        let (state_topic, _) = inner.links.get(&producer_id)?;
        inner.unread.iter().find(|(at, _)| at.topic == *state_topic).map(|(_, why)| why.clone())
    }

    /// Where a batch of a link from our target came from, which is at an offset of a partition of the source.
    pub(super) fn of(&self, producer_id: i64, at: (&TopicPartition, SourceOffset), origin_topic: &TopicName) -> Origin {
        let inner = self.lock();
        let Some(link) = inner.links.get(&producer_id) else { return Origin::Untold };
        let key = (link.clone(), origin_topic.clone());
        if inner.topics.get(&key) != Some(&at.0.topic) {
            return Origin::Untold;
        }
        let Some(life) = inner.positions.get(&(key.0, key.1, at.0.partition)) else { return Origin::Untold };
        match (life.id, life.begun_at) {
            (None, _) => Origin::Untold,
            (Some(id), Some(begun_at)) if at.1.get() < begun_at.get() => Origin::Before(id),
            (Some(id), Some(_) | None) => Origin::Life(id),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A task that panicked left whole maps behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    fn of(record: &PositionRecord) -> Self {
        Self { id: record.source_topic_id, begun_at: record.begun_at }
    }
}
