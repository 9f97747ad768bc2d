//! Reads whole topics, as a careful consumer would.
//!
//! Owns: a `read_committed` rdkafka consumer with CRC checks, without a group.
//! Promises: everything from the log start to the last stable offset at the time of asking.
//! Does not know: which side it reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::process::wait_for;
use crate::record::Entry;

const LIMIT: Duration = Duration::from_mins(1);

/// The log of each partition.
pub type Logs = BTreeMap<i32, Vec<Entry>>;

/// A consumer that stays where it is and collects what comes.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    logs: Logs,
}

impl Reader {
    /// Starts at the beginning of all partitions that the topic has now.
    pub fn new(bootstrap: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "causeway-checker")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .create()
            .expect("a consumer");
        let partitions: Vec<i32> = wait_for(&format!("the metadata of {topic}"), LIMIT, || {
            let metadata = consumer.fetch_metadata(Some(topic), LIMIT).ok()?;
            let ids: Vec<i32> = metadata.topics().first()?.partitions().iter().map(MetadataPartition::id).collect();
            (!ids.is_empty()).then_some(ids)
        });
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&list).expect("an assignment");
        let logs = partitions.into_iter().map(|p| (p, Vec::new())).collect();
        Self { consumer, topic: topic.to_owned(), logs }
    }

    /// What has been read so far.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// How many records have been read so far.
    pub fn count(&self) -> usize {
        self.logs.values().map(Vec::len).sum()
    }

    /// Reads until nothing has come for as long as one poll, or `limit` has passed.
    pub fn read_on(&mut self, limit: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < limit {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => return,
                Some(Ok(message)) => {
                    let log = self.logs.get_mut(&message.partition()).expect("an assigned partition");
                    log.push(entry_of(&message));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(e)) => self.survive(&e),
            }
        }
    }

    /// Reads every partition to its end.
    pub fn read_to_end(mut self) -> Logs {
        let mut open: Vec<i32> = self.logs.keys().copied().collect();
        let begin = Instant::now();
        while !open.is_empty() {
            assert!(begin.elapsed() < LIMIT * 3, "{} has no end in partitions {open:?}", self.topic);
            match self.consumer.poll(Duration::from_secs(1)) {
                None => {}
                Some(Ok(message)) => {
                    let log = self.logs.get_mut(&message.partition()).expect("an assigned partition");
                    log.push(entry_of(&message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|p| *p != partition),
                Some(Err(e)) => self.survive(&e),
            }
        }
        self.logs
    }

    /// Lost connections mend themselves; anything else means that the log can't be trusted.
    fn survive(&self, error: &KafkaError) {
        use rdkafka::types::RDKafkaErrorCode as Code;
        let is_passing = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::OperationTimedOut
                    | Code::NotLeaderForPartition
                    | Code::LeaderNotAvailable
            )
        );
        assert!(is_passing, "reading {}: {error}", self.topic);
    }
}

/// Reads a whole topic.
pub fn read_topic(bootstrap: &str, topic: &str) -> Logs {
    Reader::new(bootstrap, topic).read_to_end()
}

/// Log start offset and high watermark of each partition.
pub fn watermarks(bootstrap: &str, topic: &str) -> BTreeMap<i32, (i64, i64)> {
    let reader = Reader::new(bootstrap, topic);
    // A broker that has just come back is asked again until it leads the partition.
    let ask = |p: &i32| {
        let what = format!("watermarks of {topic}-{p}");
        (*p, wait_for(&what, LIMIT, || reader.consumer.fetch_watermarks(topic, *p, LIMIT).ok()))
    };
    reader.logs.keys().map(ask).collect()
}

fn entry_of(message: &BorrowedMessage<'_>) -> Entry {
    let headers = message
        .headers()
        .map(|headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
    Entry {
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis(),
    }
}
