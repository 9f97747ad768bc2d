//! How fast and how large the daemon is, on real brokers.
//!
//! `cargo bench --bench bench -- [--quick] [--shape NAME]...` starts two brokers, fills topics of the source, starts
//! the daemon on them and prints what it took. Nothing is asserted: the figures depend on the machine.
//!
//! Shapes: `u1k` (records of 1 KiB, uncompressed, 64 a batch), `z1` (100 bytes, uncompressed, 10 a batch), both on 4
//! partitions, and `idle` (1,000 partitions at 1 MB/s in total).
//!
//! Of offsets and groups: `fast-forward` (offsets a second, one partition and four), `fills` (20 commits a second and
//! partition on 10 partitions, by markers; 10 by empty transactions), `groups` (10,000 groups on 200 topics, 500
//! changes a second; `GROUPS`, `GROUP_TOPICS`, `GROUP_CHANGES`), `map` (5 million runs; no brokers).
//!
//! On clusters in memory: `emulator` (librdkafka writes and reads 4 GB), `scale` (10,000, and 20,000 partitions).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a command for developers that shares the test harness, of which it needs a part"
)]

#[path = "../kafka/admin.rs"]
mod admin;
#[path = "../kafka/broker.rs"]
mod broker;
#[path = "../kafka/checker.rs"]
mod checker;
#[path = "../kafka/config.rs"]
mod config;
#[path = "../kafka/daemon.rs"]
mod daemon;
#[path = "../kafka/frame.rs"]
mod frame;
#[path = "../kafka/group.rs"]
mod group;
#[path = "../kafka/group_load.rs"]
mod group_load;
#[path = "../kafka/jars.rs"]
mod jars;
#[path = "../kafka/process.rs"]
mod process;
#[path = "../kafka/record.rs"]
mod record;
#[path = "../kafka/relay.rs"]
mod relay;
#[path = "../kafka/security.rs"]
mod security;
#[path = "../kafka/workload.rs"]
mod workload;

mod emulator;
mod filler;
mod map;
mod measure;
mod offsets;
mod scale;

use broker::{Cluster, Options};
use jars::KAFKA_4;

use crate::filler::Shape;

/// As brokers run in earnest: with the JIT compiler's second stage and a heap that fits the load.
const JVM: [&str; 2] = ["-Xmx1g", "-Xms1g"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let is_quick = arguments.iter().any(|a| a == "--quick");
    let named: Vec<&str> = arguments.windows(2).filter(|w| w[0] == "--shape").map(|w| w[1].as_str()).collect();
    let is_wanted = |name: &str| named.is_empty() || named.contains(&name);
    let share = if is_quick { 4 } else { 1 };

    if is_wanted("map") {
        map::measure();
    }
    if is_wanted("emulator") {
        emulator::measure(4_000_000 / share);
    }
    if is_wanted("scale") {
        for topics in if is_quick { [10, 20] } else { [100, 200] } {
            scale::measure(topics, if is_quick { 10 } else { 60 });
        }
    }
    if !named.is_empty() && named.iter().all(|name| ["map", "emulator", "scale"].contains(name)) {
        return;
    }
    let start = || Cluster::start(Options { jvm: JVM.map(str::to_owned).to_vec(), ..Options::new(KAFKA_4) });
    let (source, target) = (start(), start());
    for (name, measure) in [
        ("fast-forward", offsets::fast_forward as fn(&Cluster, &Cluster, bool)),
        ("fills", offsets::fills),
        ("groups", |source, target, is_quick| {
            let size = if is_quick { (1_000, 20, 100) } else { (10_000, 200, 500) };
            println!("{}", group_load::measure(source, target, group_load::Size::from_environment(size)));
        }),
    ] {
        if is_wanted(name) {
            measure(&source, &target, is_quick);
        }
    }
    if !named.is_empty() && !["u1k", "z1", "idle"].iter().any(|shape| named.contains(shape)) {
        return;
    }
    // The first load finds cold JVMs: it is not shown.
    measure::copy(&source, &target, &Shape { name: "warm-up", records: 200_000, record_bytes: 100, per_batch: 10 });
    measure::print_head();
    for shape in [
        Shape { name: "u1k", records: 512_000 / share, record_bytes: 1_024, per_batch: 64 },
        Shape { name: "z1", records: 2_000_000 / share, record_bytes: 100, per_batch: 10 },
    ] {
        if is_wanted(shape.name) {
            measure::copy(&source, &target, &shape).print(shape.name);
        }
    }
    if is_wanted("idle") {
        measure::idle(&source, &target, if is_quick { 20 } else { 60 });
    }
}
