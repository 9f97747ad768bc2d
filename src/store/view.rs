//! What the state topic says, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::watch;
use uuid::Uuid;

use super::form::{key_text, parse_key, parse_value};
use super::{
    AclsRecord, GroupRecord, Key, MapRecord, PlanRecord, PositionRecord, RequestRecord, ResolutionRecord,
    TakeoverRecord, TopicRecord, Value, shard_hash,
};
use crate::types::{GroupName, LinkName, PartitionIndex, TopicName};

/// Everything that the state topic says, on every daemon. Clones share it.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
}

type PartitionKey = (LinkName, TopicName, PartitionIndex);

/// One thread applies records; an index names a key only while `records` may hold it, so readers take names from an
/// index and then look each one up.
struct Inner {
    records: DashMap<Key, Arc<Value>>,
    topics: DashMap<LinkName, BTreeSet<TopicName>>,
    chunks: DashMap<PartitionKey, BTreeSet<u32>>,
    requests: DashMap<LinkName, BTreeSet<Uuid>>,
    acls: DashMap<LinkName, BTreeSet<TopicName>>,
    groups: DashMap<LinkName, BTreeSet<GroupName>>,
    unreadable: DashMap<(i32, Vec<u8>), Unreadable>,
    changes: watch::Sender<u64>,
}

struct Unreadable {
    message: String,
    /// Whether an owner of the shard could do harm by not knowing what the record says.
    is_essential: bool,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("records", &self.inner.records.len()).finish_non_exhaustive()
    }
}

impl View {
    /// Nothing read yet.
    pub(super) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                records: DashMap::new(),
                topics: DashMap::new(),
                chunks: DashMap::new(),
                requests: DashMap::new(),
                acls: DashMap::new(),
                groups: DashMap::new(),
                unreadable: DashMap::new(),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.inner.records.get(key).map(|found| Arc::clone(found.value()))
    }

    /// All topics of a link, by source topic.
    #[must_use]
    pub fn topics(&self, link: &LinkName) -> Vec<(TopicName, TopicRecord)> {
        let names = self.inner.topics.get(link).map(|found| found.value().clone()).unwrap_or_default();
        names.into_iter().filter_map(|topic| self.topic(link, &topic).map(|record| (topic, record))).collect()
    }

    /// One topic of a link.
    #[must_use]
    pub fn topic(&self, link: &LinkName, topic: &TopicName) -> Option<TopicRecord> {
        match &*self.get(&Key::Topic { link: link.clone(), topic: topic.clone() })? {
            Value::Topic(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// The checkpoint of a partition.
    #[must_use]
    pub fn position(&self, link: &LinkName, topic: &TopicName, partition: PartitionIndex) -> Option<PositionRecord> {
        match &*self.get(&Key::Position { link: link.clone(), topic: topic.clone(), partition })? {
            Value::Position(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// The plan of a partition.
    #[must_use]
    pub fn plan(&self, link: &LinkName, topic: &TopicName, partition: PartitionIndex) -> Option<PlanRecord> {
        match &*self.get(&Key::Plan { link: link.clone(), topic: topic.clone(), partition })? {
            Value::Plan(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// The last decision about a partition.
    #[must_use]
    pub fn resolution(
        &self,
        link: &LinkName,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Option<ResolutionRecord> {
        match &*self.get(&Key::Resolution { link: link.clone(), topic: topic.clone(), partition })? {
            Value::Resolution(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// The closed map chunks of a partition, by rising chunk number.
    #[must_use]
    pub fn map_chunks(&self, link: &LinkName, topic: &TopicName, partition: PartitionIndex) -> Vec<(u32, MapRecord)> {
        let of_partition = (link.clone(), topic.clone(), partition);
        let chunks = self.inner.chunks.get(&of_partition).map(|found| found.value().clone()).unwrap_or_default();
        let (link, topic, _) = of_partition;
        let record = |chunk: u32| {
            let key = Key::Map { link: link.clone(), topic: topic.clone(), partition, chunk };
            match &*self.get(&key)? {
                Value::Map(record) => Some((chunk, record.clone())),
                _ => None,
            }
        };
        chunks.into_iter().filter_map(record).collect()
    }

    /// The consumer groups of a link, by their name at the source.
    #[must_use]
    pub fn groups(&self, link: &LinkName) -> Vec<(GroupName, GroupRecord)> {
        let names = self.inner.groups.get(link).map(|found| found.value().clone()).unwrap_or_default();
        names.into_iter().filter_map(|group| self.group(link, &group).map(|record| (group, record))).collect()
    }

    /// One consumer group of a link.
    #[must_use]
    pub fn group(&self, link: &LinkName, group: &GroupName) -> Option<GroupRecord> {
        match &*self.get(&Key::Group { link: link.clone(), group: group.clone() })? {
            Value::Group(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// Open requests for a link, oldest first.
    #[must_use]
    pub fn requests(&self, link: &LinkName) -> Vec<(Uuid, RequestRecord)> {
        let ids = self.inner.requests.get(link).map(|found| found.value().clone()).unwrap_or_default();
        let record = |id: Uuid| match &*self.get(&Key::Request { link: link.clone(), id })? {
            Value::Request(record) => Some((id, record.clone())),
            _ => None,
        };
        let mut requests: Vec<_> = ids.into_iter().filter_map(record).collect();
        requests.sort_by_key(|(id, record)| (record.at_ms, *id));
        requests
    }

    /// What was added to the ACLs of mirror topics of a link, by source topic.
    #[must_use]
    pub fn acls(&self, link: &LinkName) -> BTreeMap<TopicName, AclsRecord> {
        let names = self.inner.acls.get(link).map(|found| found.value().clone()).unwrap_or_default();
        let record = |topic: TopicName| match &*self.get(&Key::Acls { link: link.clone(), topic: topic.clone() })? {
            Value::Acls(record) => Some((topic, record.clone())),
            _ => None,
        };
        names.into_iter().filter_map(record).collect()
    }

    /// All records, for listings.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Arc<Value>)> {
        self.inner.records.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect()
    }

    /// Changes its value whenever any record that is not a position, plan, map or group changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The records that can't be read, as sentences for people.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        self.inner.unreadable.iter().map(|entry| entry.value().message.clone()).collect()
    }

    /// Why a shard can't be taken over: a record of it can't be read that its owner must obey.
    pub(super) fn obstacle(&self, shard: i32) -> Option<String> {
        let is_in_the_way = |entry: &dashmap::mapref::multiple::RefMulti<'_, (i32, Vec<u8>), Unreadable>| {
            entry.key().0 == shard && entry.value().is_essential
        };
        self.inner.unreadable.iter().find(is_in_the_way).map(|entry| entry.value().message.clone())
    }

    /// The latest takeover of a shard.
    pub(super) fn takeover(&self, shard: i32) -> Option<TakeoverRecord> {
        match &*self.get(&Key::Takeover { shard })? {
            Value::Takeover(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// Takes in a record of the state topic, in the order of its partition.
    pub(super) fn apply(&self, partition: i32, raw_key: &[u8], raw_value: Option<&[u8]>) {
        let place = (partition, raw_key.to_vec());
        let key = match parse_key(raw_key) {
            Ok(Some(key)) => key,
            Ok(None) => return,
            Err(error) => return self.report(place, raw_value, error.to_string(), false),
        };
        if shard_hash::of_key(&key) != partition {
            let message =
                format!("state record {} lies in partition {partition}, where it doesn't belong", key_text(&key));
            return self.report(place, raw_value, message, false);
        }
        match raw_value.map(|value| parse_value(&key, value)).transpose() {
            Ok(value) => {
                self.inner.unreadable.remove(&place);
                self.set(key, value);
            }
            Err(error) => {
                let is_essential =
                    !matches!(key, Key::Request { .. } | Key::Daemon { .. } | Key::Takeover { .. } | Key::Group { .. });
                self.report(place, raw_value, error.to_string(), is_essential);
                // What stood there before is no longer what the group says.
                self.set(key, None);
            }
        }
    }

    fn report(&self, place: (i32, Vec<u8>), raw_value: Option<&[u8]>, message: String, is_essential: bool) {
        if raw_value.is_none() {
            self.inner.unreadable.remove(&place);
            return;
        }
        tracing::warn!(partition = place.0, "{message}");
        self.inner.unreadable.insert(place, Unreadable { message, is_essential });
    }

    fn set(&self, key: Key, value: Option<Value>) {
        let is_bulk = matches!(key, Key::Position { .. } | Key::Plan { .. } | Key::Map { .. } | Key::Group { .. });
        self.index(&key, value.is_some());
        match value {
            Some(value) => drop(self.inner.records.insert(key, Arc::new(value))),
            None => drop(self.inner.records.remove(&key)),
        }
        if !is_bulk {
            self.inner.changes.send_modify(|count| *count += 1);
        }
    }

    fn index(&self, key: &Key, is_there: bool) {
        match key {
            Key::Topic { link, topic } => note(&self.inner.topics, link.clone(), topic.clone(), is_there),
            Key::Group { link, group } => note(&self.inner.groups, link.clone(), group.clone(), is_there),
            Key::Request { link, id } => note(&self.inner.requests, link.clone(), *id, is_there),
            Key::Map { link, topic, partition, chunk } => {
                note(&self.inner.chunks, (link.clone(), topic.clone(), *partition), *chunk, is_there);
            }
            Key::Link { .. }
            | Key::Position { .. }
            | Key::Plan { .. }
            | Key::Resolution { .. }
            | Key::Takeover { .. }
            | Key::Daemon { .. } => {}
            Key::Acls { link, topic } => note(&self.inner.acls, link.clone(), topic.clone(), is_there),
        }
    }
}

fn note<K: Eq + std::hash::Hash, M: Ord>(index: &DashMap<K, BTreeSet<M>>, of: K, member: M, is_there: bool) {
    let mut members = index.entry(of).or_default();
    if is_there {
        members.insert(member);
    } else {
        members.remove(&member);
    }
}
