//! Keys and values as MirrorMaker writes them. Pure.
//!
//! Kafka's old primitive types, big-endian: a string is its length in bytes (two bytes) and UTF-8, never null.

use bytes::{BufMut, Bytes, BytesMut};

use super::GroupPosition;
use super::syncs::OffsetSync;
use crate::types::{ClusterName, TopicPartition};

/// A key and its value, both always there: MirrorMaker's clients fail on a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// The version of heartbeats and checkpoints; clients read no other one.
const VERSION: i16 = 0;
/// The longest string that has room for its length.
const STRING_BYTES_MAX: usize = 32_767;

/// A sign of life of a link.
pub(super) fn heartbeat(source: &ClusterName, target: &ClusterName, now_ms: i64) -> Pair {
    let mut key = BytesMut::new();
    put_string(&mut key, source.as_str());
    put_string(&mut key, target.as_str());
    let mut value = BytesMut::new();
    value.put_i16(VERSION);
    value.put_i64(now_ms);
    Pair { key: key.freeze(), value: value.freeze() }
}

/// A group's position on both sides.
pub(super) fn checkpoint(position: &GroupPosition) -> Pair {
    let mut key = BytesMut::new();
    put_string(&mut key, position.group.as_str());
    put_partition(&mut key, &position.target);
    let mut value = BytesMut::new();
    value.put_i16(VERSION);
    value.put_i64(position.source_offset.get());
    value.put_i64(position.target_offset.get());
    put_string(&mut value, &position.metadata);
    Pair { key: key.freeze(), value: value.freeze() }
}

/// One record's offset on both sides.
pub(super) fn offset_sync(sync: &OffsetSync) -> Pair {
    let mut key = BytesMut::new();
    put_partition(&mut key, &sync.source);
    let mut value = BytesMut::new();
    value.put_i64(sync.source_offset.get());
    value.put_i64(sync.target_offset.get());
    Pair { key: key.freeze(), value: value.freeze() }
}

fn put_partition(buffer: &mut BytesMut, partition: &TopicPartition) {
    put_string(buffer, partition.topic.as_str());
    buffer.put_i32(partition.partition.0);
}

/// Longer ones than there is room for are cut: only a group's metadata can be so long, which nobody goes by.
fn put_string(buffer: &mut BytesMut, text: &str) {
    let end = (0..=text.len().min(STRING_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = text.get(..end).unwrap_or_default();
    buffer.put_i16(i16::try_from(text.len()).unwrap_or(0));
    buffer.put_slice(text.as_bytes());
}
