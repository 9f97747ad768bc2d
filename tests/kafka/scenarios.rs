//! What is tried on real brokers, one file per theme, and what they share.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::broker::{Cluster, Options};
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::{Judge, Pairs};
use crate::process::wait_for;
use crate::reader::watermarks;

mod acls;
mod api_and_cli;
mod broker_killed;
mod compaction;
mod drift;
mod group_faults;
mod groups;
mod groups_many;
mod harness_self_test;
#[cfg(feature = "test-hazards")]
mod hazards;
mod local_writers;
mod logins;
mod mirrormaker;
mod old_releases;
mod old_timestamps;
mod opposite_links;
mod other_clients;
mod outlook;
mod preserve;
mod preserve_faults;
mod producers;
mod rate_and_priority;
mod rehearsal;
mod responses_dropped;
mod restart;
mod rights;
mod rights_for_offsets;
mod security;
mod slow_follower;
mod smoke;
mod source_initiated;
mod stops;
mod takeover;
mod topics;

/// How long a daemon may take to get over a fault: a session time-out of 10 s, and what follows from it.
const RECOVERY: Duration = Duration::from_mins(3);

/// Two one-node clusters behind relays, started once and used in turns; each test has its own topics and group. They
/// die with the test process.
struct Shared {
    /// Kafka 3.9.
    source: &'static Cluster,
    /// Kafka 4.x.
    target: &'static Cluster,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.source.tell();
            self.target.tell();
        }
    }
}

/// The shared clusters, in good health.
fn shared() -> Shared {
    static TURN: Mutex<()> = Mutex::new(());
    static CLUSTERS: OnceLock<(Cluster, Cluster)> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (source, target) = CLUSTERS.get_or_init(|| {
        let start = |version| Cluster::start(quick_cleaner(Options::new(version)).relayed());
        std::thread::scope(|scope| {
            let source = scope.spawn(|| start(KAFKA_3));
            let target = scope.spawn(|| start(KAFKA_4));
            (source.join().expect("the source"), target.join().expect("the target"))
        })
    });
    source.heal();
    target.heal();
    Shared { source, target, _turn: turn }
}

/// Compacts within a second instead of fifteen.
fn quick_cleaner(options: Options) -> Options {
    options.property("log.cleaner.backoff.ms", "300")
}

/// How often a fault is repeated: `FAULT_ROUNDS`, default 2.
fn rounds() -> u64 {
    std::env::var("FAULT_ROUNDS").map_or(2, |n| n.parse().expect("FAULT_ROUNDS is a number"))
}

/// Chance, repeatable with `FAULT_SEED`.
fn chance(test: &str) -> StdRng {
    let seed = std::env::var("FAULT_SEED").map_or_else(|_| rand::random(), |n| n.parse().expect("FAULT_SEED"));
    eprintln!("{test}: FAULT_SEED={seed} FAULT_ROUNDS={}", rounds());
    StdRng::seed_from_u64(seed)
}

/// The end of a scenario: the copy completes, the map is exact, the daemon stops well, and nothing came after.
fn finish(judge: &Judge, daemon: &mut Daemon) -> Pairs {
    judge.wait();
    let pairs = judge.verify();
    judge.verify_map(&pairs, |direction, topic, partition, offset| {
        daemon.translate(direction, topic, partition, offset)
    });
    let used = daemon.usage();
    eprintln!("{:.2} CPU s, {} MB at most", used.cpu_seconds, used.resident_bytes_peak >> 20);
    daemon.stop();
    judge.verify()
}

/// Waits until every partition of a topic has grown on this cluster.
fn wait_for_growth(cluster: &Cluster, topic: &str) {
    wait_for(&format!("{topic} on the target"), RECOVERY, || cluster.admin().partitions(topic));
    let ends = || watermarks(&cluster.side_door(), topic);
    let before = ends();
    wait_for(&format!("growth of every partition of {topic}"), RECOVERY, || {
        ends().iter().all(|(partition, (_, end))| *end > before[partition].1).then_some(())
    });
}
