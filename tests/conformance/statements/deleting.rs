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

statements!(
    records_are_deleted_up_to_an_offset_and_never_come_back,
    minus_one_is_the_high_watermark_and_nothing_is_beyond_it,
    compacted_topics_refuse_it_unless_they_delete_too,
    a_deleted_topic_has_no_records_to_delete,
    retention_takes_what_is_old_by_its_own_timestamps,
);
