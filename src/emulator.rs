//! An in-memory Kafka: for the demo, and for tests that break everything.
//!
//! Owns: clusters of brokers within this process, their listeners (TCP on loopback, or pipes in memory), faults.
//! Promises: what it offers by `ApiVersions` behaves as Kafka does, down to the refusals; what it has not, it does not
//! offer. One seed gives one run. It reads record batches on its own account: it must not repeat what
//! [`crate::batch`] may have misunderstood.
//! Does not know: mirroring. Access control, quotas, encryption, tiered storage and the newer kinds of groups.
//!
//! `tests/conformance` holds the same statements against it and against real brokers; where they differ, it is wrong.
//!
//! A [`Cluster`] is one lock around one state; each request of `api` takes it, acts, and lets it go before it waits
//! for anything. A connection's requests are answered one after the other, as brokers do.

mod api;
mod clock;
mod cluster;
mod codec;
mod configs;
mod control;
mod coordinators;
mod faults;
mod groups;
mod housekeeping;
mod inspect;
mod log;
mod network;
mod partition;
mod producers;
mod records;
mod serve;
mod sessions;
mod shape;
mod state;
mod transactions;

pub use clock::Clock;
pub use cluster::{Cluster, Listen, Settings, StartError};
pub use control::Restart;
pub use faults::{Action, Request, Rule};
pub use network::Line;
pub use records::Marker;

/// Locks a mutex. A panic of another holder is no reason to stop: the emulator serves others still.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
