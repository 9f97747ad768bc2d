//! Against real brokers.

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::*;
use crate::batch::Admission;
use crate::cluster::NewTopic;
use crate::cluster::tests::broker::Broker;
use crate::types::ClusterName;
use crate::wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use crate::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::wire::messages::elect_leaders_request::TopicPartitions;
use crate::wire::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DeleteRecordsRequest, DeleteTopicsRequest, ElectLeadersRequest,
};
use crate::wire::{Client, Route, Settings as WireSettings};

const LIMIT: Duration = Duration::from_secs(30);

fn producer(bootstrap: &str, properties: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
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

/// A cluster of three brokers that somebody started: its `bootstrap.servers`.
const THREE_BROKERS: &str = "CAUSEWAY_TEST_BOOTSTRAP";

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
            FetchEvent::Unreachable { reason, .. } => eprintln!("{reason}"),
            other @ FetchEvent::Stopped(_) => panic!("{other:?}"),
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
            write(&producer(&broker.open(), &[("compression.type", codec)]), "orders", index, 20_000).await;
        }
        for inbox in &mut inboxes {
            let seen = read_to(inbox, 20_000).await;
            assert_eq!((seen.data, seen.next), (20_000, 20_000), "{version}");
        }
        let transactional = producer(&broker.open(), &[("transactional.id", "t"), ("linger.ms", "5")]);
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

async fn end(inbox: &mut Inbox) -> FetchStop {
    loop {
        if let FetchEvent::Stopped(stop) = tokio::time::timeout(LIMIT, inbox.recv()).await.unwrap().unwrap() {
            return stop;
        }
    }
}

async fn delete_topic(cluster: &Cluster, name: &str) {
    let name = kafka_protocol::protocol::StrBytes::from_string(name.to_owned());
    let request = DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topic_names(vec![name.into()]);
    let response = cluster.client().call_at_most(Route::Controller, &request, 5).await.unwrap();
    assert_eq!(response.responses[0].error_code, 0);
}

async fn delete_records(cluster: &Cluster, name: &str, before: i64) {
    let wire_name = kafka_protocol::protocol::StrBytes::from_string(name.to_owned());
    let of_partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(before);
    let of_topic = DeleteRecordsTopic::default().with_name(wire_name.into()).with_partitions(vec![of_partition]);
    let request = DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![of_topic]);
    let leader = cluster.leader(&partition(name, 0)).await.unwrap().broker;
    let response = cluster.client().call(Route::Broker(leader), &request).await.unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn bad_news_is_told_for_what_it_is() {
    let broker = Broker::start().await;
    let cluster = broker.cluster();
    let tasks = TaskGroup::new();
    let fetchers = Fetchers::new(settings(), cluster.clone(), &Metrics::new(), &tasks);
    let mut ids = Vec::new();
    for name in ["gap", "short", "recreated", "deleted"] {
        ids.push(create(&cluster, name, 1).await);
        write(&producer(&broker.open(), &[]), name, 0, 100).await;
    }
    let at = |offset| SourceOffset::new(offset).unwrap();
    let subscribe = |name: &'static str, topic_id, offset| {
        fetchers.subscribe(Subscription { topic_id, ..subscription(name, 0, offset) })
    };

    delete_records(&cluster, "gap", 60).await;
    let mut inbox = subscribe("gap", ids[0], 50).await;
    assert_eq!(end(&mut inbox).await, FetchStop::Gap { position: at(50), log_start: at(60) });
    let mut inbox = subscribe("gap", ids[0], 60).await;
    assert_eq!(read_to(&mut inbox, 100).await.next, 100, "the log start can lie within a batch");
    let mut inbox = subscribe("short", ids[1], 101).await;
    assert_eq!(end(&mut inbox).await, FetchStop::Diverged { position: at(101), diverged_at: at(100) });

    let mut recreated = subscribe("recreated", ids[2], 0).await;
    let mut deleted = subscribe("deleted", ids[3], 0).await;
    for inbox in [&mut recreated, &mut deleted] {
        read_to(inbox, 100).await;
    }
    delete_topic(&cluster, "recreated").await;
    delete_topic(&cluster, "deleted").await;
    let now = create(&cluster, "recreated", 1).await;
    assert_eq!(end(&mut recreated).await, FetchStop::Recreated { now });
    assert_eq!(end(&mut deleted).await, FetchStop::Deleted);

    let denied = Fetchers::new(settings(), broker.cluster_as("alice"), &Metrics::new(), &tasks);
    let mut inbox = denied.subscribe(subscription("gap", 0, 60)).await;
    let told = tokio::time::timeout(LIMIT, inbox.recv()).await.unwrap().unwrap();
    let FetchEvent::Unreachable { reason, is_denied: true } = told else { panic!("{told:?}") };
    assert_eq!(reason, "cluster aws: no permission to Describe topic gap");
    tasks.close().await;
}

/// Makes the brokers leaders in another order.
async fn rotate_leaders(client: &Client, topic: &str, partitions: i32, round: i32) {
    let name = || kafka_protocol::protocol::StrBytes::from_string(topic.to_owned()).into();
    let replicas = |index: i32| (0..3).map(|n| BrokerId((index + round + n) % 3 + 1)).collect();
    let moved = (0..partitions)
        .map(|index| ReassignablePartition::default().with_partition_index(index).with_replicas(Some(replicas(index))));
    let of_topic = ReassignableTopic::default().with_name(name()).with_partitions(moved.collect());
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(vec![of_topic]);
    // Refused while brokers are down; other rounds follow.
    client.call(Route::Controller, &request).await.ok();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let elected = TopicPartitions::default().with_topic(name()).with_partitions((0..partitions).collect());
    let request = ElectLeadersRequest::default().with_timeout_ms(10_000).with_topic_partitions(Some(vec![elected]));
    client.call(Route::Controller, &request).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs three brokers at CAUSEWAY_TEST_BOOTSTRAP"]
async fn moving_leaders_lose_nothing() {
    let bootstrap = std::env::var(THREE_BROKERS).unwrap();
    let settings_of_wire = WireSettings::plain(bootstrap.split(',').map(str::to_owned).collect(), "test");
    let cluster = Cluster::new(ClusterName::new("source").unwrap(), Client::new(settings_of_wire));
    let name = format!("moving-{}", uuid::Uuid::new_v4());
    let topic = NewTopic {
        name: TopicName::new(&name).unwrap(),
        partitions: 6,
        replication_factor: Some(3),
        configs: [("min.insync.replicas".to_owned(), "1".to_owned())].into(),
    };
    let id = cluster.create_topic(&topic).await.unwrap();
    let tasks = TaskGroup::new();
    let fetchers = Fetchers::new(settings(), cluster.clone(), &Metrics::new(), &tasks);
    let mut readers = Vec::new();
    for index in 0..6 {
        let mut inbox = fetchers.subscribe(Subscription { topic_id: id, ..subscription(&name, index, 0) }).await;
        readers.push(tokio::spawn(async move { read_to(&mut inbox, 40_000).await }));
    }
    let writer = producer(&bootstrap, &[("enable.idempotence", "true"), ("compression.type", "lz4")]);
    for round in 0..20 {
        for index in 0..6 {
            write(&writer, &name, index, 2_000).await;
        }
        rotate_leaders(cluster.client(), &name, 6, round).await;
    }
    for reader in readers {
        let seen = reader.await.unwrap();
        assert_eq!((seen.data, seen.next), (40_000, 40_000));
    }
    assert!(cluster.leader(&partition(&name, 0)).await.unwrap().epoch > LeaderEpoch(5), "leaders moved");
    tasks.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn a_broker_is_read_fast_and_an_idle_one_costs_nothing() {
    let broker = Broker::start().await;
    let cluster = broker.cluster();
    let id = create(&cluster, "orders", 4).await;
    let quiet = create(&cluster, "quiet", 1_000).await;
    let writer = producer(&broker.open(), &[("batch.size", "65536"), ("linger.ms", "20")]);
    for index in 0..4 {
        for _ in 0..10 {
            write(&writer, "orders", index, 100_000).await;
        }
    }
    let tasks = TaskGroup::new();
    let fetchers = Fetchers::new(settings(), cluster.clone(), &Metrics::new(), &tasks);
    let began = std::time::Instant::now();
    let mut readers = Vec::new();
    for index in 0..4 {
        let mut inbox = fetchers.subscribe(Subscription { topic_id: id, ..subscription("orders", index, 0) }).await;
        readers.push(tokio::spawn(async move { read_to(&mut inbox, 1_000_000).await }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().data, 1_000_000);
    }
    println!("4 million records of 100 bytes in {:?}", began.elapsed());
    let mut inboxes = Vec::new();
    let began = std::time::Instant::now();
    for index in 0..1_000 {
        inboxes.push(fetchers.subscribe(Subscription { topic_id: quiet, ..subscription("quiet", index, 0) }).await);
    }
    for inbox in &mut inboxes {
        tokio::time::timeout(LIMIT, inbox.recv()).await.unwrap().unwrap();
    }
    println!("1000 partitions placed in {:?}", began.elapsed());
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<i64> =
            stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|f| f.parse().ok()).collect();
        fields[10] + fields[11]
    };
    let before = cpu();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let ticks = cpu() - before;
    assert!(ticks < 100, "{ticks} ticks of CPU in 10 s with 1000 idle partitions");
    tasks.close().await;
}
