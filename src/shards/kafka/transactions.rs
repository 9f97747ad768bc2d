//! The transactional producer by rdkafka.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::bounded::Bounded;
use super::context::{Access, log_line};
use crate::shards::{Failure, Record, StateOffset, Transactions};

/// What the writer needs.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// How to reach the cluster.
    pub access: Access,
    /// The state topic.
    pub topic: String,
    /// The same for every life of a daemon: opening under it settles the transaction before. Two ids begin with it.
    pub transactional_id: String,
    /// When the coordinator aborts a transaction that nobody ends.
    pub transaction_timeout: Duration,
}

#[derive(Debug, Default)]
struct Deliveries {
    transaction: usize,
    acknowledged: usize,
    next_offsets: BTreeMap<i32, i64>,
    error: Option<KafkaError>,
    /// What librdkafka gave as the reason why it gave the transaction up.
    cause: Option<String>,
}

#[derive(Debug, Clone)]
struct DeliveryContext {
    access: Access,
    deliveries: Arc<Mutex<Deliveries>>,
}

impl DeliveryContext {
    fn new(access: &Access) -> Self {
        Self { access: access.clone(), deliveries: Arc::default() }
    }
}

impl ClientContext for DeliveryContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A transaction that may not even begin is purged, and only the log says why.
        if facility == "TXNERR" {
            let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            // It begins with the name of the thread.
            let message = message.split_once("]: ").map_or(message, |(_, rest)| rest);
            deliveries.cause.get_or_insert_with(|| message.to_owned());
        }
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.access.log_error(&error, reason);
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.token()
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, transaction: usize) {
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if deliveries.transaction != transaction {
            return;
        }
        match result {
            Ok(message) => {
                deliveries.acknowledged += 1;
                let next = deliveries.next_offsets.entry(message.partition()).or_insert(0);
                *next = (*next).max(message.offset().saturating_add(1));
            }
            // The first one is the cause; what is purged after it says nothing.
            Err((error, _)) => drop(deliveries.error.get_or_insert_with(|| error.clone())),
        }
    }
}

/// The state producer.
///
/// It is two producers that take turns. After a commit the coordinator still writes the markers, and turns the next
/// transaction of the same id away meanwhile; librdkafka then waits 20 ms. The other id need not wait. Only one has a
/// transaction at a time, and it is settled before the other begins.
pub struct KafkaTransactions {
    settings: WriterSettings,
    in_turn: Option<Arc<BaseProducer<DeliveryContext>>>,
    other: Option<Arc<BaseProducer<DeliveryContext>>>,
    context: DeliveryContext,
    bounded: Bounded,
    sent: usize,
    /// How far each shard was written. An acknowledged offset below it belongs to another life of the topic.
    written: BTreeMap<i32, i64>,
}

impl std::fmt::Debug for KafkaTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTransactions").field("settings", &self.settings.transactional_id).finish_non_exhaustive()
    }
}

/// Between two looks for what has arrived. It is slept: `BaseProducer::poll` takes its whole time-out, whatever
/// arrives, and spends the last millisecond of it in a busy loop.
const PAUSE: Duration = Duration::from_millis(1);
/// How much longer than it was told a call may take.
const RETURN_MAX: Duration = Duration::from_secs(2);
/// Idle connections are closed after this, and that makes librdkafka look whether what it waits for is elsewhere.
const IDLE_MAX_MS: &str = "15000";
/// Long enough to handle the events of a new producer.
const TOKEN_POLL: Duration = Duration::from_millis(50);

impl KafkaTransactions {
    /// Not open yet.
    #[must_use]
    pub fn new(settings: WriterSettings) -> Self {
        let context = DeliveryContext::new(&settings.access);
        let (bounded, written) = (Bounded::default(), BTreeMap::new());
        Self { settings, in_turn: None, other: None, context, bounded, sent: 0, written }
    }

    fn producer(&self) -> Result<&Arc<BaseProducer<DeliveryContext>>, Failure> {
        self.in_turn.as_ref().ok_or_else(|| Failure::Broken("not open".to_owned()))
    }

    /// Repeats a call that librdkafka lets us resume, until the transaction's time is over. A call that does not return
    /// by then is left behind, and the producer with it.
    fn resume(
        &self,
        name: &str,
        call: impl Fn(&BaseProducer<DeliveryContext>, Duration) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Failure> {
        let producer = Arc::clone(self.producer()?);
        let limit = self.settings.transaction_timeout;
        let deadline = Instant::now() + limit;
        let repeated = move || {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match call(&producer, left.max(Duration::from_millis(100))) {
                    Err(error) if is_resumable(&error) && !left.is_zero() => wait(&producer),
                    result => return result,
                }
            }
        };
        match self.bounded.call(limit + RETURN_MAX, repeated) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(self.classify(&error)),
            None => Err(Failure::Broken(format!("{name} did not return within {limit:?}"))),
        }
    }

    fn make(&self, turn: &str) -> Result<BaseProducer<DeliveryContext>, Failure> {
        let timeout = self.settings.transaction_timeout;
        let timeout_ms = timeout.as_millis().to_string();
        let transactional_id = format!("{}-{turn}", self.settings.transactional_id);
        let mut config = self.settings.access.config(&transactional_id);
        config
            .set("transactional.id", &transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("socket.timeout.ms", &timeout_ms)
            .set("connections.max.idle.ms", IDLE_MAX_MS)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("compression.type", "lz4");
        let producer = BaseProducer::from_config_and_context(&config, self.context.clone())
            .map_err(|error| Failure::Retry(error.to_string()))?;
        if self.settings.access.has_token() {
            // A token that can't be had must not end as a time-out.
            self.settings.access.token().map_err(|error| Failure::Retry(error.to_string()))?;
            // librdkafka asks for the token by an event, which waits already, and `init_transactions` handles none.
            producer.poll(TOKEN_POLL);
        }
        producer
            .init_transactions(timeout)
            .map_err(|error| Failure::Broken(self.with_missing_right(&describe(&error))))?;
        Ok(producer)
    }

    /// What to do about an error, with the right that is missing where it is about one.
    fn classify(&self, error: &KafkaError) -> Failure {
        match classify(error) {
            Failure::Retry(text) => Failure::Retry(self.with_missing_right(&text)),
            Failure::Broken(text) => Failure::Broken(self.with_missing_right(&text)),
            other @ (Failure::Refused(_) | Failure::Rejected(_)) => other,
        }
    }

    /// librdkafka tells what kind of thing it may not use, by Kafka's words.
    fn with_missing_right(&self, text: &str) -> String {
        let WriterSettings { topic, transactional_id, .. } = &self.settings;
        if text.contains("Topic authorization failed") {
            format!("Write on topic {topic} is missing: {text}")
        } else if text.contains("Transactional Id authorization failed") {
            format!("Write on transactional ids that begin with {transactional_id} is missing: {text}")
        } else if text.contains("Group authorization failed") {
            format!("Read on the daemon's group is missing: {text}")
        } else {
            text.to_owned()
        }
    }

    fn first_stale(&self, offsets: &[StateOffset]) -> Option<i32> {
        let is_stale =
            |offset: &&StateOffset| self.written.get(&offset.shard).is_some_and(|before| offset.next <= *before);
        offsets.iter().find(is_stale).map(|offset| offset.shard)
    }
}

impl Transactions for KafkaTransactions {
    type Proof = ConsumerGroupMetadata;

    async fn open(&mut self) -> Result<(), Failure> {
        // The former producers first: two with one transactional id would fence each other.
        (self.in_turn, self.other) = (None, None);
        if self.bounded.is_exhausted() {
            return Err(Failure::Retry("too many calls into librdkafka have not returned".to_owned()));
        }
        self.context = DeliveryContext::new(&self.settings.access);
        let (first, second) = (self.make("a")?, self.make("b")?);
        (self.in_turn, self.other) = (Some(Arc::new(first)), Some(Arc::new(second)));
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.sent = 0;
        {
            let mut deliveries = self.context.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = deliveries.transaction + 1;
            *deliveries = Deliveries { transaction, ..Deliveries::default() };
        }
        std::mem::swap(&mut self.in_turn, &mut self.other);
        let producer = self.producer()?;
        // Reports of an aborted transaction may still be waiting.
        producer.poll(Duration::ZERO);
        producer.begin_transaction().map_err(|error| self.classify(&error))
    }

    async fn send(&mut self, record: &Record) -> Result<(), Failure> {
        let transaction = self.context.deliveries.lock().unwrap_or_else(PoisonError::into_inner).transaction;
        let deadline = Instant::now() + self.settings.transaction_timeout;
        loop {
            let mut message =
                BaseRecord::with_opaque_to(&self.settings.topic, transaction).partition(record.shard).key(&record.key);
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            let producer = self.producer()?;
            match producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) if Instant::now() < deadline => {
                    wait(producer);
                }
                Err((error, _)) => return Err(self.classify(&error)),
            }
        }
        self.sent += 1;
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<StateOffset>, Failure> {
        let producer = self.producer()?;
        let deadline = Instant::now() + self.settings.transaction_timeout;
        let mut seen = 0;
        loop {
            producer.poll(Duration::ZERO);
            {
                let deliveries = self.context.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(error) = &deliveries.error {
                    let was_purged = error.rdkafka_error_code() == Some(RDKafkaErrorCode::PurgeQueue);
                    return Err(match (producer.client().fatal_error(), &deliveries.cause) {
                        (Some((_, reason)), _) => Failure::Broken(reason),
                        (None, Some(cause)) if was_purged => Failure::Retry(self.with_missing_right(cause)),
                        (None, _) => self.classify(error),
                    });
                }
                if deliveries.acknowledged == self.sent {
                    let to_offset = |(shard, next): (&i32, &i64)| StateOffset { shard: *shard, next: *next };
                    let offsets: Vec<_> = deliveries.next_offsets.iter().map(to_offset).collect();
                    if let Some(shard) = self.first_stale(&offsets) {
                        return Err(Failure::Retry(format!(
                            "the log of shard {shard} went back: was the state topic recreated?"
                        )));
                    }
                    return Ok(offsets);
                }
                // The reports of each shard are an event of their own, and a poll handles one: more may be there.
                if deliveries.acknowledged > std::mem::replace(&mut seen, deliveries.acknowledged) {
                    continue;
                }
            }
            if Instant::now() >= deadline {
                return Err(Failure::Broken("records were not acknowledged in time".to_owned()));
            }
            std::thread::sleep(PAUSE);
        }
    }

    async fn send_offsets(&mut self, offsets: &[StateOffset], proof: &Arc<Self::Proof>) -> Result<(), Failure> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for offset in offsets {
            list.add_partition_offset(&self.settings.topic, offset.shard, Offset::Offset(offset.next))
                .map_err(|error| classify(&error))?;
        }
        let proof = Arc::clone(proof);
        self.resume("sending offsets to the transaction", move |producer, left| {
            producer.send_offsets_to_transaction(&list, &proof, left)
        })?;
        for offset in offsets {
            self.written.insert(offset.shard, offset.next);
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.resume("committing", Producer::commit_transaction)
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        self.resume("aborting", Producer::abort_transaction)
    }

    fn tend(&mut self) {
        for producer in self.in_turn.iter().chain(&self.other) {
            producer.poll(Duration::ZERO);
        }
    }
}

/// Handles an event, if there is one, and lets librdkafka's threads work.
fn wait(producer: &BaseProducer<DeliveryContext>) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(PAUSE);
}

fn is_resumable(error: &KafkaError) -> bool {
    let KafkaError::Transaction(inner) = error else { return false };
    inner.is_retriable() && !inner.is_fatal() && !inner.txn_requires_abort()
}

fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(inner) => format!("{} ({})", inner.string(), inner.name()),
        other => other.to_string(),
    }
}

/// What to do about an error of the producer.
fn classify(error: &KafkaError) -> Failure {
    let text = describe(error);
    if matches!(error, KafkaError::Transaction(inner) if inner.is_fatal()) {
        return Failure::Broken(text);
    }
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::RebalanceInProgress,
        ) => Failure::Refused(text),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp,
        ) => Failure::Rejected(text),
        Some(
            RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::InvalidTransactionalState
            | RDKafkaErrorCode::State
            | RDKafkaErrorCode::OperationTimedOut,
        ) => Failure::Broken(text),
        _ if is_resumable(error) => Failure::Broken(text),
        _ => Failure::Retry(text),
    }
}
