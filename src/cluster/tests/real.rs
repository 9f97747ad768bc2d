//! Against a real broker.

use std::collections::BTreeMap;

use super::broker::{Broker, Right};
use super::*;
use crate::types::{LeaderEpoch, PartitionIndex, ProducerId};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn partition(name: &str, index: i32) -> TopicPartition {
    TopicPartition::new(topic(name), PartitionIndex(index))
}

fn new_topic(name: &str, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    NewTopic { name: topic(name), partitions: 2, replication_factor: None, configs }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn topics_are_created_widened_and_described() {
    let broker = Broker::start().await;
    let cluster = broker.cluster();
    assert_eq!(cluster.id().await.unwrap().len(), 22);
    cluster.try_create_topic(&new_topic("orders", &[])).await.unwrap();
    assert_eq!(cluster.metadata(Some(&[topic("orders")])).await.unwrap().topics[&topic("orders")].error_code, 3);
    let id = cluster.create_topic(&new_topic("orders", &[("retention.ms", "5000")])).await.unwrap();
    assert_eq!(cluster.create_topic(&new_topic("orders", &[])).await.unwrap_err().code(), Some(36));
    assert_eq!(
        cluster.create_topic(&new_topic("wrong", &[("retention.foo", "1")])).await.unwrap_err().to_string(),
        "cluster aws refused CreateTopics on topic wrong: INVALID_CONFIG (40): Unknown topic config name: retention.foo"
    );
    cluster.add_partitions(&topic("orders"), 3).await.unwrap();
    assert_eq!(cluster.add_partitions(&topic("orders"), 3).await.unwrap_err().code(), Some(37));
    let leaders = cluster.leader(&partition("orders", 2)).await.unwrap();
    assert_eq!(leaders.epoch, LeaderEpoch(0));
    let seen = cluster.metadata(None).await.unwrap();
    assert_eq!((seen.topics[&topic("orders")].id, seen.topics[&topic("orders")].partitions.len()), (id, 3));

    let changes =
        BTreeMap::from([("retention.ms".to_owned(), None), ("segment.ms".to_owned(), Some("60000".to_owned()))]);
    cluster.try_alter_topic_configs(&topic("orders"), &changes).await.unwrap();
    cluster.alter_topic_configs(&topic("orders"), &changes).await.unwrap();
    let asked = [topic("orders"), topic("absent")];
    // Brokers learn of the change a moment after the controller has it.
    let entries = loop {
        let mut configs = cluster.topic_configs(&asked).await.unwrap();
        assert!(configs[&topic("absent")].as_ref().unwrap_err().is_unknown_topic());
        let entries = configs.remove(&topic("orders")).unwrap().unwrap();
        if entries.iter().any(|entry| entry.name == "segment.ms" && entry.is_set_on_topic) {
            break entries;
        }
    };
    let entry = |name: &str| entries.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(entry("segment.ms").value.as_deref(), Some("60000"));
    assert!(!entry("retention.ms").is_set_on_topic);
    assert_eq!(entry("max.message.bytes").value.as_deref(), Some("1048588"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn logs_are_asked_about_at_their_leaders() {
    let broker = Broker::start().await;
    let cluster = broker.cluster();
    cluster.create_topic(&new_topic("orders", &[])).await.unwrap();
    let asked = [partition("orders", 0), partition("orders", 1)];
    for query in [OffsetQuery::LogStart, OffsetQuery::HighWatermark, OffsetQuery::LastStable] {
        let listed = cluster.list_offsets(&asked, query).await.unwrap();
        let offsets: Vec<_> = listed.values().map(|answer| answer.as_ref().unwrap().offset).collect();
        assert_eq!(offsets, [Some(0), Some(0)], "{query:?}");
    }
    let by_time = cluster.list_offsets(&asked, OffsetQuery::Timestamp(1_700_000_000_000)).await.unwrap();
    assert_eq!(by_time[&asked[0]].as_ref().unwrap().offset, None, "no record is that young");

    let leader = cluster.leader(&asked[0]).await.unwrap();
    assert_eq!(cluster.high_watermark(&asked[0], leader).await.unwrap(), 0);
    assert_eq!(
        cluster.epoch_end(&asked[0], leader, leader.epoch).await.unwrap(),
        EpochEnd { epoch: Some(leader.epoch), end_offset: 0 }
    );
    let stale = Leader { epoch: LeaderEpoch(leader.epoch.0 + 1), ..leader };
    assert_eq!(cluster.epoch_end(&asked[0], stale, leader.epoch).await.unwrap_err().code(), Some(75));
    assert_eq!(cluster.high_watermark(&asked[0], stale).await.unwrap_err().code(), Some(75));
    assert_eq!(cluster.producer_state(&asked[0], leader, ProducerId(7)).await.unwrap(), None);

    let fetched = cluster.fetch_once(&asked[0], 0, 1 << 20, Isolation::ReadCommitted).await.unwrap();
    assert_eq!((fetched.records.len(), fetched.high_watermark, fetched.log_start), (0, 0, 0));
    let beyond = cluster.fetch_once(&asked[0], 5, 1 << 20, Isolation::ReadUncommitted).await.unwrap_err();
    assert_eq!(beyond.code(), Some(1));
    let (first, epoch) = cluster.allocate_producer_id().await.unwrap();
    let (second, _) = cluster.allocate_producer_id().await.unwrap();
    assert!(second > first && epoch.0 == 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn brokers_tell_what_a_user_may_do() {
    let broker = Broker::start().await;
    let open = broker.cluster();
    open.create_topic(&new_topic("orders", &[])).await.unwrap();
    let rights = [(2, "orders", false, 3), (2, "absent", false, 3), (2, "absent", false, 5), (3, "team", true, 3)]
        .map(|(resource_type, name, is_prefix, operation)| Right::new(resource_type, name, is_prefix, operation));
    broker.allow("alice", &rights).await;
    let alice = broker.cluster_as("alice");
    let told = alice.topic_permissions(&[topic("orders"), topic("absent"), topic("hidden")]).await.unwrap();
    let permissions = |name: &str| told[&topic(name)].as_ref().unwrap();
    let may = |name: &str, operation| permissions(name).permissions.unwrap().allow(operation);
    assert!(permissions("orders").does_exist && !permissions("absent").does_exist);
    assert!(may("orders", Operation::Read) && may("orders", Operation::Describe), "Describe comes with Read");
    assert!(!may("orders", Operation::Write) && !may("orders", Operation::DescribeConfigs));
    assert!(may("absent", Operation::Create), "told of what does not exist, too");
    assert!(told[&topic("hidden")].as_ref().unwrap_err().is_permission_missing());
    assert!(!alice.cluster_permissions().await.unwrap().unwrap().allow(Operation::IdempotentWrite));

    let preview = open.try_create_topic(&new_topic("other", &[("segment.ms", "60000")])).await.unwrap();
    assert_eq!(preview.replication_factor, Some(1));
    assert!(preview.configs.iter().any(|entry| entry.name == "segment.ms" && entry.is_set_on_topic));
    assert!(alice.try_create_topic(&new_topic("absent", &[])).await.unwrap().configs.is_empty());

    let change = BTreeMap::from([("compression.type".to_owned(), Some("producer".to_owned()))]);
    let refusals = [
        alice.try_create_topic(&new_topic("other", &[])).await.unwrap_err(),
        alice.try_read_group("other").await.unwrap_err(),
        alice.allocate_producer_id().await.unwrap_err(),
        alice.try_write_transactional_id("tx").await.unwrap_err(),
        alice.try_describe_transactional_id("tx").await.unwrap_err(),
        alice.leader(&partition("hidden", 0)).await.unwrap_err(),
        alice.try_alter_topic_configs(&topic("hidden"), &change).await.unwrap_err(),
        alice.fetch_once(&partition("hidden", 0), 0, 1, Isolation::ReadCommitted).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(refusal.is_permission_missing(), "{refusal}");
    }
    alice.try_read_group("team-1").await.unwrap();
    open.try_write_transactional_id("tx").await.unwrap();
    open.try_describe_transactional_id("tx").await.unwrap();
    assert!(open.try_alter_topic_configs(&topic("hidden"), &change).await.unwrap_err().is_unknown_topic());
}
