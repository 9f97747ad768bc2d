//! How much the clusters in memory move: librdkafka writes to one and reads from it, all in this process.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use causeway::emulator::{Cluster, Settings};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Runtime;

use crate::filler::send;
use crate::process::cpu_seconds_in;

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 4;
const RECORD_BYTES: usize = 1 << 10;
/// What one partition keeps, in bytes.
const RETENTION: &str = "67108864";
const RETENTION_LOOK: Duration = Duration::from_secs(1);
const THREADS: &str = "in-memory kafka";

/// A cluster that looks at its retention often. Its id follows from the seed.
pub fn start(runtime: &Runtime, name: &str, seed: u64) -> Cluster {
    let look = ("log.retention.check.interval.ms".to_owned(), RETENTION_LOOK.as_millis().to_string());
    let settings = Settings { seed, broker_settings: BTreeMap::from([look]), ..Settings::new(name) };
    runtime.block_on(Cluster::start(settings)).expect("a cluster")
}

/// Writes so many records, then reads what is kept, then does both at once.
pub fn measure(records: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(THREADS)
        .enable_all()
        .build()
        .expect("threads");
    let cluster = start(&runtime, "bench", 1);
    let configs = [("retention.bytes", RETENTION), ("segment.bytes", "16777216")];
    cluster.create_topic(TOPIC, PARTITIONS, 1, &configs).expect("a topic");
    let bootstrap = cluster.bootstrap();
    println!("in memory, {RECORD_BYTES} bytes a record, {PARTITIONS} partitions, two threads:");
    told("written", || write(&bootstrap, records));
    // What is too much goes with the next look at retention.
    std::thread::sleep(RETENTION_LOOK * 3);
    let views = || (0..PARTITIONS).filter_map(|index| cluster.partition(TOPIC, index));
    let starts: Vec<i64> = views().map(|view| view.log_start).collect();
    let ends: Vec<i64> = views().map(|view| view.log_end).collect();
    let kept = u64::try_from(ends.iter().sum::<i64>() - starts.iter().sum::<i64>()).unwrap();
    told("read", || read(&bootstrap, &starts, kept));
    told("written and read at once", || {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read(&bootstrap, &ends, records / 2));
            write(&bootstrap, records) + reading.join().expect("it reads")
        })
    });
    println!("  {} MB are kept in the end", cluster.bytes_held() / 1_000_000);
    runtime.block_on(cluster.close());
}

/// Tells how fast that many bytes moved, and what of it the cluster's own threads needed.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn told(what: &str, work: impl FnOnce() -> u64) {
    let (begin, before) = (Instant::now(), cpu_seconds());
    let megabytes = work() as f64 / 1e6;
    let (seconds, used) = (begin.elapsed().as_secs_f64(), cpu_seconds() - before);
    println!(
        "  {what}: {megabytes:.0} MB in {seconds:.1} s, {:.0} MB/s; the cluster used {:.2} CPU s a GB",
        megabytes / seconds,
        used / (megabytes / 1e3)
    );
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Gives the bytes of the values.
fn write(bootstrap: &str, records: u64) -> u64 {
    let producer: BaseProducer = client(bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "100000")
        .create()
        .expect("a producer");
    let value = [b'v'; RECORD_BYTES];
    for number in 0..records {
        let turn = i32::try_from(number / 1_000).unwrap();
        send(&producer, TOPIC, turn % PARTITIONS, &value);
        if number.is_multiple_of(1_000) {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_mins(5)).expect("all is delivered");
    records * RECORD_BYTES as u64
}

/// Reads so many records, each partition from its offset on. Gives the bytes of their values.
fn read(bootstrap: &str, from: &[i64], records: u64) -> u64 {
    let consumer: BaseConsumer =
        client(bootstrap).set("group.id", "bench").set("fetch.message.max.bytes", "4000000").create().expect("one");
    let mut places = TopicPartitionList::new();
    for (partition, from) in (0..).zip(from) {
        places.add_partition_offset(TOPIC, partition, Offset::Offset(*from)).expect("a place");
    }
    consumer.assign(&places).expect("an assignment");
    let mut left = records;
    let mut heard = Instant::now();
    while left > 0 {
        // It comes back with nothing for its own events, too.
        match consumer.poll(Duration::from_secs(1)) {
            Some(record) => {
                record.expect("no error");
                (left, heard) = (left - 1, Instant::now());
            }
            None => assert!(heard.elapsed() < Duration::from_mins(1), "{left} records do not come"),
        }
    }
    records * RECORD_BYTES as u64
}

/// What the cluster's threads have used so far.
fn cpu_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let of_cluster = stats.filter(|stat| stat.contains(&format!("({THREADS})")));
    of_cluster.filter_map(|stat| cpu_seconds_in(&stat)).sum()
}
