//! `WriteTxnMarkers`, by a client that may (`kafka-semantics.md` 1.5).

use super::statements;
use crate::batch::Batch;
use crate::world::{Marker, World};

const INVALID_EPOCH: i16 = 47;
const COORDINATOR_FENCED: i16 = 52;

fn abort(producer_id: i64, epoch: i16, coordinator_epoch: i32) -> Marker {
    Marker { producer_id, epoch, is_commit: false, coordinator_epoch }
}

fn a_marker_takes_one_offset_and_the_sequence_goes_on(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 2), 0);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 0)]), [0]);
    world.lands(&topic, &Batch::of(id, 0, 2, 2), 3);
    let batches = world.batches(&topic, 0, 1);
    let marker = batches[1];
    assert!(marker.is_control() && marker.count == 1 && marker.producer_id == id, "{marker:?}");
    assert_eq!((marker.base_offset, marker.last_offset(), marker.sequence), (2, 2, -1));
    assert!(world.fetch(&topic, 0, 1).aborted_transactions.unwrap_or_default().is_empty());
}

fn markers_of_several_producers_in_one_request_take_one_offset_each(world: &mut World) {
    let topic = world.topic();
    let first = world.foreign_producer_id();
    let markers: Vec<Marker> = (0..10).map(|i| abort(first + 100 + i, 0, 0)).collect();
    assert_eq!(world.write_markers(&topic, &markers), vec![0; 10]);
    assert_eq!(world.log_end(&topic), 10);
    assert_eq!(world.last_stable_offset(&topic), 10);
}

fn lower_coordinator_epochs_are_refused_and_equal_ones_append_again(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 5)]), [0]);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 4)]), [COORDINATOR_FENCED]);
    assert_eq!(world.log_end(&topic), 1);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 5)]), [0]);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 6)]), [0]);
    assert_eq!(world.log_end(&topic), 3);
    assert_eq!(world.producer(&topic, id).unwrap().coordinator_epoch, 6);
}

fn a_marker_with_a_higher_epoch_fences_the_writer(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.lands(&topic, &Batch::of(id, 0, 0, 2), 0);
    assert_eq!(world.write_markers(&topic, &[abort(id, 1, 0)]), [0]);
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 2, 1)).0, INVALID_EPOCH);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 0)]), [INVALID_EPOCH]);
    assert_eq!(world.produce(&topic, &Batch::of(id, 1, 2, 1)).0, 45);
    world.lands(&topic, &Batch::of(id, 1, 0, 1), 3);
}

fn a_marker_alone_leaves_a_producer_whose_sequence_begins_with_0(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 0)]), [0]);
    let state = world.producer(&topic, id).expect("a producer");
    assert_eq!((state.producer_epoch, state.last_sequence), (0, -1));
    assert_eq!(world.produce(&topic, &Batch::of(id, 0, 7, 1)).0, 45);
    world.lands(&topic, &Batch::of(id, 0, 0, 1), 1);
}

fn a_marker_for_an_unknown_partition_is_told_as_such(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    world.delete_topic(&topic);
    assert_eq!(world.write_markers(&topic, &[abort(id, 0, 0)]), [3]);
}

statements!(
    a_marker_takes_one_offset_and_the_sequence_goes_on,
    markers_of_several_producers_in_one_request_take_one_offset_each,
    lower_coordinator_epochs_are_refused_and_equal_ones_append_again,
    a_marker_with_a_higher_epoch_fences_the_writer,
    a_marker_alone_leaves_a_producer_whose_sequence_begins_with_0,
    a_marker_for_an_unknown_partition_is_told_as_such,
);
