//! A client that we didn't write: librdkafka.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::emulator::{Cluster, Settings};

const TOPIC: &str = "orders";
const RECORDS: usize = 500;

async fn write(cluster: &Cluster, codec: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("enable.idempotence", "true")
        .set("compression.type", codec)
        .create()
        .unwrap();
    let sends = (0..RECORDS).map(|index| {
        let (key, value) = (format!("{codec}-{index}"), "x".repeat(200));
        let producer = &producer;
        async move {
            let record = FutureRecord::to(TOPIC).key(&key).payload(&value);
            producer.send(record, Duration::from_secs(30)).await.unwrap();
        }
    });
    futures::future::join_all(sends).await;
    producer.flush(Duration::from_secs(10)).unwrap();
}

fn read(bootstrap: &str, partitions: i32, expected: usize) -> BTreeSet<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "none")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut keys = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    while keys.len() < expected && Instant::now() < deadline {
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.unwrap();
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            assert!(keys.insert(key), "a record twice");
        }
    }
    let (low, high) = consumer.fetch_watermarks(TOPIC, 0, Duration::from_secs(10)).unwrap();
    assert!(low == 0 && high > 0);
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafka_writes_and_reads() {
    let cluster = Cluster::start(Settings { brokers: 3, ..Settings::new("test") }).await.unwrap();
    cluster.create_topic(TOPIC, 4, 3, &[]).unwrap();
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs.into_iter().filter(|codec| *codec != "snappy") {
        write(&cluster, codec).await;
    }
    let bootstrap = cluster.bootstrap();
    let keys = tokio::task::spawn_blocking(move || read(&bootstrap, 4, 4 * RECORDS)).await.unwrap();
    assert_eq!(keys.len(), 4 * RECORDS);
    cluster.close().await;
}
