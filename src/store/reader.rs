//! Reading all of the state topic, from its beginning and for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::doors::Sink;
use super::shard_hash;
use crate::shards::{Access, LogContext, needs_a_person};

/// Reads the state topic into the view. Blocks when run: give it a thread of its own.
pub(super) struct Reader {
    consumer: BaseConsumer<LogContext>,
    sink: Sink,
    unread: BTreeSet<i32>,
}

impl Reader {
    /// Makes the consumer. It uses the daemon group's name, which permissions exist for, but never joins.
    pub(super) fn new(access: &Access, group: &str, topic: &str, sink: Sink) -> Result<Self, String> {
        let mut config = access.config("causeway-state-reader");
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset out of range means that the topic is not the one that was read so far.
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "500")
            .set("fetch.error.backoff.ms", "100");
        let start = || -> Result<_, KafkaError> {
            let consumer = BaseConsumer::from_config_and_context(&config, LogContext::new(access))?;
            let mut partitions = TopicPartitionList::new();
            for shard in 0..shard_hash::SHARDS {
                partitions.add_partition_offset(topic, shard, Offset::Beginning)?;
            }
            consumer.assign(&partitions)?;
            Ok(consumer)
        };
        let consumer = start().map_err(|error| error.to_string())?;
        Ok(Self { consumer, sink, unread: (0..shard_hash::SHARDS).collect() })
    }

    /// Reads until `stop`.
    pub(super) fn run(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let error = match self.consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Ok(message)) => {
                    // A record without a key is nobody's; compaction would have refused it.
                    if let Some(key) = message.key() {
                        self.sink.record(message.partition(), key, message.payload());
                    }
                    continue;
                }
                Some(Err(error)) => error,
            };
            self.judge(&error);
        }
    }

    fn judge(&mut self, error: &KafkaError) {
        if let KafkaError::PartitionEOF(partition) = error {
            if self.unread.remove(partition) && self.unread.is_empty() {
                self.sink.at_end();
            }
            return;
        }
        let code = error.rdkafka_error_code();
        if matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) {
            self.sink.trouble("its log went back or was cut: was it recreated?".to_owned());
        } else {
            tracing::debug!(%error, "reading state");
            if needs_a_person(error) {
                self.sink.refuse(error.to_string());
            }
        }
    }
}
