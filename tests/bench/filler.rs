//! Fills topics as fast as it goes, or at a rate.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How many partitions the copied topics have.
pub const PARTITIONS: i32 = 4;

/// What a topic is filled with.
pub struct Shape {
    /// Its name, and the topic's.
    pub name: &'static str,
    /// How many records.
    pub records: u64,
    /// Bytes of each value.
    pub record_bytes: usize,
    /// At most so many records in a batch; the producer is kept so busy that most batches have as many.
    pub per_batch: u32,
}

/// An idempotent producer.
pub fn producer(bootstrap: &str, per_batch: u32) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "50")
        .set("batch.num.messages", per_batch.to_string())
        .set("queue.buffering.max.messages", "200000")
        .create()
        .expect("a producer")
}

/// Hands in a record, and waits while too many are under way.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &[u8]) {
    loop {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value);
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(10));
            }
            Err((e, _)) => panic!("filling {topic}: {e}"),
        }
    }
}

/// Text that looks like JSON and differs from record to record.
pub fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut text =
        format!("{{\"id\":{number},\"account\":\"{:016x}\",\"note\":\"", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    while text.len() < bytes {
        text.push(char::from(b'a' + u8::try_from((number + text.len() as u64 * 7) % 26).unwrap()));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// Fills a topic, one producer for each partition.
pub fn fill(bootstrap: &str, topic: &str, shape: &Shape) {
    let per_partition = shape.records / u64::from(PARTITIONS.unsigned_abs());
    std::thread::scope(|scope| {
        for partition in 0..PARTITIONS {
            scope.spawn(move || {
                let producer = producer(bootstrap, shape.per_batch);
                for number in 0..per_partition {
                    send(&producer, topic, partition, &value(number, shape.record_bytes));
                    if number.is_multiple_of(1_000) {
                        producer.poll(Duration::ZERO);
                    }
                }
                producer.flush(Duration::from_mins(5)).expect("all is delivered");
            });
        }
    });
}

/// Writes so many records of 1 KB a second, spread over all partitions of all topics, for so long.
pub fn trickle(bootstrap: &str, topics: &[String], partitions: i32, per_second: u64, seconds: u64) {
    let producer = producer(bootstrap, 1_000);
    let begin = Instant::now();
    for number in 0..seconds * per_second {
        let place = usize::try_from(number).unwrap();
        let topic = &topics[place % topics.len()];
        let partition = i32::try_from(place / topics.len()).unwrap() % partitions;
        send(&producer, topic, partition, &value(number, 1_000));
        producer.poll(Duration::ZERO);
        let due = begin + Duration::from_micros(number * 1_000_000 / per_second);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    producer.flush(Duration::from_mins(1)).expect("all is delivered");
}
