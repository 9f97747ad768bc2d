//! H1: a broker forgets a producer whose *records* are old, at any sweep. A batch whose answer was lost must then not
//! be sent again blindly: it would be appended twice.

use std::collections::HashSet;
use std::time::Duration;

use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::read_topic;
use crate::record::Identity;
use crate::workload::Workload;

use super::{RECOVERY, finish, rounds, wait_for_growth};

/// Longer than expiration and sweep together: nothing but time makes the broker forget.
const FORGOTTEN: Duration = Duration::from_millis(4_500);

fn forgetful() -> Options {
    Options::new(KAFKA_4)
        .relayed()
        .property("producer.id.expiration.ms", "2000")
        .property("producer.id.expiration.check.interval.ms", "1000")
}

/// A stock idempotent producer in the daemon's place does write twice: so the fault is the one that is meant.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn without_a_guard_records_are_doubled() {
    let target = Cluster::start(forgetful());
    target.admin().create_topic("naive", 1, &[]);
    let age = Duration::from_hours(48);
    let running = Workload { age, rate: 100, ..Workload::new(&target.bootstrap(), "naive", 1) }.start();
    let relay = target.relay();
    wait_for_growth(&target, "naive");
    relay.drop_next_data_answer_and_refuse();
    wait_for("a lost answer", RECOVERY, || (relay.dropped() > 0).then_some(()));
    std::thread::sleep(FORGOTTEN);
    relay.heal();
    wait_for_growth(&target, "naive");
    running.stop();
    let log = &read_topic(&target.side_door(), "naive")[&0];
    let different: HashSet<Identity> = log.iter().map(Identity::of).collect();
    assert!(log.len() > different.len(), "{} records, {} different", log.len(), different.len());
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_forgotten_producer_duplicates_nothing() {
    let source = Cluster::start(Options::new(KAFKA_3));
    let target = Cluster::start(forgetful());
    source.admin().create_topic("old", 2, &[]);
    let age = Duration::from_hours(48);
    let running = Workload { age, rate: 200, ..Workload::new(&source.bootstrap(), "old", 2) }.start();
    let mut daemon = Daemon::start("old-1", &Config::new("old", &source, &target).matching("old"));
    let relay = target.relay();
    for round in 0..rounds() {
        wait_for_growth(&target, "old");
        let before = relay.dropped();
        relay.drop_next_data_answer_and_refuse();
        wait_for("a lost answer", RECOVERY, || (relay.dropped() > before).then_some(()));
        if round % 2 == 1 {
            daemon.kill();
        }
        std::thread::sleep(FORGOTTEN);
        relay.heal();
        if round % 2 == 1 {
            daemon.restart();
        }
    }
    wait_for_growth(&target, "old");
    running.stop();
    finish(&Judge::new(&source, &target, &["old"]), &mut daemon);
}
