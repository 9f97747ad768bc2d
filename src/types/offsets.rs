//! Offsets of the two sides, runs between them, and what a translation can answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An offset from outside was negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an offset: offsets start at 0")]
pub struct NegativeOffset(pub i64);

macro_rules! offset {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The first offset of a log.
            pub const ZERO: Self = Self(0);

            /// Takes a number from outside; negative ones (Kafka's "none" and "unknown") are refused.
            pub const fn new(offset: i64) -> Result<Self, NegativeOffset> {
                if offset < 0 { Err(NegativeOffset(offset)) } else { Ok(Self(offset)) }
            }

            /// The number as Kafka writes it.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The offset `count` further on. Stops at the largest offset there is.
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0.saturating_add_unsigned(count))
            }

            /// The offset `count` before. Stops at 0.
            #[must_use]
            pub const fn minus(self, count: u64) -> Self {
                let before = self.0.saturating_sub_unsigned(count);
                if before < 0 { Self(0) } else { Self(before) }
            }

            /// How many offsets lie from `earlier` (inclusive) to this one (exclusive); 0 when it is not earlier.
            #[must_use]
            pub const fn distance_from(self, earlier: Self) -> u64 {
                if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
            }
        }

        impl TryFrom<i64> for $name {
            type Error = NegativeOffset;
            fn try_from(offset: i64) -> Result<Self, NegativeOffset> {
                Self::new(offset)
            }
        }

        impl From<$name> for i64 {
            fn from(offset: $name) -> Self {
                offset.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

offset!(
    /// An offset in a partition of the source cluster.
    SourceOffset
);
offset!(
    /// An offset in a mirror partition, on the target cluster.
    TargetOffset
);

impl SourceOffset {
    /// The same offset on the target: where a record lies there as long as offsets are preserved.
    #[must_use]
    pub const fn in_place(self) -> TargetOffset {
        TargetOffset(self.0)
    }
}

impl TargetOffset {
    /// The same offset at the source: the record that belongs here as long as offsets are preserved.
    #[must_use]
    pub const fn in_place(self) -> SourceOffset {
        SourceOffset(self.0)
    }
}

/// A stretch of offsets where target minus source is constant: the records at
/// `source .. source + length` are at `target .. target + length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// The first source offset of the stretch.
    pub source: SourceOffset,
    /// The target offset of that record.
    pub target: TargetOffset,
    /// How many records; never 0.
    pub length: u64,
}

impl Run {
    /// The source offset after the last one of this run.
    #[must_use]
    pub const fn source_end(self) -> SourceOffset {
        self.source.plus(self.length)
    }

    /// The target offset after the last one of this run.
    #[must_use]
    pub const fn target_end(self) -> TargetOffset {
        self.target.plus(self.length)
    }
}

/// Where a position of one side lies on the other. `T` is the offset type of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Translation<T> {
    /// The very record is there, at this offset.
    Exact(T),
    /// The record is not there (a hole, a marker, or not written yet while all before it is copied);
    /// the first mirrored record after it is, or will be, at this offset.
    Next(T),
    /// The copy has not come that far.
    NotYetMirrored,
    /// Older than the map: the copy began later, or the map was pruned.
    BelowMap,
}

impl<T: Copy> Translation<T> {
    /// The offset to go on reading at, where there is one.
    #[must_use]
    pub const fn offset(&self) -> Option<T> {
        match self {
            Self::Exact(offset) | Self::Next(offset) => Some(*offset),
            Self::NotYetMirrored | Self::BelowMap => None,
        }
    }

    /// The answer's name in the public API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Next(_) => "next",
            Self::NotYetMirrored => "not_yet_mirrored",
            Self::BelowMap => "below_map",
        }
    }
}

/// A leader epoch of one partition on one cluster (KIP-101, KIP-320).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaderEpoch(pub i32);

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
