//! The public JSON: what the HTTP API says and the commands read.
//!
//! Owns: the forms of answers and orders, with the field names of the public API.
//! Promises: a value that is not known is `null`, never a number that means "unknown"; fields are added, not renamed.
//! Does not know: how anything is stored, who asks.

mod awaited;
mod daemon;
mod group;
mod link;
mod order;
mod peer;
mod topic;
mod translated;

pub use awaited::Awaited;
pub use daemon::{Daemon, Health, Member, MemoryBudget, Readiness};
pub use group::{Group, GroupOffset, Groups};
pub use link::{Link, LinkGroups, LinkRehearsal, LinkState, Links, OffsetsMode, Problem};
pub use order::{Affected, Order, OrderAction, OrderBody, OrderDone, TopicSelection};
pub use peer::{DialledBy, Peer, PeerError, PeerSession, PeerState, Peers};
pub use topic::{HeldBack, Partition, PartitionState, Stop, Topic, TopicOffsets, TopicState, Topics};
pub use translated::{TranslateBody, TranslatePosition, Translated, TranslationName, Translations};

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A fixed word for programs, such as `unknown_topic`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests;
