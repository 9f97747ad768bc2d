//! Coordinators of groups freeze and die while positions are written to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::{commit_from_outside, committed};
use crate::jars::KAFKA_4;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, chance, rounds, shared};

const GROUPS: usize = 24;
const RECORDS: u64 = 2_000;

fn name(group: usize) -> String {
    format!("deadco-{group}")
}

/// How many groups have this very position on the target.
fn synced(target: &Cluster, topic: &str, position: i64) -> usize {
    let is_there = |group: &usize| {
        committed(&target.side_door(), &name(*group), topic, 1).get(&0).is_some_and(|(at, _)| *at == position)
    };
    (0..GROUPS).filter(is_there).count()
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn coordinators_of_groups_freeze_and_die() {
    let on = shared();
    let mut chance = chance("coordinators_of_groups_freeze_and_die");
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3));
    let topic = "deadco";
    on.source.admin().create_topic(topic, 1, &[]);
    Workload::new(&on.source.bootstrap(), topic, 1).write(RECORDS);
    let config = Config::new(topic, on.source, &target).matching(topic).groups(&["match = 'deadco-.*'"]);
    let mut daemon = Daemon::start("groups-1", &config);
    Judge::new(on.source, &target, &[topic]).wait();
    let mut position = 0;
    let move_all = |position: i64| {
        for group in 0..GROUPS {
            let positions = BTreeMap::from([(0, position)]);
            wait_for("a commit", RECOVERY, || {
                commit_from_outside(&on.source.side_door(), &name(group), topic, &positions, "")
            });
        }
    };
    let wait_all = |daemon: &Daemon, position: i64| {
        wait_for("all groups", RECOVERY, || {
            let (_, link) = daemon.get(&format!("/v1/links/{LINK}"))?;
            (link["groups"]["synced"].as_u64() == Some(GROUPS as u64)).then_some(())
        });
        wait_for("all positions", RECOVERY, || (synced(&target, topic, position) == GROUPS).then_some(()));
    };
    for round in 0..rounds() {
        position += 1 + chance.random_range(0..i64::try_from(RECORDS / (rounds() + 1)).expect("a number").max(1));
        move_all(position);
        wait_all(&daemon, position);
        let coordinator = target.admin().leader("__consumer_offsets", chance.random_range(0..4));
        let node = target.node(usize::try_from(coordinator).expect("a broker id"));
        if round % 2 == 0 {
            node.pause();
        } else {
            node.kill();
        }
        position += 1;
        move_all(position);
        let begin = Instant::now();
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_secs(15));
            node.resume();
        } else {
            // The groups have other coordinators now.
            wait_all(&daemon, position);
            eprintln!("round {round}: all groups are synced {:?} after their coordinator died", begin.elapsed());
            node.start();
        }
        target.wait_ready();
        wait_all(&daemon, position);
        eprintln!("round {round}: synced again after {:?}", begin.elapsed());
    }
    daemon.stop();
}
