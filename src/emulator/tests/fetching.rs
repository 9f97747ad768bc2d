use std::time::Duration;

use kafka_protocol::error::ResponseError::{self, *};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::FetchResponse;

use super::support::{Client, NOW, TOPIC, batch, headers};
use crate::emulator::Restart;

fn session_request(client: &Client, session: (i32, i32), offset: Option<i64>) -> FetchRequest {
    let id = client.cluster.lock().topics.get(TOPIC).unwrap().id;
    let topic = |offset| {
        let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
        FetchTopic::default().with_topic_id(id).with_partitions(vec![partition])
    };
    FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_topics(offset.map(topic).into_iter().collect())
}

fn base_offsets(response: &FetchResponse) -> Vec<i64> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let records = partitions.filter_map(|partition| partition.records.clone());
    records.flat_map(|records| headers(&records)).map(|header| header.base_offset).collect()
}

#[tokio::test(start_paused = true)]
async fn sessions_tell_what_is_new() {
    let client = Client::with_topic(&[]).await;
    client.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    let first = client.call(&session_request(&client, (0, 0), Some(0))).await;
    assert_eq!(base_offsets(&first), [0]);
    let id = first.session_id;
    assert!(id > 0);
    let second = client.call(&session_request(&client, (id, 1), Some(1))).await;
    assert!(second.responses.is_empty(), "nothing is new: {second:?}");
    client.produce(batch(7, 0, 1, &["b"]).seal()).await.unwrap();
    let third = client.call(&session_request(&client, (id, 2), None)).await;
    assert_eq!(base_offsets(&third), [1], "the partition is remembered");
    let wrong = client.call(&session_request(&client, (id, 2), None)).await;
    assert_eq!(wrong.error_code, InvalidFetchSessionEpoch.code());
    let unknown = client.call(&session_request(&client, (id + 1, 1), None)).await;
    assert_eq!(unknown.error_code, FetchSessionIdNotFound.code());
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_when_something_comes() {
    let client = Client::with_topic(&[]).await;
    let writer = Client::of(&client.cluster, 1).await;
    let request = session_request(&client, (0, -1), Some(0)).with_max_wait_ms(60_000);
    let begun = tokio::time::Instant::now();
    let (got, _) = tokio::join!(client.call(&request), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        writer.produce(batch(7, 0, 0, &["a"]).seal()).await
    });
    assert_eq!(base_offsets(&got), [0]);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn offsets_by_time_and_out_of_range() {
    let client = Client::with_topic(&[]).await;
    for (sequence, age) in [(0, 30), (1, 10), (2, 20)] {
        client.produce(batch(7, 0, sequence, &["a"]).at(NOW - age * 1_000).seal()).await.unwrap();
    }
    assert_eq!(client.list(-2).await, Ok(0));
    assert_eq!(client.list(-1).await, Ok(3));
    assert_eq!(client.list(-3).await, Ok(1), "the newest record");
    assert_eq!(client.list(NOW - 30_000).await, Ok(0));
    assert_eq!(client.list(NOW - 25_000).await, Ok(1));
    assert_eq!(client.list(NOW).await, Ok(-1), "past the end");
    let code = |error: ResponseError| error.code();
    assert_eq!(client.fetch(4, false).await.error_code, code(OffsetOutOfRange));
    assert_eq!(client.fetch(3, false).await.error_code, 0);
    client.cluster.recreate_topic(TOPIC).unwrap();
    assert_eq!(client.fetch(0, false).await.records.unwrap().len(), 0, "another life");
}

#[tokio::test(start_paused = true)]
async fn limits_cut_within_a_batch_but_never_the_first() {
    let client = Client::with_topic(&[]).await;
    for sequence in 0..3 {
        client.produce(batch(7, 0, sequence, &["a"]).seal()).await.unwrap();
    }
    let one = client.fetch(0, false).await.records.unwrap().len() / 3;
    let limited = |limit: usize| {
        let mut request = session_request(&client, (0, -1), Some(0));
        request.topics[0].partitions[0].partition_max_bytes = i32::try_from(limit).unwrap();
        request
    };
    let got = client.call(&limited(one + 10)).await;
    assert_eq!(got.responses[0].partitions[0].records.as_ref().unwrap().len(), one + 10);
    assert_eq!(base_offsets(&got), [0]);
    let got = client.call(&limited(1)).await;
    assert_eq!(base_offsets(&got), [0], "one batch, whole");
}

#[tokio::test(start_paused = true)]
async fn epochs_tell_where_logs_part() {
    let client = Client::with_topic(&[]).await;
    client.produce(batch(7, 0, 0, &["a", "b"]).seal()).await.unwrap();
    client.cluster.restart_broker(1, Restart::Clean);
    let client = Client::of(&client.cluster, 1).await;
    client.produce(batch(7, 0, 2, &["c"]).seal()).await.unwrap();
    let epoch = client.cluster.partition(TOPIC, 0).unwrap().leader_epoch;
    assert_eq!(epoch, 2, "one without a leader, one with");
    assert_eq!(client.epoch_end(0).await, Ok((0, 2)));
    assert_eq!(client.epoch_end(1).await, Ok((0, 2)), "the largest up to it");
    assert_eq!(client.epoch_end(epoch).await, Ok((epoch, 3)), "the log end");
    assert_eq!(client.epoch_end(epoch + 1).await, Ok((-1, -1)));
    let at =
        |offset, last_epoch| FetchPartition::default().with_fetch_offset(offset).with_last_fetched_epoch(last_epoch);
    let got = client.fetch_with(at(2, 0), false).await;
    assert_eq!((got.diverging_epoch.epoch, got.records.unwrap().is_empty()), (-1, false));
    let got = client.fetch_with(at(3, 0), false).await;
    assert_eq!((got.diverging_epoch.epoch, got.diverging_epoch.end_offset), (0, 2));
    let got = client.fetch_with(at(0, -1).with_current_leader_epoch(0), false).await;
    assert_eq!(got.error_code, FencedLeaderEpoch.code());
}
