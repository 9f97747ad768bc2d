//! The same offsets on both sides, judged record by record; and where that is impossible, an exact map and the reason.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::{Judge, Pairs};
use crate::process::wait_for;
use crate::reader::watermarks;
use crate::workload::{Kind, Workload};

use super::{RECOVERY, finish, rounds, shared, wait_for_growth};

/// Every record has the same offset on both sides.
fn assert_same_offsets(pairs: &Pairs) {
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
fn relation(daemon: &Daemon, topic: &str, partition: i32) -> Value {
    daemon.partition(topic, partition)["offsets"].clone()
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
    std::thread::sleep(Duration::from_secs(5));
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
    fill_source(&on, topic, 2_000_000);
    Workload { name: "live".into(), ..Workload::new(&on.source.bootstrap(), topic, 1) }.write(500);
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let begin = Instant::now();
    let mut daemon = Daemon::start("same-1", &config);
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    eprintln!("copied {:?} after the start", begin.elapsed());
    assert_eq!(relation(&daemon, topic, 0), "identical", "{}", daemon.partition(topic, 0));
    let (start, _) = watermarks(&on.target.side_door(), topic)[&0];
    assert_eq!(start, 2_000_000, "no filler can be read");
    assert_same_offsets(&finish(&judge, &mut daemon));
}

/// Writes that many small records and deletes them again.
fn fill_source(on: &super::Shared, topic: &str, count: u64) {
    let filler = Workload {
        name: "old".into(),
        codec: "zstd",
        value_bytes: 0,
        client: vec![("batch.num.messages".into(), "10000".into()), ("linger.ms".into(), "50".into())],
        ..Workload::new(&on.source.side_door(), topic, 1)
    };
    filler.write(count);
    on.source.admin().delete_records(topic, 0, i64::try_from(count).expect("a small number"));
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
    assert_eq!((&said["offsets"], said["offsets_since"].as_i64()), (&"translated".into(), Some(302)), "{said}");
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
    let config = Config::new(topic, on.source, on.target).matching(topic);
    let mut daemon = Daemon::start("same-1", &config);
    for round in 0..rounds() {
        wait_for_growth(on.target, topic);
        std::thread::sleep(Duration::from_millis(37 * (round % 13)));
        daemon.kill();
        daemon.restart();
    }
    wait_for_growth(on.target, topic);
    running.stop();
    let judge = Judge::new(on.source, on.target, &[topic]);
    judge.wait();
    let all_identical = (0..2).all(|partition| relation(&daemon, topic, partition) == "identical");
    eprintln!("identical after {} kills: {all_identical}", rounds());
    for partition in 0..2 {
        eprintln!("{}", daemon.partition(topic, partition));
    }
    let pairs = finish(&judge, &mut daemon);
    if all_identical {
        assert_same_offsets(&pairs);
    }
}
