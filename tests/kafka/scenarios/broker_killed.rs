//! Brokers of either side die by force and come back on their data.

use std::time::Duration;

use rand::RngExt;

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::workload::{Kind, Workload};

use super::{Shared, chance, finish, rounds, shared, wait_for_growth};

fn under_load(topic: &str, on: &Shared, mut fault: impl FnMut()) {
    on.source.admin().create_topic(topic, 3, &[]);
    let work = Workload::new(&on.source.bootstrap(), topic, 3);
    let in_transactions = Workload { name: "t".into(), kind: Kind::Transactional(20), rate: 200, ..work.clone() };
    let running = [work.start(), in_transactions.start()];
    let mut daemon = Daemon::start("broker-killed-1", &Config::new(topic, on.source, on.target).matching(topic));
    for _ in 0..rounds() {
        wait_for_growth(on.target, topic);
        fault();
    }
    wait_for_growth(on.target, topic);
    for work in running {
        work.stop();
    }
    finish(&Judge::new(on.source, on.target, &[topic]), &mut daemon);
}

fn kill_and_restart(cluster: &Cluster) {
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_ready();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_target_broker_is_killed() {
    let on = shared();
    under_load("target-killed", &on, || kill_and_restart(on.target));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_source_broker_is_killed() {
    let on = shared();
    under_load("source-killed", &on, || kill_and_restart(on.source));
}

/// A clean stop keeps one batch per producer in the snapshot: the older ones in flight are no longer known (H3).
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_target_broker_is_restarted_in_order() {
    let on = shared();
    under_load("target-restarted", &on, || {
        on.target.node(1).stop();
        on.target.node(1).start();
        on.target.wait_ready();
    });
}

/// Leadership moves while several batches are in flight.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn leaders_of_three_brokers_are_killed() {
    use crate::broker::Options;
    use crate::jars::{KAFKA_3, KAFKA_4};
    let mut chance = chance("leaders_of_three_brokers_are_killed");
    let source = Cluster::start(Options::new(KAFKA_3).nodes(3));
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3));
    let safe = [("min.insync.replicas", "2")];
    source.admin().create_topic("leaders", 4, &safe);
    let running = Workload::new(&source.bootstrap(), "leaders", 4).start();
    let config = Config::new("leaders", &source, &target).matching("leaders");
    let mut daemon = Daemon::start("broker-killed-1", &config);
    wait_for_growth(&target, "leaders");
    target.admin().set_configs("leaders", &safe);
    for _ in 0..rounds() {
        for cluster in [&target, &source] {
            let leader = cluster.admin().leader("leaders", chance.random_range(0..4));
            let node = cluster.node(usize::try_from(leader).unwrap());
            node.kill();
            wait_for_growth(&target, "leaders");
            node.start();
            cluster.wait_ready();
            let all_in_sync = || (0..4).all(|p| cluster.admin().in_sync("leaders", p).len() == 3).then_some(());
            crate::process::wait_for("all replicas in sync", Duration::from_mins(2), all_in_sync);
        }
    }
    running.stop();
    finish(&Judge::new(&source, &target, &["leaders"]), &mut daemon);
}
