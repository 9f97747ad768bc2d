//! Brokers fail while offsets are kept the same: filler that comes back, leaders that move, coordinators that freeze.

use std::time::{Duration, Instant};

use rand::RngExt;

use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::KAFKA_4;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::{read_topic, watermarks};
use crate::security::Security;
use crate::workload::{Kind, Workload};

use super::preserve::{EVERY_GAP, assert_same_offsets, end, fill_source, relation};
use super::security::{ON_TARGET, STATE, USER, grant, reach};
use super::{RECOVERY, chance, rounds, shared, wait_for_growth};

/// Whether a record is filler: empty, and from 1970.
fn is_filler(entry: &crate::record::Entry) -> bool {
    entry.key.is_none() && entry.value.is_none() && entry.timestamp == Some(0)
}

/// A broker notes once a minute that records were deleted. Killed before that it shows them again.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn filler_that_a_killed_broker_brings_back_is_hidden_again() {
    const START: i64 = 250_000;
    let on = shared();
    let target = Cluster::start(Options::new(KAFKA_4));
    let mut chance = chance("filler_that_a_killed_broker_brings_back");
    let config = Config::new("same-back", on.source, &target).matching("same-back-.*");
    let mut daemon = Daemon::start("same-1", &config);
    for round in 0..rounds() {
        let topic = format!("same-back-{round}");
        daemon.stop();
        on.source.admin().create_topic(&topic, 1, &[]);
        fill_source(on.source, &topic, START.unsigned_abs());
        let work = Workload { rate: 100, ..Workload::new(&on.source.bootstrap(), &topic, 1) };
        work.write(100);
        daemon.restart();
        daemon.wait_for_state(&topic, 0, "mirroring", RECOVERY);
        std::thread::sleep(Duration::from_millis(chance.random_range(0..4_000)));
        target.node(1).kill();
        target.node(1).start();
        target.wait_ready();
        let shown = watermarks(&target.side_door(), &topic)[&0].0;
        let begin = Instant::now();
        wait_for("the filler to be gone again", RECOVERY, || {
            (watermarks(&target.side_door(), &topic)[&0].0 == START).then_some(())
        });
        eprintln!("round {round}: the log began at {shown} after the kill, at {START} {:?} later", begin.elapsed());
        let log = read_topic(&target.side_door(), &topic).remove(&0).expect("the partition");
        assert!(!log.iter().any(is_filler), "filler can be read");
        Workload { name: "more".into(), ..work }.write(50);
        let judge = Judge::new(on.source, &target, &[&topic]);
        judge.wait();
        assert_same_offsets(&judge.verify());
        assert_eq!(relation(&daemon, &topic, 0), "identical", "{}", daemon.partition(&topic, 0));
    }
    daemon.stop();
}

/// The only broker of the target dies while filler is written.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_target_broker_is_killed_during_fast_forward() {
    const START: i64 = 600_000;
    let on = shared();
    let target = Cluster::start(Options::new(KAFKA_4).relayed());
    let mut chance = chance("the_target_broker_is_killed_during_fast_forward");
    let config = Config::new("same-ff-broker", on.source, &target).matching("same-ff-broker-.*");
    let mut daemon = Daemon::start("same-1", &config);
    for round in 0..rounds() {
        let topic = format!("same-ff-broker-{round}");
        daemon.stop();
        on.source.admin().create_topic(&topic, 1, &[]);
        fill_source(on.source, &topic, START.unsigned_abs());
        Workload::new(&on.source.bootstrap(), &topic, 1).write(100);
        target.relay().delay(crate::relay::PRODUCE, Duration::from_millis(60));
        daemon.restart_without_waiting();
        wait_for("filler in the log", RECOVERY, || {
            target.admin().partitions(&topic)?;
            (watermarks(&target.side_door(), &topic).get(&0)?.1 > 0).then_some(())
        });
        std::thread::sleep(Duration::from_millis(chance.random_range(0..200)));
        target.node(1).kill();
        target.relay().delay(crate::relay::PRODUCE, Duration::ZERO);
        target.node(1).start();
        target.wait_ready();
        let said = daemon.wait_for_state(&topic, 0, "mirroring", RECOVERY);
        let judge = Judge::new(on.source, &target, &[&topic]);
        judge.wait();
        let pairs = judge.verify();
        eprintln!("round {round}: {}", said["offsets"]);
        if relation(&daemon, &topic, 0) == "identical" {
            wait_for("the filler to be gone", RECOVERY, || {
                (watermarks(&target.side_door(), &topic)[&0].0 == START).then_some(())
            });
            assert_same_offsets(&pairs);
        } else {
            assert!(daemon.partition(&topic, 0)["offsets_because"].is_string(), "{}", daemon.partition(&topic, 0));
        }
        let log = read_topic(&target.side_door(), &topic).remove(&0).expect("the partition");
        assert!(!log.iter().any(is_filler), "filler can be read");
    }
    daemon.stop();
}

/// Leaders move, in order and by force, while markers are written.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn leaders_move_during_fills() {
    let on = shared();
    let mut chance = chance("leaders_move_during_fills");
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3));
    let topic = "same-leaders";
    on.source.admin().create_topic(topic, 2, &[]);
    let work = Workload { kind: Kind::Transactional(4), rate: 200, ..Workload::new(&on.source.bootstrap(), topic, 2) };
    let running = work.start();
    let config = Config::new(topic, on.source, &target).matching(topic).line(EVERY_GAP);
    let mut daemon = Daemon::start("same-1", &config);
    wait_for_growth(&target, topic);
    target.admin().set_configs(topic, &[("min.insync.replicas", "2")]);
    for round in 0..rounds() {
        let leader = target.admin().leader(topic, chance.random_range(0..2));
        let node = target.node(usize::try_from(leader).expect("a broker id"));
        if round % 2 == 0 {
            node.stop();
        } else {
            node.kill();
        }
        wait_for_growth(&target, topic);
        node.start();
        target.wait_ready();
        wait_for("all replicas in sync", RECOVERY, || {
            (0..2).all(|p| target.admin().in_sync(topic, p).len() == 3).then_some(())
        });
    }
    running.stop();
    end(&Judge::new(on.source, &target, &[topic]), &mut daemon, topic);
}

/// The coordinators of transactions freeze and die while gaps are filled by empty transactions.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn transaction_coordinators_fail_during_fills() {
    let on = shared();
    let mut chance = chance("transaction_coordinators_fail_during_fills");
    let users = Security::new(&[(USER, "scram-password-of-causeway"), ("app", "app-password")]);
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3).secured(users));
    grant(&target, &ON_TARGET);
    grant(&target, &STATE);
    let topic = "secure-coordinators";
    on.source.admin().create_topic(topic, 2, &[]);
    let work = Workload { kind: Kind::Transactional(8), rate: 60, ..Workload::new(&on.source.bootstrap(), topic, 2) };
    let running = work.start();
    let config = Config::new(topic, on.source, &target).cluster("target", &reach(&target, USER));
    let config = config.matching(topic).line(EVERY_GAP);
    let mut daemon = Daemon::start("same-1", &config);
    wait_for_growth(&target, topic);
    for round in 0..rounds() {
        let coordinator = target.admin().leader("__transaction_state", chance.random_range(0..4));
        let node = target.node(usize::try_from(coordinator).expect("a broker id"));
        if round % 2 == 0 {
            node.pause();
            std::thread::sleep(Duration::from_secs(12));
            node.resume();
        } else {
            node.kill();
            wait_for_growth(&target, topic);
            node.start();
        }
        target.wait_ready();
        wait_for_growth(&target, topic);
    }
    running.stop();
    end(&Judge::new(on.source, &target, &[topic]), &mut daemon, topic);
}
