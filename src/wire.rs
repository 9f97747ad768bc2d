//! Our thin Kafka client: connections, TLS, SASL, version negotiation, leader lookup.
//!
//! Owns: sockets to brokers, and what is known of a cluster's brokers and leaders.
//! Promises: requests started on one connection reach the broker in that order; every frame is bounded before
//! memory is set aside for it; record bytes stay as they are; secrets are read anew for each
//! authentication, certificates for each connection.
//! Does not know: links, offsets' meaning, state, what to do about a broker's error code.

mod client;
mod connection;
mod dial;
mod encode;
mod error;
pub mod form;
mod metadata;
mod produce;
mod reach;
mod sasl;
mod settings;
mod throttle;
mod tls;
mod versions;

pub use client::{Client, Route};
pub use connection::{Connection, Parts, Pending};
pub use error::{Advice, WireError};
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages;
pub use metadata::{BrokerAddress, Leader, Metadata, PartitionMetadata, TopicMetadata};
pub use produce::{PartitionAppend, ProduceRequest, TopicAppends};
pub use reach::{ByteStream, Reach};
pub use settings::{PemSource, SaslSettings, Settings, TlsSettings};

/// The name of an API for messages: `Metadata` for `MetadataRequest`.
fn api_name<R>() -> &'static str {
    let path = std::any::type_name::<R>();
    let name = path.rsplit("::").next().unwrap_or(path);
    name.strip_suffix("Request").unwrap_or(name)
}

/// Locks a mutex. A panic of another holder is no reason to stop: every critical section here leaves its data whole.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
