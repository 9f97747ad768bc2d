//! What is copied: shapes of topics, and filling them.
//!
//! Owns: [`Shape`] and the producers that fill a source topic with it.
//! Promises: the same bytes for every copier; batches as full as the shape says.
//! Does not know: who copies.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

const LIMIT: Duration = Duration::from_mins(5);

/// A kind of topic.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name, and the topic's.
    pub name: &'static str,
    /// What a reader of the table should know.
    pub text: &'static str,
    /// How many records, in all partitions together.
    pub records: u64,
    /// Bytes of each value.
    pub record_bytes: usize,
    /// Records of one batch, at most; the producers are kept so busy that most batches have as many.
    pub per_batch: u32,
    /// Kafka's name of the codec.
    pub codec: &'static str,
    /// Partitions of the topic.
    pub partitions: i32,
    /// The first so many have data.
    pub busy: i32,
    /// Records of a transaction; transactions are paced at [`COMMITS_PER_SECOND`].
    pub per_transaction: Option<u64>,
}

/// Pace of the transactional shape.
const COMMITS_PER_SECOND: u64 = 100;

const PLAIN: Shape = Shape {
    name: "",
    text: "",
    records: 0,
    record_bytes: 0,
    per_batch: 64,
    codec: "none",
    partitions: 4,
    busy: 4,
    per_transaction: None,
};

/// All shapes, with as much data as two cores copy within seconds.
pub const ALL: [Shape; 8] = [
    Shape {
        name: "z64",
        text: "1 KiB JSON, zstd, 64 a batch",
        records: 512_000,
        record_bytes: 1_024,
        codec: "zstd",
        ..PLAIN
    },
    Shape { name: "u1k", text: "1 KiB, uncompressed, 64 a batch", records: 512_000, record_bytes: 1_024, ..PLAIN },
    Shape {
        name: "z1",
        text: "100 B, uncompressed, 10 a batch",
        records: 2_000_000,
        record_bytes: 100,
        per_batch: 10,
        ..PLAIN
    },
    Shape {
        name: "l1",
        text: "100 B, lz4, 10 a batch",
        records: 1_000_000,
        record_bytes: 100,
        per_batch: 10,
        codec: "lz4",
        ..PLAIN
    },
    Shape {
        name: "s10k",
        text: "10 KiB, snappy, 16 a batch",
        records: 48_000,
        record_bytes: 10_240,
        per_batch: 16,
        codec: "snappy",
        ..PLAIN
    },
    // A whole MiB does not fit into the limits that Kafka's brokers and producers have by default.
    Shape {
        name: "m1",
        text: "1 MiB less 1 KiB, uncompressed, 1 a batch",
        records: 400,
        record_bytes: 1_047_552,
        per_batch: 1,
        ..PLAIN
    },
    Shape {
        name: "p1000",
        text: "1,000 partitions, 10 with data: 1 KiB, lz4, 64 a batch",
        records: 200_000,
        record_bytes: 1_024,
        codec: "lz4",
        partitions: 1_000,
        busy: 10,
        ..PLAIN
    },
    Shape {
        name: "tx",
        text: "transactions of 100 records of 100 B, written at 100 commits/s",
        records: 100_000,
        record_bytes: 100,
        per_batch: 100,
        per_transaction: Some(100),
        ..PLAIN
    },
];

impl Shape {
    /// The same with a share of the records.
    pub fn share(self, share: u64) -> Self {
        Self { records: self.records / share, ..self }
    }

    /// Topic name.
    pub fn topic(&self) -> String {
        format!("bench-{}", self.name)
    }

    /// Values of all records.
    pub fn raw_bytes(&self) -> u64 {
        self.records * self.record_bytes as u64
    }
}

/// A producer for one shape.
pub fn producer(bootstrap: &str, shape: &Shape) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("compression.type", shape.codec)
        .set("linger.ms", "50")
        .set("batch.num.messages", shape.per_batch.to_string())
        .set("message.max.bytes", "1048576")
        .set("queue.buffering.max.kbytes", "131072")
        .set("queue.buffering.max.messages", "200000");
    config
}

/// Sends one record, waiting for room.
pub fn send<C>(producer: &BaseProducer<C>, topic: &str, partition: i32, value: &[u8])
where
    C: ProducerContext<DeliveryOpaque = ()>,
{
    loop {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value);
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("writing to {topic}: {error}"),
        }
    }
}

/// Text that looks like JSON, differs from record to record, and compresses about as well as such text does.
pub fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut chance = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = format!("{{\"id\":{number},\"account\":\"{chance:016x}\",\"items\":[");
    while text.len() < bytes {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let (article, price) = (chance % 90_000, chance % 9_973);
        text.push_str(&format!("{{\"article\":\"A-{article:05}\",\"count\":{},\"price\":{price}}},", chance % 9));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// Why the first record that was not delivered was not: a copier would wait for it.
#[derive(Debug, Default)]
struct Deliveries {
    failure: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let told = || format!("filling: a record of {} bytes was not delivered: {error}", message.payload_len());
            self.failure.lock().expect("no panic").get_or_insert_with(told);
        }
    }
}

/// Fills a topic; or tells why it is not full.
pub fn fill(bootstrap: &str, shape: &Shape) -> Result<(), String> {
    match shape.per_transaction {
        Some(records) => {
            fill_in_transactions(bootstrap, shape, records);
            Ok(())
        }
        None => fill_plainly(bootstrap, shape),
    }
}

/// Up to four producers, each with its share of the partitions.
fn fill_plainly(bootstrap: &str, shape: &Shape) -> Result<(), String> {
    let topic = shape.topic();
    let per_partition = shape.records / u64::from(shape.busy.unsigned_abs());
    let threads = shape.busy.min(4);
    let fill = |thread: i32| {
        let producer: BaseProducer<Deliveries> =
            producer(bootstrap, shape).create_with_context(Deliveries::default()).expect("a producer");
        for partition in (thread..shape.busy).step_by(4) {
            for number in 0..per_partition {
                send(&producer, &topic, partition, &value(number, shape.record_bytes));
                if number.is_multiple_of(1_000) {
                    producer.poll(Duration::ZERO);
                }
            }
        }
        producer.flush(LIMIT).map_err(|error| format!("filling: {error}"))?;
        producer.context().failure.lock().expect("no panic").take().map_or(Ok(()), Err)
    };
    let fill = &fill;
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || fill(thread))).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

fn fill_in_transactions(bootstrap: &str, shape: &Shape, records: u64) {
    let topic = shape.topic();
    let mut config = producer(bootstrap, shape);
    config.set("transactional.id", "bench").set("linger.ms", "0");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(LIMIT).expect("a transactional producer");
    let begin = Instant::now();
    for transaction in 0..shape.records / records {
        producer.begin_transaction().expect("a transaction");
        for number in 0..records {
            let number = transaction * records + number;
            let partition = i32::try_from(number % u64::from(shape.busy.unsigned_abs())).expect("a partition");
            send(&producer, &topic, partition, &value(number, shape.record_bytes));
        }
        producer.commit_transaction(LIMIT).expect("a commit");
        let due = begin + Duration::from_millis((transaction + 1) * 1_000 / COMMITS_PER_SECOND);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
