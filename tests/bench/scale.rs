//! Very many partitions on one daemon, between two clusters in memory.

use std::time::{Duration, Instant};

use causeway::emulator::Cluster;
use rdkafka::producer::Producer;

use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::emulator::start;
use crate::filler::{producer, send, trickle};
use crate::process::{Usage, wait_for};

/// Of each topic.
const PARTITIONS: i32 = 100;
const LIMIT: Duration = Duration::from_mins(15);
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// What one partition keeps, so that this process stays small.
const RETENTION: [(&str, &str); 2] = [("retention.bytes", "4194304"), ("segment.bytes", "1048576")];

/// Starts a daemon on so many topics with a record in each partition, lets it idle, then writes 50 MB/s to one topic.
pub fn measure(topics: usize, seconds: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let (source, target) = (start(&runtime, "source", 1), start(&runtime, "target", 2));
    let names: Vec<String> = (0..topics).map(|topic| format!("scale-{topic:03}")).collect();
    let ends = |cluster: &Cluster| -> u64 {
        let places = names.iter().flat_map(|topic| (0..PARTITIONS).map(move |index| (topic, index)));
        let end =
            |(topic, index): (&String, i32)| cluster.partition(topic, index).map_or(0, |view| view.high_watermark);
        places.map(end).map(|end| u64::try_from(end).unwrap()).sum()
    };
    let writer = producer(&source.bootstrap(), 1_000);
    for topic in &names {
        source.create_topic(topic, PARTITIONS, 1, &RETENTION).expect("a topic");
        (0..PARTITIONS).for_each(|partition| send(&writer, topic, partition, b"the first"));
        writer.poll(Duration::ZERO);
    }
    writer.flush(LIMIT).expect("all is delivered");
    let total = ends(&source);

    let reach = |cluster: &Cluster| [("bootstrap.servers".to_owned(), cluster.bootstrap())];
    let config = Config::bare("scale").cluster("source", &reach(&source)).cluster("target", &reach(&target));
    let begin = Instant::now();
    let mut daemon =
        Daemon::start_without_waiting("scale", &config.link(LINK, "source", "target").matching("scale-.*"));
    wait_for("a record in every partition of the target", LIMIT, || (ends(&target) == total).then_some(()));
    let used = daemon.usage();
    println!(
        "{total} partitions: each has its first record {:.1} s after the daemon's start; {:.1} CPU s, {} MB at most",
        begin.elapsed().as_secs_f64(),
        used.cpu_seconds,
        used.resident_bytes_peak >> 20
    );
    // What begins with the first records has ended by then: checkpoints, and settings of topics that have caught up.
    std::thread::sleep(SETTLED_AFTER);
    told("idle", &daemon, || std::thread::sleep(Duration::from_secs(seconds)));
    told("50 MB/s in a hundred of them", &daemon, || {
        trickle(&source.bootstrap(), &names[..1], PARTITIONS, 50_000, seconds);
        let written = ends(&source);
        wait_for("the copy", LIMIT, || (ends(&target) == written).then_some(()));
    });
    daemon.stop();
    runtime.block_on(async { tokio::join!(source.close(), target.close()) });
}

/// Tells what the daemon used meanwhile.
fn told(what: &str, daemon: &Daemon, work: impl FnOnce()) {
    let (begin, before) = (Instant::now(), daemon.usage());
    work();
    let (passed, Usage { cpu_seconds, resident_bytes_peak }) = (begin.elapsed().as_secs_f64(), daemon.usage());
    println!(
        "  {what}, {passed:.0} s: {:.1} % of a core, {} MB at most",
        (cpu_seconds - before.cpu_seconds) / passed * 100.0,
        resident_bytes_peak >> 20
    );
}
