//! What a broker takes at all (`kafka-semantics.md` 1.1 and 1.3), and in which order it looks.

use bytes::BytesMut;

use super::statements;
use crate::batch::{Batch, CONTROL, LOG_APPEND_TIME, now_ms};
use crate::world::World;

const CORRUPT: i16 = 2;
const TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const INVALID_RECORD: i16 = 87;

fn refused(world: &mut World, topic: &str, batch: &Batch) -> i16 {
    let before = world.log_end(topic);
    let (code, offset) = world.produce(topic, batch);
    assert_eq!((offset, world.log_end(topic)), (-1, before), "nothing is appended");
    code
}

fn the_base_offset_must_be_0(world: &mut World) {
    let topic = world.topic();
    let batch = Batch { base_offset: 5, ..Batch::plain(&["a"]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_RECORD);
}

fn the_checksum_must_be_right(world: &mut World) {
    let topic = world.topic();
    let batch = Batch { crc_change: 1, ..Batch::plain(&["a"]) };
    assert_eq!(refused(world, &topic, &batch), CORRUPT);
}

fn counts_must_agree(world: &mut World) {
    let topic = world.topic();
    let plain = Batch::plain(&["a", "b"]);
    for (count, delta) in [(Some(1), None), (Some(3), None), (None, Some(5)), (Some(3), Some(2)), (Some(1), Some(0))] {
        let batch = Batch { count, last_offset_delta: delta, ..plain.clone() };
        assert_eq!(refused(world, &topic, &batch), INVALID_RECORD, "{count:?} {delta:?}");
    }
}

fn a_batch_without_records_is_refused(world: &mut World) {
    let topic = world.topic();
    let batch = Batch { last_offset_delta: Some(0), ..Batch::plain(&[]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_RECORD);
    let batch = Batch { last_offset_delta: Some(-1), ..Batch::plain(&[]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_RECORD);
}

fn clients_write_no_control_records(world: &mut World) {
    let topic = world.topic();
    let batch = Batch { attributes: CONTROL, ..Batch::plain(&["a"]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_RECORD);
}

fn a_producer_id_needs_a_sequence(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    assert_eq!(refused(world, &topic, &Batch::of(id, 0, -1, 1)), INVALID_RECORD);
}

fn one_batch_a_partition(world: &mut World) {
    let topic = world.topic();
    let mut two = BytesMut::from(Batch::plain(&["a"]).bytes().as_ref());
    two.extend_from_slice(&Batch::plain(&["b"]).bytes());
    assert_eq!(world.produce_bytes(&topic, two.freeze()).0, INVALID_RECORD);
    assert_eq!(world.log_end(&topic), 0);
}

fn a_batch_may_be_as_large_as_the_topic_says(world: &mut World) {
    let topic = world.topic_with(1, &[("max.message.bytes", "1000")]);
    let batch = Batch::plain(&[&"x".repeat(2_000)]);
    assert_eq!(refused(world, &topic, &batch), TOO_LARGE);
    let frame = Batch::plain(&[""]).bytes().len();
    let exact = Batch::plain(&[&"x".repeat(1_000 - frame - 2)]);
    assert_eq!(exact.bytes().len(), 1_000);
    world.lands(&topic, &exact, 0);
}

fn timestamps_may_be_old_or_missing_but_not_far_ahead(world: &mut World) {
    let topic = world.topic_with(1, &[("message.timestamp.after.max.ms", "3600000"), ("retention.ms", "-1")]);
    world.lands(&topic, &Batch::plain(&["a"]).stamped(1_000_000), 0);
    world.lands(&topic, &Batch::plain(&["a"]).stamped(-1), 1);
    world.lands(&topic, &Batch::plain(&["a"]).stamped(now_ms() + 1_800_000), 2);
    assert_eq!(refused(world, &topic, &Batch::plain(&["a"]).stamped(now_ms() + 7_200_000)), INVALID_TIMESTAMP);
    let narrow = world.topic_with(1, &[("message.timestamp.before.max.ms", "60000")]);
    assert_eq!(refused(world, &narrow, &Batch::plain(&["a"]).stamped(now_ms() - 120_000)), INVALID_TIMESTAMP);
}

fn log_append_time_is_the_brokers_to_set(world: &mut World) {
    let topic = world.topic_with(1, &[("message.timestamp.type", "LogAppendTime")]);
    let batch = Batch { attributes: LOG_APPEND_TIME, ..Batch::plain(&["a"]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_TIMESTAMP);
    // Clocks tick in whole milliseconds, each in its own.
    let before = now_ms() - 5;
    world.lands(&topic, &Batch::plain(&["a"]).stamped(1_000), 0);
    let stored = world.batches(&topic, 0, 0)[0];
    assert!(stored.attributes & LOG_APPEND_TIME != 0 && stored.max_timestamp >= before, "{stored:?}");
}

fn compacted_topics_want_keys(world: &mut World) {
    let topic = world.topic_with(1, &[("cleanup.policy", "compact")]);
    let batch = Batch { has_keys: false, ..Batch::plain(&["a"]) };
    assert_eq!(refused(world, &topic, &batch), INVALID_RECORD);
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    let both = world.topic_with(1, &[("cleanup.policy", "compact,delete")]);
    assert_eq!(refused(world, &both, &batch), INVALID_RECORD);
}

fn whether_a_batch_is_a_duplicate_is_looked_at_last(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    let batch = Batch::of(id, 0, 0, 3);
    world.lands(&topic, &batch, 0);
    let broken = Batch { crc_change: 1, ..batch.clone() };
    assert_eq!(world.produce(&topic, &broken).0, CORRUPT);
    world.set_topic_config(&topic, "max.message.bytes", "80");
    let refusals = crate::world::wait_until("the new limit", || {
        let (code, _) = world.produce(&topic, &batch);
        (code != 0).then_some(code)
    });
    assert_eq!(refusals, TOO_LARGE);
    world.set_topic_config(&topic, "max.message.bytes", "100000");
    crate::world::wait_until("the old limit", || (world.produce(&topic, &batch) == (0, 0)).then_some(()));
}

fn an_unknown_partition_is_told_as_such(world: &mut World) {
    let topic = world.topic();
    world.delete_topic(&topic);
    assert_eq!(world.produce(&topic, &Batch::plain(&["a"])), (3, -1));
}

statements!(
    the_base_offset_must_be_0,
    the_checksum_must_be_right,
    counts_must_agree,
    a_batch_without_records_is_refused,
    clients_write_no_control_records,
    a_producer_id_needs_a_sequence,
    one_batch_a_partition,
    a_batch_may_be_as_large_as_the_topic_says,
    timestamps_may_be_old_or_missing_but_not_far_ahead,
    log_append_time_is_the_brokers_to_set,
    compacted_topics_want_keys,
    whether_a_batch_is_a_duplicate_is_looked_at_last,
    an_unknown_partition_is_told_as_such,
);
