//! The suite on real Apache Kafka: brokers from Maven Central, real producers, faults, and an independent checker.
//!
//! Needs a JDK 17 and Maven. Run with `cargo test --test kafka -- --ignored --test-threads=1`. `FAULT_ROUNDS` says how
//! often each fault is repeated (default 2); `CAUSEWAY_KAFKA_CACHE` where the jars are kept. Without `--ignored` only
//! the checker's and the relay's own tests run.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that meets the unexpected has to fail at once, and a test binary has no public interface"
)]

mod admin;
mod broker;
mod checker;
mod clients;
mod config;
mod daemon;
mod frame;
mod group;
mod group_load;
mod jars;
mod judge;
mod line;
mod process;
mod reader;
mod record;
mod relay;
mod scenarios;
mod security;
mod self_tests;
mod workload;
