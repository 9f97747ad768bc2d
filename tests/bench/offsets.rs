//! What keeping offsets the same costs: bringing empty partitions forward, and filling gaps.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::admin::Acl;
use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::KAFKA_4;
use crate::process::{scratch, wait_for};
use crate::security::Security;
use crate::workload::{Kind, Running, Workload};

const LIMIT: Duration = Duration::from_mins(10);
const PARTITIONS: i32 = 10;

/// The partitions of a topic that mirrors from an offset in the millions.
pub fn fast_forward(source: &Cluster, target: &Cluster, is_quick: bool) {
    let offsets: u64 = if is_quick { 5_000_000 } else { 20_000_000 };
    for partitions in [1, 4] {
        let topic = format!("forward-{partitions}");
        source.admin().create_topic(&topic, partitions, &[]);
        std::thread::scope(|scope| {
            for partition in 0..partitions {
                let topic = &topic;
                scope.spawn(move || write_empty(&source.bootstrap(), topic, partition, offsets));
            }
        });
        for partition in 0..partitions {
            source.admin().delete_records(&topic, partition, i64::try_from(offsets).unwrap());
        }
        let mut daemon = Daemon::start(&topic, &Config::new(&topic, source, target).matching(&topic));
        let states = || {
            let said = daemon.topic(&topic);
            let all = said["partitions"].as_array().cloned().unwrap_or_default();
            all.iter().map(|partition| partition["state"].clone()).collect::<Vec<Value>>()
        };
        wait_for("fast-forwarding", LIMIT, || {
            states().iter().any(|state| state == "fast_forwarding" || state == "mirroring").then_some(())
        });
        let (begin, before) = (Instant::now(), (daemon.usage(), target.node(1).usage()));
        wait_for("mirroring", LIMIT, || {
            let states = states();
            (!states.is_empty() && states.iter().all(|state| state == "mirroring")).then_some(())
        });
        let seconds = begin.elapsed().as_secs_f64();
        let total = f64::from(u32::try_from(offsets * u64::from(partitions.unsigned_abs())).unwrap());
        println!(
            "fast-forward: {partitions} partitions by {offsets} offsets in {seconds:.1} s: {:.2} M offsets/s and \
             partition; {:.1} CPU s of the daemon, {:.1} of the target",
            total / f64::from(partitions) / seconds / 1e6,
            daemon.usage().cpu_seconds - before.0.cpu_seconds,
            target.node(1).usage().cpu_seconds - before.1.cpu_seconds,
        );
        daemon.stop();
        source.admin().delete_topic(&topic);
        target.admin().delete_topic(&topic);
    }
}

/// So many empty records, as quickly as it goes.
fn write_empty(bootstrap: &str, topic: &str, partition: i32, count: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("compression.type", "zstd")
        .set("linger.ms", "50")
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .expect("a producer");
    for _ in 0..count {
        while producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(partition)).is_err() {
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(LIMIT).expect("all is delivered");
}

/// Transactions of which each leaves a marker in every partition.
pub fn fills(source: &Cluster, target: &Cluster, is_quick: bool) {
    let seconds = if is_quick { 20 } else { 60 };
    let config = Config::new("markers", source, target);
    filling("markers", 20, seconds, (source, target), config);
    let user = "filler";
    let users = Security::new(&[(user, "a-password-of-the-bench")]);
    let secured =
        Cluster::start(Options { jvm: crate::JVM.map(str::to_owned).to_vec(), ..Options::new(KAFKA_4) }.secured(users));
    // All but Alter on the cluster: topics, groups, transactional ids.
    let any = |resource_type: i8, operation: i8| Acl { resource_type, resource: "*".into(), pattern: 3, operation };
    let on_topics = [3, 4, 5, 6, 7, 8, 10, 11].map(|operation| any(2, operation));
    let others = [any(3, 3), any(5, 4), any(5, 8)];
    secured.admin().allow(user, &on_topics);
    secured.admin().allow(user, &others);
    let mut lines = secured.security().client_properties(&scratch("ca"), user);
    lines.push(("bootstrap.servers".into(), secured.bootstrap()));
    let config = Config::new("transactions", source, &secured).cluster("target", &lines);
    filling("transactions", 10, seconds, (source, &secured), config);
}

/// Commits a second that one producer makes.
const COMMITS_OF_A_PRODUCER: u64 = 4;

fn filling(name: &str, commits: u64, seconds: u64, (source, target): (&Cluster, &Cluster), config: Config) {
    let topic = format!("fill-{name}");
    source.admin().create_topic(&topic, PARTITIONS, &[]);
    // A transaction of as many records as there are partitions has one in each.
    let per_transaction = u64::from(PARTITIONS.unsigned_abs());
    // One producer waits for each of its commits, and can't make so many.
    let producers = commits.div_ceil(COMMITS_OF_A_PRODUCER);
    let running: Vec<_> = (0..producers)
        .map(|number| {
            let workload = Workload {
                name: format!("producer-{number}"),
                kind: Kind::Transactional(per_transaction),
                rate: commits * per_transaction / producers,
                ..Workload::new(&source.bootstrap(), &topic, PARTITIONS)
            };
            workload.start()
        })
        .collect();
    let sent = || running.iter().map(Running::sent).sum::<u64>();
    let mut daemon = Daemon::start(&topic, &config.matching(&topic));
    daemon.wait_for_state(&topic, PARTITIONS - 1, "mirroring", LIMIT);
    let lags_now = || -> Vec<u64> {
        let said = daemon.topic(&topic);
        said["partitions"].as_array().into_iter().flatten().filter_map(|p| p["lag_ms"].as_u64()).collect()
    };
    // Cold brokers compile what they need first, and fall behind meanwhile.
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds / 3));
    wait_for("the backlog of cold brokers", LIMIT, || lags_now().iter().all(|lag| *lag < 500).then_some(()));
    let warm = begin.elapsed().as_secs_f64();
    let before = (daemon.usage(), target.node(1).usage(), sent());
    let mut lags: Vec<u64> = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        lags.extend(lags_now());
        std::thread::sleep(Duration::from_millis(100));
    }
    let passed = begin.elapsed().as_secs_f64();
    let made = f64::from(u32::try_from(sent() - before.2).unwrap()) / f64::from(PARTITIONS) / passed;
    let share = |after: f64, before: f64| (after - before) / passed * 100.0;
    let identical = (0..PARTITIONS).filter(|p| daemon.partition(&topic, *p)["offsets"] == "identical").count();
    lags.sort_unstable();
    let part = |hundredths: usize| lags.get(lags.len() * hundredths / 100).copied().unwrap_or_default();
    println!(
        "fills by {name}: {made:.1} of {commits} commits/s and partition on {PARTITIONS} partitions for {passed:.0} s, \
         after {warm:.0} s: \
         lag {} ms (p50), {} ms (p99), {} ms at most; {identical} partitions identical; daemon {:.0} % of a core, \
         target {:.0} %",
        part(50),
        part(99),
        lags.last().copied().unwrap_or_default(),
        share(daemon.usage().cpu_seconds, before.0.cpu_seconds),
        share(target.node(1).usage().cpu_seconds, before.1.cpu_seconds),
    );
    for workload in running {
        workload.stop();
    }
    daemon.stop();
    source.admin().delete_topic(&topic);
}
