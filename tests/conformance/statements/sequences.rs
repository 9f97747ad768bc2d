//! Sequences and producer epochs (`kafka-semantics.md` 1.2).

use super::statements;
use crate::batch::{Batch, now_ms};
use crate::world::{World, wait_until};

const OUT_OF_ORDER: i16 = 45;
const INVALID_EPOCH: i16 = 47;

fn a_producer_id_that_nobody_allocated_is_accepted_with_any_epoch_and_sequence(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 7, 1_000, 3), 0);
    world.lands(&topic, &Batch::of(id, 7, 1_003, 2), 3);
    let first_refused = world.produce(&topic, &Batch::of(id, 7, 0, 1));
    assert_eq!(first_refused.0, OUT_OF_ORDER);
}

fn each_of_the_last_five_batches_is_recognised_and_answered_with_its_old_offset(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    for batch in 0..6 {
        world.lands(&topic, &Batch::of(id, 0, batch * 2, 2), i64::from(batch) * 2);
    }
    for batch in 1..6 {
        assert_eq!(world.produce(&topic, &Batch::of(id, 0, batch * 2, 2)), (0, i64::from(batch) * 2));
    }
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 0, 2)).0, OUT_OF_ORDER);
    assert_eq!(world.log_end(&topic), 12);
}

fn ranges_are_compared_and_not_bytes(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 2), 0);
    let mut other = Batch::of(id, 0, 0, 2);
    other.values = vec!["something".to_owned(), "else".to_owned()];
    assert_eq!(world.produce(&topic, &other), (0, 0));
    assert_eq!(world.log_end(&topic), 2);
}

fn gaps_and_overlaps_are_refused_and_nothing_is_appended(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 4), 0);
    for (sequence, count) in [(5, 1), (0, 3), (0, 5), (2, 2), (3, 1), (3, 2)] {
        let refused = world.produce(&topic, &Batch::of(id, 0, sequence, count));
        assert_eq!(refused.0, OUT_OF_ORDER, "{count} from {sequence}");
    }
    assert_eq!(world.log_end(&topic), 4);
    world.lands(&topic, &Batch::of(id, 0, 4, 1), 4);
}

fn sequences_go_on_with_0_after_the_largest(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, i32::MAX - 4, 4), 0);
    world.lands(&topic, &Batch::of(id, 0, i32::MAX, 3), 4);
    world.lands(&topic, &Batch::of(id, 0, 2, 1), 7);
    let other = world.foreign_producer_id();
    world.lands(&topic, &Batch::of(other, 0, i32::MAX, 1), 8);
    world.lands(&topic, &Batch::of(other, 0, 0, 1), 9);
}

fn another_connection_and_a_foreign_writer_disturb_nothing(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 2), 0);
    world.lands(&topic, &Batch::plain(&["foreign"]), 2);
    let foreign = world.foreign_producer_id();
    world.lands(&topic, &Batch::of(foreign, 3, 9, 1), 3);
    world.wire = world.connect();
    world.lands(&topic, &Batch::of(id, 0, 2, 2), 4);
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 0, 2)), (0, 0));
}

fn a_new_epoch_begins_with_0_and_ends_the_old_one(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 3, 0, 2), 0);
    assert_eq!(world.produce(&topic, &Batch::of(id, 4, 2, 1)).0, OUT_OF_ORDER);
    world.lands(&topic, &Batch::of(id, 3, 2, 1), 2);
    world.lands(&topic, &Batch::of(id, 4, 0, 1), 3);
    assert_eq!(world.produce(&topic, &Batch::of(id, 3, 3, 1)).0, INVALID_EPOCH);
    // Not even a batch that was appended is recognised any more.
    assert_eq!(world.produce(&topic, &Batch::of(id, 3, 2, 1)).0, INVALID_EPOCH);
    assert_eq!(world.log_end(&topic), 4);
}

fn without_a_producer_id_nothing_is_compared(world: &mut World) {
    let topic = world.topic();
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    world.lands(&topic, &Batch::plain(&["a"]), 1);
    let negative = Batch { producer_id: -5, producer_epoch: 3, sequence: 9, ..Batch::plain(&["a"]) };
    world.lands(&topic, &negative, 2);
    world.lands(&topic, &negative, 3);
    assert!(world.producers(&topic).is_empty());
}

fn producers_are_described_with_epoch_and_last_sequence(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    let stamp = now_ms() - 5_000;
    world.lands(&topic, &Batch::of(id, 2, 0, 5).stamped(stamp), 0);
    let state = world.producer(&topic, id).expect("a producer");
    assert_eq!((state.producer_epoch, state.last_sequence, state.last_timestamp), (2, 4, stamp));
    assert_eq!((state.coordinator_epoch, state.current_txn_start_offset), (-1, -1));
}

fn deleting_records_leaves_what_is_known_of_producers(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 5), 0);
    assert_eq!(world.delete_records(&topic, 5), (0, 5));
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 9, 1)).0, OUT_OF_ORDER);
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 0, 5)), (0, 0));
    world.lands(&topic, &Batch::of(id, 0, 5, 1), 5);
}

fn two_writers_with_the_same_sequence_cannot_both_land(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 10), 0);
    world.lands(&topic, &Batch::of(id, 0, 10, 5), 10);
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 10, 4)).0, OUT_OF_ORDER);
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 10, 5)), (0, 10));
    assert_eq!(world.log_end(&topic), 15);
}

statements!(
    a_producer_id_that_nobody_allocated_is_accepted_with_any_epoch_and_sequence,
    each_of_the_last_five_batches_is_recognised_and_answered_with_its_old_offset,
    ranges_are_compared_and_not_bytes,
    gaps_and_overlaps_are_refused_and_nothing_is_appended,
    sequences_go_on_with_0_after_the_largest,
    another_connection_and_a_foreign_writer_disturb_nothing,
    a_new_epoch_begins_with_0_and_ends_the_old_one,
    without_a_producer_id_nothing_is_compared,
    producers_are_described_with_epoch_and_last_sequence,
    deleting_records_leaves_what_is_known_of_producers,
    two_writers_with_the_same_sequence_cannot_both_land,
);

fn a_producer_whose_records_are_old_is_forgotten_and_its_retry_lands_again(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    let old = Batch::of(id, 0, 0, 2).stamped(now_ms() - 3_600_000);
    world.lands(&topic, &old, 0);
    wait_until("the producer to be forgotten", || world.producer(&topic, id).is_none().then_some(()));
    world.lands(&topic, &old, 2);
}

fn records_of_the_future_keep_their_producer_known(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 2).stamped(now_ms() + 1_800_000), 0);
    let other = world.foreign_producer_id();
    world.lands(&topic, &Batch::of(other, 0, 0, 1), 2);
    wait_until("the other one to be forgotten", || world.producer(&topic, other).is_none().then_some(()));
    assert!(world.producer(&topic, id).is_some());
}

statements!(
    &crate::runs::FORGETFUL;
    forgetful: a_producer_whose_records_are_old_is_forgotten_and_its_retry_lands_again,
    records_of_the_future_keep_their_producer_known,
);
