//! The rdkafka side of the traits.

mod bounded;
mod context;
mod member;
mod poster;
mod token;
mod transactions;

pub use context::{Access, LogContext, needs_a_person};
pub use member::{KafkaMember, MemberSettings};
pub use poster::Poster;
pub use transactions::{KafkaTransactions, WriterSettings};

#[cfg(test)]
mod tests;
