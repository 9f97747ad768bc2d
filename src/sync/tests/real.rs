//! Against two real brokers.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::*;
use crate::cluster::tests::broker::Broker;
use crate::cluster::{Cluster, NewTopic};
use crate::selection::{Entry, Selection};
use crate::shards::WriterMeasures;
use crate::store::{self, Lease, ShardEvent, Store};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::{LinkName, PartitionIndex, ResolveVerb, TopicPartition};

/// A link between two brokers, with the lease on its shard.
struct Link {
    source: Broker,
    target: Broker,
    sync: TopicSync,
    store: Store,
    lease: Lease,
}

fn name() -> LinkName {
    LinkName::new("link").unwrap()
}

async fn start(entries: Vec<Entry>, start: StartAt) -> Link {
    let (source, target) = tokio::join!(Broker::start(), Broker::start());
    let settings = store::Settings {
        client: target.cluster().client().clone(),
        oauth_token: None,
        topic_id: None,
        kafka_properties: vec![("bootstrap.servers".to_owned(), target.open())],
        group: "causeway".to_owned(),
        daemon_id: "one".to_owned(),
        session_timeout: Duration::from_secs(10),
    };
    let measures = WriterMeasures::new(&Metrics::new(), "target");
    let (store, mut events) = Store::open(settings, measures, &TaskGroup::new()).await.unwrap();
    let shard = store.shard_of_link(&name());
    let lease = loop {
        match events.recv().await.unwrap() {
            ShardEvent::Acquired(lease) if lease.shard() == shard => break lease,
            ShardEvent::Acquired(_) => {}
            ShardEvent::Lost(shard) => panic!("lost {shard}"),
        }
    };
    let settings = Settings {
        link: name(),
        interval: Duration::from_secs(1),
        is_config_sync_on: true,
        start,
        are_offsets_preserved: false,
    };
    let sync =
        TopicSync::new(settings, source.cluster(), target.cluster(), store.clone(), Selection::new(entries).unwrap());
    Link { source, target, sync, store, lease }
}

impl Link {
    async fn round(&self) -> RoundReport {
        self.sync.round(&self.lease).await.unwrap()
    }

    fn record(&self, name_of: &str) -> Option<TopicRecord> {
        self.store.view().topic(&name(), &topic(name_of))
    }

    fn reason(&self, name_of: &str) -> Option<String> {
        self.record(name_of)?.stop.map(|stop| stop.reason)
    }
}

async fn create(cluster: &Cluster, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let new = NewTopic { name: topic(name), partitions, replication_factor: None, configs };
    cluster.create_topic(&new).await.unwrap();
    // What was created is seen by its leader a moment later.
    for index in 0..partitions {
        cluster.leader(&TopicPartition::new(topic(name), PartitionIndex(index))).await.unwrap();
    }
}

async fn delete(broker: &Broker, name: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker.open()).create().unwrap();
    admin.delete_topics(&[name], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let cluster = broker.cluster();
    while cluster.metadata(Some(&[topic(name)])).await.unwrap().topics[&topic(name)].error_code == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn produce(broker: &Broker, name: &str) {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", broker.open()).create().unwrap();
    let record = FutureRecord::<str, str>::to(name).partition(0).payload("value");
    producer.send(record, Duration::from_secs(30)).await.unwrap();
}

async fn settings_on_topic(cluster: &Cluster, name: &str) -> BTreeMap<String, String> {
    let configs = cluster.topic_configs(&[topic(name)]).await.unwrap().remove(&topic(name)).unwrap().unwrap();
    let set = configs.into_iter().filter(|entry| entry.is_set_on_topic);
    set.map(|entry| (entry.name, entry.value.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts two real brokers"]
async fn topics_appear_grow_and_stop() {
    let link = start(vec![Entry::matching(".*")], StartAt::Latest).await;
    let (source, target) = (link.source.cluster(), link.target.cluster());
    create(&source, "orders", 2, &[("retention.ms", "3600000"), ("segment.ms", "60000")]).await;
    create(&source, "logs", 1, &[("min.insync.replicas", "1"), ("compression.type", "gzip")]).await;
    create(&target, "logs", 1, &[]).await;
    produce(&link.target, "logs").await;

    let report = link.round().await;
    assert_eq!((report.mirrored, report.stopped, &report.created), (1, 1, &vec![topic("orders")]), "{report:?}");
    let orders = link.record("orders").unwrap();
    assert_eq!((orders.partitions, orders.start, orders.start_partitions), (2, StartAt::Latest, 2));
    assert_eq!(orders.batch_bytes_max, 1_048_588);
    let expected = [
        ("compression.type", "producer"),
        ("message.timestamp.after.max.ms", "9223372036854775807"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.bytes", "-1"),
        ("retention.ms", "-1"),
        ("segment.ms", "60000"),
    ];
    assert_eq!(
        settings_on_topic(&target, "orders").await,
        pairs(&expected.map(|(name, value)| (name, value.to_owned())))
    );
    assert_eq!(link.reason("logs").as_deref(), Some("target_not_empty"));

    // A second round changes nothing.
    let seen = link.store.view().changes().borrow().to_owned();
    link.round().await;
    assert_eq!(*link.store.view().changes().borrow(), seen, "nothing is written that did not change");

    // Somebody decides; the source grows; a setting is reset there; a topic is new.
    let resolve = |_: &TopicName, record: &TopicRecord| resolve_topic(record, ResolveVerb::Translate);
    assert_eq!(link.sync.change_records(&link.lease, resolve, Vec::new()).await.unwrap(), [topic("logs")]);
    source.add_partitions(&topic("orders"), 5).await.unwrap();
    let changes = BTreeMap::from([("segment.ms".to_owned(), None)]);
    source.alter_topic_configs(&topic("orders"), &changes).await.unwrap();
    create(&source, "later", 1, &[]).await;
    while link.round().await.mirrored < 3 || link.record("orders").unwrap().partitions < 5 {}
    let (orders, later, logs) = (link.record("orders"), link.record("later"), link.record("logs"));
    assert_eq!(orders.map(|record| (record.start, record.start_partitions)), Some((StartAt::Latest, 2)));
    assert_eq!(later.map(|record| (record.start, record.partitions)), Some((StartAt::Earliest, 1)));
    assert_eq!(logs.map(|record| (record.stop, record.partitions)), Some((None, 1)));
    while settings_on_topic(&target, "orders").await.contains_key("segment.ms") {
        link.round().await;
    }

    // Deleted and recreated topics stop, and begin anew when somebody says so.
    delete(&link.source, "orders").await;
    link.round().await;
    assert_eq!(link.reason("orders").as_deref(), Some("source_deleted"));
    create(&source, "orders", 5, &[]).await;
    delete(&link.target, "later").await;
    link.round().await;
    assert_eq!(link.reason("orders").as_deref(), Some("source_recreated"));
    assert_eq!(link.reason("later").as_deref(), Some("target_deleted"));
    let remirror = |_: &TopicName, record: &TopicRecord| resolve_topic(record, ResolveVerb::Remirror);
    let resolved = link.sync.change_records(&link.lease, remirror, Vec::new()).await.unwrap();
    assert_eq!(resolved, [topic("later"), topic("orders")]);
    let report = link.round().await;
    assert_eq!((report.mirrored, report.stopped, report.created), (3, 0, vec![topic("later")]));
    assert_eq!(link.record("orders").unwrap().start, StartAt::Earliest);
}
