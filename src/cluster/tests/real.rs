//! Against a real broker.

use std::collections::BTreeMap;

use super::broker::Broker;
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
