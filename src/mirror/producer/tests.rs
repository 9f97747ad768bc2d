use bytes::BytesMut;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use super::*;
use crate::emulator;
use crate::types::{ClusterName, PartitionIndex, TopicName};
use crate::wire::{self, Client};

const BROKER: BrokerId = BrokerId(1);

/// The only record of a producer.
fn batch() -> Stamped {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 7,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some("held".into()),
        headers: IndexMap::new(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    let mut bytes = bytes.freeze();
    let header = bytes.split_to(crate::batch::HEADER_BYTES);
    Stamped { header: header[..].try_into().unwrap(), body: bytes, crc: 0 }
}

fn requests(metrics: &Metrics) -> u32 {
    let rendered = metrics.render();
    let line = rendered.lines().find_map(|line| line.strip_prefix("causeway_produce_requests_total{link=\"held\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Hands in two appends while the broker's followers stand still: it gets so many requests before it can answer any.
async fn two_appends(protection: Protection, requests_before_an_answer: u32) {
    let settings = emulator::Settings { brokers: 3, ..emulator::Settings::new("held") };
    let kafka = emulator::Cluster::start(settings).await.unwrap();
    kafka.create_topic("held", 2, 3, &[]).unwrap();
    for index in 0..2 {
        assert!(kafka.move_leader("held", index, BROKER.0, false));
    }
    let follow = |is_following| [2, 3].map(|broker| kafka.set_following(broker, is_following));
    follow(false);
    let bootstrap = kafka.bootstrap().split(',').map(str::to_owned).collect();
    let target = Cluster::new(ClusterName::new("held").unwrap(), Client::new(wire::Settings::plain(bootstrap, "test")));
    let settings = Settings {
        requests_in_flight_max: 5,
        request_bytes_max: 1 << 20,
        acknowledge_timeout: Duration::from_secs(20),
    };
    let (metrics, tasks) = (Metrics::new(), TaskGroup::new());
    let producers = Producers::new(settings, target, "held", &metrics, &tasks);
    let (reply, mut answers) = mpsc::channel(2);
    for number in 0..2 {
        let index = PartitionIndex(i32::try_from(number).unwrap());
        let partition = TopicPartition::new(TopicName::new("held").unwrap(), index);
        let append = Append { partition, topic_id: None, batch: batch(), protection, number, reply: reply.clone() };
        producers.append(BROKER, append).await;
        // Together in one request, nobody would wait for anybody.
        while requests(&metrics) == 0 {
            assert!(answers.is_empty(), "{:?}", answers.recv().await);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while requests(&metrics) < requests_before_an_answer {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // What must not be sent has this long to be sent all the same.
    tokio::time::sleep(TRICKLE_WAIT * 20).await;
    assert_eq!(requests(&metrics), requests_before_an_answer, "{protection:?}");
    follow(true);
    for _ in 0..2 {
        let produced = answers.recv().await.unwrap();
        assert!(matches!(produced.outcome, Outcome::Answered { code: 0, .. }), "{produced:?}");
    }
    assert_eq!(requests(&metrics), 2);
    tasks.close().await;
    kafka.close().await;
}

#[tokio::test]
async fn only_what_the_broker_remembers_is_sent_behind_another_append() {
    two_appends(Protection::Sequence, 2).await;
    two_appends(Protection::Unprotected, 1).await;
}
