//! Against real brokers with `StandardAuthorizer`.

use std::time::Duration;

use super::*;
use crate::cluster::tests::broker::{Broker, Right};
use crate::cluster::{Cluster, NewTopic};
use crate::store::{self, ShardEvent, StartAt, Store};
use crate::sync::{self, TopicSync};
use crate::tasks::TaskGroup;

const USER: &str = "causeway";

/// What a `kafka-acls` command would do, and at which address.
fn parse(command: &str) -> (String, Vec<Right>) {
    let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    let after = |option: &str| words.iter().position(|word| *word == option).map(|at| words[at + 1]);
    let resource = [("--topic", 2), ("--group", 3), ("--transactional-id", 5)];
    let (name, resource_type) =
        resource.iter().find_map(|(option, number)| Some((after(option)?, *number))).expect("a resource");
    let is_prefix = after("--resource-pattern-type") == Some("prefixed");
    let numbers =
        [("Read", 3), ("Write", 4), ("Create", 5), ("Alter", 7), ("DescribeConfigs", 10), ("AlterConfigs", 11)];
    let operations = words.windows(2).filter(|pair| pair[0] == "--operation").map(|pair| pair[1]);
    let number = |operation: &str| numbers.iter().find(|(name, _)| *name == operation).expect("an operation").1;
    let rights = operations.map(|operation| Right::new(resource_type, name, is_prefix, number(operation))).collect();
    (after("--bootstrap-server").expect("an address").to_owned(), rights)
}

async fn create(cluster: &Cluster, name: &str) {
    let name = TopicName::new(name).unwrap();
    let new = NewTopic { name, partitions: 2, replication_factor: None, configs: BTreeMap::new() };
    cluster.create_topic(&new).await.unwrap();
}

fn failures(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.level != Level::Ok).collect()
}

/// The daemon's own parts at work with the rights that `check --acls` prints.
async fn mirror_a_topic(source: &Broker, target: &Broker) {
    let kafka_properties = [
        ("bootstrap.servers", target.guarded().as_str()),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", USER),
        ("sasl.password", USER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = store::Settings {
        client: target.cluster_as(USER).client().clone(),
        oauth_token: None,
        topic_id: None,
        kafka_properties: kafka_properties.to_vec(),
        group: "prod".to_owned(),
        daemon_id: "one".to_owned(),
        session_timeout: Duration::from_secs(10),
    };
    let measures = crate::shards::WriterMeasures::new(&crate::telemetry::Metrics::new(), "target");
    let (store, mut events) = Store::open(settings, measures, &TaskGroup::new()).await.unwrap();
    let name = LinkName::new("onprem-to-aws").unwrap();
    let shard = store.shard_of_link(&name);
    let lease = loop {
        match events.recv().await.unwrap() {
            ShardEvent::Acquired(lease) if lease.shard() == shard => break lease,
            ShardEvent::Acquired(_) => {}
            ShardEvent::Lost(shard) => panic!("lost {shard}"),
        }
    };
    let settings = sync::Settings {
        link: name,
        interval: Duration::from_secs(1),
        is_config_sync_on: true,
        drift: crate::sync::Drift::Revert,
        start: StartAt::Earliest,
    };
    let selection = Selection::new(vec![Entry::named("orders")]).unwrap();
    let topics = TopicSync::new(settings, source.cluster_as(USER), target.cluster_as(USER), store, selection);
    let report = topics.round(&lease).await.unwrap();
    assert_eq!((report.mirrored, report.problems), (1, Vec::new()));
    source.cluster().add_partitions(&TopicName::new("orders").unwrap(), 3).await.unwrap();
    while target.cluster().metadata(None).await.unwrap().topics[&TopicName::new("orders").unwrap()].partitions.len() < 3
    {
        assert_eq!(topics.round(&lease).await.unwrap().problems, Vec::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts two real brokers"]
async fn each_missing_right_is_named_and_no_other() {
    let (source, target) = tokio::join!(Broker::start(), Broker::start());
    create(&source.cluster(), "orders").await;
    let plan = link(
        vec![Entry::named("orders")],
        cluster("onprem", &source.guarded(), Some(USER)),
        cluster("aws", &target.guarded(), Some(USER)),
    );
    let mut given: Vec<(&Broker, Right)> = Vec::new();
    for (address, rights) in acls(&plan, None).iter().map(|command| parse(command)) {
        let broker = if address == source.guarded() { &source } else { &target };
        broker.allow(USER, &rights).await;
        given.extend(rights.into_iter().map(|right| (broker, right)));
    }
    let report = check(&plan).await;
    assert_eq!(report.verdict(), Level::Ok, "{report}");
    assert_eq!(given.len(), 14);

    for (broker, right) in &given {
        broker.revoke(USER, right).await;
        let report = check(&plan).await;
        let failures = failures(&report);
        assert_eq!(failures.len(), 1, "without {right:?}:\n{report}");
        let finding = failures[0];
        if right.name == "__causeway." {
            assert!(finding.level == Level::Warn && finding.sentence.contains("Read on topics"), "{finding:?}");
        } else {
            // The remedy gives back exactly what was taken.
            let (_, remedy) = parse(finding.remedy.as_deref().unwrap());
            assert_eq!(remedy, std::slice::from_ref(right), "{finding:?}");
            assert_eq!(finding.level, Level::Fail);
        }
        broker.allow(USER, std::slice::from_ref(right)).await;
    }
    mirror_a_topic(&source, &target).await;
    let report = check(&plan).await;
    assert_eq!(report.verdict(), Level::Ok, "with everything in place:\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn wrong_addresses_passwords_and_names_are_named() {
    let broker = Broker::start().await;
    create(&broker.cluster(), "orders").await;
    let mut source = cluster("onprem", &broker.open(), None);
    source.settings.bootstrap.push("127.0.0.1:1".to_owned());
    let mut target = cluster("aws", &broker.guarded(), Some("alice"));
    if let Some(SaslSettings::Plain { password, .. }) = &mut target.settings.sasl {
        *password = SecretSource::Literal(Secret::new("wrong".to_owned()));
    }
    let report = check(&link(vec![Entry::matching("orders.*"), Entry::named("orders")], source, target)).await;
    let sentences: Vec<String> =
        failures(&report).iter().map(|finding| format!("{:?} {}", finding.level, finding.sentence)).collect();
    let has = |level: &str, text: &str| sentences.iter().any(|s| s.starts_with(level) && s.contains(text));
    assert!(has("Warn", "127.0.0.1:1"), "{report}");
    assert!(has("Fail", "refused to authenticate alice"), "{report}");
    assert!(has("Warn", "entry 1 has no effect"), "{report}");
    assert_eq!(report.exit_code(), 1);
}
