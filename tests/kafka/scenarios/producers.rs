//! Every kind of producer with every codec, in both directions between the two releases, while the daemon runs and
//! before it started.

use std::time::Duration;

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::workload::{CODECS, Kind, Running, Workload};

use super::{finish, shared};

const KINDS: [Kind; 4] = [Kind::Plain, Kind::Idempotent, Kind::Transactional(10), Kind::Transactional(25)];

/// One workload of each kind and codec; the transactional ones interleave in the same partitions when they run at once.
fn all(bootstrap: &str, topic: &str) -> Vec<Workload> {
    let mut all = Vec::new();
    for (i, kind) in KINDS.into_iter().enumerate() {
        for codec in CODECS {
            let age = Duration::from_hours(24 * 3 * u64::from(codec == "zstd"));
            let name = format!("{codec}-{i}");
            all.push(Workload { name, kind, codec, age, rate: 60, ..Workload::new(bootstrap, topic, 3) });
        }
    }
    all
}

fn every_producer(topic: &str, source: &Cluster, target: &Cluster) {
    source.admin().create_topic(topic, 3, &[]);
    for work in all(&source.bootstrap(), topic) {
        let early = Workload { name: format!("early-{}", work.name), ..work };
        early.write(90);
    }
    let mut daemon = Daemon::start("producers-1", &Config::new(topic, source, target).matching(topic));
    let running: Vec<Running> = all(&source.bootstrap(), topic).iter().map(Workload::start).collect();
    for work in &running {
        crate::process::wait_for("150 records of each", Duration::from_mins(2), || (work.sent() >= 150).then_some(()));
    }
    let acked: usize = running.into_iter().map(|work| work.stop().len()).sum();
    let pairs = finish(&Judge::new(source, target, &[topic]), &mut daemon);
    let copied: usize = pairs.values().map(Vec::len).sum();
    assert!(copied >= acked + 20 * 60, "{copied} copied, {acked} acknowledged while it ran");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn from_the_older_release_to_the_newer() {
    let on = shared();
    every_producer("producers-up", on.source, on.target);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn from_the_newer_release_to_the_older() {
    let on = shared();
    every_producer("producers-down", on.target, on.source);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn large_and_small_batches() {
    let on = shared();
    on.source.admin().create_topic("sizes", 2, &[("max.message.bytes", "4000000")]);
    let new = || Workload::new(&on.source.bootstrap(), "sizes", 2);
    for (i, codec) in CODECS.into_iter().enumerate() {
        let client = vec![("batch.num.messages".to_owned(), "1".to_owned())];
        Workload { name: format!("one-{i}"), codec, client, ..new() }.write(300);
        let client = vec![("message.max.bytes".to_owned(), "3900000".to_owned())];
        Workload { name: format!("large-{i}"), codec, client, value_bytes: 150_000, ..new() }.write(8);
        let client = vec![("linger.ms".to_owned(), "50".to_owned()), ("batch.size".to_owned(), "900000".to_owned())];
        Workload { name: format!("many-{i}"), codec, client, ..new() }.write(5_000);
    }
    let mut daemon = Daemon::start("sizes-1", &Config::new("sizes", on.source, on.target).matching("sizes"));
    finish(&Judge::new(on.source, on.target, &["sizes"]), &mut daemon);
}
