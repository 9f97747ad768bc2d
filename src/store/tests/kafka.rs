//! Against a real broker: `CAUSEWAY_TEST_BOOTSTRAP=host:port cargo test --lib store::tests::kafka -- --ignored`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::store::{Key, Lease, MapRecord, Settings, ShardEvent, Store, StoreError, Value, Write};
use crate::tasks::TaskGroup;
use crate::types::{LinkName, PartitionIndex, TopicName};

pub(super) const SESSION: Duration = Duration::from_secs(6);

pub(super) fn bootstrap() -> String {
    std::env::var("CAUSEWAY_TEST_BOOTSTRAP").expect("CAUSEWAY_TEST_BOOTSTRAP names a broker")
}

pub(super) fn settings(group: &str, daemon_id: &str) -> Settings {
    Settings {
        kafka_properties: vec![("bootstrap.servers".to_owned(), bootstrap())],
        group: group.to_owned(),
        daemon_id: daemon_id.to_owned(),
        session_timeout: SESSION,
    }
}

pub(super) fn new_group() -> String {
    format!("test-{}", Uuid::new_v4())
}

/// A store whose events are followed.
struct Daemon {
    store: Store,
    events: mpsc::Receiver<ShardEvent>,
    leases: BTreeMap<i32, Lease>,
    tasks: TaskGroup,
}

impl Daemon {
    async fn start(group: &str, id: &str) -> Self {
        let tasks = TaskGroup::new();
        let (store, events) = Store::open(settings(group, id), &tasks).await.unwrap();
        Self { store, events, leases: BTreeMap::new(), tasks }
    }

    async fn follow(&mut self, longest: Duration, until: impl Fn(&BTreeMap<i32, Lease>) -> bool) {
        let deadline = tokio::time::Instant::now() + longest;
        while !until(&self.leases) {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            match event.unwrap_or_else(|_| panic!("still {:?}", self.leases.keys())).unwrap() {
                ShardEvent::Acquired(lease) => drop(self.leases.insert(lease.shard(), lease)),
                ShardEvent::Lost(shard) => drop(self.leases.remove(&shard)),
            }
        }
    }

    /// A link, topic and partition that hash to one of our shards, and its lease.
    fn own_partition(&self, link: &LinkName) -> (TopicName, PartitionIndex, Lease) {
        let topic = TopicName::new("orders").unwrap();
        for partition in (0..).map(PartitionIndex) {
            if let Some(lease) = self.leases.get(&self.store.shard_of_partition(link, &topic, partition)) {
                return (topic, partition, lease.clone());
            }
        }
        unreachable!()
    }

    async fn stop(&self) {
        self.store.close().await;
        self.tasks.close().await;
    }
}

fn map_write(link: &LinkName, topic: &TopicName, partition: PartitionIndex, chunk: u32, runs: &str) -> Write {
    let key = Key::Map { link: link.clone(), topic: topic.clone(), partition, chunk };
    Write::Put(key, Value::Map(MapRecord { runs: runs.to_owned() }))
}

async fn until(longest: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + longest;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn one_daemon_owns_everything_and_reads_it_back_after_a_restart() {
    let group = new_group();
    let link = LinkName::new("a-to-b").unwrap();
    let started = Instant::now();
    let mut first = Daemon::start(&group, "one").await;
    assert!(first.store.was_created());
    println!("opened in {:?}", started.elapsed());
    first.follow(LONG, |leases| leases.len() == 32).await;
    println!("all shards in {:?}", started.elapsed());
    assert!(first.store.is_ready());

    let (topic, partition, lease) = first.own_partition(&link);
    let mut times = Vec::new();
    for chunk in 0..100 {
        let before = Instant::now();
        first.store.write(&lease, vec![map_write(&link, &topic, partition, chunk, "x")]).await.unwrap();
        times.push(before.elapsed());
    }
    times.sort();
    println!("write: median {:?}, 95 % {:?}, longest {:?}", times[50], times[95], times[99]);
    let remove = Key::Map { link: link.clone(), topic: topic.clone(), partition, chunk: 7 };
    first.store.write(&lease, vec![Write::Remove(remove)]).await.unwrap();
    until(LONG, || first.store.view().map_chunks(&link, &topic, partition).len() == 99).await;
    first.stop().await;
    assert!(!lease.is_held());

    let restarted = Instant::now();
    let mut second = Daemon::start(&group, "one").await;
    assert!(!second.store.was_created());
    let chunks: Vec<u32> = second.store.view().map_chunks(&link, &topic, partition).iter().map(|(n, _)| *n).collect();
    assert_eq!(chunks, (0..100).filter(|n| *n != 7).collect::<Vec<_>>());
    second.follow(LONG, |leases| leases.len() == 32).await;
    println!("restarted with all shards in {:?}", restarted.elapsed());
    assert!(matches!(
        second.store.write(&lease, vec![map_write(&link, &topic, partition, 0, "y")]).await,
        Err(StoreError::LeaseLost { .. })
    ));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn two_daemons_share_and_the_second_inherits() {
    let group = new_group();
    let link = LinkName::new("a-to-b").unwrap();
    let mut one = Daemon::start(&group, "one").await;
    one.follow(LONG, |leases| leases.len() == 32).await;
    let mut two = Daemon::start(&group, "two").await;
    let joined = Instant::now();
    tokio::join!(one.follow(LONG, |leases| leases.len() == 16), two.follow(LONG, |leases| leases.len() == 16));
    println!("shared in {:?}", joined.elapsed());
    assert!(one.leases.keys().all(|shard| !two.leases.contains_key(shard)));

    let (topic, partition, lease) = one.own_partition(&link);
    one.store.write(&lease, vec![map_write(&link, &topic, partition, 0, "from one")]).await.unwrap();
    until(LONG, || two.store.view().map_chunks(&link, &topic, partition).len() == 1).await;
    one.stop().await;
    let stopped = Instant::now();
    two.follow(LONG, |leases| leases.len() == 32).await;
    println!("inherited in {:?}", stopped.elapsed());
    let lease = two.leases[&lease.shard()].clone();
    two.store.write(&lease, vec![map_write(&link, &topic, partition, 1, "from two")]).await.unwrap();
    until(LONG, || two.store.view().map_chunks(&link, &topic, partition).len() == 2).await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn a_second_daemon_with_the_same_id_ends_the_first() {
    let group = new_group();
    let mut one = Daemon::start(&group, "same").await;
    one.follow(LONG, |leases| leases.len() == 32).await;
    let mut two = Daemon::start(&group, "same").await;
    two.follow(LONG, |leases| leases.len() == 32).await;
    one.follow(LONG, BTreeMap::is_empty).await;
    let mut trouble = one.store.trouble();
    let reason = tokio::time::timeout(LONG, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    println!("{reason:?}");
    let link = LinkName::new("a-to-b").unwrap();
    let (topic, partition, lease) = two.own_partition(&link);
    let write = || vec![map_write(&link, &topic, partition, 0, "x")];
    assert!(matches!(one.store.write(&lease, write()).await, Err(StoreError::Unusable(_))));
    two.store.write(&lease, write()).await.unwrap();
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn many_writers_share_transactions() {
    let group = new_group();
    let link = LinkName::new("a-to-b").unwrap();
    let topic = TopicName::new("orders").unwrap();
    let mut one = Daemon::start(&group, "one").await;
    one.follow(LONG, |leases| leases.len() == 32).await;
    let started = Instant::now();
    let writes = (0..2_000).map(|number| {
        let partition = PartitionIndex(number % 500);
        let lease = one.leases[&one.store.shard_of_partition(&link, &topic, partition)].clone();
        let write = map_write(&link, &topic, partition, u32::try_from(number / 500).unwrap(), &"r".repeat(500));
        let store = one.store.clone();
        async move { store.write(&lease, vec![write]).await.unwrap() }
    });
    futures::future::join_all(writes).await;
    println!("2,000 writers in {:?}", started.elapsed());
    one.stop().await;
}
