//! Runs the daemon on a filled topic and takes its measure.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::filler::{PARTITIONS, Shape, fill, trickle};
use crate::process::wait_for;

const LIMIT: Duration = Duration::from_mins(10);

/// What one copy took.
pub struct Measured {
    records: u64,
    batch_bytes: u64,
    /// From the start of the daemon's process to the last record on the target.
    since_start: Duration,
    /// From the last look that found nothing on the target to the last record.
    copying: Duration,
    daemon_cpu_seconds: f64,
    source_cpu_seconds: f64,
    target_cpu_seconds: f64,
    daemon_bytes_peak: u64,
}

/// The heads of the columns.
pub fn print_head() {
    println!(
        "{:8} {:>9} {:>8} {:>9} {:>8} {:>8} {:>11} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "shape",
        "records",
        "MB",
        "s (start)",
        "s (copy)",
        "MB/s",
        "records/s",
        "CPU s",
        "CPU s/GB",
        "source",
        "target",
        "RSS MB"
    );
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Measured {
    /// One line of the table. MB are batch bytes, as they lie in the source's log.
    pub fn print(&self, name: &str) {
        let megabytes = self.batch_bytes as f64 / 1e6;
        let seconds = self.copying.as_secs_f64();
        println!(
            "{name:8} {:>9} {megabytes:>8.0} {:>9.2} {seconds:>8.2} {:>8.0} {:>11.0} {:>9.2} {:>8.2} {:>8.2} \
             {:>8.2} {:>8}",
            self.records,
            self.since_start.as_secs_f64(),
            megabytes / seconds,
            self.records as f64 / seconds,
            self.daemon_cpu_seconds,
            self.daemon_cpu_seconds / (megabytes / 1e3),
            self.source_cpu_seconds,
            self.target_cpu_seconds,
            self.daemon_bytes_peak >> 20,
        );
    }
}

/// Fills a topic, lets a daemon copy it, and removes both topics.
pub fn copy(source: &Cluster, target: &Cluster, shape: &Shape) -> Measured {
    let topic = format!("bench-{}", shape.name);
    source.admin().create_topic(&topic, PARTITIONS, &[]);
    let begin = Instant::now();
    fill(&source.bootstrap(), &topic, shape);
    let batch_bytes = source.log_bytes(&topic);
    eprintln!("{topic}: filled with {} MB in {:.1} s", batch_bytes / 1_000_000, begin.elapsed().as_secs_f64());
    let before = (source.node(1).usage(), target.node(1).usage());

    let watcher = watcher(target);
    let begin = Instant::now();
    let config = Config::new(&topic, source, target).matching(&topic);
    let mut daemon = Daemon::start_without_waiting(&topic, &config);
    wait_for("the topic on the target", LIMIT, || target.admin().partitions(&topic));
    let mut last_empty = Instant::now();
    wait_for("the copy", LIMIT, || {
        let looked = Instant::now();
        let copied = high_watermarks(&watcher, &topic);
        if copied == 0 {
            last_empty = looked;
        }
        (copied >= shape.records).then_some(())
    });
    let (since_start, copying) = (begin.elapsed(), last_empty.elapsed());
    let used = daemon.usage();
    let after = (source.node(1).usage(), target.node(1).usage());
    daemon.stop();
    source.admin().delete_topic(&topic);
    target.admin().delete_topic(&topic);
    Measured {
        records: shape.records,
        batch_bytes,
        since_start,
        copying,
        daemon_cpu_seconds: used.cpu_seconds,
        source_cpu_seconds: after.0.cpu_seconds - before.0.cpu_seconds,
        target_cpu_seconds: after.1.cpu_seconds - before.1.cpu_seconds,
        daemon_bytes_peak: used.resident_bytes_peak,
    }
}

/// 1,000 partitions at 1 MB/s in total.
pub fn idle(source: &Cluster, target: &Cluster, seconds: u64) {
    let topics: Vec<String> = (0..100).map(|i| format!("idle-{i}")).collect();
    for topic in &topics {
        source.admin().create_topic(topic, 10, &[]);
    }
    let mut daemon = Daemon::start("idle", &Config::new("idle", source, target).matching("idle-.*"));
    for topic in &topics {
        wait_for(topic, LIMIT, || target.admin().partitions(topic).filter(|count| *count == 10));
    }
    let begin = (Instant::now(), daemon.usage(), source.node(1).usage(), target.node(1).usage());
    trickle(&source.bootstrap(), &topics, 10, 1_000, seconds);
    let watcher = watcher(target);
    wait_for("the copy", LIMIT, || {
        let copied: u64 = topics.iter().map(|topic| high_watermarks(&watcher, topic)).sum();
        (copied >= seconds * 1_000).then_some(())
    });
    let (passed, used) = (begin.0.elapsed().as_secs_f64(), daemon.usage());
    let share = |after: f64, before: f64| (after - before) / passed * 100.0;
    println!(
        "idle: 1,000 partitions at 1 MB/s for {passed:.0} s: {} MB at most, daemon {:.0} % of a core, \
         source {:.0} %, target {:.0} %",
        used.resident_bytes_peak >> 20,
        share(used.cpu_seconds, begin.1.cpu_seconds),
        share(source.node(1).usage().cpu_seconds, begin.2.cpu_seconds),
        share(target.node(1).usage().cpu_seconds, begin.3.cpu_seconds),
    );
    daemon.stop();
}

fn watcher(cluster: &Cluster) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("group.id", "bench")
        .create()
        .expect("a consumer")
}

/// The high watermarks of all partitions, added up.
fn high_watermarks(watcher: &BaseConsumer, topic: &str) -> u64 {
    let limit = Duration::from_secs(30);
    let metadata = watcher.fetch_metadata(Some(topic), limit).expect("metadata");
    let partitions = metadata.topics()[0].partitions();
    let end = |id: i32| watcher.fetch_watermarks(topic, id, limit).map_or(0, |(_, high)| high);
    partitions.iter().map(|p| u64::try_from(end(p.id())).unwrap_or(0)).sum()
}
