use std::time::Duration;

use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::protocol::StrBytes;

use super::support::{Client, NOW, TOPIC, batch, headers};
use crate::emulator::Restart;

async fn delete_to(client: &Client, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(StrBytes::from_static_str(TOPIC).into())
        .with_partitions(vec![partition]);
    let response = client.call(&DeleteRecordsRequest::default().with_topics(vec![topic])).await;
    let told = &response.topics[0].partitions[0];
    (told.error_code, told.low_watermark)
}

#[tokio::test(start_paused = true)]
async fn compaction_leaves_holes_and_an_empty_batch() {
    let client = Client::with_topic(&[("cleanup.policy", "compact")]).await;
    client.produce(batch(7, 0, 0, &["a", "b", "c"]).seal()).await.unwrap();
    client.produce(batch(8, 0, 0, &["a"]).seal()).await.unwrap();
    client.produce(batch(9, 0, 0, &["a", "c"]).seal()).await.unwrap();
    client.cluster.compact(TOPIC, 0);
    let left = headers(&client.fetch(0, false).await.records.unwrap());
    let shape: Vec<_> = left.iter().map(|header| (header.base_offset, header.count, header.last_offset())).collect();
    assert_eq!(shape, [(0, 1, 2), (3, 0, 3), (4, 2, 5)], "a hole, an empty batch that holds a sequence");
    assert_eq!(client.produce(batch(8, 0, 1, &["d"]).seal()).await, Ok(6), "its producer is known");
    assert_eq!(delete_to(&client, -1).await, (PolicyViolation.code(), -1));
}

#[tokio::test(start_paused = true)]
async fn tombstones_go_after_their_horizon() {
    let client = Client::with_topic(&[("cleanup.policy", "compact"), ("delete.retention.ms", "60000")]).await;
    client.produce(batch(-1, -1, -1, &["a"]).seal()).await.unwrap();
    client.produce(batch(-1, -1, -1, &["a"]).tombstone().seal()).await.unwrap();
    client.cluster.compact(TOPIC, 0);
    let left = headers(&client.fetch(0, false).await.records.unwrap());
    assert_eq!((left.len(), left[0].base_offset, left[0].has_delete_horizon()), (1, 1, true));
    assert_eq!((left[0].base_timestamp, left[0].max_timestamp), (NOW + 60_000, NOW));
    tokio::time::sleep(Duration::from_secs(61)).await;
    client.cluster.compact(TOPIC, 0);
    assert!(client.fetch(0, false).await.records.unwrap().is_empty());
    assert_eq!(client.list(-1).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn deleted_records_come_back_when_a_broker_is_killed_at_once() {
    let client = Client::with_topic(&[]).await;
    for sequence in 0..4 {
        client.produce(batch(7, 0, sequence, &["a"]).seal()).await.unwrap();
    }
    assert_eq!(delete_to(&client, 9).await.0, OffsetOutOfRange.code());
    assert_eq!(delete_to(&client, 3).await, (0, 3));
    assert_eq!(client.fetch(2, false).await.error_code, OffsetOutOfRange.code());
    client.cluster.restart_broker(1, Restart::Kill);
    assert_eq!(client.cluster.partition(TOPIC, 0).unwrap().log_start, 0, "nobody had noted it");
    let client = Client::of(&client.cluster, 1).await;
    assert_eq!(delete_to(&client, 3).await, (0, 3));
    tokio::time::sleep(Duration::from_secs(61)).await;
    client.cluster.restart_broker(1, Restart::Kill);
    assert_eq!(client.cluster.partition(TOPIC, 0).unwrap().log_start, 3);
}

#[tokio::test(start_paused = true)]
async fn retention_takes_whole_segments() {
    let client = Client::with_topic(&[("retention.ms", "3600000"), ("segment.ms", "1000")]).await;
    client.produce(batch(7, 0, 0, &["a"]).at(0).seal()).await.unwrap();
    client.produce(batch(7, 0, 1, &["b"]).seal()).await.unwrap();
    client.cluster.apply_retention();
    let view = client.cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((view.log_start, view.log_end), (1, 2), "history and the present never share a segment");
    assert_eq!(client.produce(batch(7, 0, 1, &["b"]).seal()).await, Ok(1), "producers are still known");
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    client.cluster.apply_retention();
    let view = client.cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((view.log_start, view.log_end, view.bytes), (2, 2, 0), "the active segment was rolled and went");
}
