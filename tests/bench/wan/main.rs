//! A link over a peer across a long line, beside a direct link over the same line.
//!
//! `cargo bench --bench wan -- [--quick] [--line clean|loss|narrow]... [--way direct|peer]...` needs root: the source
//! and the daemon next to it run in a network namespace, 80 ms away. One topic of 8 partitions is copied; nothing is
//! asserted, and the first copies are thrown away. On a machine with more than two cores, `taskset -c 0,1` gives the
//! figures that are asked for.
//!
//! Columns: MB of values; seconds from the first record on the target to the last; MB/s; the longest round trip of a
//! control frame while the line was full, in ms; CPU seconds per GB of the copying and of the serving daemon; the most
//! memory of each, in MB (a session's credit is 128 MB).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a command for developers that shares the test harness, of which it needs a part"
)]

#[path = "../../kafka/admin.rs"]
mod admin;
#[path = "../../kafka/broker.rs"]
mod broker;
#[path = "../../kafka/checker.rs"]
mod checker;
#[path = "../../kafka/config.rs"]
mod config;
#[path = "../../kafka/daemon.rs"]
mod daemon;
#[path = "../../kafka/frame.rs"]
mod frame;
#[path = "../../kafka/jars.rs"]
mod jars;
#[path = "../../kafka/process.rs"]
mod process;
#[path = "../../kafka/record.rs"]
mod record;
#[path = "../../kafka/relay.rs"]
mod relay;
#[path = "../../kafka/security.rs"]
mod security;

mod network;
mod premises;

use std::time::{Duration, Instant};

use broker::{Cluster, Options};
use config::{Config, LINK};
use daemon::Daemon;
use jars::KAFKA_4;
use network::{Network, SHAPES, Shape};
use premises::{Keys, Onprem, Source, long};
use process::{scratch, wait_for};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

const LIMIT: Duration = Duration::from_mins(20);
const COPIES_TO_WARM: u32 = 3;
/// Windows have opened by then.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Peer,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let given = |flag: &str| -> Vec<String> {
        arguments.windows(2).filter(|words| words[0] == flag).map(|words| words[1].clone()).collect()
    };
    let (lines, ways) = (given("--line"), given("--way"));
    let records = if arguments.iter().any(|a| a == "--quick") { 200_000 } else { 4_000_000 };
    let jvm = ["-Xmx1g", "-Xms1g"].map(str::to_owned).to_vec();
    let target = Cluster::start(Options { jvm, ..Options::new(KAFKA_4) });
    println!(
        "{:8} {:7} {:>7} {:>7} {:>7} {:>9} {:>10} {:>10} {:>8} {:>8}",
        "line", "way", "MB", "s", "MB/s", "control", "copy s/GB", "serve s/GB", "copy MB", "serve MB"
    );
    // The first copies warm both JVMs, whose compilers are busy for a minute; they are thrown away.
    let mut copies_to_warm = COPIES_TO_WARM;
    for shape in SHAPES.iter().filter(|shape| lines.is_empty() || lines.iter().any(|line| line == shape.name)) {
        let _network = Network::build(*shape);
        let _source = Source::start();
        for number in 0..std::mem::take(&mut copies_to_warm) {
            let topic = format!("wan-warm-{number}");
            let bytes = Source::fill(&topic, records / 2);
            eprintln!("thrown away: {}", measure(&target, *shape, Way::Peer, "peer", (&topic, records / 2, bytes)));
            Source::admin().delete_topic(&topic);
        }
        // What a broker sends on one connection is bounded by `socket.send.buffer.bytes`: the direct way takes long.
        for (way, name, records) in [(Way::Direct, "direct", records / 10), (Way::Peer, "peer", records)] {
            if ways.is_empty() || ways.iter().any(|wanted| wanted == name) {
                let topic = format!("wan-{}-{name}", shape.name);
                let bytes = Source::fill(&topic, records);
                println!("{}", measure(&target, *shape, way, name, (&topic, records, bytes)));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(target: &Cluster, shape: Shape, way: Way, name: &str, (topic, records, bytes): (&str, u64, u64)) -> String {
    let folder = scratch("wan-daemons");
    let keys = Keys::make();
    let reached = match way {
        Way::Direct => ("bootstrap.servers".to_owned(), long()),
        Way::Peer => ("via".to_owned(), "onprem".to_owned()),
    };
    let config = Config::bare(topic)
        .cluster("source", &[reached])
        .cluster("target", &[("bootstrap.servers".to_owned(), target.bootstrap())])
        .link(LINK, "source", "target")
        .line("tuning.fetch_connections = 8")
        .matching(topic);
    let config = if way == Way::Peer { config.tail(&keys.of_cloud()) } else { config };
    let onprem = (way == Way::Peer).then(|| Onprem::start(&keys, &folder));
    let watcher: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", target.bootstrap())
        .set("group.id", "wan")
        .create()
        .expect("a consumer");
    let mut cloud = Daemon::start_without_waiting(topic, &config);
    wait_for("the topic on the target", LIMIT, || target.admin().partitions(topic));
    let (mut last_empty, mut control_ms) = (Instant::now(), None::<f64>);
    wait_for("the copy", LIMIT, || {
        let looked = Instant::now();
        let copied = copied(&watcher, topic);
        if copied == 0 {
            last_empty = looked;
        }
        if last_empty.elapsed() > SETTLED_AFTER && way == Way::Peer {
            let told = cloud.get("/v1/peers").map(|(_, told)| told).unwrap_or_default();
            let trip = told["peers"][0]["sessions"][0]["round_trip_ms"].as_f64();
            control_ms = [control_ms, trip].into_iter().flatten().reduce(f64::max);
        }
        // Looking is work for the target's broker too.
        std::thread::sleep(Duration::from_millis(100));
        (copied >= records).then_some(())
    });
    let seconds = last_empty.elapsed().as_secs_f64();
    let (copying, serving) = (cloud.usage(), onprem.as_ref().map(Onprem::usage).unwrap_or_default());
    let megabytes = bytes as f64 / 1e6;
    let row = format!(
        "{:8} {name:7} {megabytes:>7.0} {seconds:>7.1} {:>7.0} {:>9} {:>10.2} {:>10.2} {:>8} {:>8}",
        shape.name,
        megabytes / seconds,
        control_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms")),
        copying.cpu_seconds / megabytes * 1e3,
        serving.cpu_seconds / megabytes * 1e3,
        copying.resident_bytes_peak >> 20,
        serving.resident_bytes_peak >> 20,
    );
    cloud.stop();
    target.admin().delete_topic(topic);
    row
}

/// The high watermarks of all partitions, added up.
fn copied(watcher: &BaseConsumer, topic: &str) -> u64 {
    let limit = Duration::from_secs(30);
    let high = |partition| {
        let marks = watcher.fetch_watermarks(topic, partition, limit);
        marks.map_or(0, |(_, high)| u64::try_from(high).unwrap_or(0))
    };
    (0..premises::PARTITIONS).map(high).sum()
}
