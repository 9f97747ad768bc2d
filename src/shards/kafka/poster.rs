//! Records that need no lease, by a plain idempotent producer.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::context::{Access, LogContext};
use crate::shards::Record;

/// Writes single records outside of any transaction.
#[derive(Clone)]
pub struct Poster {
    producer: FutureProducer<LogContext>,
    topic: String,
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poster").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Poster {
    /// Makes the producer; connections follow with the first record.
    pub fn new(access: &Access, client_id: &str, topic: &str) -> Result<Self, String> {
        let mut config = access.config(client_id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "10000");
        let producer =
            FutureProducer::from_config_and_context(&config, LogContext::new(access)).map_err(|e| e.to_string())?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Writes one record; returns when all in-sync replicas have it.
    pub async fn post(&self, record: &Record) -> Result<(), String> {
        let mut message = FutureRecord::to(&self.topic).partition(record.shard).key(&record.key);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        match self.producer.send(message, Duration::from_secs(10)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.to_string()),
        }
    }
}
