use std::time::Duration;

use kafka_protocol::error::ResponseError::{self, *};
use kafka_protocol::messages::ApiKey;

use super::support::{Batch, Client, NOW, TOPIC, batch};
use crate::emulator::codec::Codec;
use crate::emulator::{Action, Marker, Restart, Rule};

async fn outcomes(client: &Client, batches: &[Batch]) -> Vec<Result<i64, ResponseError>> {
    let mut found = Vec::new();
    for batch in batches {
        found.push(client.produce(batch.seal()).await);
    }
    found
}

#[tokio::test(start_paused = true)]
async fn sequences_are_a_compare_and_swap() {
    let client = Client::with_topic(&[]).await;
    let pid = 1 << 62;
    assert_eq!(client.produce(batch(pid, 0, 10, &["a", "b"]).seal()).await, Ok(0), "no state: any sequence");
    assert_eq!(client.produce(batch(pid, 0, 0, &["a"]).seal()).await, Err(OutOfOrderSequenceNumber));
    assert_eq!(client.produce(batch(pid, 0, 12, &["c"]).seal()).await, Ok(2));
    assert_eq!(
        client.produce(batch(pid, 0, 10, &["x", "y"]).seal()).await,
        Ok(0),
        "same range, other bytes: duplicate"
    );
    assert_eq!(client.produce(batch(pid, 0, 11, &["b", "c"]).seal()).await, Err(OutOfOrderSequenceNumber));
    assert_eq!(client.produce(batch(pid, 0, 14, &["d"]).seal()).await, Err(OutOfOrderSequenceNumber), "a gap");
    assert_eq!(client.produce(batch(-1, -1, -1, &["other"]).seal()).await, Ok(3), "no producer id: nothing checked");
    assert_eq!(client.produce(batch(pid, 0, 13, &["d"]).seal()).await, Ok(4), "others don't disturb");
    assert_eq!(
        client.produce(batch(pid, 1, 14, &["e"]).seal()).await,
        Err(OutOfOrderSequenceNumber),
        "epochs begin at 0"
    );
    assert_eq!(client.produce(batch(pid, 1, 0, &["e"]).seal()).await, Ok(5));
    assert_eq!(client.produce(batch(pid, 0, 14, &["e"]).seal()).await, Err(InvalidProducerEpoch));
}

#[tokio::test(start_paused = true)]
async fn five_batches_are_remembered_and_one_after_a_restart() {
    let client = Client::with_topic(&[]).await;
    let all: Vec<Batch> = (0..6).map(|sequence| batch(7, 0, sequence, &["k"])).collect();
    assert_eq!(outcomes(&client, &all).await, (0..6).map(Ok).collect::<Vec<_>>());
    let again = outcomes(&client, &all).await;
    assert_eq!(again[0], Err(OutOfOrderSequenceNumber), "forgotten");
    assert_eq!(again[1..], [Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]);
    client.cluster.restart_broker(1, Restart::Clean);
    let client = Client::of(&client.cluster, 1).await;
    let after = outcomes(&client, &all).await;
    assert_eq!(after[5], Ok(5));
    assert!(after[..5].iter().all(|outcome| *outcome == Err(OutOfOrderSequenceNumber)), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn sequences_wrap() {
    let client = Client::with_topic(&[]).await;
    let last = i32::MAX;
    assert_eq!(client.produce(batch(7, 0, last - 1, &["a", "b", "c"]).seal()).await, Ok(0), "within a batch");
    assert_eq!(client.produce(batch(7, 0, 1, &["d"]).seal()).await, Ok(3));
    assert_eq!(client.produce(batch(8, 0, last, &["a"]).seal()).await, Ok(4));
    assert_eq!(client.produce(batch(8, 0, 0, &["b"]).seal()).await, Ok(5), "between batches");
}

#[tokio::test(start_paused = true)]
async fn producers_expire_by_the_timestamps_of_their_records() {
    let client = Client::with_topic(&[]).await;
    let old = batch(7, 0, 5, &["a"]).at(NOW - 2 * 86_400_000);
    assert_eq!(client.produce(old.seal()).await, Ok(0));
    assert_eq!(client.produce(old.seal()).await, Ok(0), "a duplicate");
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(client.produce(old.seal()).await, Ok(1), "the same bytes are appended again");
}

#[tokio::test(start_paused = true)]
async fn what_no_broker_takes_is_refused() {
    let client = Client::with_topic(&[("max.message.bytes", "200")]).await;
    let good = batch(7, 0, 0, &["a"]);
    let spoilt = |spoil: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        spoil(&mut batch);
        batch.seal()
    };
    assert_eq!(client.produce(spoilt(&|b| b.header.base_offset = 1)).await, Err(InvalidRecord));
    assert_eq!(client.produce(spoilt(&|b| b.header.last_offset_delta = 4)).await, Err(InvalidRecord), "a hole");
    assert_eq!(client.produce(spoilt(&|b| b.header.attributes |= 1 << 5)).await, Err(InvalidRecord), "control");
    assert_eq!(client.produce(spoilt(&|b| b.header.base_sequence = -1)).await, Err(InvalidRecord));
    assert_eq!(client.produce(spoilt(&|b| b.header.magic = 1)).await, Err(InvalidRecord));
    assert_eq!(client.produce(spoilt(&|b| b.header.count = 0)).await, Err(InvalidRecord), "empty");
    assert_eq!(client.produce(spoilt(&|b| b.header.base_timestamp = NOW + 7_200_000)).await, Err(InvalidTimestamp));
    assert_eq!(client.produce(good.clone().transactional().seal()).await, Err(TransactionalIdAuthorizationFailed));
    let two = [good.seal(), good.seal()].concat();
    assert_eq!(client.produce(two.into()).await, Err(InvalidRecord));
    let mut broken = good.seal().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce(broken.into()).await, Err(CorruptMessage));
    let keys = ["a"; 30];
    assert_eq!(client.produce(batch(7, 0, 0, &keys).seal()).await, Err(MessageTooLarge));
    assert_eq!(client.produce(good.seal()).await, Ok(0), "and the good one is taken");
}

#[tokio::test(start_paused = true)]
async fn compacted_topics_need_keys_and_log_append_time_stamps_anew() {
    let client = Client::with_topic(&[("cleanup.policy", "compact")]).await;
    assert_eq!(client.produce(batch(7, 0, 0, &["a", "-"]).seal()).await, Err(InvalidRecord));
    let told = client.produce_as(batch(7, 0, 0, &["a", "-"]).seal(), None, 12).await;
    assert_eq!(told.record_errors[0].batch_index, 1);
    let client = Client::with_topic(&[("message.timestamp.type", "LogAppendTime")]).await;
    let told = client.produce_as(batch(7, 0, 0, &["a"]).at(5).seal(), None, 13).await;
    assert_eq!((told.error_code, told.log_append_time_ms), (0, NOW));
    assert_eq!(client.list(NOW).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn every_codec_is_read_and_written() {
    for (codec, name) in [(Codec::Gzip, "gzip"), (Codec::Snappy, "snappy"), (Codec::Lz4, "lz4"), (Codec::Zstd, "zstd")]
    {
        let client = Client::with_topic(&[("cleanup.policy", "compact")]).await;
        assert_eq!(client.produce(batch(7, 0, 0, &["a", "b"]).compressed(codec).seal()).await, Ok(0), "{name}");
        let null = batch(7, 0, 2, &["-"]).compressed(codec).seal();
        assert_eq!(client.produce(null).await, Err(InvalidRecord), "{name}: it looks inside");
        let client = Client::with_topic(&[("compression.type", name)]).await;
        assert_eq!(client.produce(batch(7, 0, 0, &["a", "b"]).seal()).await, Ok(0), "{name}");
        let stored = super::support::headers(&client.fetch(0, false).await.records.unwrap());
        assert_eq!(stored[0].codec(), Some(codec));
    }
}

#[tokio::test(start_paused = true)]
async fn markers_take_an_offset_and_are_fenced_by_epochs() {
    let client = Client::with_topic(&[]).await;
    let marker = |producer_epoch, coordinator_epoch| Marker {
        producer_id: 7,
        producer_epoch,
        coordinator_epoch,
        is_commit: false,
    };
    let append = |marker| client.cluster.append_marker(TOPIC, 0, marker);
    assert_eq!(client.produce(batch(7, 0, 0, &["a"]).seal()).await, Ok(0));
    assert_eq!(append(marker(0, 5)), Ok(1));
    assert_eq!(client.produce(batch(7, 0, 1, &["b"]).seal()).await, Ok(2), "sequences go on undisturbed");
    assert_eq!(append(marker(0, 4)), Err(TransactionCoordinatorFenced));
    assert_eq!(append(marker(0, 5)), Ok(3), "an equal number appends again");
    assert_eq!(append(marker(1, 5)), Ok(4));
    assert_eq!(client.produce(batch(7, 0, 2, &["c"]).seal()).await, Err(InvalidProducerEpoch), "the fence");
    assert_eq!(client.produce(batch(7, 1, 2, &["c"]).seal()).await, Err(OutOfOrderSequenceNumber));
    assert_eq!(client.produce(batch(7, 1, 0, &["c"]).seal()).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn transactions_hold_the_last_stable_offset_back() {
    let client = Client::with_topic(&[]).await;
    let send =
        async |sequence| client.produce_as(batch(7, 0, sequence, &["a"]).transactional().seal(), Some("t"), 11).await;
    assert_eq!(send(0).await.error_code, InvalidProducerIdMapping.code(), "nobody has heard of this transactional id");
    client.cluster.announce_transaction(7, 0, TOPIC, 0);
    assert_eq!(send(0).await.error_code, 0);
    client.cluster.forget_transaction(7);
    assert_eq!(send(1).await.error_code, 0, "it is open here");
    assert_eq!(client.produce(batch(7, 0, 2, &["b"]).seal()).await, Err(InvalidTxnState));
    assert_eq!(client.produce(batch(-1, -1, -1, &["c"]).seal()).await, Ok(2));
    let got = client.fetch(0, true).await;
    assert_eq!((got.high_watermark, got.last_stable_offset, got.records.unwrap().len()), (3, 0, 0));
    let marker = Marker { producer_id: 7, producer_epoch: 0, coordinator_epoch: 0, is_commit: false };
    client.cluster.append_marker(TOPIC, 0, marker).unwrap();
    let got = client.fetch(0, true).await;
    assert_eq!((got.high_watermark, got.last_stable_offset), (4, 4));
    let aborted = got.aborted_transactions.unwrap();
    assert_eq!((aborted.len(), aborted[0].producer_id.0, aborted[0].first_offset), (1, 7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_response_is_an_unknown_outcome() {
    let client = Client::with_topic(&[]).await;
    client.cluster.add_rule(Rule::new(Action::DropResponse).api(ApiKey::Produce).after(1).times(1));
    client.cluster.add_rule(Rule::new(Action::Fail(NotEnoughReplicas)).api(ApiKey::Produce).after(1).times(1));
    assert_eq!(client.produce(batch(7, 0, 0, &["a"]).seal()).await, Ok(0));
    let second = batch(7, 0, 1, &["b"]).seal();
    let lost = tokio::time::timeout(Duration::from_secs(1), client.connection.closed());
    let _ = tokio::join!(lost, async {
        let other = Client::of(&client.cluster, 1).await;
        let request = kafka_protocol::messages::ProduceRequest::default();
        drop((other, request));
        let sending = Client { connection: client.connection.clone(), cluster: client.cluster.clone() };
        let sent = tokio::spawn({
            let second = second.clone();
            async move { sending.produce(second).await }
        });
        assert!(sent.await.is_err(), "the helper can't go on without an answer");
    });
    assert_eq!(client.cluster.partition(TOPIC, 0).unwrap().log_end, 2, "it was appended");
    let client = Client::of(&client.cluster, 1).await;
    assert_eq!(client.produce(second.clone()).await, Err(NotEnoughReplicas), "the next rule's turn");
    assert_eq!(client.produce(second).await, Ok(1), "and the retry is recognised");
    assert_eq!(client.cluster.rules_applied(), [1, 1]);
}
