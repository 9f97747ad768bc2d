//! Frames that no client sends.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader};
use kafka_protocol::protocol::Encodable;

use super::statements;
use crate::world::{World, text};

/// The APIs of the coordinators, with a version of each.
const COORDINATORS: [(i16, i16); 14] = [
    (8, 8),
    (9, 8),
    (11, 9),
    (12, 4),
    (13, 4),
    (14, 5),
    (15, 5),
    (16, 4),
    (22, 4),
    (24, 3),
    (25, 3),
    (26, 3),
    (28, 3),
    (42, 2),
];

fn frame(key: i16, version: i16, body: &[u8]) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(text("hostile")));
    let is_flexible = !matches!((key, version), (8, ..8) | (9, ..6));
    let mut bytes = BytesMut::new();
    bytes.put_i32(0);
    header.encode(&mut bytes, if is_flexible { 2 } else { 1 }).unwrap();
    bytes.put_slice(body);
    let length = i32::try_from(bytes.len() - 4).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn still_serves(world: &mut World) {
    let answer = world.connect().call(&ApiVersionsRequest::default(), 0);
    assert_eq!(answer.error_code, 0);
}

fn counts_that_lie_are_no_reason_to_set_memory_aside(world: &mut World) {
    for (key, version) in COORDINATORS {
        // Every length in it is the largest that a varint can hold.
        for body in [vec![0xff; 64], [0xff, 0xff, 0xff, 0xff, 0x07].repeat(20), vec![0x7f; 9], Vec::new()] {
            let mut wire = world.connect();
            wire.send_raw(&frame(key, version, &body));
            assert!(wire.is_closed(), "API {key} after {} bytes", body.len());
        }
    }
    still_serves(world);
}

fn frames_of_no_length_and_of_any_end_the_connection(world: &mut World) {
    for length in [-1, i32::MIN, i32::MAX] {
        let mut wire = world.connect();
        wire.send_raw(&length.to_be_bytes());
        wire.send_raw(&[0; 100]);
        assert!(wire.is_closed(), "a frame of {length} bytes");
    }
    still_serves(world);
}

fn unknown_apis_end_the_connection(world: &mut World) {
    for (key, version) in [(999, 0), (-1, 0), (11, 99), (26, -1)] {
        let mut wire = world.connect();
        wire.send_raw(&frame(key, version, &[0; 10]));
        assert!(wire.is_closed(), "API {key} {version}");
    }
    still_serves(world);
}

statements!(
    counts_that_lie_are_no_reason_to_set_memory_aside,
    frames_of_no_length_and_of_any_end_the_connection,
    unknown_apis_end_the_connection,
);
