//! What is done to the source cluster: by librdkafka, as an application would do it.
//!
//! Topics of four kinds are written at a steady rate, and two consumer groups read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::Settings;
use crate::emulator::{self, Cluster};
use crate::tasks::TaskGroup;

/// The daemon's group.
pub(super) const GROUP: &str = "demo";
/// How often something is written.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SECOND: u32 = 10;
const PARTITIONS: i32 = 3;
/// How many customers there are in a compacted topic.
const CUSTOMERS: u64 = 500;
/// How long a transaction or a last delivery may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each of so many transactions is aborted.
const ABORTED_OF: u64 = 10;

/// What is special about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Compressed,
    Transactional,
    Compacted,
}

/// One topic of the workload.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Records written; those of aborted transactions too.
    pub(super) written: AtomicU64,
    /// Records read by the groups.
    pub(super) consumed: AtomicU64,
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Plain => "plain records",
            Self::Compressed => "compressed with zstd",
            Self::Transactional => "transactions, one in ten aborted",
            Self::Compacted => "compacted: the newest record of each key",
        }
    }
}

impl Plan {
    pub(super) fn create(&self, source: &Cluster) -> Result<(), String> {
        let configs: &[(&str, &str)] = match self.kind {
            Kind::Compacted => &[("cleanup.policy", "compact")],
            Kind::Plain | Kind::Compressed | Kind::Transactional => &[],
        };
        source.create_topic(&self.name, PARTITIONS, 1, configs).map(|_| ())
    }
}

/// Topics of all kinds, in turn.
pub(super) fn plans(count: u16) -> Vec<Plan> {
    let kinds = [
        ("orders", Kind::Plain),
        ("clicks", Kind::Compressed),
        ("payments", Kind::Transactional),
        ("customers", Kind::Compacted),
    ];
    let plan = |(index, (name, kind)): (u16, (&str, Kind))| {
        let round = index / 4 + 1;
        let name = if round == 1 { name.to_owned() } else { format!("{name}-{round}") };
        Plan { name, kind }
    };
    (0..count).zip(kinds.into_iter().cycle()).map(plan).collect()
}

/// Makes the topic for the daemon's state, with segments as small as those of the other topics: the daemon's own are
/// closed, and so compacted, once an hour only.
pub(super) fn create_state_topic(target: &Cluster) -> Result<(), String> {
    let name = crate::store::state_topic(GROUP).map_err(|error| error.to_string())?;
    target.create_topic(name.as_str(), crate::store::SHARDS, 1, &[("cleanup.policy", "compact")]).map(|_| ())
}

/// A cluster that holds little, however long it runs.
pub(super) fn cluster(name: &str, seed: u64) -> emulator::Settings {
    let small: BTreeMap<String, String> = [
        ("log.segment.bytes", "1048576"),
        ("log.retention.bytes", "16777216"),
        ("log.retention.check.interval.ms", "5000"),
        ("log.roll.ms", "30000"),
        ("log.cleaner.delete.retention.ms", "60000"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let name = name.replace(' ', "-");
    emulator::Settings {
        seed,
        broker_settings: small,
        compaction_interval: Duration::from_secs(10),
        ..emulator::Settings::new(&name)
    }
}

/// Begins to write and read.
pub(super) fn start(
    bootstrap: &str,
    settings: Settings,
    plans: &[Plan],
    tasks: &TaskGroup,
) -> Result<Arc<Work>, String> {
    let work = Arc::new(Work::default());
    let topics = u32::try_from(plans.len().max(1)).unwrap_or(u32::MAX);
    for (plan, index) in plans.iter().zip(0_u32..) {
        // What does not divide evenly goes to the first ones.
        let share = settings.rate / topics + u32::from(index < settings.rate % topics);
        let writer = Writer::new(bootstrap, plan, share, settings.seed).map_err(|error| error.to_string())?;
        spawn(tasks, writer, Arc::clone(&work));
    }
    for group in ["billing", "audit"] {
        let reader = reader(bootstrap, group, plans).map_err(|error| error.to_string())?;
        let (work, group_tasks) = (Arc::clone(&work), tasks.clone());
        tasks.spawn("read as a group", async move {
            let reading = tokio::task::spawn_blocking(move || read(&reader, &work, &group_tasks));
            let _ = reading.await;
        });
    }
    Ok(work)
}

fn spawn(tasks: &TaskGroup, mut writer: Writer, work: Arc<Work>) {
    let of = tasks.clone();
    tasks.spawn("write to a topic", async move {
        let writing = tokio::task::spawn_blocking(move || {
            let mut next = Instant::now();
            while !of.is_stopping() {
                // After a standstill it does not catch up: a burst is nobody's steady rate.
                next = (next + TICK).max(Instant::now());
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                let records = writer.tick();
                work.written.fetch_add(records, Ordering::Relaxed);
            }
            let _ = writer.producer.flush(Duration::from_secs(1));
        });
        let _ = writing.await;
    });
}

/// Writes one topic.
struct Writer {
    /// It polls in a thread of its own: librdkafka can't abort a transaction otherwise.
    producer: ThreadedProducer<DefaultProducerContext>,
    plan: Plan,
    per_second: u32,
    ticks: u32,
    count: u64,
    transactions: u64,
    stage: Stage,
    /// Whether the last attempt failed: only the first of a row is worth a word.
    is_failing: bool,
    seed: u64,
}

/// Where a transactional producer is. What timed out must be called again: librdkafka refuses any other call until
/// it is done.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// `init_transactions` is due.
    New,
    /// No transaction is open.
    Ready,
    /// The open one is to be committed.
    Committing,
    /// The open one is to be aborted.
    Aborting,
}

impl Writer {
    fn new(bootstrap: &str, plan: &Plan, per_second: u32, seed: u64) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", format!("demo-{}", plan.name))
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "20000");
        match plan.kind {
            Kind::Plain | Kind::Compacted => {}
            Kind::Compressed => {
                config.set("compression.type", "zstd");
            }
            Kind::Transactional => {
                config.set("transactional.id", format!("demo-{}", plan.name));
            }
        }
        let (producer, plan) = (config.create()?, plan.clone());
        let (stage, is_failing) = (Stage::New, false);
        Ok(Self { producer, plan, per_second, ticks: 0, count: 0, transactions: 0, stage, is_failing, seed })
    }

    /// Writes what is due, in a transaction where that is the topic's kind. Returns how many records that was.
    fn tick(&mut self) -> u64 {
        let due = self.per_second * (self.ticks % TICKS_PER_SECOND + 1) / TICKS_PER_SECOND;
        let done = self.per_second * (self.ticks % TICKS_PER_SECOND) / TICKS_PER_SECOND;
        self.ticks += 1;
        match self.plan.kind {
            Kind::Transactional => self.transaction(due - done),
            Kind::Plain | Kind::Compressed | Kind::Compacted => self.send_all(due - done),
        }
    }

    /// Goes on with the open transaction, or makes another.
    fn transaction(&mut self, records: u32) -> u64 {
        let sent = match self.stage {
            Stage::New | Stage::Committing | Stage::Aborting => 0,
            Stage::Ready => match self.producer.begin_transaction() {
                Ok(()) => {
                    self.transactions += 1;
                    let is_aborted = self.transactions.is_multiple_of(ABORTED_OF);
                    self.stage = if is_aborted { Stage::Aborting } else { Stage::Committing };
                    self.send_all(records)
                }
                Err(error) => {
                    self.note(&error);
                    0
                }
            },
        };
        let done = match self.stage {
            Stage::New => self.producer.init_transactions(PATIENCE),
            Stage::Ready => return sent,
            Stage::Committing => self.producer.commit_transaction(PATIENCE),
            Stage::Aborting => self.producer.abort_transaction(PATIENCE),
        };
        match done {
            Ok(()) => {
                self.stage = Stage::Ready;
                self.is_failing = false;
            }
            Err(error) => {
                self.note(&error);
                if matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort()) {
                    self.stage = Stage::Aborting;
                }
            }
        }
        sent
    }

    fn note(&mut self, error: &KafkaError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(topic = self.plan.name, %error, "a transaction of the workload is held up");
        }
    }

    /// Returns how many were taken.
    fn send_all(&mut self, records: u32) -> u64 {
        (0..records).map(|_| u64::from(self.send())).sum()
    }

    /// Hands one record to librdkafka; `false` when its queue is full.
    fn send(&mut self) -> bool {
        self.count += 1;
        let mixed = self.count.wrapping_add(self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let key = match self.plan.kind {
            Kind::Compacted => format!("customer-{}", mixed % CUSTOMERS),
            Kind::Plain | Kind::Compressed | Kind::Transactional => format!("{mixed:x}"),
        };
        let value = format!(r#"{{"number":{},"topic":"{}","amount":{}}}"#, self.count, self.plan.name, mixed % 10_000);
        let record = BaseRecord::to(&self.plan.name).key(&key).payload(&value);
        match self.producer.send(record) {
            Ok(()) => true,
            // The cluster is slower than the rate: the rate has to give way.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => false,
            Err((error, _)) => {
                tracing::warn!(topic = self.plan.name, %error, "a record of the workload was not taken");
                false
            }
        }
    }
}

fn reader(bootstrap: &str, group: &str, plans: &[Plan]) -> Result<BaseConsumer, KafkaError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("client.id", format!("demo-{group}"))
        .set("auto.offset.reset", "earliest")
        .set("auto.commit.interval.ms", "1000")
        // One that falls behind on a busy machine would otherwise hold 64 MB of small records, and as much again for
        // each of them.
        .set("queued.max.messages.kbytes", "4096")
        .set("queued.min.messages", "1000")
        .set("isolation.level", "read_committed")
        .create()?;
    let topics: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    consumer.subscribe(&topics)?;
    Ok(consumer)
}

fn read(consumer: &BaseConsumer, work: &Work, tasks: &TaskGroup) {
    while !tasks.is_stopping() {
        match consumer.poll(TICK) {
            Some(Ok(_)) => {
                work.consumed.fetch_add(1, Ordering::Relaxed);
            }
            Some(Err(error)) => tracing::debug!(%error, "a group of the workload can't read"),
            None => {}
        }
    }
}
