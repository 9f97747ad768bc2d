//! Compacted sources: holes, and compaction between the death of a daemon and its return.

use std::time::Duration;

use crate::broker::Cluster;
use crate::checker::{Direction, compare_compacted, compare_map};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::assert_none;
use crate::process::wait_for;
use crate::reader::{Logs, read_topic};
use crate::workload::Workload;

use super::{RECOVERY, shared, wait_for_growth};

const PARTITIONS: i32 = 2;
const QUICK: [(&str, &str); 4] = [
    ("segment.ms", "200"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "0"),
    ("delete.retention.ms", "100"),
];

fn keyed(source: &Cluster, topic: &str, name: &str) -> Workload {
    Workload { name: name.into(), keys: Some(10), ..Workload::new(&source.bootstrap(), topic, PARTITIONS) }
}

/// Adds what is there now to what was seen before.
fn remember(history: &mut Logs, source: &Cluster, topic: &str) {
    for (partition, log) in read_topic(&source.side_door(), topic) {
        let known = history.entry(partition).or_default();
        let end = known.last().map_or(-1, |e| e.offset);
        known.extend(log.into_iter().filter(|e| e.offset > end));
    }
}

/// Has the source compact what it holds, and waits until most of it is gone.
fn compact(history: &mut Logs, source: &Cluster, topic: &str) {
    remember(history, source, topic);
    source.admin().set_configs(topic, &[("cleanup.policy", "compact")]);
    let mut rolls = 0;
    wait_for("compaction", RECOVERY, || {
        // The active segment is never compacted: one more record after segment.ms closes it.
        std::thread::sleep(Duration::from_millis(300));
        rolls += 1;
        keyed(source, topic, &format!("roll-{}-{rolls}", history[&0].len()))
            .write(u64::from(PARTITIONS.unsigned_abs()));
        let left: usize = read_topic(&source.side_door(), topic).values().map(Vec::len).sum();
        let all: usize = history.values().map(Vec::len).sum();
        (left < all / 2).then_some(())
    });
    source.admin().set_configs(topic, &[("cleanup.policy", "delete")]);
    remember(history, source, topic);
}

/// Waits until the last record of each partition is on the target, and compares.
fn judge(history: &Logs, source: &Cluster, target: &Cluster, topic: &str, daemon: &mut Daemon) {
    let now = read_topic(&source.side_door(), topic);
    let last = |partition: i32| now[&partition].last().expect("a record").value.clone();
    wait_for("the last records", RECOVERY, || {
        target.admin().partitions(topic)?;
        let copies = read_topic(&target.side_door(), topic);
        (0..PARTITIONS).all(|p| copies[&p].last().is_some_and(|e| e.value == last(p))).then_some(())
    });
    let translate = |partition: i32, offset: i64| daemon.translate(Direction::Forward, topic, partition, offset);
    let copies = read_topic(&target.side_door(), topic);
    for partition in 0..PARTITIONS {
        let (found, pairs) = compare_compacted(partition, &history[&partition], &now[&partition], &copies[&partition]);
        assert_none(&found);
        let offsets: Vec<i64> = pairs.iter().map(|p| p.source).collect();
        let ask = |offset| translate(partition, offset);
        assert_none(&compare_map(Direction::Forward, &pairs, -1, &offsets, ask));
    }
    daemon.stop();
    for (partition, log) in read_topic(&target.side_door(), topic) {
        assert_none(&compare_compacted(partition, &history[&partition], &now[&partition], &log).0);
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_compacted_source_with_holes() {
    let on = shared();
    let topic = "compacted";
    on.source.admin().create_topic(topic, PARTITIONS, &QUICK);
    keyed(on.source, topic, "first").write(3_000);
    let mut history = Logs::new();
    compact(&mut history, on.source, topic);
    keyed(on.source, topic, "second").write(500);
    remember(&mut history, on.source, topic);
    let mut daemon = Daemon::start("compaction-1", &Config::new(topic, on.source, on.target).matching(topic));
    judge(&history, on.source, on.target, topic, &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn compaction_between_kill_and_return() {
    let on = shared();
    let topic = "compacted-meanwhile";
    on.source.admin().create_topic(topic, PARTITIONS, &QUICK);
    let mut history = Logs::new();
    let mut daemon = Daemon::start("compaction-1", &Config::new(topic, on.source, on.target).matching(topic));
    for round in 0..super::rounds() {
        let running = keyed(on.source, topic, &format!("load-{round}")).start();
        wait_for_growth(on.target, topic);
        let relay = on.target.relay();
        relay.delay(crate::relay::PRODUCE, Duration::from_millis(50));
        wait_for("produces in flight", RECOVERY, || (relay.data_in_flight() > 0).then_some(()));
        daemon.kill();
        relay.heal();
        running.stop();
        compact(&mut history, on.source, topic);
        daemon.restart();
    }
    remember(&mut history, on.source, topic);
    judge(&history, on.source, on.target, topic, &mut daemon);
}

/// The helper that the other tests stand on.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_source_is_compacted_on_demand() {
    let on = shared();
    let topic = "compacted-alone";
    on.source.admin().create_topic(topic, PARTITIONS, &QUICK);
    keyed(on.source, topic, "first").write(2_000);
    let mut history = Logs::new();
    compact(&mut history, on.source, topic);
    let now = read_topic(&on.source.side_door(), topic);
    for partition in 0..PARTITIONS {
        let (log, all) = (&now[&partition], &history[&partition]);
        assert!(all.len() >= 1_000 && log.len() < all.len() / 2 + 10, "{} of {}", log.len(), all.len());
        assert_none(&compare_compacted(partition, all, log, log).0);
        assert!(all.windows(2).all(|w| w[0].offset + 1 == w[1].offset), "the history has no holes");
    }
}
