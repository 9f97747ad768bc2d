//! The known hazards with their guard switched off: then the judge must find what the guard prevents. Each has its
//! counterpart with all guards on in another file, which must hold.
//!
//! Built only with the feature `test-hazards`: run with `--features test-hazards -- --ignored hazards`.

use std::time::Duration;

use crate::broker::{Cluster, Options};
use crate::checker::Violation;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, wait_for_growth};

/// Longer than expiration and sweep together.
const FORGOTTEN: Duration = Duration::from_millis(4_500);

/// H1. With the guard: `old_timestamps::a_forgotten_producer_duplicates_nothing`.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn sent_again_without_a_look_old_records_are_doubled() {
    let source = Cluster::start(Options::new(KAFKA_3));
    let forgetful = Options::new(KAFKA_4)
        .relayed()
        .property("producer.id.expiration.ms", "2000")
        .property("producer.id.expiration.check.interval.ms", "1000");
    let target = Cluster::start(forgetful);
    source.admin().create_topic("unguarded", 1, &[]);
    let age = Duration::from_hours(48);
    let running = Workload { age, rate: 200, ..Workload::new(&source.bootstrap(), "unguarded", 1) }.start();
    let config = Config::new("unguarded", &source, &target).matching("unguarded").offsets("translate");
    let off = [("CAUSEWAY_TEST_GUARD_OFF", "look-before-resend")];
    let _daemon = Daemon::start_with("unguarded-1", &config, &off);
    let relay = target.relay();
    wait_for_growth(&target, "unguarded");
    let before = relay.dropped();
    relay.drop_next_data_answer_and_refuse();
    wait_for("a lost answer", RECOVERY, || (relay.dropped() > before).then_some(()));
    std::thread::sleep(FORGOTTEN);
    relay.heal();
    let judge = Judge::new(&source, &target, &["unguarded"]);
    let is_twice = |found: &Violation| matches!(found, Violation::Twice { .. });
    wait_for("a doubled record", RECOVERY, || judge.compare().0.iter().any(is_twice).then_some(()));
    running.stop();
}
