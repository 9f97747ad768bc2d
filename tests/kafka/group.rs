//! Consumer groups: members that read and commit, and positions as anybody sees them.
//!
//! Owns: one member of a group; reading and writing a group's positions from outside.
//! Promises: a position is committed only for what was read.
//! Does not know: which side it is on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::process::wait_for;
use crate::record::{Entry, Identity};

const LIMIT: Duration = Duration::from_mins(3);

/// What was read of each partition, in order.
pub type Read = BTreeMap<i32, Vec<(i64, Identity)>>;

/// The only member of a group.
pub struct Member {
    consumer: BaseConsumer,
    topic: String,
    read: Read,
}

impl Member {
    /// Joins by the classic protocol.
    pub fn join(bootstrap: &str, group: &str, topic: &str) -> Self {
        Self::join_with(bootstrap, group, topic, &[])
    }

    /// Joins with more client properties.
    pub fn join_with(bootstrap: &str, group: &str, topic: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "20");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        Self { consumer, topic: topic.to_owned(), read: Read::new() }
    }

    /// Reads until it has read this many records in all.
    pub fn read(&mut self, count: usize) {
        let begin = Instant::now();
        while self.count() < count {
            assert!(begin.elapsed() < LIMIT, "{} of {count} records of {}", self.count(), self.topic);
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let headers = message.headers().map(|headers| {
                headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect::<Vec<_>>()
            });
            let entry = Entry {
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: headers.unwrap_or_default(),
                timestamp: message.timestamp().to_millis(),
            };
            self.read.entry(message.partition()).or_default().push((entry.offset, Identity::of(&entry)));
        }
    }

    /// How many records it has read.
    pub fn count(&self) -> usize {
        self.read.values().map(Vec::len).sum()
    }

    /// Commits behind what it has read.
    pub fn commit(&self) -> BTreeMap<i32, i64> {
        let behind = |log: &Vec<(i64, Identity)>| log.last().map(|(offset, _)| offset + 1);
        let positions: BTreeMap<i32, i64> =
            self.read.iter().filter_map(|(partition, log)| Some((*partition, behind(log)?))).collect();
        let list = list(&self.topic, &positions, "");
        wait_for("a commit", LIMIT, || self.consumer.commit(&list, CommitMode::Sync).ok());
        positions
    }

    /// Leaves the group without a further commit.
    pub fn leave(self) -> Read {
        self.consumer.unsubscribe();
        drop(self.consumer);
        self.read
    }
}

fn list(topic: &str, positions: &BTreeMap<i32, i64>, metadata: &str) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        let mut of_partition = list.add_partition(topic, *partition);
        of_partition.set_offset(Offset::Offset(*offset)).expect("an offset");
        of_partition.set_metadata(metadata);
    }
    list
}

fn outsider(bootstrap: &str, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", group).set("enable.auto.commit", "false");
    config.create().expect("a consumer")
}

/// Commits positions of a group without being a member, as tools do; `None` when the coordinator refuses.
pub fn commit_from_outside(
    bootstrap: &str,
    group: &str,
    topic: &str,
    positions: &BTreeMap<i32, i64>,
    metadata: &str,
) -> Option<()> {
    outsider(bootstrap, group).commit(&list(topic, positions, metadata), CommitMode::Sync).ok()
}

/// The committed positions of a group, with their metadata.
pub fn committed(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, (i64, String)> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic, 0, partitions - 1);
    let consumer = outsider(bootstrap, group);
    let told = wait_for("committed offsets", LIMIT, || consumer.committed_offsets(asked.clone(), LIMIT).ok());
    let position = |told: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match told.offset() {
        Offset::Offset(offset) => Some((told.partition(), (offset, told.metadata().to_owned()))),
        _ => None,
    };
    told.elements().iter().filter_map(position).collect()
}
