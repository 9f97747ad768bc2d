//! Producers of every kind, writing records that say who they are.
//!
//! Owns: [`Workload`] (what to write) and [`Running`] (a thread that writes until it is told to stop).
//! Promises: every record carries its [`Identity`]; what is returned as acknowledged was acknowledged, and committed.
//! Does not know: who reads it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::record::Identity;

const LIMIT: Duration = Duration::from_mins(3);
/// All codecs, by Kafka's names.
pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// How the producer guards what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No idempotence: a retry may write twice, and then the target has to have it twice.
    Plain,
    /// Idempotent.
    Idempotent,
    /// Transactions of so many records, of which every third is aborted.
    Transactional(u64),
}

/// What to write. Fields are changed with struct update syntax or directly.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The source cluster.
    pub bootstrap: String,
    /// An existing topic.
    pub topic: String,
    /// How many of its partitions are written, round robin.
    pub partitions: i32,
    /// The producer's name: unique per topic, so that identities are.
    pub name: String,
    /// How it guards.
    pub kind: Kind,
    /// A codec's Kafka name.
    pub codec: &'static str,
    /// Records a second; 0 for as fast as it goes.
    pub rate: u64,
    /// About how large a value is.
    pub value_bytes: usize,
    /// How old the timestamps are.
    pub age: Duration,
    /// Every record has one of so many keys (and a value): for compacted topics. Otherwise all shapes occur.
    pub keys: Option<u64>,
    /// More client properties.
    pub client: Vec<(String, String)>,
}

/// A record that the source acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Where it was written.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its running number.
    pub number: u64,
}

impl Workload {
    /// Idempotent, uncompressed, 1,000 small records a second.
    pub fn new(bootstrap: &str, topic: &str, partitions: i32) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            topic: topic.into(),
            partitions,
            name: "p".into(),
            kind: Kind::Idempotent,
            codec: "none",
            rate: 1_000,
            value_bytes: 100,
            age: Duration::ZERO,
            keys: None,
            client: Vec::new(),
        }
    }

    /// Writes `count` records as fast as it goes, and returns when all are acknowledged.
    pub fn write(&self, count: u64) -> Vec<Acked> {
        let work = Self { rate: 0, ..self.clone() };
        let acked = work.run(&AtomicBool::new(false), &AtomicU64::new(0), count);
        assert!(self.kind != Kind::Idempotent || acked.len() as u64 == count, "{} of {count}", acked.len());
        acked
    }

    /// Starts to write until [`Running::stop`].
    pub fn start(&self) -> Running {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (work, stopping, counter) = (self.clone(), Arc::clone(&is_stopping), Arc::clone(&sent));
        let thread = std::thread::spawn(move || work.run(&stopping, &counter, u64::MAX));
        Running { is_stopping, sent, thread }
    }

    fn run(&self, is_stopping: &AtomicBool, sent: &AtomicU64, count: u64) -> Vec<Acked> {
        let producer = self.producer();
        let begin = Instant::now();
        let per_transaction = match self.kind {
            Kind::Transactional(records) => Some(records),
            Kind::Plain | Kind::Idempotent => None,
        };
        let mut number = 0;
        let mut transaction = 0;
        while number < count && !is_stopping.load(Ordering::Relaxed) {
            let end = per_transaction.map_or(number + 1, |records| count.min(number + records));
            per_transaction.inspect(|_| producer.begin_transaction().expect("a transaction"));
            while number < end {
                self.send(&producer, number);
                number += 1;
                sent.store(number, Ordering::Relaxed);
                self.keep_to_the_rate(begin, number, &producer);
            }
            if per_transaction.is_some() {
                transaction += 1;
                finish_transaction(&producer, transaction % 3 == 0);
            }
        }
        producer.flush(LIMIT * 2).expect("all is delivered");
        let mut acked = std::mem::take(&mut producer.context().receipts.lock().unwrap().settled);
        acked.sort_by_key(|a| (a.partition, a.offset));
        acked
    }

    fn producer(&self) -> BaseProducer<Receipts> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("compression.type", self.codec).set("linger.ms", "5");
        config.set("enable.idempotence", (self.kind != Kind::Plain).to_string()).set("acks", "all");
        if matches!(self.kind, Kind::Transactional(_)) {
            config.set("transactional.id", format!("{}-{}", self.topic, self.name));
            // A broker that is killed and comes back on a busy machine takes longer than the default of a minute. The
            // coordinator would then end the transaction itself, and the producer were fenced for good.
            config.set("transaction.timeout.ms", "600000");
        }
        for (name, value) in &self.client {
            config.set(name, value);
        }
        let context = Receipts { is_transactional: matches!(self.kind, Kind::Transactional(_)), ..Receipts::default() };
        let producer: BaseProducer<Receipts> = config.create_with_context(context).expect("a producer");
        if matches!(self.kind, Kind::Transactional(_)) {
            retried("init_transactions", || producer.init_transactions(LIMIT));
        }
        producer
    }

    fn send(&self, producer: &BaseProducer<Receipts>, number: u64) {
        let partitions = u64::try_from(self.partitions).expect("at least one partition");
        let partition = i32::try_from(number % partitions).expect("a small number");
        let shape = self.shape(partition, number);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let timestamp = i64::try_from(now.saturating_sub(self.age).as_millis()).expect("a date");
        loop {
            let mut record: BaseRecord<'_, [u8], [u8], Box<u64>> =
                BaseRecord::with_opaque_to(&self.topic, Box::new(number)).partition(partition).timestamp(timestamp);
            record.key = shape.key.as_deref();
            record.payload = shape.value.as_deref();
            if !shape.headers.is_empty() {
                record.headers = Some(owned(&shape.headers));
            }
            match producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    producer.poll(Duration::from_millis(10));
                }
                Err((e, _)) => panic!("sending to {}: {e}", self.topic),
            }
        }
    }

    /// All that a record can be: with and without key, value and headers, empty ones, duplicate header names.
    fn shape(&self, partition: i32, number: u64) -> Shape {
        let identity = Identity::new(&self.topic, partition, &self.name, number).bytes().to_vec();
        let mut value = identity.clone();
        let fill = if number.is_multiple_of(50) { self.value_bytes * 20 } else { self.value_bytes };
        value.extend((value.len()..fill).map(|i| b"abcdefghijklmnop"[(i * 7 + usize::from(identity[i % 10])) % 16]));
        let plain = |key: Option<Vec<u8>>, value: Option<Vec<u8>>| Shape { key, value, headers: Vec::new() };
        if let Some(keys) = self.keys {
            return plain(Some(format!("key-{}", number / 7 % keys).into_bytes()), Some(value));
        }
        match number / u64::from(self.partitions.unsigned_abs()) % 8 {
            0 => plain(Some(b"key".to_vec()), Some(value)),
            1 => plain(None, Some(value)),
            2 => plain(Some(identity), None),
            3 => plain(Some(identity), Some(Vec::new())),
            4 => Shape {
                headers: vec![("a", Some(b"1".to_vec())), ("b", None), ("a", Some(Vec::new())), ("a", None)],
                ..plain(Some(b"key".to_vec()), Some(value))
            },
            5 => plain(Some(Vec::new()), Some(value)),
            6 => Shape { headers: vec![("", Some(vec![0, 255, 254]))], ..plain(None, Some(value)) },
            _ => Shape { headers: vec![("id", Some(identity))], ..plain(None, None) },
        }
    }

    fn keep_to_the_rate(&self, begin: Instant, number: u64, producer: &BaseProducer<Receipts>) {
        producer.poll(Duration::ZERO);
        if let Some(nanos_per_record) = 1_000_000_000_u64.checked_div(self.rate) {
            let due = begin + Duration::from_nanos(nanos_per_record * number);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

struct Shape {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Option<Vec<u8>>)>,
}

fn owned(headers: &[(&str, Option<Vec<u8>>)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_ref() }))
}

/// A workload that is being written.
pub struct Running {
    is_stopping: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Vec<Acked>>,
}

impl Running {
    /// How many records have been handed to the producer.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; returns when everything is acknowledged.
    pub fn stop(self) -> Vec<Acked> {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.thread.join().expect("the workload ends well")
    }
}

#[derive(Default)]
struct Receipts {
    is_transactional: bool,
    receipts: Mutex<Delivered>,
}

#[derive(Default)]
struct Delivered {
    /// Acknowledged in the open transaction.
    open: Vec<Acked>,
    /// Acknowledged for good.
    settled: Vec<Acked>,
}

impl ClientContext for Receipts {}

impl ProducerContext for Receipts {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        if let Ok(message) = result {
            let acked = Acked { partition: message.partition(), offset: message.offset(), number: *number };
            let mut delivered = self.receipts.lock().unwrap();
            if self.is_transactional { delivered.open.push(acked) } else { delivered.settled.push(acked) }
        }
    }
}

/// Commits or aborts, both after everything has been written, so that logs do hold aborted records. A transaction that
/// the broker's fall has broken is aborted instead of committed.
fn finish_transaction(producer: &BaseProducer<Receipts>, is_to_be_aborted: bool) {
    producer.flush(LIMIT * 2).expect("all is delivered");
    let is_committed = !is_to_be_aborted && {
        match retry(|| producer.commit_transaction(LIMIT)) {
            Ok(()) => true,
            Err(KafkaError::Transaction(e)) if e.txn_requires_abort() => false,
            Err(e) => panic!("committing: {e}"),
        }
    };
    if !is_committed {
        retried("abort_transaction", || producer.abort_transaction(LIMIT));
    }
    let mut delivered = producer.context().receipts.lock().unwrap();
    let open = std::mem::take(&mut delivered.open);
    if is_committed {
        delivered.settled.extend(open);
    }
}

fn retry(mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let begin = Instant::now();
    loop {
        match call() {
            Err(KafkaError::Transaction(e)) if e.is_retriable() && begin.elapsed() < LIMIT * 2 => {}
            other => return other,
        }
    }
}

fn retried(what: &str, call: impl FnMut() -> Result<(), KafkaError>) {
    retry(call).unwrap_or_else(|e| panic!("{what}: {e}"));
}
