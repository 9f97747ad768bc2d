//! What can be wrong with an entry, and with a name that an entry makes.

use std::fmt;

use crate::types::TopicName;

/// The entries of a selection can't be used. Lists every fault, not only the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.faults))]
pub struct SelectionError {
    /// At least one fault, in the order of the entries.
    pub faults: Vec<EntryFault>,
}

fn list(faults: &[EntryFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One fault of one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry}, {field}: {reason}")]
pub struct EntryFault {
    /// The entry, counted from 0.
    pub entry: usize,
    /// The field to correct.
    pub field: EntryField,
    /// What is wrong.
    pub reason: FaultReason,
}

/// A field of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryField {
    /// The regular expression that selects.
    Match,
    /// The exact name that selects.
    Name,
    /// One of the regular expressions that leave out, counted from 0.
    Exclude(usize),
    /// The template of the name on the target.
    Rename,
    /// The prefix of the name on the target.
    Prefix,
    /// The replication factor on the target.
    ReplicationFactor,
}

impl EntryField {
    /// The field's key in the configuration.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Name => "name",
            Self::Exclude(_) => "exclude",
            Self::Rename => "rename",
            Self::Prefix => "prefix",
            Self::ReplicationFactor => "replication_factor",
        }
    }
}

impl fmt::Display for EntryField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What is wrong with a field of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultReason {
    /// Not a regular expression.
    #[error("not a regular expression: {0}")]
    Pattern(String),
    /// Not a valid name.
    #[error("{0}")]
    Name(String),
    /// The topic is causeway's own.
    #[error("`{0}` is one of causeway's own topics, which are never mirrored")]
    Own(String),
    /// The exact name needs nothing left out.
    #[error("`exclude` goes with `match`; an entry with `name` selects one name only")]
    ExcludeWithName,
    /// The template is not well formed.
    #[error("{0}")]
    Template(String),
    /// The template uses a capture that the regular expression doesn't have.
    #[error("there is no capture `${{{capture}}}` {known}")]
    UnknownCapture {
        /// The capture, as written.
        capture: String,
        /// What there is instead.
        known: String,
    },
    /// The name on the target can be computed already, and is unusable.
    #[error("{0}")]
    Target(UnusableReason),
    /// Another entry with an exact name has the same name on the target.
    #[error("`{this}` would have the name `{target}` on the target, as `{other}` of entry {entry} has")]
    SameTarget {
        /// The topic that this entry names.
        this: String,
        /// The topic that the other entry names.
        other: String,
        /// The other entry, counted from 0.
        entry: usize,
        /// The name that both would have.
        target: String,
    },
    /// A replication factor below 1.
    #[error("a replication factor is 1 to 32767, not {0}")]
    ReplicationFactor(i16),
}

/// An entry selects a topic, but the name it makes can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic `{source_topic}` can't be mirrored by entry {entry}: {reason}")]
pub struct UnusableTarget {
    /// The topic on the source.
    pub source_topic: TopicName,
    /// The entry that decided, counted from 0.
    pub entry: usize,
    /// Why its name can't be used.
    pub reason: UnusableReason,
}

/// Why a name can't be that of a mirror topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableReason {
    /// Kafka doesn't allow the name.
    #[error("{0}")]
    Invalid(#[from] crate::types::InvalidName),
    /// The name is kept for causeway's own topics.
    #[error("names that begin with `__causeway.` are causeway's own, and `{0}` is one of them")]
    Own(TopicName),
    /// Brokers refuse every producer there.
    #[error("brokers let no producer write to `{0}`; use `rename` to give the mirror topic another name")]
    BrokersOnly(TopicName),
}
