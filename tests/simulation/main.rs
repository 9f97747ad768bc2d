//! The data path, state and control loops of whole daemons, against emulated clusters, with everything going wrong.
//!
//! A seed is a run: clusters, applications, one or two daemons, faults of brokers, lines and state, daemons that die
//! between any two polls or sleep. tokio's clock stands still while anything can be done, so minutes pass in
//! milliseconds; all chance follows from the seed, so a run is the same each time. Then both logs are compared.
//!
//! - `cargo test --test simulation`: the seeds that every change must survive.
//! - `SIM_SEEDS=100000 SIM_FIRST=1000000 cargo test --test simulation -- --nocapture`: a night of it.
//! - `SIM_SEED=42 RUST_LOG=causeway=debug cargo test --test simulation one_seed -- --nocapture`: one of them, told.
//! - `cargo test --features test-hazards --test simulation planted`: bugs that some seed must find; one of them with
//!   one seed: `SIM_BUG=no_settling`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that meets the unexpected has to fail at once, and a test binary has no public interface"
)]

mod chaos;
mod checker;
mod clusters;
mod daemon;
mod dice;
mod doors;
mod entropy;
mod group;
#[cfg(feature = "test-hazards")]
mod planted;
mod readers;
mod runner;
mod state_log;
mod workload;
mod world;

use runner::{number, run_all};
use world::Planted;

fn planted() -> Planted {
    #[cfg(feature = "test-hazards")]
    return planted::from_environment();
    #[cfg(not(feature = "test-hazards"))]
    return Planted::default();
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let begin = std::time::Instant::now();
    let tell = |seed: u64, why: &str| {
        eprintln!("SIM_SEED={seed} fails: {why}");
        false
    };
    let (failed, done) = run_all(None, 0, tell);
    let records: usize = done.iter().map(|summary| summary.records).sum();
    let simulated: u64 = done.iter().map(|summary| summary.took_ms).sum();
    let partitions: usize = done.iter().map(|summary| summary.partitions).sum();
    let identical: usize = done.iter().map(|summary| summary.identical).sum();
    let positions: usize = done.iter().map(|summary| summary.positions).sum();
    let faults: usize = done.iter().map(|summary| summary.story.len()).sum();
    eprintln!(
        "{} seeds, {} hours of simulated time in {:?}, {records} records, {positions} positions of groups, {faults} \
         faults, {identical} of {partitions} partitions with the same offsets",
        done.len(),
        simulated / 3_600_000,
        begin.elapsed()
    );
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "these fail, run one with SIM_SEED={}: {seeds:?}", seeds[0]);
}

/// For a person who looks into a seed, and for the runner: `SIM_SEED` says which.
#[test]
fn one_seed() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .without_time()
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .init();
    }
    let seed = number("SIM_SEED").unwrap_or(1);
    let outcome = world::run(seed, &planted());
    if runner::is_child() {
        return runner::tell(&outcome);
    }
    match outcome {
        Ok(summary) => eprintln!("SIM_SEED={seed} holds: {summary:#?}"),
        Err(why) => panic!("SIM_SEED={seed} fails: {why}"),
    }
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..3 {
        assert_eq!(runner::run_apart(seed, None), runner::run_apart(seed, None), "seed {seed}");
    }
}
