//! A link's rate, and who goes first under it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, finish, shared};

/// Bytes a second.
const RATE: u64 = 400_000;
/// What may be read beyond the rate: a quarter of a second's worth at once, and one response per connection.
const SLACK: u64 = RATE * 2;

/// Records in batches that are small beside the rate: a batch is the least that can be read at once.
fn backlog(bootstrap: &str, topic: &str, records: u64) {
    let client = vec![("batch.size".to_owned(), "20000".to_owned())];
    Workload { value_bytes: 2_000, client, ..Workload::new(bootstrap, topic, 2) }.write(records);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_backlog_takes_at_least_as_long_as_the_rate_says() {
    let on = shared();
    on.source.admin().create_topic("rate", 2, &[]);
    backlog(&on.source.bootstrap(), "rate", 3_000);
    let bytes = on.source.log_bytes("rate");
    assert!(bytes > 10 * RATE, "{bytes} bytes are too few to measure a rate with");
    let config = Config::new("rate", on.source, on.target).matching("rate").line("rate = \"400 KB/s\"");
    let begin = Instant::now();
    let mut daemon = Daemon::start("rate-1", &config);
    Judge::new(on.source, on.target, &["rate"]).wait();
    let took = begin.elapsed();
    let least = Duration::from_secs_f64(u32::try_from(bytes - SLACK).map(f64::from).unwrap() / 400_000.0 * 0.95);
    assert!(took >= least, "{bytes} bytes at {RATE} a second took {took:?}, and should take {least:?} at least");
    eprintln!("{bytes} bytes at {RATE} a second took {took:?}, of at least {least:?}");
    finish(&Judge::new(on.source, on.target, &["rate"]), &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn under_a_rate_the_higher_priority_arrives_first() {
    let on = shared();
    let topics = ["priority-low", "priority-high"];
    for topic in topics {
        on.source.admin().create_topic(topic, 2, &[]);
        backlog(&on.source.bootstrap(), topic, 1_500);
    }
    let config = Config::new("priority", on.source, on.target)
        .line("rate = \"400 KB/s\"")
        .topics(&["name = 'priority-high'", "priority = 10"])
        .matching("priority-.*");
    let mut daemon = Daemon::start("priority-1", &config);
    // Both numbers come from one answer: whatever a busy machine does between two answers, as long as records of the
    // higher priority wait, few of the lower one may have gone.
    let copied = |topics: &Value, topic: &str| -> i64 {
        let mut all = topics["topics"].as_array().into_iter().flatten();
        let own = all.find(|t| t["source_topic"] == topic).cloned().unwrap_or_default();
        let partitions = own["partitions"].as_array().cloned().unwrap_or_default();
        partitions.iter().filter_map(|p| p["source_position"].as_i64()).sum()
    };
    let mut seen = Vec::new();
    wait_for("all records of the higher priority", RECOVERY, || {
        let (_, topics) = daemon.get(&format!("/v1/links/{LINK}/topics"))?;
        let now = (copied(&topics, "priority-high"), copied(&topics, "priority-low"));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        (now.0 >= 1_500).then_some(())
    });
    eprintln!("higher and lower priority, in records: {seen:?}");
    let while_waiting: Vec<_> = seen.iter().filter(|(high, _)| (300..1_500).contains(high)).collect();
    assert!(!while_waiting.is_empty(), "it was never seen half way: {seen:?}");
    assert!(while_waiting.iter().all(|(_, low)| *low < 400), "the lower priority did not wait: {seen:?}");
    finish(&Judge::new(on.source, on.target, &topics), &mut daemon);
}
