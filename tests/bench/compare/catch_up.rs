//! A copier finds a full topic: how long it takes, and what it costs.
//!
//! Owns: one such measurement, and the bare replay beside it.
//! Promises: a copier that does not get done is a failure with its reason, never a figure.
//! Does not know: how often it is repeated.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::broker::Cluster;
use crate::copiers::Copier;
use crate::plain::Job;
use crate::process::{Process, Usage, scratch, tail_of, wait_for};
use crate::shapes::Shape;

const LIMIT: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(20);

/// What one copy took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// From the start of the process to the last look that found nothing on the target.
    pub start_seconds: f64,
    /// From then on until all was there.
    pub copy_seconds: f64,
    /// The copier's CPU seconds until copying began, and while it copied.
    pub start_cpu: f64,
    pub copy_cpu: f64,
    /// The brokers' CPU seconds while it copied.
    pub source_cpu: f64,
    pub target_cpu: f64,
    /// The most memory that the copier had.
    pub bytes_peak: u64,
}

/// Lets one copier copy one topic, which is there.
pub fn measure(source: &Cluster, target: &Cluster, shape: &Shape, copier: Copier) -> Result<Measured, String> {
    let topic = copier.target_topic(shape);
    if copier.needs_topic() {
        target.admin().create_topic(&topic, shape.partitions, &[]);
    }
    let watcher = watcher(target);
    let wanted = wanted(source, shape, copier);
    let mut usage = usage_of(source, target);
    let begin = Instant::now();
    let mut running = copier.start(source, target, shape);
    let mut last_empty = (Instant::now(), running.usage());
    let measured = loop {
        let looked = Instant::now();
        let before = (running.usage(), usage_of(source, target));
        let copied = copied(&watcher, &topic, shape);
        if copied == 0 {
            last_empty = (looked, before.0);
            usage = before.1;
        }
        if copied >= wanted {
            let (done, used, brokers) = (Instant::now(), running.usage(), usage_of(source, target));
            break Ok(Measured {
                start_seconds: (last_empty.0 - begin).as_secs_f64(),
                copy_seconds: (done - last_empty.0).as_secs_f64(),
                start_cpu: last_empty.1.cpu_seconds,
                copy_cpu: used.cpu_seconds - last_empty.1.cpu_seconds,
                source_cpu: brokers.0 - usage.0,
                target_cpu: brokers.1 - usage.1,
                bytes_peak: used.resident_bytes_peak,
            });
        }
        if let Some(failure) = running.failure() {
            break Err(format!("{} ended: {failure}", copier.name()));
        }
        if begin.elapsed() > LIMIT {
            break Err(format!("{} copied {copied} of {wanted} offsets in {LIMIT:?}", copier.name()));
        }
        std::thread::sleep(PAUSE);
    };
    drop(running);
    clean(target, copier, shape);
    measured
}

/// What copiers leave on the target.
pub fn clean(target: &Cluster, copier: Copier, shape: &Shape) {
    let mut topics = vec![copier.target_topic(shape)];
    match copier {
        Copier::Causeway | Copier::CausewayTranslating => topics.push(format!("__causeway.{}", shape.name)),
        Copier::MirrorMakerShipped | Copier::MirrorMakerTuned => {
            let own = ["mm2-offsets.A.internal", "mm2-status.A.internal", "mm2-configs.A.internal"];
            topics.extend(own.map(str::to_owned));
            topics.extend(["A.checkpoints.internal", "heartbeats", "A.heartbeats"].map(str::to_owned));
        }
        Copier::Rdkafka | Copier::FranzGo => {}
    }
    for topic in topics {
        if target.admin().partitions(&topic).is_some() {
            target.admin().delete_topic(&topic);
        }
    }
}

/// Sends ready-made batches as fast as the broker takes them; seconds.
pub fn replay(source: &Cluster, target: &Cluster, shape: &Shape) -> Result<f64, String> {
    let topic = format!("replay-{}", shape.name);
    target.admin().create_topic(&topic, shape.partitions, &[]);
    let folder = scratch("replay");
    let (begin, log) = (folder.join("begin"), folder.join("log"));
    let job = Job {
        source: source.bootstrap(),
        target: target.bootstrap(),
        topic: shape.topic(),
        target_topic: topic.clone(),
        codec: shape.codec.to_owned(),
    };
    let this = std::env::current_exe().expect("our own program").display().to_string();
    let own = vec!["--replay".to_owned(), shape.busy.to_string(), begin.display().to_string()];
    let mut process = Process::start(
        "replay",
        &this,
        &[own, job.arguments()].concat(),
        &log,
        &[("RUST_BACKTRACE".to_owned(), "0".to_owned())],
    );
    let line = |word: &str| {
        let text = tail_of(&log, 1_000);
        text.lines().find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()))
    };
    let started = Instant::now();
    let mut is_begun = false;
    let seconds = loop {
        if let Some(seconds) = line("done") {
            break seconds.parse().map_err(|_| format!("the replay took {seconds:?}"));
        }
        if !is_begun && line("ready").is_some() {
            is_begun = true;
            std::fs::write(&begin, "").expect("a file");
        }
        if !process.is_alive() && line("done").is_none() {
            break Err(format!("the replay ended: {}", tail_of(&log, 20)));
        }
        if started.elapsed() > LIMIT {
            break Err(format!("the replay took longer than {LIMIT:?}"));
        }
        std::thread::sleep(PAUSE);
    };
    target.admin().delete_topic(&topic);
    seconds
}

fn usage_of(source: &Cluster, target: &Cluster) -> (f64, f64) {
    let cpu = |usage: Usage| usage.cpu_seconds;
    (cpu(source.node(1).usage()), cpu(target.node(1).usage()))
}

fn watcher(cluster: &Cluster) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("group.id", "bench")
        .create()
        .expect("a consumer")
}

/// Waits until the source serves all partitions that get records.
pub fn wait_until_led(source: &Cluster, shape: &Shape) {
    let (watcher, topic) = (watcher(source), shape.topic());
    let is_led = |partition| watcher.fetch_watermarks(&topic, partition, Duration::from_secs(1)).is_ok();
    wait_for("leaders at the source", LIMIT, || (0..shape.busy).all(is_led).then_some(()));
}

/// Whether the source has what was to be written. Producers were seen to call all records of a topic that had just
/// been made delivered, and one was not there.
pub fn check_filled(source: &Cluster, shape: &Shape) -> Result<(), String> {
    let there = copied(&watcher(source), &shape.topic(), shape);
    if there < shape.records {
        return Err(format!("the source has {there} records of {}, all of them called delivered", shape.records));
    }
    Ok(())
}

/// How many offsets the target has when all records are there. Whoever keeps offsets has those of commits too, but for
/// the last commit of each partition, behind which there is no record.
fn wanted(source: &Cluster, shape: &Shape, copier: Copier) -> u64 {
    if copier == Copier::Causeway && shape.per_transaction.is_some() {
        copied(&watcher(source), &shape.topic(), shape).saturating_sub(u64::from(shape.busy.unsigned_abs()))
    } else {
        shape.records
    }
}

/// How many offsets the target has: the high watermarks of the partitions that get records, added up. 0 as long as
/// there is no topic.
fn copied(watcher: &BaseConsumer, topic: &str, shape: &Shape) -> u64 {
    let limit = Duration::from_secs(30);
    let Ok(metadata) = watcher.fetch_metadata(Some(topic), limit) else { return 0 };
    let exists = metadata.topics().first().is_some_and(|topic| !topic.partitions().is_empty());
    if !exists {
        return 0;
    }
    let end = |partition: i32| watcher.fetch_watermarks(topic, partition, limit).map_or(0, |(_, high)| high);
    (0..shape.busy).map(|partition| u64::try_from(end(partition)).unwrap_or(0)).sum()
}
