//! A copier keeps up with a fixed rate: how much later a record can be read at the target than at the source.
//!
//! Owns: the producer, the two readers, and the difference of what they saw.
//! Promises: both readers run in one process and see one clock; records that never arrived are a failure.
//! Does not know: how often it is repeated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::Cluster;
use crate::catch_up::clean;
use crate::copiers::Copier;
use crate::shapes::{Shape, send, value};

const PARTITIONS: i32 = 4;
const RECORD_BYTES: usize = 1_000;
/// 10 MB/s.
const RECORDS_PER_SECOND: u64 = 10_000;
/// How long a copier may take until the first records come through, and the last ones.
const LIMIT: Duration = Duration::from_mins(2);
/// Nobody has seen the record yet.
const NEVER: u64 = u64::MAX;

/// The topic that is written at a fixed rate.
pub const STEADY: Shape = Shape {
    name: "steady",
    text: "1,000 B, uncompressed, 10 MB/s",
    records: 0,
    record_bytes: RECORD_BYTES,
    per_batch: 10_000,
    codec: "none",
    partitions: PARTITIONS,
    busy: PARTITIONS,
    per_transaction: None,
};

/// What keeping up took.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Milliseconds between readable at the source and readable at the target.
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    /// The copier's CPU, in cores.
    pub cores: f64,
    /// The target broker's.
    pub target_cores: f64,
}

/// Times at which each record was seen, in microseconds since the beginning.
struct Seen {
    begin: Instant,
    times: Vec<AtomicU64>,
    count: AtomicU64,
}

impl Seen {
    fn new(begin: Instant, records: u64) -> Self {
        Self { begin, times: (0..records).map(|_| AtomicU64::new(NEVER)).collect(), count: AtomicU64::new(0) }
    }

    fn note(&self, number: u64) {
        let now = u64::try_from(self.begin.elapsed().as_micros()).expect("not that long");
        let Some(time) = usize::try_from(number).ok().and_then(|number| self.times.get(number)) else { return };
        if time.fetch_min(now, Ordering::Relaxed) == NEVER {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Measures one copier for `seconds`, after as long a beginning that is thrown away.
pub fn measure(source: &Cluster, target: &Cluster, copier: Copier, seconds: u64) -> Result<Latency, String> {
    let topic = STEADY.topic();
    let target_topic = copier.target_topic(&STEADY);
    source.admin().create_topic(&topic, PARTITIONS, &[]);
    if copier.needs_topic() {
        target.admin().create_topic(&target_topic, PARTITIONS, &[]);
    }
    let mut running = copier.start(source, target, &STEADY);
    let records = seconds * 2 * RECORDS_PER_SECOND;
    let begin = Instant::now();
    let (at_source, at_target) = (Seen::new(begin, records), Seen::new(begin, records));
    let is_over = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| read(source, &topic, &at_source, &is_over));
        scope.spawn(|| read(target, &target_topic, &at_target, &is_over));
        let producer = producer(source);
        let result = wait_until_it_copies(&producer, &topic, &at_target, &mut running).and_then(|()| {
            let warm = write(&producer, &topic, 1, records / 2, || (running.usage(), target.node(1).usage()));
            write(&producer, &topic, records / 2, records, || ());
            producer.flush(LIMIT).expect("all is delivered");
            let (used, broker) = (running.usage(), target.node(1).usage());
            let waiting = Instant::now();
            while at_target.count() < records && waiting.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(20));
            }
            if at_target.count() < records {
                return Err(format!("{}: only {} of {records} records arrived", copier.name(), at_target.count()));
            }
            let passed = Duration::from_secs(seconds).as_secs_f64();
            let cores = (used.cpu_seconds - warm.0.cpu_seconds) / passed;
            let target_cores = (broker.cpu_seconds - warm.1.cpu_seconds) / passed;
            Ok(judge(&at_source, &at_target, cores, target_cores))
        });
        is_over.store(true, Ordering::Relaxed);
        result
    });
    drop(running);
    clean(target, copier, &STEADY);
    source.admin().delete_topic(&topic);
    result
}

/// The first record is sent again and again until it comes through: then the copier is awake.
fn wait_until_it_copies(
    producer: &BaseProducer,
    topic: &str,
    at_target: &Seen,
    running: &mut crate::copiers::Running,
) -> Result<(), String> {
    let begin = Instant::now();
    while at_target.count() == 0 {
        (0..PARTITIONS).for_each(|partition| send(producer, topic, partition, &[0; RECORD_BYTES]));
        producer.flush(LIMIT).expect("it is delivered");
        std::thread::sleep(Duration::from_millis(200));
        if let Some(failure) = running.failure() {
            return Err(format!("it ended: {failure}"));
        }
        if begin.elapsed() > LIMIT {
            return Err(format!("nothing came through in {LIMIT:?}"));
        }
    }
    Ok(())
}

/// Writes records at the rate; gives what `at_the_end` says when the last one is due.
fn write<T>(producer: &BaseProducer, topic: &str, from: u64, to: u64, at_the_end: impl Fn() -> T) -> T {
    let begin = Instant::now();
    // Records alike but for their numbers: what takes long to make up would be taken from everybody's CPU.
    let mut record = value(0, RECORD_BYTES);
    for number in from..to {
        let partition = i32::try_from(number % u64::from(PARTITIONS.unsigned_abs())).expect("a partition");
        record[..8].copy_from_slice(&number.to_be_bytes());
        send(producer, topic, partition, &record);
        if number.is_multiple_of(10) {
            producer.poll(Duration::ZERO);
            let due = begin + Duration::from_micros((number - from) * 1_000_000 / RECORDS_PER_SECOND);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    at_the_end()
}

/// It lingers as Kafka's producers do unless told otherwise (5 ms, KIP-1030): a thousand requests a second of a few
/// records each would keep both cores busy by themselves, and be measured as everybody's latency.
fn producer(source: &Cluster) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", source.bootstrap())
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()
        .expect("a producer")
}

fn read(cluster: &Cluster, topic: &str, seen: &Seen, is_over: &AtomicBool) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("group.id", "steady")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .set("fetch.error.backoff.ms", "1")
        .set("topic.metadata.refresh.interval.ms", "1000")
        .set("allow.auto.create.topics", "false")
        .create()
        .expect("a consumer");
    while !is_over.load(Ordering::Relaxed) && cluster.admin().partitions(topic).is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    while !is_over.load(Ordering::Relaxed) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) else { continue };
        if let Some(Ok(number)) = message.payload().and_then(|value| value.get(..8)).map(TryInto::try_into) {
            seen.note(u64::from_be_bytes(number));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn judge(at_source: &Seen, at_target: &Seen, cores: f64, target_cores: f64) -> Latency {
    let half = at_source.times.len() / 2;
    let pairs = at_source.times.iter().zip(&at_target.times).skip(half);
    let mut added: Vec<u64> = pairs
        .map(|(source, target)| (source.load(Ordering::Relaxed), target.load(Ordering::Relaxed)))
        .filter(|(source, _)| *source != NEVER)
        // The two readers poll on their own: a record may even be seen at the target first.
        .map(|(source, target)| target.saturating_sub(source))
        .collect();
    added.sort_unstable();
    let at = |share: f64| {
        let place = (added.len() as f64 * share).floor().min(added.len() as f64 - 1.0).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
        added.get(place as usize).map_or(f64::NAN, |micros| *micros as f64 / 1e3)
    };
    Latency { p50: at(0.5), p99: at(0.99), max: at(1.0), cores, target_cores }
}
