//! What a broker does, said once and held against the emulator and against real Apache Kafka.
//!
//! Each statement is a function that is given a broker and panics when the broker does something else. `cargo test`
//! holds all of them against the emulator. Against real brokers: `cargo test --test conformance -- --ignored
//! --test-threads=1` (a JDK 17 and Maven, as for the suite in `tests/kafka`). Where the two differ, Kafka is right.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that meets the unexpected has to fail at once, and a test binary has no public interface"
)]

#[path = "../kafka/admin.rs"]
#[expect(dead_code, reason = "the suite on real Kafka uses all of it")]
mod admin;
#[path = "../kafka/broker.rs"]
#[expect(dead_code, reason = "the suite on real Kafka uses all of it")]
mod broker;
#[path = "../kafka/frame.rs"]
mod frame;
#[path = "../kafka/jars.rs"]
mod jars;
#[path = "../kafka/process.rs"]
#[expect(dead_code, reason = "the suite on real Kafka uses all of it")]
mod process;
#[path = "../kafka/relay.rs"]
#[expect(dead_code, reason = "the suite on real Kafka uses all of it")]
mod relay;
#[path = "../kafka/security.rs"]
#[expect(dead_code, reason = "the suite on real Kafka uses all of it")]
mod security;

mod batch;
mod clients;
mod members;
mod runs;
mod statements;
mod wire;
mod world;
