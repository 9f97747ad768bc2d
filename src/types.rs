//! The vocabulary of causeway as types.
//!
//! Owns: names, offsets of both sides, epochs, sequences, runs, and the answers of a translation.
//! Promises: a value that exists is valid; there is no arithmetic between source and target offsets.
//! Does not know: any I/O, any clock, any other module.

mod groups;
mod names;
mod offsets;
mod producer;
mod resolve;
mod secret;

pub use groups::{GroupKind, GroupPositionState};
pub use names::{
    BrokerId, ClusterName, GroupName, InvalidName, LinkName, PartitionIndex, PeerName, TopicId, TopicName,
    TopicPartition,
};
pub use offsets::{LeaderEpoch, NegativeOffset, Run, SourceOffset, TargetOffset, Translation};
pub use producer::{ProducerEpoch, ProducerId, Sequence};
pub use resolve::ResolveVerb;
pub use secret::Secret;

#[cfg(test)]
mod tests;
