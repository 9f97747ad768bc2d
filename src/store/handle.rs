//! The handle by which everybody else reads and writes state.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::doors::Doors;
use super::form::{encode_key, encode_value, key_text};
use super::{DaemonRecord, Key, RequestRecord, Value, View, open, shard_hash};
use crate::secrets::SecretSource;
use crate::shards::{Access, Grant, Holdings, JobError, Record, WriterHandle, WriterMeasures};
use crate::tasks::TaskGroup;
use crate::types::{LinkName, PartitionIndex, TopicId, TopicName};
use crate::wire::Client;

/// What the store needs.
#[derive(Clone)]
pub struct Settings {
    /// Our own client of the target cluster, for the state topic itself.
    pub client: Client,
    /// librdkafka properties of the target cluster (`bootstrap.servers`, security), secrets filled in.
    pub kafka_properties: Vec<(String, String)>,
    /// Where the token for OAUTHBEARER is, where that is the mechanism. It is read anew whenever one is needed.
    pub oauth_token: Option<SecretSource>,
    /// The state topic that this process has worked with before, if any: it must still be the same one. Without it the
    /// topic is made where it is absent.
    pub topic_id: Option<TopicId>,
    /// The daemon group: names the state topic and the consumer group.
    pub group: String,
    /// This daemon's `daemon.id`: the static member id.
    pub daemon_id: String,
    /// Session time-out of the membership; default 10 s. Within the broker's `group.min.session.timeout.ms` (6 s) and
    /// `group.max.session.timeout.ms`.
    pub session_timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of the properties are secrets.
        let (group, daemon_id) = (&self.group, &self.daemon_id);
        f.debug_struct("Settings").field("group", group).field("daemon_id", daemon_id).finish_non_exhaustive()
    }
}

impl Settings {
    /// How librdkafka reaches the cluster.
    pub(super) fn access(&self) -> Access {
        Access::new(self.kafka_properties.clone(), self.oauth_token.clone())
    }
}

/// State could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The shard was lost; whoever wrote must stop working on it. The write may have happened or not: the next owner
    /// reads what is there.
    #[error("shard {shard} is no longer ours")]
    LeaseLost {
        /// The shard.
        shard: i32,
    },
    /// Kafka did not give or take it for now; nothing is known to be written. Try again.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The state topic is missing, was recreated or is not compacted; all work must stop.
    #[error("the state topic can't be used: {0}")]
    Unusable(String),
}

/// The proof that this daemon owns a shard. Clones stand for the same lease.
#[derive(Debug, Clone)]
pub struct Lease {
    grant: Grant,
}

impl Lease {
    pub(super) fn new(grant: Grant) -> Self {
        Self { grant }
    }

    /// The shard: the state topic's partition.
    #[must_use]
    pub fn shard(&self) -> i32 {
        self.grant.shard()
    }

    /// Whether it is still ours, as far as this daemon knows.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.grant.is_held()
    }

    /// Waits until it is lost.
    pub async fn lost(&self) {
        self.grant.lost().await;
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
#[expect(clippy::large_enum_variant, reason = "most are the large one, and few exist at a time")]
pub enum Write {
    /// Store a value.
    Put(Key, Value),
    /// Remove a record.
    Remove(Key),
}

/// The state of a daemon group. Clones share it.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) was_created: bool,
    pub(super) topic_id: Option<TopicId>,
    pub(super) view: View,
    pub(super) holdings: Arc<dyn Holdings>,
    pub(super) writer: WriterHandle,
    pub(super) doors: Arc<dyn Doors>,
    pub(super) trouble: watch::Sender<Option<String>>,
    pub(super) is_at_end: watch::Sender<bool>,
    pub(super) tasks: TaskGroup,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("holdings", &self.inner.holdings).finish_non_exhaustive()
    }
}

impl Store {
    /// Creates the state topic where it is absent, reads it to its end, joins the group. The second value tells of
    /// shards; it must be read, and each `Lost` obeyed. `was_created` says whether the topic had been absent.
    ///
    /// Waits for as long as the state takes to read. The store stops with `tasks`, or by [`Store::close`].
    pub async fn open(
        settings: Settings,
        measures: WriterMeasures,
        tasks: &TaskGroup,
    ) -> Result<(Self, mpsc::Receiver<ShardEvent>), StoreError> {
        open::open(settings, measures, tasks).await
    }

    /// The same with other doors than librdkafka, for simulations: `kafka_properties`, `oauth_token` and
    /// `session_timeout` of the settings are for the doors, and without meaning here.
    pub async fn open_with(
        settings: &Settings,
        doors: Arc<dyn Doors>,
        measures: WriterMeasures,
        tasks: &TaskGroup,
    ) -> Result<(Self, mpsc::Receiver<ShardEvent>), StoreError> {
        open::open_with(settings, || Ok(doors), measures, tasks).await
    }

    /// Whether [`Store::open`] found no state topic and made it. A restart forgets this; what must hold for longer
    /// hangs on the records themselves.
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.inner.was_created
    }

    /// Kafka's id of the state topic. `None` from brokers that don't tell.
    #[must_use]
    pub fn topic_id(&self) -> Option<TopicId> {
        self.inner.topic_id
    }

    /// What the state topic says.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.inner.view
    }

    /// The shard of a link's control loops. Its lease writes the link, its topics, resolutions and requests.
    #[must_use]
    pub fn shard_of_link(&self, link: &LinkName) -> i32 {
        shard_hash::of_link(link)
    }

    /// The shard of a mirror partition. Its lease writes the partition's position, plan and map.
    #[must_use]
    pub fn shard_of_partition(&self, link: &LinkName, topic: &TopicName, partition: PartitionIndex) -> i32 {
        shard_hash::of_partition(link, topic, partition)
    }

    /// Writes records of the lease's shard, all or none, proving the lease. Returns when they are committed. Writes
    /// of many callers share a transaction. The view shows them when they have been read back, soon after.
    ///
    /// Writes by one caller that awaits each are in order; a write whose future is dropped may still happen.
    pub async fn write(&self, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError> {
        self.check_usable()?;
        let shard = lease.shard();
        let records = writes.iter().map(|write| encode(write, shard)).collect::<Result<Vec<_>, _>>()?;
        if !lease.is_held() {
            return Err(StoreError::LeaseLost { shard });
        }
        if records.is_empty() {
            return Ok(());
        }
        let written = tokio::select! {
            biased;
            written = self.inner.writer.write(lease.grant.clone(), records) => written,
            // The writer may sit in a call to a silent cluster; whoever lost the shard must know now.
            () = lease.lost() => Err(JobError::Lost),
        };
        written.map_err(|error| match error {
            JobError::Lost => StoreError::LeaseLost { shard },
            JobError::Unavailable(reason) => StoreError::Unavailable(reason),
        })
    }

    /// Leaves an order for the owner of the link. Needs no lease.
    pub async fn post_request(&self, link: &LinkName, request: RequestRecord) -> Result<Uuid, StoreError> {
        let id = Uuid::new_v4();
        self.post(Key::Request { link: link.clone(), id }, Value::Request(request)).await?;
        Ok(id)
    }

    /// Tells the group about this daemon. Needs no lease: nobody else writes this key.
    pub async fn post_daemon(&self, id: &str, daemon: DaemonRecord) -> Result<(), StoreError> {
        self.post(Key::Daemon { id: id.to_owned() }, Value::Daemon(daemon)).await
    }

    async fn post(&self, key: Key, value: Value) -> Result<(), StoreError> {
        self.check_usable()?;
        let shard = shard_hash::of_key(&key);
        let record = encode(&Write::Put(key, value), shard)?;
        self.inner.doors.post(record).await.map_err(StoreError::Unavailable)
    }

    /// Whether the state is read to its end and the membership joined.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.inner.is_at_end.borrow() && self.inner.holdings.is_member() && self.check_usable().is_ok()
    }

    /// Why the state can't be used any more, if so: all shards are lost then, and only a restart helps.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.inner.trouble.subscribe()
    }

    /// What keeps this daemon from joining its group, where a person must mend it.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        self.inner.holdings.obstacle()
    }

    /// Stops all threads, giving up the shards at once. The group gives them to others when this daemon has not come
    /// back within the session time-out: it is a static member, so a quick restart finds its shards where they were.
    pub async fn close(&self) {
        self.inner.tasks.stop();
        self.inner.holdings.lose_all();
        self.inner.tasks.close().await;
        self.inner.doors.close().await;
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match &*self.inner.trouble.borrow() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Unusable(reason.clone())),
        }
    }
}

/// A record of the shard. A key of another shard is refused: two partitions would hold one key.
pub(super) fn encode(write: &Write, shard: i32) -> Result<Record, StoreError> {
    let (key, value) = match write {
        Write::Put(key, value) => (key, Some(value)),
        Write::Remove(key) => (key, None),
    };
    let belongs_to = shard_hash::of_key(key);
    if belongs_to != shard {
        let key = key_text(key);
        return Err(StoreError::Unavailable(format!("{key} belongs to shard {belongs_to}, not to shard {shard}")));
    }
    let refused = |error: super::UnreadableRecord| StoreError::Unavailable(error.to_string());
    let value = value.map(|value| encode_value(key, value)).transpose().map_err(refused)?;
    Ok(Record { shard, key: encode_key(key).map_err(refused)?, value })
}
