//! The rdkafka side of the traits.

mod context;
mod member;
mod poster;
mod transactions;

pub use context::{LogContext, client_config};
pub use member::{KafkaMember, MemberSettings};
pub use poster::Poster;
pub use transactions::{KafkaTransactions, WriterSettings};
