//! The target appends and its answer never arrives: outcomes unknown, at random and just before the daemon dies.

use rand::RngExt;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::{CODECS, Workload};

use super::{RECOVERY, chance, finish, rounds, shared, wait_for_growth};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn answers_lost_at_random() {
    let on = shared();
    on.source.admin().create_topic("dropped", 4, &[]);
    let base = Workload { rate: 300, ..Workload::new(&on.source.bootstrap(), "dropped", 4) };
    let running: Vec<_> =
        CODECS.map(|codec| Workload { name: codec.into(), codec, ..base.clone() }.start()).into_iter().collect();
    let mut daemon = Daemon::start("dropped-1", &Config::new("dropped", on.source, on.target).matching("dropped"));
    let relay = on.target.relay();
    let before = relay.dropped();
    relay.drop_one_data_answer_in(Some(7));
    wait_for("enough lost answers", RECOVERY * 2, || (relay.dropped() - before >= rounds() * 5).then_some(()));
    relay.drop_one_data_answer_in(None);
    for work in running {
        work.stop();
    }
    finish(&Judge::new(on.source, on.target, &["dropped"]), &mut daemon);
}

/// The successor finds data on the target that nobody ever acknowledged.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn answers_lost_and_the_daemon_killed() {
    let on = shared();
    let mut chance = chance("answers_lost_and_the_daemon_killed");
    on.source.admin().create_topic("dropped-killed", 3, &[]);
    let running = Workload::new(&on.source.bootstrap(), "dropped-killed", 3).start();
    let config = Config::new("dropped-killed", on.source, on.target).matching("dropped-killed");
    let mut daemon = Daemon::start("dropped-1", &config);
    let relay = on.target.relay();
    for _ in 0..rounds() {
        wait_for_growth(on.target, "dropped-killed");
        let before = relay.dropped();
        // Several in a row, so that retries lose their answers too.
        relay.drop_data_answers(&(1..=chance.random_range(1..5)).collect::<Vec<u64>>());
        wait_for("a lost answer", RECOVERY, || (relay.dropped() > before).then_some(()));
        daemon.kill();
        relay.heal();
        daemon.restart();
    }
    running.stop();
    finish(&Judge::new(on.source, on.target, &["dropped-killed"]), &mut daemon);
}

/// The connection stays open and nothing passes: requests end by their deadline, and nothing is concluded from it.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_dead_network() {
    let on = shared();
    on.source.admin().create_topic("dead-network", 3, &[]);
    let running = Workload::new(&on.source.bootstrap(), "dead-network", 3).start();
    let config = Config::new("dead-network", on.source, on.target).matching("dead-network");
    let mut daemon = Daemon::start("dropped-1", &config);
    for relay in [on.target.relay(), on.source.relay()] {
        wait_for_growth(on.target, "dead-network");
        relay.stall(true);
        // Long enough that a request's deadline passes somewhere; what matters is checked at the end.
        std::thread::sleep(std::time::Duration::from_secs(15));
        relay.stall(false);
        wait_for_growth(on.target, "dead-network");
        relay.cut();
    }
    running.stop();
    finish(&Judge::new(on.source, on.target, &["dead-network"]), &mut daemon);
}
