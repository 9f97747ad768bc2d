//! The daemon ends under load, in order and by force, and goes on.

use std::time::Duration;

use rand::RngExt;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::relay::PRODUCE;
use crate::workload::{Kind, Workload};

use super::{RECOVERY, chance, finish, rounds, shared, wait_for_growth};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn sigterm_under_load() {
    let on = shared();
    on.source.admin().create_topic("sigterm", 4, &[]);
    let running = Workload::new(&on.source.bootstrap(), "sigterm", 4).start();
    let mut daemon = Daemon::start("restart-1", &Config::new("sigterm", on.source, on.target).matching("sigterm"));
    for _ in 0..rounds() {
        wait_for_growth(on.target, "sigterm");
        daemon.stop();
        daemon.restart();
    }
    running.stop();
    finish(&Judge::new(on.source, on.target, &["sigterm"]), &mut daemon);
}

/// Kills at random moments, most of them while produces are on their way: those are held up a little, so that there
/// nearly always are some.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn kill_under_load() {
    let on = shared();
    let mut chance = chance("kill_under_load");
    on.source.admin().create_topic("kill", 4, &[]);
    let work = Workload { rate: 2_000, ..Workload::new(&on.source.bootstrap(), "kill", 4) };
    let in_transactions = Workload { name: "t".into(), kind: Kind::Transactional(30), rate: 300, ..work.clone() };
    let running = [work.start(), in_transactions.start()];
    let mut daemon = Daemon::start("restart-1", &Config::new("kill", on.source, on.target).matching("kill"));
    let relay = on.target.relay();
    let mut in_flight = 0;
    for round in 0..rounds() {
        let passed = relay.data_produces();
        wait_for("data on its way", RECOVERY, || (relay.data_produces() > passed).then_some(()));
        relay.delay(PRODUCE, Duration::from_millis(chance.random_range(5..40)));
        std::thread::sleep(Duration::from_millis(chance.random_range(0..1_500)));
        // A moment between two requests is a fair moment too, but the others are the ones that can do harm.
        if chance.random_ratio(4, 5) {
            wait_for("produces in flight", RECOVERY, || (relay.data_in_flight() > 0).then_some(()));
        }
        if relay.data_in_flight() > 0 {
            in_flight += 1;
        }
        daemon.kill();
        relay.delay(PRODUCE, Duration::ZERO);
        daemon.restart();
        eprintln!("round {round}: killed, {in_flight} so far with produces in flight");
    }
    for work in running {
        work.stop();
    }
    finish(&Judge::new(on.source, on.target, &["kill"]), &mut daemon);
    assert!(rounds() < 10 || in_flight * 10 >= rounds() * 6, "only {in_flight} of {} kills hit", rounds());
}

/// Killed while it is starting, several times over, before it can have got anything done.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn kill_while_starting() {
    let on = shared();
    let mut chance = chance("kill_while_starting");
    on.source.admin().create_topic("kill-early", 2, &[]);
    let work = Workload::new(&on.source.bootstrap(), "kill-early", 2);
    work.write(2_000);
    let config = Config::new("kill-early", on.source, on.target).matching("kill-early");
    for _ in 0..rounds() * 2 {
        let daemon = Daemon::start_without_waiting("restart-1", &config);
        std::thread::sleep(Duration::from_millis(chance.random_range(0..4_000)));
        drop(daemon);
    }
    let mut daemon = Daemon::start("restart-1", &config);
    finish(&Judge::new(on.source, on.target, &["kill-early"]), &mut daemon);
}
