//! The handle by which everybody else reads and writes state.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{Key, MapRecord, PlanRecord, PositionRecord, RequestRecord, TopicRecord, Value};
use crate::tasks::TaskGroup;
use crate::types::{LinkName, PartitionIndex, TopicName};

/// What the store needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// librdkafka properties of the target cluster (`bootstrap.servers`, security), secrets filled in.
    pub kafka_properties: Vec<(String, String)>,
    /// The daemon group: names the state topic and the consumer group.
    pub group: String,
    /// This daemon's `daemon.id`: the static member id.
    pub daemon_id: String,
    /// Session time-out of the membership; default 10 s.
    pub session_timeout: Duration,
}

/// State could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The shard was lost; whoever wrote must stop working on it.
    #[error("shard {shard} is no longer ours")]
    LeaseLost {
        /// The shard.
        shard: i32,
    },
    /// Kafka did not take it for now; nothing is known to be written. Try again.
    #[error("state could not be written: {0}")]
    Unavailable(String),
    /// The state topic is missing, was recreated or is not compacted; all work must stop.
    #[error("the state topic can't be used: {0}")]
    Unusable(String),
}

/// The proof that this daemon owns a shard. Clones stand for the same lease.
#[derive(Debug, Clone)]
pub struct Lease {}

impl Lease {
    /// The shard: the state topic's partition.
    #[must_use]
    pub fn shard(&self) -> i32 {
        todo!()
    }

    /// Whether it is still ours, as far as this daemon knows.
    #[must_use]
    pub fn is_held(&self) -> bool {
        todo!()
    }

    /// Waits until it is lost.
    pub async fn lost(&self) {
        todo!()
    }
}

/// What happens to this daemon's shards.
#[derive(Debug)]
pub enum ShardEvent {
    /// A shard is ours, and its state is read to our takeover record.
    Acquired(Lease),
    /// A shard is lost: all its work must stop at once.
    Lost(i32),
}

/// One change of state.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Store a value.
    Put(Key, Value),
    /// Remove a record.
    Remove(Key),
}

/// Everything that the state topic says, on every daemon.
#[derive(Debug, Clone)]
pub struct View {}

impl View {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, _key: &Key) -> Option<Arc<Value>> {
        todo!()
    }

    /// All topics of a link, by source topic.
    #[must_use]
    pub fn topics(&self, _link: &LinkName) -> Vec<(TopicName, TopicRecord)> {
        todo!()
    }

    /// One topic of a link.
    #[must_use]
    pub fn topic(&self, _link: &LinkName, _topic: &TopicName) -> Option<TopicRecord> {
        todo!()
    }

    /// The checkpoint of a partition.
    #[must_use]
    pub fn position(&self, _link: &LinkName, _topic: &TopicName, _part: PartitionIndex) -> Option<PositionRecord> {
        todo!()
    }

    /// The plan of a partition.
    #[must_use]
    pub fn plan(&self, _link: &LinkName, _topic: &TopicName, _part: PartitionIndex) -> Option<PlanRecord> {
        todo!()
    }

    /// The closed map chunks of a partition, by rising chunk number.
    #[must_use]
    pub fn map_chunks(&self, _link: &LinkName, _topic: &TopicName, _part: PartitionIndex) -> Vec<(u32, MapRecord)> {
        todo!()
    }

    /// Open requests for a link, oldest first.
    #[must_use]
    pub fn requests(&self, _link: &LinkName) -> Vec<(Uuid, RequestRecord)> {
        todo!()
    }

    /// All records, for listings.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Arc<Value>)> {
        todo!()
    }

    /// Changes its value whenever any record that is not a position, plan or map changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        todo!()
    }
}

/// The state of a daemon group. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Creates the state topic where it is absent, reads it to its end, joins the group. The second value tells of
    /// shards; it must be read, and each `Lost` obeyed. `was_created` says whether the topic had been absent.
    pub async fn open(
        _settings: Settings,
        _tasks: &TaskGroup,
    ) -> Result<(Self, mpsc::Receiver<ShardEvent>), StoreError> {
        todo!()
    }

    /// Whether [`Store::open`] found no state topic and made it: then target topics that already hold records must
    /// not be mirrored into.
    #[must_use]
    pub fn was_created(&self) -> bool {
        todo!()
    }

    /// What the state topic says.
    #[must_use]
    pub fn view(&self) -> &View {
        todo!()
    }

    /// The shard of a link's control loops.
    #[must_use]
    pub fn shard_of_link(&self, _link: &LinkName) -> i32 {
        todo!()
    }

    /// The shard of a mirror partition.
    #[must_use]
    pub fn shard_of_partition(&self, _link: &LinkName, _topic: &TopicName, _part: PartitionIndex) -> i32 {
        todo!()
    }

    /// Writes records of the lease's shard, all or none, proving the lease. Returns when they are committed. Writes
    /// of many callers share a transaction.
    pub async fn write(&self, _lease: &Lease, _writes: Vec<Write>) -> Result<(), StoreError> {
        todo!()
    }

    /// Leaves an order for the owner of the link. Needs no lease.
    pub async fn post_request(&self, _link: &LinkName, _request: RequestRecord) -> Result<Uuid, StoreError> {
        todo!()
    }

    /// Whether the state is read to its end and the membership joined.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// Leaves the group and stops all threads.
    pub async fn close(&self) {
        todo!()
    }
}
