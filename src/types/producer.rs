//! The three numbers by which a broker recognises an append: producer id, producer epoch, sequence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A producer id, allocated by a cluster with `InitProducerId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProducerId(pub i64);

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The epoch of a producer id. It rises only at promote and fail over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProducerEpoch(pub i16);

impl fmt::Display for ProducerEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sequence number: counts the records of one producer id on one partition, modulo 2^31.
///
/// Sequences have no order (they wrap), so there is no `Ord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u32);

const SEQUENCES: u64 = 1 << 31;

impl Sequence {
    /// The first sequence of a producer on a partition that never held a record.
    pub const ZERO: Self = Self(0);

    /// The sequence that belongs to a running count of records.
    #[must_use]
    pub const fn of_count(count: u64) -> Self {
        Self(lower_31_bits(count))
    }

    /// A sequence as Kafka writes it; negative numbers mean "none".
    #[must_use]
    pub const fn from_kafka(sequence: i32) -> Option<Self> {
        if sequence < 0 { None } else { Some(Self(sequence.unsigned_abs())) }
    }

    /// The number as Kafka writes it.
    #[must_use]
    pub const fn to_kafka(self) -> i32 {
        self.0.cast_signed()
    }

    /// The sequence `count` records further on, wrapping after 2^31 - 1 as brokers do.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(lower_31_bits(self.0 as u64 + count % SEQUENCES))
    }

    /// The sequence `count` records before, wrapping likewise.
    #[must_use]
    pub const fn minus(self, count: u64) -> Self {
        self.plus(SEQUENCES - count % SEQUENCES)
    }

    /// A distance of so many and more is one backwards: nothing is ever planned that far ahead.
    pub const HALF: u64 = SEQUENCES / 2;

    /// How many records lie from `earlier` (inclusive) to this one (exclusive), in 0 .. 2^31.
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> u64 {
        (self.0 as u64 + SEQUENCES - earlier.0 as u64) % SEQUENCES
    }
}

const fn lower_31_bits(count: u64) -> u32 {
    (count % SEQUENCES) as u32
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
