//! Words about consumer groups that several modules share.

use serde::{Deserialize, Serialize};

/// What kind of group it is, as far as the cluster tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Of the classic protocol, or positions that were committed without one.
    Classic,
    /// Of the new consumer protocol (KIP-848).
    Consumer,
    /// A share group (KIP-932): its positions are not offsets to go on at.
    Share,
    /// A Streams group (KIP-1071): its state is more than its offsets.
    Streams,
    /// Of a kind that this version does not know.
    Other,
}

impl GroupKind {
    /// Whether its committed offsets say all about where its consumers go on.
    #[must_use]
    pub const fn has_plain_offsets(self) -> bool {
        match self {
            Self::Classic | Self::Consumer => true,
            Self::Share | Self::Streams | Self::Other => false,
        }
    }

    /// The word for people and for the public API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Other => "other",
        }
    }
}

/// How a position of a group stands on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupPositionState {
    /// The target has the translated position.
    Synced,
    /// It is to be written, or to be looked at first.
    Pending,
    /// The group has read on at the source beyond what is copied; the target has the end of the copy.
    AheadOfData,
    /// Members of the group are active on the target: it is theirs.
    ActiveOnTarget,
    /// Somebody else committed another position on the target: it is left alone.
    Conflict,
    /// Older than the offset map: nothing is written.
    BelowMap,
    /// It came to the source from our own target, by a link in the other direction.
    FromTarget,
    /// The target did not take it.
    Failed,
}

impl GroupPositionState {
    /// All of them, the best first.
    pub const ALL: [Self; 8] = [
        Self::Synced,
        Self::FromTarget,
        Self::Pending,
        Self::AheadOfData,
        Self::ActiveOnTarget,
        Self::BelowMap,
        Self::Conflict,
        Self::Failed,
    ];

    /// The word for people and for the public API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Pending => "pending",
            Self::AheadOfData => "ahead_of_data",
            Self::ActiveOnTarget => "active_on_target",
            Self::Conflict => "conflict",
            Self::BelowMap => "below_map",
            Self::FromTarget => "from_target",
            Self::Failed => "failed",
        }
    }

    /// How much a person should care; 0 is best.
    #[must_use]
    pub fn rank(self) -> usize {
        Self::ALL.iter().position(|state| *state == self).unwrap_or_default()
    }
}
