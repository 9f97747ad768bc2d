//! librdkafka against the coordinators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::emulator::{Cluster, Settings};

const LIMIT: Duration = Duration::from_secs(30);

async fn cluster(brokers: u16) -> Cluster {
    let cluster = Cluster::start(Settings { brokers, ..Settings::new("test") }).await.unwrap();
    cluster.create_topic("input", 4, 1, &[]).unwrap();
    cluster.create_topic("output", 2, 1, &[]).unwrap();
    cluster
}

fn config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    config
}

fn producer(cluster: &Cluster, transactional_id: &str) -> BaseProducer {
    let producer: BaseProducer = config(cluster).set("transactional.id", transactional_id).create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

fn consumer(cluster: &Cluster, group: &str, instance: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(cluster)
        .set("group.id", group)
        .set("group.instance.id", instance)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "200")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&["input"]).unwrap();
    consumer
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &str) {
    producer.send(BaseRecord::<str, str>::to(topic).partition(partition).payload(value)).map_err(|(e, _)| e).unwrap();
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "waited in vain for {what}");
    }
}

/// Polls all until each partition of the input is owned by one of them, and by nobody else.
fn settle(consumers: &[&BaseConsumer]) -> Vec<BTreeSet<i32>> {
    let mut owned = Vec::new();
    let mut calm = 0;
    wait_until("an assignment", || {
        for consumer in consumers {
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                let message = message.unwrap();
                // What was polled is read again by whoever looks for it.
                let list = consumer.assignment().unwrap();
                if list.find_partition("input", message.partition()).is_some() {
                    consumer.seek("input", message.partition(), Offset::Offset(message.offset()), LIMIT).unwrap();
                }
            }
        }
        let of_one = |consumer: &&BaseConsumer| -> BTreeSet<i32> {
            consumer
                .assignment()
                .unwrap()
                .elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
                .collect()
        };
        owned = consumers.iter().map(of_one).collect();
        let is_even = owned.iter().all(|one| one.len() == 4 / consumers.len());
        calm = if is_even { calm + 1 } else { 0 };
        calm > 10
    });
    let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    assert_eq!(all.len(), 4, "{owned:?}");
    owned
}

fn read(consumer: &BaseConsumer, count: usize) -> BTreeMap<i32, Vec<String>> {
    let mut values: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    let mut seen = 0;
    wait_until("records", || {
        if let Some(message) = consumer.poll(Duration::from_millis(50)) {
            let message = message.unwrap();
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            values.entry(message.partition()).or_default().push(value);
            seen += 1;
        }
        seen >= count
    });
    values
}

fn commit_one(producer: &BaseProducer, value: &str) {
    producer.begin_transaction().unwrap();
    (0..4).for_each(|partition| send(producer, "input", partition, value));
    producer.commit_transaction(LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_seen_when_they_commit_and_never_when_they_abort() {
    let cluster = cluster(3).await;
    tokio::task::block_in_place(|| {
        let producer = producer(&cluster, "t");
        commit_one(&producer, "first");
        producer.begin_transaction().unwrap();
        (0..4).for_each(|partition| send(&producer, "input", partition, "aborted"));
        producer.flush(LIMIT).unwrap();
        producer.abort_transaction(LIMIT).unwrap();
        commit_one(&producer, "second");
        let reader = consumer(&cluster, "readers", "one");
        let values = read(&reader, 8);
        assert!(values.values().all(|values| values == &["first", "second"]), "{values:?}");
    });
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_producer_with_the_same_id_fences_the_first() {
    let cluster = cluster(1).await;
    tokio::task::block_in_place(|| {
        let first = producer(&cluster, "t");
        first.begin_transaction().unwrap();
        send(&first, "input", 0, "of the first");
        first.flush(LIMIT).unwrap();
        let second = producer(&cluster, "t");
        assert!(first.commit_transaction(LIMIT).is_err());
        commit_one(&second, "of the second");
        let reader = consumer(&cluster, "readers", "one");
        let values = read(&reader, 4);
        assert!(values.values().all(|values| values == &["of the second"]), "{values:?}");
    });
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_partitions_and_a_static_one_comes_back_to_its_own() {
    let cluster = cluster(3).await;
    tokio::task::block_in_place(|| {
        let producer = producer(&cluster, "t");
        commit_one(&producer, "first");
        let one = consumer(&cluster, "g", "one");
        assert_eq!(settle(&[&one])[0].len(), 4);
        let two = consumer(&cluster, "g", "two");
        let before = settle(&[&one, &two]);
        // A static member doesn't leave when it closes; its place is kept for a session.
        drop(two);
        let two = consumer(&cluster, "g", "two");
        assert_eq!(settle(&[&one, &two]), before);
        drop(two);
        wait_until("the end of a session", || {
            let _ = one.poll(Duration::from_millis(50));
            one.assignment().unwrap().count() == 4
        });
    });
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_move_with_the_transaction() {
    let cluster = cluster(3).await;
    tokio::task::block_in_place(|| {
        let input = producer(&cluster, "input");
        commit_one(&input, "first");
        let reader = consumer(&cluster, "g", "one");
        let values = read(&reader, 4);
        assert_eq!(values.len(), 4);
        let output = producer(&cluster, "output");
        for is_commit in [false, true] {
            output.begin_transaction().unwrap();
            send(&output, "output", 0, "copied");
            output.flush(LIMIT).unwrap();
            let mut offsets = TopicPartitionList::new();
            (0..4).for_each(|index| offsets.add_partition_offset("input", index, Offset::Offset(1)).unwrap());
            let metadata = reader.group_metadata().unwrap();
            output.send_offsets_to_transaction(&offsets, &metadata, LIMIT).unwrap();
            if is_commit {
                output.commit_transaction(LIMIT).unwrap();
            } else {
                output.abort_transaction(LIMIT).unwrap();
            }
            let committed = reader.committed(LIMIT).unwrap();
            let expected = if is_commit { Offset::Offset(1) } else { Offset::Invalid };
            assert!(committed.elements().iter().all(|one| one.offset() == expected), "{committed:?}");
        }
    });
    cluster.close().await;
}
