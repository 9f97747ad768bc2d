//! Which shard a key belongs to. **The hash must never change**: two daemons that disagree would both own a mirror
//! partition.

use super::Key;
use crate::types::{LinkName, PartitionIndex, TopicName};

/// How many shards there are: the state topic's partitions. Part of the hash, so it never changes either.
pub const SHARDS: i32 = 32;

/// The shard of a link's control loops.
pub(super) fn of_link(link: &LinkName) -> i32 {
    shard(&[link.as_str()])
}

/// The shard of a mirror partition.
pub(super) fn of_partition(link: &LinkName, topic: &TopicName, partition: PartitionIndex) -> i32 {
    shard(&[link.as_str(), topic.as_str(), &partition.to_string()])
}

/// The shard whose partition holds a key.
pub(super) fn of_key(key: &Key) -> i32 {
    match key {
        // A person's decision is written by the link's owner, who turns requests into state, not by the partition's.
        Key::Link { link }
        | Key::Topic { link, .. }
        | Key::Resolution { link, .. }
        | Key::Group { link, .. }
        | Key::Acls { link, .. }
        | Key::Request { link, .. } => of_link(link),
        Key::Position { link, topic, partition }
        | Key::Plan { link, topic, partition }
        | Key::Map { link, topic, partition, .. } => of_partition(link, topic, *partition),
        Key::Takeover { shard } => *shard,
        Key::Daemon { id } => shard(&[id]),
    }
}

/// FNV-1a over the parts with zero bytes between them, then `MurmurHash3`'s finalizer: FNV alone leaves the low bits,
/// which decide here, uneven.
fn shard(parts: &[&str]) -> i32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (index, part) in parts.iter().enumerate() {
        let separator: &[u8] = if index == 0 { &[] } else { &[0] };
        for byte in separator.iter().chain(part.as_bytes()) {
            hash ^= u64::from(*byte);
            hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    i32::try_from(hash % u64::from(SHARDS.unsigned_abs())).unwrap_or(0)
}
