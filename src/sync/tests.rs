use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cluster::ConfigEntry;
use crate::store::{SettingsRecord, StartAt, TopicRecord, TopicState};
use crate::types::{TopicId, TopicName};

mod compare;
mod drift;
mod records;
mod settings;
mod wishes;

mod real;

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn id(number: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(number))
}

/// A topic that is mirrored: source topic 1, target topic 101, three partitions.
fn established(target: &str) -> TopicRecord {
    TopicRecord {
        source_topic_id: Some(id(1)),
        target_topic: topic(target),
        target_topic_id: Some(id(101)),
        partitions: 3,
        state: TopicState::Mirroring,
        priority: 0,
        has_local_writers: false,
        batch_bytes_max: 1_048_588,
        start: StartAt::Earliest,
        start_partitions: 3,
        settings: SettingsRecord::default(),
        stop: None,
    }
}

fn inherited(name: &str, value: &str) -> ConfigEntry {
    ConfigEntry { name: name.to_owned(), value: Some(value.to_owned()), is_set_on_topic: false }
}

fn set(name: &str, value: &str) -> ConfigEntry {
    ConfigEntry { is_set_on_topic: true, ..inherited(name, value) }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn pairs<V: Clone>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
