//! Fetch, ListOffsets, OffsetForLeaderEpoch (`kafka-semantics.md` 1.5 and 1.6).

use std::time::{Duration, Instant};

use super::statements;
use crate::batch::{Batch, now_ms};
use crate::world::{World, fetch_partition, fetch_request, topic_name};

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

fn offsets_are_listed_by_place_and_by_time(world: &mut World) {
    let topic = world.topic_with(1, &[("retention.ms", "-1")]);
    let empty = world.list_offset(&topic, -1, 0);
    assert_eq!((empty.error_code, empty.offset, empty.timestamp), (0, 0, -1));
    assert_eq!(world.list_offset(&topic, 0, 0).offset, -1);
    let start = now_ms() - 100_000;
    for (i, offset) in (0..4).zip([0, 2, 4, 6]) {
        world.lands(&topic, &Batch::plain(&["a", "b"]).stamped(start + i * 1_000), offset);
    }
    assert_eq!((world.log_start(&topic), world.high_watermark(&topic), world.last_stable_offset(&topic)), (0, 8, 8));
    for (timestamp, offset) in [(0, 0), (start, 0), (start + 1, 2), (start + 1_000, 2), (start + 3_000, 6)] {
        let found = world.list_offset(&topic, timestamp, 0);
        assert_eq!((found.error_code, found.offset), (0, offset), "at {}", timestamp - start);
        assert_eq!(found.timestamp, start + offset / 2 * 1_000);
    }
    let past = world.list_offset(&topic, start + 3_001, 0);
    assert_eq!((past.error_code, past.offset, past.timestamp), (0, -1, -1));
    assert_eq!(world.list_offset(&topic, -1, 0).leader_epoch, 0);
}

fn the_largest_timestamp_is_found_by_its_offset(world: &mut World) {
    let topic = world.topic();
    let now = now_ms();
    world.lands(&topic, &Batch::plain(&["a"]).stamped(now - 1_000), 0);
    world.lands(&topic, &Batch::plain(&["b"]).stamped(now), 1);
    world.lands(&topic, &Batch::plain(&["c"]).stamped(now - 500), 2);
    let found = world.list_offset(&topic, -3, 0);
    assert_eq!((found.error_code, found.offset, found.timestamp), (0, 1, now));
}

fn the_end_of_an_epoch_is_the_log_end(world: &mut World) {
    let topic = world.topic();
    let empty = world.end_of_epoch(&topic, 0, -1);
    assert_eq!((empty.error_code, empty.leader_epoch, empty.end_offset), (0, 0, 0));
    world.lands(&topic, &Batch::plain(&["a", "b"]), 0);
    let end = world.end_of_epoch(&topic, 0, 0);
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (0, 0, 2));
    let unknown = world.end_of_epoch(&topic, 5, -1);
    assert_eq!((unknown.error_code, unknown.leader_epoch, unknown.end_offset), (0, -1, -1));
    assert_eq!(world.end_of_epoch(&topic, 0, 7).error_code, UNKNOWN_LEADER_EPOCH);
}

fn a_fetch_answers_whole_batches_and_no_offset_beyond_the_end(world: &mut World) {
    let topic = world.topic();
    world.lands(&topic, &Batch::plain(&["a", "b", "c"]), 0);
    world.lands(&topic, &Batch::plain(&["d"]), 3);
    let batches = world.batches(&topic, 1, 0);
    assert_eq!(batches.iter().map(|batch| batch.base_offset).collect::<Vec<_>>(), [0, 3]);
    assert_eq!((batches[0].leader_epoch, batches[0].last_offset()), (0, 2));
    let end = world.fetch(&topic, 4, 0);
    assert_eq!((end.error_code, end.high_watermark, end.last_stable_offset, end.log_start_offset), (0, 4, 4, 0));
    assert!(end.records.unwrap_or_default().is_empty());
    for offset in [5, 1_000, -5] {
        let beyond = world.fetch(&topic, offset, 0);
        assert_eq!(beyond.error_code, OFFSET_OUT_OF_RANGE, "at {offset}");
        assert_eq!(beyond.high_watermark, -1);
    }
}

fn the_first_batch_comes_however_small_the_limit(world: &mut World) {
    let topic = world.topic();
    let large = "x".repeat(5_000);
    world.lands(&topic, &Batch::plain(&[&large]), 0);
    world.lands(&topic, &Batch::plain(&[&large]), 1);
    let partition = fetch_partition(0).with_partition_max_bytes(10);
    let topic = kafka_protocol::messages::fetch_request::FetchTopic::default()
        .with_topic(topic_name(&topic))
        .with_partitions(vec![partition]);
    let response = world.wire.call(&fetch_request(vec![topic]), 12);
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(crate::batch::headers(records).len(), 1);
}

fn a_fetch_waits_for_data_and_no_longer_than_it_may(world: &mut World) {
    let topic = world.topic();
    let begin = Instant::now();
    world.fetch_with(&topic, 0, 0, |request| request.with_max_wait_ms(400).with_min_bytes(1));
    assert!(begin.elapsed() >= Duration::from_millis(390), "{:?}", begin.elapsed());
    let mut other = world.connect();
    let wanted = kafka_protocol::messages::fetch_request::FetchTopic::default()
        .with_topic(topic_name(&topic))
        .with_partitions(vec![fetch_partition(0)]);
    let promise = other.send(&fetch_request(vec![wanted]).with_max_wait_ms(20_000).with_min_bytes(1), 12);
    assert!(other.is_silent());
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    let begin = Instant::now();
    let response = other.receive(&promise);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
}

fn leader_epochs_of_the_client_are_checked(world: &mut World) {
    let topic = world.topic();
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    let fetch = |world: &mut World, current: i32, last: i32, offset: i64| {
        let partition = fetch_partition(offset).with_current_leader_epoch(current).with_last_fetched_epoch(last);
        let topic = kafka_protocol::messages::fetch_request::FetchTopic::default()
            .with_topic(topic_name(&topic))
            .with_partitions(vec![partition]);
        world.wire.call(&fetch_request(vec![topic]), 12).responses.remove(0).partitions.remove(0)
    };
    assert_eq!(fetch(world, 0, 0, 0).error_code, 0);
    assert_eq!(fetch(world, 3, -1, 0).error_code, UNKNOWN_LEADER_EPOCH);
    let far = fetch(world, 0, 0, 1);
    assert_eq!((far.error_code, far.diverging_epoch.end_offset), (0, -1));
    // A client that has seen more of the epoch than there is was cut off.
    let diverged = fetch(world, 0, 0, 9);
    assert_eq!((diverged.error_code, diverged.diverging_epoch.epoch, diverged.diverging_epoch.end_offset), (0, 0, 1));
    assert!(diverged.records.unwrap_or_default().is_empty());
}

fn unknown_topics_and_ids_are_told_as_such(world: &mut World) {
    let topic = world.topic();
    let id = world.topic_id(&topic);
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    let by_id = |world: &mut World, id: uuid::Uuid| {
        let wanted = kafka_protocol::messages::fetch_request::FetchTopic::default()
            .with_topic_id(id)
            .with_partitions(vec![fetch_partition(0)]);
        let mut response = world.wire.call(&fetch_request(vec![wanted]), 13);
        assert_eq!(response.error_code, 0);
        response.responses.remove(0).partitions.remove(0)
    };
    assert_eq!(by_id(world, id).high_watermark, 1);
    assert_eq!(by_id(world, uuid::Uuid::from_u128(77)).error_code, 100);
    world.delete_topic(&topic);
    assert_eq!(world.fetch(&topic, 0, 0).error_code, 3);
    assert_eq!(by_id(world, id).error_code, 100);
    assert_eq!(world.list_offset(&topic, -1, 0).error_code, 3);
    assert_eq!(world.end_of_epoch(&topic, 0, -1).error_code, 3);
}

statements!(
    offsets_are_listed_by_place_and_by_time,
    the_largest_timestamp_is_found_by_its_offset,
    the_end_of_an_epoch_is_the_log_end,
    a_fetch_answers_whole_batches_and_no_offset_beyond_the_end,
    the_first_batch_comes_however_small_the_limit,
    a_fetch_waits_for_data_and_no_longer_than_it_may,
    leader_epochs_of_the_client_are_checked,
    unknown_topics_and_ids_are_told_as_such,
);
