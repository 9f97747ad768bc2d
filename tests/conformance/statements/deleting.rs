//! DeleteRecords, and where retention and the log start lead.

use super::statements;
use crate::batch::{Batch, now_ms};
use crate::world::{World, wait_until};

const OFFSET_OUT_OF_RANGE: i16 = 1;
const POLICY_VIOLATION: i16 = 44;

fn filled(world: &mut World, configs: &[(&str, &str)]) -> String {
    let topic = world.topic_with(1, configs);
    world.lands(&topic, &Batch::plain(&["a", "b", "c", "d"]), 0);
    world.lands(&topic, &Batch::plain(&["e", "f"]), 4);
    topic
}

fn records_are_deleted_up_to_an_offset_and_never_come_back(world: &mut World) {
    let topic = filled(world, &[]);
    assert_eq!(world.delete_records(&topic, 2), (0, 2));
    assert_eq!(world.log_start(&topic), 2);
    assert_eq!(world.fetch(&topic, 1, 0).error_code, OFFSET_OUT_OF_RANGE);
    // The batch is whole still; it is the client's to skip what lies before.
    assert_eq!(world.batches(&topic, 2, 0)[0].base_offset, 0);
    assert_eq!(world.delete_records(&topic, 1), (0, 2));
    assert_eq!(world.log_start(&topic), 2);
}

fn minus_one_is_the_high_watermark_and_nothing_is_beyond_it(world: &mut World) {
    let topic = filled(world, &[]);
    assert_eq!(world.delete_records(&topic, 7).0, OFFSET_OUT_OF_RANGE);
    assert_eq!(world.delete_records(&topic, -2).0, OFFSET_OUT_OF_RANGE);
    assert_eq!(world.delete_records(&topic, -1), (0, 6));
    assert_eq!((world.log_start(&topic), world.high_watermark(&topic), world.log_end(&topic)), (6, 6, 6));
    world.lands(&topic, &Batch::plain(&["g"]), 6);
}

fn compacted_topics_refuse_it_unless_they_delete_too(world: &mut World) {
    let compacted = filled(world, &[("cleanup.policy", "compact")]);
    assert_eq!(world.delete_records(&compacted, 2).0, POLICY_VIOLATION);
    let both = filled(world, &[("cleanup.policy", "compact,delete")]);
    assert_eq!(world.delete_records(&both, 2), (0, 2));
}

fn a_deleted_topic_has_no_records_to_delete(world: &mut World) {
    let topic = world.topic();
    world.delete_topic(&topic);
    assert_eq!(world.delete_records(&topic, 0).0, 3);
}

fn retention_takes_what_is_old_by_its_own_timestamps(world: &mut World) {
    let topic = world.topic_with(1, &[("retention.ms", "3600000")]);
    let old = Batch::plain(&["a", "b"]).stamped(now_ms() - 86_400_000);
    world.lands(&topic, &old, 0);
    wait_until("retention", || (world.log_start(&topic) == 2).then_some(()));
    assert_eq!((world.high_watermark(&topic), world.fetch(&topic, 0, 0).error_code), (2, OFFSET_OUT_OF_RANGE));
    world.lands(&topic, &Batch::plain(&["c"]), 2);
}

fn compaction_leaves_holes_and_the_last_batch_of_each_producer(world: &mut World) {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "500"),
    ];
    let topic = world.topic_with(1, &configs);
    let (first, second) = (world.foreign_producer_id(), world.foreign_producer_id());
    // All records have one key, so each takes the place of the one before.
    world.lands(&topic, &Batch::of(first, 0, 0, 3), 0);
    world.lands(&topic, &Batch::of(first, 0, 3, 2), 3);
    world.lands(&topic, &Batch::of(second, 0, 0, 4), 5);
    let batches = wait_until("compaction", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        // The segment that is written to is left alone.
        let (code, _) = world.produce(&topic, &Batch::plain(&["a"]));
        assert_eq!(code, 0);
        let batches = world.batches(&topic, 0, 0);
        (batches[0].base_offset > 0).then_some(batches)
    });
    let of = |id: i64| *batches.iter().find(|batch| batch.producer_id == id).expect("a batch of each producer");
    // Empty, and there still: it says how far the producer was.
    let (empty, other) = (of(first), of(second));
    assert_eq!((empty.base_offset, empty.last_offset(), empty.count, empty.sequence), (3, 4, 0, 3));
    assert!(other.last_offset() == 8 && other.count <= 1, "{other:?}");
    let state = world.producer(&topic, first).expect("a producer");
    assert_eq!(state.last_sequence, 4);
    assert_eq!(world.produce(&topic, &Batch::of(first, 0, 3, 2)), (0, 3));
}

statements!(
    compaction_leaves_holes_and_the_last_batch_of_each_producer,
    records_are_deleted_up_to_an_offset_and_never_come_back,
    minus_one_is_the_high_watermark_and_nothing_is_beyond_it,
    compacted_topics_refuse_it_unless_they_delete_too,
    a_deleted_topic_has_no_records_to_delete,
    retention_takes_what_is_old_by_its_own_timestamps,
);
