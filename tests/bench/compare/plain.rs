//! The copier that an engineer would write in an afternoon on librdkafka, tuned for throughput.
//!
//! Owns: the copy loop, run in a process of its own so that its cost can be told.
//! Promises: order per partition, at least once; nothing more.
//! Does not know: offsets, settings, faults.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

/// What the child is told on its command line, after the word that chooses it.
pub struct Job {
    pub source: String,
    pub target: String,
    pub topic: String,
    pub target_topic: String,
    pub codec: String,
}

impl Job {
    /// Reads it back.
    pub fn from_arguments(arguments: &[String]) -> Self {
        let [source, target, topic, target_topic, codec] = arguments else {
            panic!("a copier wants: source, target, topic, target topic, codec; not {arguments:?}")
        };
        let [source, target, topic, target_topic, codec] =
            [source, target, topic, target_topic, codec].map(Clone::clone);
        Self { source, target, topic, target_topic, codec }
    }

    /// For the command line.
    pub fn arguments(&self) -> Vec<String> {
        [&self.source, &self.target, &self.topic, &self.target_topic, &self.codec].map(Clone::clone).to_vec()
    }
}

/// Every failure of a delivery ends the copier: it can't keep the order otherwise.
struct FailFast;

impl ClientContext for FailFast {}

impl rdkafka::producer::ProducerContext for FailFast {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            panic!("not delivered: {error}");
        }
    }
}

/// Copies until it is killed.
pub fn run(job: &Job) -> ! {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &job.source)
        .set("group.id", "plain-copier")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("queued.min.messages", "1000000")
        .set("queued.max.messages.kbytes", "131072")
        .set("fetch.message.max.bytes", "8388608")
        .set("fetch.wait.max.ms", "100")
        .create()
        .expect("a consumer");
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &job.target)
        .set("enable.idempotence", "true")
        .set("compression.type", &job.codec)
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("batch.num.messages", "100000")
        .set("message.max.bytes", "1048576")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "131072");
    let producer: BaseProducer<FailFast> =
        BaseProducer::from_config_and_context(&config, FailFast).expect("a producer");
    assign_all(&consumer, &job.topic);
    loop {
        let Some(message) = consumer.poll(Duration::from_millis(5)) else {
            producer.poll(Duration::ZERO);
            continue;
        };
        let message = message.expect("a record");
        let empty = [].to_bytes();
        let mut record = BaseRecord::<[u8], [u8]>::to(&job.target_topic).partition(message.partition());
        record = record.payload(message.payload().unwrap_or(empty));
        if let Some(key) = message.key() {
            record = record.key(key);
        }
        if let Some(timestamp) = message.timestamp().to_millis() {
            record = record.timestamp(timestamp);
        }
        if let Some(headers) = message.headers() {
            record = record.headers(rdkafka::message::BorrowedHeaders::detach(headers));
        }
        send(&producer, record);
    }
}

fn send(producer: &BaseProducer<FailFast>, record: BaseRecord<'_, [u8], [u8]>) {
    let mut waiting = record;
    loop {
        match producer.send(waiting) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                waiting = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("not sent: {error}"),
        }
    }
}

fn assign_all(consumer: &BaseConsumer, topic: &str) {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30)).expect("metadata");
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
        list.add_partition_offset(topic, partition.id(), rdkafka::Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
}
