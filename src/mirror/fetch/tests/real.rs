//! Against real brokers.

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::*;
use crate::batch::Admission;
use crate::cluster::NewTopic;
use crate::cluster::tests::broker::Broker;

const LIMIT: Duration = Duration::from_secs(30);

fn producer(broker: &Broker, properties: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.open());
    for (name, value) in properties {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

async fn create(cluster: &Cluster, name: &str, partitions: i32) -> Option<TopicId> {
    let topic =
        NewTopic { name: TopicName::new(name).unwrap(), partitions, replication_factor: None, configs: [].into() };
    cluster.create_topic(&topic).await.unwrap()
}

async fn write(producer: &FutureProducer, topic: &str, index: i32, count: usize) {
    let sent: Vec<_> = (0..count)
        .map(|n| {
            let value = format!("{n:0>100}");
            let record = FutureRecord::<(), _>::to(topic).partition(index).payload(&value);
            producer.send_result(record).unwrap()
        })
        .collect();
    for delivery in sent {
        delivery.await.unwrap().unwrap();
    }
}

/// What a partition's inbox brought.
#[derive(Debug, Default)]
struct Seen {
    data: i64,
    control: i64,
    aborted: i64,
    next: i64,
}

async fn read_to(inbox: &mut Inbox, end: i64) -> Seen {
    let mut seen = Seen::default();
    while seen.next < end {
        match tokio::time::timeout(LIMIT, inbox.recv()).await.unwrap().unwrap() {
            FetchEvent::Batches { batches, .. } => {
                for (batch, admission) in batches {
                    let count = i64::from(batch.header.record_count);
                    match admission {
                        Admission::Data => seen.data += count,
                        Admission::Control => seen.control += count,
                        Admission::Aborted => seen.aborted += count,
                    }
                    assert!(batch.header.last_offset() >= seen.next);
                    seen.next = batch.header.last_offset() + 1;
                }
            }
            FetchEvent::Watermarks(_) => {}
            other => panic!("{other:?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn everything_comes_once_and_in_order() {
    for version in ["4.3.1", "3.9.1"] {
        let broker = Broker::start_version(version).await;
        let cluster = broker.cluster();
        let id = create(&cluster, "orders", 3).await;
        let tasks = TaskGroup::new();
        let fetchers = Fetchers::new(settings(), cluster.clone(), &Metrics::new(), &tasks);
        let mut inboxes = Vec::new();
        for index in 0..3 {
            inboxes.push(fetchers.subscribe(Subscription { topic_id: id, ..subscription("orders", index, 0) }).await);
        }
        let codecs = ["none", "zstd", "lz4"];
        for (index, codec) in (0..).zip(codecs) {
            write(&producer(&broker, &[("compression.type", codec)]), "orders", index, 20_000).await;
        }
        for inbox in &mut inboxes {
            let seen = read_to(inbox, 20_000).await;
            assert_eq!((seen.data, seen.next), (20_000, 20_000), "{version}");
        }
        let transactional = producer(&broker, &[("transactional.id", "t"), ("linger.ms", "5")]);
        transactional.init_transactions(LIMIT).unwrap();
        for is_committed in [true, false] {
            transactional.begin_transaction().unwrap();
            write(&transactional, "orders", 0, 100).await;
            if is_committed {
                transactional.commit_transaction(LIMIT).unwrap();
            } else {
                transactional.abort_transaction(LIMIT).unwrap();
            }
        }
        let seen = read_to(&mut inboxes[0], 20_202).await;
        assert_eq!((seen.data, seen.aborted, seen.control), (100, 100, 2), "{version}");
        assert!(inboxes[0].last_contact().unwrap().elapsed() < Duration::from_secs(5));
        tasks.close().await;
        assert!(inboxes[1].recv().await.is_none());
    }
}
