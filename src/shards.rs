//! Who works on what: membership of the daemon group, and the transactional writer under it.
//!
//! Owns: the rdkafka consumer that is our membership, the rdkafka transactional producer that writes under it, and
//! the knowledge which shards are ours ([`Ownership`]).
//! Promises: a grant is given up before anything else happens when its shard is lost; a record is committed only if
//! the group coordinator accepted our membership after the record had reached the log (KIP-447), so a daemon that
//! was deposed while it slept can't write behind its successor.
//! Does not know: what the records say, and what a new owner has to read before it acts.
//!
//! Both Kafka clients stand behind small traits ([`GroupMember`], [`Transactions`]); the loops that hold the
//! promises are written against the traits and tested with fakes.

mod kafka;
mod measures;
mod membership;
mod ownership;
mod transactions;
mod writer;

pub use kafka::{
    Access, KafkaMember, KafkaTransactions, LogContext, MemberSettings, Poster, WriterSettings, needs_a_person,
};
pub use measures::WriterMeasures;
pub use membership::{GroupMember, MemberError, MembershipEnd, keep_membership};
pub use ownership::{Grant, Holdings, Membership, Ownership, Pulse};
pub use transactions::{Failure, Record, StateOffset, Transactions};
pub use writer::{Job, JobError, JobQueue, WriterHandle, WriterLimits, run_writer};

#[cfg(test)]
mod tests;
