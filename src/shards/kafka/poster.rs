//! Records that need no lease, by a plain idempotent producer.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::context::{Access, LogContext};
use crate::shards::Record;

/// `BaseProducer::poll` handles what arrives at once, but always takes its whole time-out and spends the last
/// millisecond of it in a busy loop. rdkafka's own `FutureProducer` polls for 100 ms: a hundredth of a core.
const POLL: Duration = Duration::from_millis(500);
/// When librdkafka gives a record up.
const TIMEOUT_MS: &str = "10000";

/// Writes single records outside of any transaction, while somebody runs it. Clones share the producer.
#[derive(Clone)]
pub struct Poster {
    producer: Arc<BaseProducer<LogContext>>,
    topic: String,
    is_over: CancellationToken,
}

impl ProducerContext for LogContext {
    type DeliveryOpaque = Box<oneshot::Sender<Result<(), KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, reply: Self::DeliveryOpaque) {
        // Whoever went away needs no answer.
        let _ = reply.send(result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
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
            .set("message.timeout.ms", TIMEOUT_MS);
        let producer =
            BaseProducer::from_config_and_context(&config, LogContext::new(access)).map_err(|e| e.to_string())?;
        Ok(Self { producer: Arc::new(producer), topic: topic.to_owned(), is_over: CancellationToken::new() })
    }

    /// Handles what arrives, until `stop`. Blocks: give it a thread of its own.
    pub fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.producer.poll(POLL);
        }
        self.is_over.cancel();
    }

    /// Writes one record; returns when all in-sync replicas have it, or with an error after 10 s.
    pub async fn post(&self, record: &Record) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let mut message =
            BaseRecord::with_opaque_to(&self.topic, Box::new(reply)).partition(record.shard).key(&record.key);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        self.producer.send(message).map_err(|(error, _)| error.to_string())?;
        match self.is_over.run_until_cancelled(answer).await {
            Some(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
            Some(Err(_)) | None => Err("the daemon stops".to_owned()),
        }
    }
}
