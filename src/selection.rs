//! Which topics and groups are mirrored, and under which name.
//!
//! Owns: the ordered entries of a link, their regular expressions and name templates, and the plan made from them.
//! Promises: pure, deterministic and total: any name gets a decision; a name that can't be used on the target is
//! reported and never passed on; internal topics are selected only by their exact name, causeway's own never.
//! Does not know: clusters, what exists on them, the configuration file.

mod error;
mod groups;
mod pattern;
mod plan;
mod rules;
mod template;
mod topics;

pub use error::{EntryFault, EntryField, FaultReason, SelectionError, UnusableReason, UnusableTarget};
pub use groups::{GroupDecision, GroupSelection, SelectedGroup};
pub use plan::{Collision, Plan};
pub use rules::{Naming, Rule, Which};
pub use topics::{Decision, Entry, ExistingTarget, NotMirrored, Selected, Selection};

use crate::types::TopicName;

/// The prefix of causeway's own topics.
const OWN_PREFIX: &str = "__causeway.";

/// Whether a topic is causeway's own, and so never mirrored.
#[must_use]
pub fn is_own(topic: &TopicName) -> bool {
    topic.as_str().starts_with(OWN_PREFIX)
}

/// Whether a topic belongs to the machinery of Kafka, Connect or MirrorMaker, and so is mirrored only when an entry
/// names it.
#[must_use]
pub fn is_internal(topic: &TopicName) -> bool {
    let name = topic.as_str();
    name.starts_with("__")
        || matches!(name, "connect-configs" | "connect-offsets" | "connect-status")
        || name.strip_prefix("mm2").is_some_and(|rest| rest.ends_with(".internal"))
}

/// Whether brokers write a topic themselves and refuse every producer.
fn is_written_by_brokers_only(topic: &TopicName) -> bool {
    matches!(
        topic.as_str(),
        "__consumer_offsets" | "__transaction_state" | "__share_group_state" | "__cluster_metadata"
    )
}

#[cfg(test)]
mod tests;
