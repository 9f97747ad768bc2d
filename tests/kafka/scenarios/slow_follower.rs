//! The target's high watermark lags behind its log end: the writer dies with data that its leader has and nobody
//! acknowledged, and the successor has to see it.

use std::time::{Duration, Instant};

use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, finish, rounds, wait_for_growth};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_successor_sees_what_was_never_acknowledged() {
    let source = Cluster::start(Options::new(KAFKA_3));
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3).relayed());
    source.admin().create_topic("slow", 1, &[]);
    let running = Workload::new(&source.bootstrap(), "slow", 1).start();
    let config = Config::new("slow", &source, &target).topics(&["match = 'slow'", "replication_factor = 2"]);
    let mut daemon = Daemon::start("slow-1", &config);
    for _ in 0..rounds() {
        wait_for_growth(&target, "slow");
        wait_for("both replicas in sync", RECOVERY, || (target.admin().in_sync("slow", 0).len() == 2).then_some(()));
        let leader = target.admin().leader("slow", 0);
        let follower = target.admin().in_sync("slow", 0).into_iter().find(|b| *b != leader).expect("a follower");
        let follower = target.node(usize::try_from(follower).unwrap());
        let relay = target.node(usize::try_from(leader).unwrap()).relay();
        follower.pause();
        // Requests that reach the leader now are appended, and not answered before the follower is given up.
        let passed = relay.data_produces();
        wait_for("a produce without an answer", RECOVERY, || {
            (relay.data_produces() > passed && relay.data_in_flight() > 0).then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        daemon.kill();
        let killed = Instant::now();
        let mut successor = Daemon::start_without_waiting("slow-1", &config);
        // Shorter than the 9 s after which the controller gives a broker up: the successor looks meanwhile.
        std::thread::sleep(Duration::from_secs(6).saturating_sub(killed.elapsed()));
        follower.resume();
        successor.wait_ready();
        std::mem::swap(&mut daemon, &mut successor);
    }
    wait_for_growth(&target, "slow");
    running.stop();
    finish(&Judge::new(&source, &target, &["slow"]), &mut daemon);
}
