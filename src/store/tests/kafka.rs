//! Against a real broker: `CAUSEWAY_TEST_BOOTSTRAP=host:port cargo test --lib store::tests::kafka -- --ignored`.
//! Without that name it is the emulator.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::emulator;
use crate::shards::{Failure, KafkaTransactions, Transactions, WriterMeasures, WriterSettings};
use crate::store::handle::encode;
use crate::store::kafka::KafkaDoors;
use crate::store::{Key, Lease, MapRecord, Settings, ShardEvent, Store, StoreError, Value, Write};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::{LinkName, PartitionIndex, TopicName};
use crate::wire::{self, Client};

pub(super) const SESSION: Duration = Duration::from_secs(6);

pub(super) fn bootstrap() -> String {
    static EMULATED: OnceLock<String> = OnceLock::new();
    std::env::var("CAUSEWAY_TEST_BOOTSTRAP").unwrap_or_else(|_| EMULATED.get_or_init(emulated).clone())
}

/// An emulated broker, for as long as this process lives.
fn emulated() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let cluster = emulator::Cluster::start(emulator::Settings::new("state")).await.unwrap();
            tell.send(cluster.bootstrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

pub(super) fn settings(group: &str, daemon_id: &str) -> Settings {
    Settings {
        client: Client::new(wire::Settings::plain(vec![bootstrap()], "store-test")),
        oauth_token: None,
        topic_id: None,
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
    doors: Arc<KafkaDoors>,
    events: mpsc::Receiver<ShardEvent>,
    leases: BTreeMap<i32, Lease>,
    tasks: TaskGroup,
}

impl Daemon {
    async fn start(group: &str, id: &str) -> Self {
        let tasks = TaskGroup::new();
        let settings = settings(group, id);
        let doors = Arc::new(KafkaDoors::new(&settings, &format!("__causeway.{group}")).unwrap());
        let measures = WriterMeasures::new(&Metrics::new(), "target");
        let (store, events) = Store::open_with(&settings, doors.clone(), measures, &tasks).await.unwrap();
        Self { store, doors, events, leases: BTreeMap::new(), tasks }
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

/// Writes to one partition until told to stop or the lease is lost; how often, and what ended it.
async fn keep_writing(
    store: &Store,
    leases: &BTreeMap<i32, Lease>,
    partition: PartitionIndex,
    stop: &CancellationToken,
) -> (u32, Option<i32>) {
    let link = LinkName::new("busy").unwrap();
    let topic = TopicName::new("orders").unwrap();
    let lease = &leases[&store.shard_of_partition(&link, &topic, partition)];
    let mut count = 0;
    while !stop.is_cancelled() {
        match store.write(lease, vec![map_write(&link, &topic, partition, 0, &count.to_string())]).await {
            Ok(()) => count += 1,
            Err(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => return (count, Some(lease.shard())),
            Err(StoreError::Unavailable(reason)) => panic!("{reason}"),
        }
    }
    (count, None)
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
    let stop = TaskGroup::new();
    let (busy, leases_at_first, until_stopped) = (one.store.clone(), one.leases.clone(), stop.token());
    let busy_writers = tokio::spawn(async move {
        futures::future::join_all(
            (0..32).map(|number| keep_writing(&busy, &leases_at_first, PartitionIndex(number), &until_stopped)),
        )
        .await
    });
    let mut two = Daemon::start(&group, "two").await;
    let joined = Instant::now();
    tokio::join!(one.follow(LONG, |leases| leases.len() == 16), two.follow(LONG, |leases| leases.len() == 16));
    println!("shared in {:?}", joined.elapsed());
    stop.stop();
    let ends = busy_writers.await.unwrap();
    let count: u32 = ends.iter().map(|(count, _)| count).sum();
    let kept = ends.iter().filter(|(_, error)| error.is_none()).count();
    println!("{count} writes while sharing, {kept} of 32 writers went on to the end");
    assert!((1..32).contains(&kept));
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
    // The first one is busy, and reopens the producer that the second one takes from it.
    let (busy, leases_at_first) = (one.store.clone(), one.leases.clone());
    let busy_writers = tokio::spawn(async move {
        let never = CancellationToken::new();
        let write = |number| keep_writing(&busy, &leases_at_first, PartitionIndex(number), &never);
        futures::future::join_all((0..8).map(write)).await
    });
    let mut two = Daemon::start(&group, "same").await;
    let started = Instant::now();
    two.follow(LONG, |leases| leases.len() == 32).await;
    println!("the second took over in {:?}", started.elapsed());
    assert!(busy_writers.await.unwrap().iter().all(|(_, lost)| lost.is_some()));
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn a_deposed_owner_is_refused_by_the_coordinator() {
    for successor in ["one", "two"] {
        depose("one", successor).await;
    }
}

/// The same member name is taken over at once; another one waits until the session is over.
async fn depose(id: &str, successor: &str) {
    let group = new_group();
    let mut one = Daemon::start(&group, id).await;
    one.follow(LONG, |leases| leases.len() == 32).await;
    let proof = one.doors.ownership.membership().unwrap().proof;
    let mut producer = KafkaTransactions::new(WriterSettings {
        access: settings(&group, "x").access(),
        topic: format!("__causeway.{group}"),
        transactional_id: format!("{group}-old"),
        transaction_timeout: Duration::from_secs(10),
    });
    let link = LinkName::new("a-to-b").unwrap();
    let (topic, partition, lease) = one.own_partition(&link);
    let write = |runs: &str| encode(&map_write(&link, &topic, partition, 0, runs), lease.shard()).unwrap();

    // While its membership is good the bare producer writes.
    producer.open().await.unwrap();
    producer.begin().await.unwrap();
    producer.send(&write("first")).await.unwrap();
    let offsets = producer.flush().await.unwrap();
    producer.send_offsets(&offsets, &proof).await.unwrap();
    producer.commit().await.unwrap();
    until(LONG, || one.store.view().map_chunks(&link, &topic, partition).len() == 1).await;

    // A successor takes over while it sleeps; then its records are in the log, and the proof is shown. The successor's
    // takeover is held back by the open transaction, until that is refused and aborted.
    one.stop().await;
    let mut two = Daemon::start(&group, successor).await;
    let deadline = Instant::now() + LONG;
    while two.doors.ownership.grants().len() < 32 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    producer.begin().await.unwrap();
    producer.send(&write("late")).await.unwrap();
    let offsets = producer.flush().await.unwrap();
    let refused = producer.send_offsets(&offsets, &proof).await;
    println!("{refused:?}");
    assert!(matches!(refused, Err(Failure::Refused(_))));
    producer.abort().await.unwrap();
    two.follow(LONG, |leases| leases.len() == 32).await;
    let runs = two.store.view().map_chunks(&link, &topic, partition).pop().unwrap().1.runs;
    assert_eq!(runs, "first");
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn a_deleted_or_recreated_state_topic_stops_everything() {
    for is_recreated in [false, true] {
        let group = new_group();
        let mut one = Daemon::start(&group, "one").await;
        one.follow(LONG, |leases| leases.len() == 32).await;
        let link = LinkName::new("a-to-b").unwrap();
        let (topic, partition, lease) = one.own_partition(&link);
        let write = || vec![map_write(&link, &topic, partition, 0, "x")];
        for _ in 0..5 {
            one.store.write(&lease, write()).await.unwrap();
        }
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap();
        let name = format!("__causeway.{group}");
        admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap();
        let deleted = Instant::now();
        if is_recreated {
            let topic = NewTopic::new(&name, 32, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
            while admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            println!("recreated after {:?}", deleted.elapsed());
        }
        let mut trouble = one.store.trouble();
        let reason = tokio::time::timeout(LONG, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
        println!("{reason:?} after {:?}", deleted.elapsed());
        one.follow(LONG, BTreeMap::is_empty).await;
        assert!(matches!(one.store.write(&lease, write()).await, Err(StoreError::Unusable(_))));
        assert!(!one.store.is_ready());
        one.stop().await;
    }
}

/// Not a test: the daemon that [`a_stopped_owner_writes_nothing_behind_its_successor`] stops.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test"]
async fn child_daemon() {
    let Ok(group) = std::env::var("CAUSEWAY_TEST_CHILD") else { return };
    let link = LinkName::new("a-to-b").unwrap();
    let mut daemon = Daemon::start(&group, "child").await;
    daemon.follow(LONG, |leases| !leases.is_empty()).await;
    let (topic, partition, lease) = daemon.own_partition(&link);
    for number in 0.. {
        let result =
            daemon.store.write(&lease, vec![map_write(&link, &topic, partition, 0, &format!("child {number}"))]);
        match result.await {
            Ok(()) => println!("\nwrote {number} to {partition}"),
            Err(error) => return println!("\nended {number}: {error}"),
        }
    }
}

struct Child {
    process: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Child {
    fn start(group: &str) -> Self {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "store::tests::kafka::child_daemon"])
            .env("CAUSEWAY_TEST_CHILD", group)
            .env("CAUSEWAY_TEST_BOOTSTRAP", bootstrap())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::sync_channel(100_000);
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(output).map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    fn signal(&self, signal: &str) {
        let status = std::process::Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn line_with(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("the child says nothing");
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn a_stopped_owner_writes_nothing_behind_its_successor() {
    let rounds: u64 = std::env::var("FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for round in 0..rounds {
        let group = new_group();
        let link = LinkName::new("a-to-b").unwrap();
        let topic = TopicName::new("orders").unwrap();
        let child = Child::start(&group);
        child.line_with("wrote 20 ");
        tokio::time::sleep(Duration::from_millis(round * 7 % 50)).await;
        child.signal("-STOP");
        let mut two = Daemon::start(&group, "two").await;
        two.follow(LONG, |leases| leases.len() == 32).await;
        let partition = (0..1_000)
            .map(PartitionIndex)
            .find(|partition| !two.store.view().map_chunks(&link, &topic, *partition).is_empty())
            .unwrap();
        let before = two.store.view().map_chunks(&link, &topic, partition);
        let lease = two.leases[&two.store.shard_of_partition(&link, &topic, partition)].clone();
        child.signal("-CONT");
        let ended = child.line_with("ended");
        // Nothing of the child's came after what its successor had read.
        two.store.write(&lease, vec![map_write(&link, &topic, partition, 1, "two")]).await.unwrap();
        until(LONG, || two.store.view().map_chunks(&link, &topic, partition).len() == 2).await;
        let after = two.store.view().map_chunks(&link, &topic, partition);
        println!("round {round}: {ended}; last {:?}", before[0].1.runs);
        assert_eq!(before[0], after[0]);
        two.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real broker"]
async fn a_killed_daemon_comes_back_quickly() {
    let rounds: u64 = std::env::var("FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for round in 0..rounds {
        let group = new_group();
        let child = Child::start(&group);
        child.line_with("wrote 20 ");
        tokio::time::sleep(Duration::from_millis(round * 7 % 50)).await;
        drop(child);
        let killed = Instant::now();
        let mut again = Daemon::start(&group, "child").await;
        again.follow(LONG, |leases| leases.len() == 32).await;
        println!("round {round}: all shards {:?} after the kill", killed.elapsed());
        again.stop().await;
    }
}
