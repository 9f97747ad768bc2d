//! The same offsets on both sides, judged record by record; and where that is impossible, an exact map and the reason.

use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::Value;

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::{Judge, Pairs};
use crate::process::wait_for;
use crate::reader::watermarks;
use crate::relay::PRODUCE;
use crate::workload::{Kind, Workload};

use super::{RECOVERY, chance, finish, rounds, shared, wait_for_growth};

/// Every record has the same offset on both sides.
pub(super) fn assert_same_offsets(pairs: &Pairs) {
    let mut count = 0;
    for ((topic, partition), matched) in pairs {
        for pair in matched {
            assert_eq!(pair.source, pair.target, "{topic}-{partition}");
            count += 1;
        }
    }
    assert!(count > 0, "nothing was compared");
}

/// What the daemon says of the offsets of a partition.
pub(super) fn relation(daemon: &Daemon, topic: &str, partition: i32) -> Value {
    daemon.partition(topic, partition)["offsets"].clone()
}

/// Transactions of a few records leave more offsets without a record than a link fills by default: after ten thousand
/// of them a partition would be translated, and nothing more be filled.
pub(super) const EVERY_GAP: &str = "gap_fill_ratio_max = 1000.0";

/// Everything is there; and each partition is identical, or says why not.
pub(super) fn end(judge: &Judge, daemon: &mut Daemon, topic: &str) {
    judge.wait();
    let mut are_all_identical = true;
    for partition in 0..2 {
        let said = daemon.partition(topic, partition);
        eprintln!("{topic}-{partition}: {} {}", said["offsets"], said["offsets_because"]);
        let is_identical = said["offsets"] == "identical";
        assert!(is_identical || said["offsets_because"].is_string(), "{said}");
        are_all_identical &= is_identical;
    }
    let pairs = finish(judge, daemon);
    if are_all_identical {
        assert_same_offsets(&pairs);
    }
}

/// Waits until both logs end alike.
fn wait_for_same_ends(on: &super::Shared, topic: &str) {
    let ends = |bootstrap: &str| -> Vec<i64> { watermarks(bootstrap, topic).values().map(|(_, end)| *end).collect() };
    wait_for(&format!("the ends of {topic} to be the same"), RECOVERY, || {
        (ends(&on.source.side_door()) == ends(&on.target.side_door())).then_some(())
    });
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn plain_records_keep_their_offsets() {
    let on = shared();
    on.source.admin().create_topic("same-plain", 3, &[]);
    Workload::new(&on.source.bootstrap(), "same-plain", 3).write(3_000);
    let config = Config::new("same-plain", on.source, on.target).matching("same-plain");
    let mut daemon = Daemon::start("same-1", &config);
    let judge = Judge::new(on.source, on.target, &["same-plain"]);
    judge.wait();
    assert_eq!(relation(&daemon, "same-plain", 0), "identical");
    assert_same_offsets(&finish(&judge, &mut daemon));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn transactions_commits_and_aborts_interleaved() {
    let on = shared();
    let topic = "same-transactions";
    on.source.admin().create_topic(topic, 2, &[]);
    let of = |name: &str, records| Workload {
        name: name.into(),
        kind: Kind::Transactional(records),
        rate: 300,
        ..Workload::new(&on.source.bootstrap(), topic, 2)
    };
    let running = [of("a", 7).start(), of("b", 20).start()];
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let mut daemon = Daemon::start("same-1", &config);
    wait_for_growth(on.target, topic);
    wait_for("some hundred transactions", RECOVERY, || {
        let copied: i64 = watermarks(&on.target.side_door(), topic).values().map(|(_, end)| *end).sum();
        (copied > 3_000).then_some(())
    });
    for work in running {
        work.stop();
    }
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    wait_for_same_ends(&on, topic);
    for partition in 0..2 {
        assert_eq!(relation(&daemon, topic, partition), "identical", "{}", daemon.partition(topic, partition));
    }
    assert_same_offsets(&finish(&judge, &mut daemon));
}

/// A source whose log starts at two million.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_source_that_starts_late_is_fast_forwarded() {
    let on = shared();
    let topic = "same-late";
    on.source.admin().create_topic(topic, 1, &[]);
    fill_source(on.source, topic, 2_000_000);
    Workload { name: "live".into(), ..Workload::new(&on.source.bootstrap(), topic, 1) }.write(500);
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let begin = Instant::now();
    let mut daemon = Daemon::start("same-1", &config);
    daemon.wait_for_state(topic, 0, "mirroring", RECOVERY);
    eprintln!("fast-forwarded {:?} after the start", begin.elapsed());
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
    let (start, _) = watermarks(&on.target.side_door(), topic)[&0];
    assert_eq!(start, 2_000_000, "no filler can be read");
    assert_same_offsets(&finish(&judge, &mut daemon));
}

/// Writes that many small records and deletes them again.
pub(super) fn fill_source(source: &Cluster, topic: &str, count: u64) {
    let filler = Workload {
        name: "old".into(),
        codec: "zstd",
        value_bytes: 0,
        keys: Some(1_000),
        client: vec![("batch.num.messages".into(), "10000".into()), ("linger.ms".into(), "50".into())],
        ..Workload::new(&source.side_door(), topic, 1)
    };
    filler.write(count);
    source.admin().delete_records(topic, 0, i64::try_from(count).expect("a small number"));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_gap_that_is_too_large_parts_the_offsets_exactly() {
    let on = shared();
    let topic = "same-parted";
    on.source.admin().create_topic(topic, 1, &[]);
    let work =
        |name: &str, kind| Workload { name: name.into(), kind, ..Workload::new(&on.source.bootstrap(), topic, 1) };
    work("first", Kind::Idempotent).write(100);
    // Of three transactions of a hundred records the last is aborted: a gap of a hundred and one.
    work("second", Kind::Transactional(100)).write(300);
    work("third", Kind::Idempotent).write(100);
    let config = Config::new(topic, on.source, on.target).matching(topic).line("gap_fill_max = 50");
    let mut daemon = Daemon::start("same-1", &config);
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    let said = daemon.partition(topic, 0);
    assert_eq!((&said["offsets"], said["offsets_since"].as_i64()), (&"translated".into(), Some(301)), "{said}");
    let because = said["offsets_because"].as_str().unwrap_or_default();
    assert!(because.contains("gap_fill_max"), "{said}");
    let pairs = finish(&judge, &mut daemon);
    let parted = pairs[&(topic.to_owned(), 0)].iter().filter(|pair| pair.source != pair.target).count();
    assert_eq!(parted, 100);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn killed_during_fills() {
    let on = shared();
    let topic = "same-killed";
    on.source.admin().create_topic(topic, 2, &[]);
    let running =
        Workload { kind: Kind::Transactional(5), rate: 400, ..Workload::new(&on.source.bootstrap(), topic, 2) }.start();
    let config = Config::new(topic, on.source, on.target).matching(topic).line(EVERY_GAP);
    let mut daemon = Daemon::start("same-1", &config);
    for round in 0..rounds() {
        wait_for_growth(on.target, topic);
        std::thread::sleep(Duration::from_millis(37 * (round % 13)));
        daemon.kill();
        daemon.restart();
    }
    wait_for_growth(on.target, topic);
    running.stop();
    end(&Judge::new(on.source, on.target, &[topic]), &mut daemon, topic);
}

/// Killed while it writes filler: each time with filler in the log and more to come, at any point of a batch.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn killed_during_fast_forward() {
    const START: i64 = 350_001;
    let on = shared();
    let name = |round: u64| format!("same-late-killed-{round}");
    let mut chance = chance("killed_during_fast_forward");
    let config = Config::new("same-late-killed", on.source, on.target).matching("same-late-killed-.*");
    let mut daemon = Daemon::start("same-1", &config);
    for round in 0..rounds() {
        let topic = name(round);
        daemon.stop();
        on.source.admin().create_topic(&topic, 1, &[("cleanup.policy", "compact,delete")]);
        fill_source(on.source, &topic, START.unsigned_abs());
        Workload { name: "live".into(), keys: Some(10_000), ..Workload::new(&on.source.bootstrap(), &topic, 1) }
            .write(300);
        on.target.relay().delay(PRODUCE, Duration::from_millis(100));
        daemon.restart_without_waiting();
        let at = wait_for("filler in the log", RECOVERY, || {
            let (_, end) = watermarks_of_target(&on, &topic)?;
            (end > 0).then_some(end)
        });
        std::thread::sleep(Duration::from_millis(chance.random_range(0..200)));
        eprintln!("round {round}: killed with {at} offsets of filler in the log");
        daemon.kill();
        on.target.relay().delay(PRODUCE, Duration::ZERO);
        daemon.restart();
        daemon.wait_for_state(&topic, 0, "mirroring", RECOVERY);
    }
    let topics: Vec<String> = (0..rounds()).map(name).collect();
    let judge = Judge::new(on.source, on.target, &topics.iter().map(String::as_str).collect::<Vec<_>>());
    judge.wait();
    for topic in &topics {
        assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
        assert_eq!(watermarks(&on.target.side_door(), topic)[&0].0, START, "no filler can be read");
        wait_for("the real cleanup policy", RECOVERY, || {
            (on.target.admin().config(topic, "cleanup.policy").as_deref() == Some("compact,delete")).then_some(())
        });
    }
    assert_same_offsets(&finish(&judge, &mut daemon));
}

fn watermarks_of_target(on: &super::Shared, topic: &str) -> Option<(i64, i64)> {
    on.target.admin().partitions(topic)?;
    watermarks(&on.target.side_door(), topic).get(&0).copied()
}

/// What compaction has left keeps its offsets, whether the holes are filled or the offsets part.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_compacted_source_with_small_holes() {
    let on = shared();
    let topic = "same-compacted";
    let quick = [("segment.ms", "200"), ("min.cleanable.dirty.ratio", "0.01"), ("delete.retention.ms", "100")];
    on.source.admin().create_topic(topic, 1, &quick);
    let write = |name: &str, count| {
        Workload { name: name.into(), keys: Some(40), ..Workload::new(&on.source.bootstrap(), topic, 1) }.write(count);
    };
    write("first", 600);
    on.source.admin().set_configs(topic, &[("cleanup.policy", "compact")]);
    let mut rolls = 0;
    wait_for("compaction", RECOVERY, || {
        std::thread::sleep(Duration::from_millis(300));
        rolls += 1;
        write(&format!("roll-{rolls}"), 1);
        let left = crate::reader::read_topic(&on.source.side_door(), topic)[&0].len();
        (left < 400).then_some(())
    });
    on.source.admin().set_configs(topic, &[("cleanup.policy", "delete")]);
    write("second", 50);
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let mut daemon = Daemon::start("same-1", &config);
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
    assert_same_offsets(&finish(&judge, &mut daemon));
}

/// The source deletes records while they are read: from where that can't be filled, offsets part; nothing else does.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_source_that_is_trimmed_before_it_is_read() {
    let on = shared();
    let topic = "same-trimmed";
    on.source.admin().create_topic(topic, 1, &[]);
    let write = |name: &str, count| {
        Workload { name: name.into(), ..Workload::new(&on.source.bootstrap(), topic, 1) }.write(count);
    };
    write("first", 300);
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let mut daemon = Daemon::start("same-1", &config);
    Judge::new(on.source, on.target, &[topic]).wait();
    daemon.stop();
    write("lost", 200);
    on.source.admin().delete_records(topic, 0, 500);
    write("second", 300);
    daemon.restart();
    daemon.wait_for_state(topic, 0, "stopped", RECOVERY);
    daemon.order("resolve", &serde_json::json!({"topics": [topic], "partition": 0, "with": "accept-gap"}));
    daemon.wait_for_partition(topic, 0, RECOVERY, "all copied", |said| said["source_position"] == 800);
    assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
    let copies = crate::reader::read_topic(&on.target.side_door(), topic);
    let originals = crate::reader::read_topic(&on.source.side_door(), topic);
    for original in &originals[&0] {
        assert!(copies[&0].iter().any(|copy| copy.offset == original.offset && copy.value == original.value));
    }
    daemon.stop();
}

/// The target's only broker dies while gaps are filled.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_target_broker_is_killed_during_fills() {
    let source = crate::broker::Cluster::start(crate::broker::Options::new(crate::jars::KAFKA_3));
    let target = crate::broker::Cluster::start(crate::broker::Options::new(crate::jars::KAFKA_4));
    let topic = "same-broker";
    source.admin().create_topic(topic, 2, &[]);
    let running =
        Workload { kind: Kind::Transactional(4), rate: 300, ..Workload::new(&source.bootstrap(), topic, 2) }.start();
    let config = Config::new(topic, &source, &target).matching(topic).line(EVERY_GAP);
    let mut daemon = Daemon::start("same-1", &config);
    for _ in 0..rounds() {
        wait_for_growth(&target, topic);
        target.node(1).kill();
        target.node(1).start();
    }
    wait_for_growth(&target, topic);
    running.stop();
    end(&Judge::new(&source, &target, &[topic]), &mut daemon, topic);
}

/// Who may not write markers fills gaps by empty transactions.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn without_alter_on_the_cluster_gaps_are_filled_by_transactions() {
    use super::security::{ON_TARGET, STATE, USER, grant, reach, secured};
    let on = shared();
    let target = secured(crate::jars::KAFKA_4);
    grant(&target, &ON_TARGET);
    grant(&target, &STATE);
    let topic = "secure-gaps";
    on.source.admin().create_topic(topic, 1, &[]);
    let work = Workload { kind: Kind::Transactional(5), ..Workload::new(&on.source.bootstrap(), topic, 1) };
    work.write(60);
    let config =
        Config::new("secure-gaps", on.source, &target).cluster("target", &reach(&target, USER)).matching(topic);
    let mut daemon = Daemon::start("same-1", &config);
    let judge = Judge::new(on.source, &target, &[topic]);
    judge.wait();
    Workload { name: "more".into(), ..work }.write(40);
    judge.wait();
    assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
    assert!(daemon.log().contains("empty transactions"), "nothing forbade markers");
    daemon.kill();
    daemon.restart();
    assert_same_offsets(&finish(&judge, &mut daemon));
}

/// Where nothing but the same offsets will do, the partition stops, and a person can let it go on.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn preserve_or_stop_stops_and_a_person_lets_it_go_on() {
    let on = shared();
    let topic = "same-or-stop";
    on.source.admin().create_topic(topic, 1, &[]);
    let of = |name: &str, kind| Workload { name: name.into(), kind, ..Workload::new(&on.source.bootstrap(), topic, 1) };
    of("first", Kind::Transactional(40)).write(120);
    of("second", Kind::Idempotent).write(50);
    let config =
        Config::new(topic, on.source, on.target).matching(topic).offsets("preserve-or-stop").line("gap_fill_max = 20");
    let mut daemon = Daemon::start("same-1", &config);
    let said = daemon.wait_for_state(topic, 0, "stopped", RECOVERY);
    assert_eq!(said["error"]["reason"], "offsets_parted", "{said}");
    daemon.order("resolve", &serde_json::json!({"topics": [topic], "partition": 0, "with": "translate"}));
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    assert_eq!(relation(&daemon, topic, 0), "translated");
    finish(&judge, &mut daemon);
}
