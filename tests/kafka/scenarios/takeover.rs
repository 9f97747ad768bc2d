//! Two daemons of one group: one dies or freezes with bytes in flight, the other goes on, and the frozen one wakes up.

use std::time::Duration;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::relay::PRODUCE;
use crate::workload::Workload;

use super::{RECOVERY, Shared, finish, rounds, shared, wait_for_growth};

const PARTITIONS: i32 = 6;

/// Waits until produces are on their way, and stay there for a moment.
fn wait_for_data_in_flight(on: &Shared) {
    let relay = on.target.relay();
    relay.delay(PRODUCE, Duration::from_millis(30));
    wait_for("produces in flight", RECOVERY, || (relay.data_in_flight() > 0).then_some(()));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn one_of_two_is_killed() {
    let on = shared();
    on.source.admin().create_topic("takeover", PARTITIONS, &[]);
    let running = Workload::new(&on.source.bootstrap(), "takeover", PARTITIONS).start();
    let config = Config::new("takeover", on.source, on.target).matching("takeover");
    let mut first = Daemon::start("takeover-1", &config);
    wait_for_growth(on.target, "takeover");
    let mut second = Daemon::start("takeover-2", &config);
    for round in 0..rounds() {
        wait_for_growth(on.target, "takeover");
        let victim = if round % 2 == 0 { &mut first } else { &mut second };
        wait_for_data_in_flight(&on);
        victim.kill();
        on.target.relay().delay(PRODUCE, Duration::ZERO);
        wait_for_growth(on.target, "takeover");
        victim.restart();
    }
    running.stop();
    first.stop();
    finish(&Judge::new(on.source, on.target, &["takeover"]), &mut second);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn one_of_two_freezes_and_wakes_up() {
    let on = shared();
    on.source.admin().create_topic("zombie", PARTITIONS, &[]);
    let running = Workload::new(&on.source.bootstrap(), "zombie", PARTITIONS).start();
    let config = Config::new("zombie", on.source, on.target).matching("zombie");
    let mut first = Daemon::start("zombie-1", &config);
    wait_for_growth(on.target, "zombie");
    let mut second = Daemon::start("zombie-2", &config);
    for round in 0..rounds() {
        wait_for_growth(on.target, "zombie");
        // In the first round the owner of everything, or nearly so; later whichever comes next.
        let (owner, successor) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        wait_for_data_in_flight(&on);
        owner.pause();
        on.target.relay().delay(PRODUCE, Duration::ZERO);
        // All partitions grow again: the successor has taken over what the frozen one held.
        wait_for_growth(on.target, "zombie");
        owner.resume();
        owner.wait_ready();
        successor.wait_ready();
    }
    wait_for_growth(on.target, "zombie");
    running.stop();
    first.stop();
    finish(&Judge::new(on.source, on.target, &["zombie"]), &mut second);
}

/// The frozen owner's bytes lie in a stalled connection and arrive after the successor has written.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn bytes_of_the_former_owner_arrive_late() {
    let on = shared();
    on.source.admin().create_topic("late", 1, &[]);
    let running = Workload::new(&on.source.bootstrap(), "late", 1).start();
    let config = Config::new("late", on.source, on.target).matching("late");
    let mut daemon = Daemon::start("late-1", &config);
    let relay = on.target.relay();
    for _ in 0..rounds() {
        wait_for_growth(on.target, "late");
        let passed = relay.data_produces();
        // The request is held by the relay and outlives the daemon that sent it.
        relay.delay(PRODUCE, Duration::from_secs(4));
        std::thread::sleep(Duration::from_millis(500));
        daemon.kill();
        relay.delay(PRODUCE, Duration::ZERO);
        daemon.restart();
        wait_for("the late request", RECOVERY, || (relay.data_produces() > passed).then_some(()));
        wait_for_growth(on.target, "late");
    }
    running.stop();
    finish(&Judge::new(on.source, on.target, &["late"]), &mut daemon);
}
