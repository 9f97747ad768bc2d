//! An in-memory Kafka.

pub(crate) mod groups;
pub(crate) mod transactions;
