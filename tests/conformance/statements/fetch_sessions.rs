//! Incremental fetch sessions (KIP-227).

use kafka_protocol::messages::fetch_request::{FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use uuid::Uuid;

use super::statements;
use crate::batch::Batch;
use crate::world::{World, fetch_partition, fetch_request};

const SESSION_NOT_FOUND: i16 = 70;
const INVALID_SESSION_EPOCH: i16 = 71;

struct Session {
    topics: [(String, Uuid); 2],
    id: i32,
}

fn wanted(id: Uuid, offset: i64) -> FetchTopic {
    FetchTopic::default().with_topic_id(id).with_partitions(vec![fetch_partition(offset)])
}

fn step(world: &mut World, session_id: i32, epoch: i32, topics: Vec<FetchTopic>) -> FetchResponse {
    call(world, &fetch_request(topics).with_session_id(session_id).with_session_epoch(epoch))
}

fn call(world: &mut World, request: &FetchRequest) -> FetchResponse {
    world.wire.call(request, 13)
}

/// A session of two topics with one record each, of which nothing was read yet.
fn open(world: &mut World) -> Session {
    let names = [world.topic(), world.topic()];
    let topics = names.map(|name| {
        world.lands(&name, &Batch::plain(&["a"]), 0);
        let id = world.topic_id(&name);
        (name, id)
    });
    let first = step(world, 0, 0, topics.iter().map(|(_, id)| wanted(*id, 1)).collect());
    assert_eq!((first.error_code, first.responses.len()), (0, 2));
    assert_ne!(first.session_id, 0);
    Session { topics, id: first.session_id }
}

fn changed(response: &FetchResponse) -> Vec<Uuid> {
    response.responses.iter().map(|topic| topic.topic_id).collect()
}

fn a_session_tells_only_what_has_changed(world: &mut World) {
    let session = open(world);
    let nothing = step(world, session.id, 1, Vec::new());
    assert_eq!((nothing.error_code, nothing.session_id, changed(&nothing)), (0, session.id, vec![]));
    world.lands(&session.topics[1].0, &Batch::plain(&["b"]), 1);
    let one = step(world, session.id, 2, Vec::new());
    assert_eq!(changed(&one), [session.topics[1].1]);
    let moved = step(world, session.id, 3, vec![wanted(session.topics[1].1, 2)]);
    assert!(changed(&moved).is_empty());
}

fn data_that_was_not_passed_comes_again(world: &mut World) {
    let session = open(world);
    world.lands(&session.topics[0].0, &Batch::plain(&["b"]), 1);
    for epoch in 1..4 {
        let again = step(world, session.id, epoch, Vec::new());
        assert_eq!(changed(&again), [session.topics[0].1]);
    }
}

fn a_new_high_watermark_alone_is_told_too(world: &mut World) {
    let session = open(world);
    let (name, id) = &session.topics[0];
    world.delete_records(name, 1);
    let told = step(world, session.id, 1, Vec::new());
    assert_eq!(changed(&told), [*id]);
    assert_eq!(told.responses[0].partitions[0].log_start_offset, 1);
    assert!(changed(&step(world, session.id, 2, Vec::new())).is_empty());
}

fn forgotten_partitions_are_told_no_more(world: &mut World) {
    let session = open(world);
    let forgotten = ForgottenTopic::default().with_topic_id(session.topics[0].1).with_partitions(vec![0]);
    let request = fetch_request(Vec::new()).with_session_id(session.id).with_session_epoch(1);
    call(world, &request.with_forgotten_topics_data(vec![forgotten]));
    world.lands(&session.topics[0].0, &Batch::plain(&["b"]), 1);
    world.lands(&session.topics[1].0, &Batch::plain(&["b"]), 1);
    assert_eq!(changed(&step(world, session.id, 2, Vec::new())), [session.topics[1].1]);
}

fn epochs_and_ids_of_sessions_must_be_right(world: &mut World) {
    let session = open(world);
    assert_eq!(step(world, session.id, 5, Vec::new()).error_code, INVALID_SESSION_EPOCH);
    assert_eq!(step(world, session.id, 1, Vec::new()).error_code, 0);
    assert_eq!(step(world, session.id, 1, Vec::new()).error_code, INVALID_SESSION_EPOCH);
    assert_eq!(step(world, session.id ^ 0x55, 2, Vec::new()).error_code, SESSION_NOT_FOUND);
    let whole = step(world, session.id, -1, vec![wanted(session.topics[0].1, 0)]);
    assert_eq!((whole.error_code, whole.session_id), (0, 0));
    assert_eq!(step(world, session.id, 2, Vec::new()).error_code, SESSION_NOT_FOUND);
}

fn errors_of_a_session_come_every_time(world: &mut World) {
    let session = open(world);
    for epoch in 1..4 {
        let out_of_range = step(world, session.id, epoch, vec![wanted(session.topics[0].1, 99)]);
        assert_eq!(changed(&out_of_range), [session.topics[0].1]);
        assert_eq!(out_of_range.responses[0].partitions[0].error_code, 1);
    }
}

statements!(
    a_session_tells_only_what_has_changed,
    data_that_was_not_passed_comes_again,
    a_new_high_watermark_alone_is_told_too,
    forgotten_partitions_are_told_no_more,
    epochs_and_ids_of_sessions_must_be_right,
    errors_of_a_session_come_every_time,
);
