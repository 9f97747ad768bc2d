//! The supervisor of a link's fetchers: takes subscriptions, finds leaders, hands partitions to fetchers.
//!
//! Owns: which subscription of a partition is the current one, the fetcher tasks, the inquiries under way.
//! Promises: a partition is with one fetcher, in one inquiry, or over.
//! Does not know: sessions, what an inquiry decides by.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use metrics::{Counter, Histogram};
use tokio::sync::{Semaphore, mpsc};

use super::Settings;
use super::Subscription;
use super::fetcher::Fetcher;
use super::inbox::{InboxRef, Outlet};
use super::inquiry::{Outcome, inquire};
use super::mailbox::Mailbox;
use super::memory::Table;
use super::pace::Pace;
use super::slot::{Mail, Slot, SlotId, Trouble};
use super::source::Source;
use crate::tasks::{ByteBudget, TaskGroup};
use crate::telemetry::{Metrics, names};
use crate::types::{BrokerId, TopicPartition};
use crate::wire::Leader;

/// Inquiries that ask at the same time; the others wait. Each asks a handful of questions.
const INQUIRIES_AT_ONCE: usize = 64;

/// What the fetchers of a link and their supervisor share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) budget: ByteBudget,
    pub(super) pace: Pace,
    pub(super) table: Arc<Table>,
    pub(super) metrics: Metrics,
    /// Partitions that a fetcher gives back.
    pub(super) returned: Mailbox<(Box<Slot>, Trouble)>,
}

impl Common {
    pub(super) fn new(settings: Settings, metrics: &Metrics) -> Self {
        Self {
            budget: ByteBudget::new(settings.link_bytes_max),
            pace: Pace::new(settings.rate),
            table: Arc::default(),
            metrics: metrics.clone(),
            returned: Mailbox::new(),
            settings,
        }
    }
}

/// What fetching from one broker is measured by.
#[derive(Clone)]
pub(super) struct FetchMetrics {
    /// Seconds from request to response, of responses with data.
    pub(super) seconds: Histogram,
    pub(super) bytes: Counter,
    pub(super) answered: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
}

impl FetchMetrics {
    pub(super) fn new(metrics: &Metrics, cluster: &str, broker: BrokerId) -> Self {
        let broker = broker.to_string();
        let labels = [("cluster", cluster), ("broker", broker.as_str())];
        let requests = |outcome| {
            let labels = [("cluster", cluster), ("broker", broker.as_str()), ("outcome", outcome)];
            metrics.counter(names::FETCH_REQUESTS_TOTAL, &labels)
        };
        Self {
            seconds: metrics.histogram(names::FETCH_SECONDS, &labels),
            bytes: metrics.counter(names::FETCH_BYTES_TOTAL, &labels),
            answered: requests("answered"),
            refused: requests("refused"),
            failed: requests("failed"),
        }
    }
}

/// A subscription on its way to the supervisor.
#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) subscription: Subscription,
    pub(super) outlet: Outlet,
}

/// The supervisor's own state.
pub(super) struct Supervisor<S: Source> {
    source: S,
    common: Arc<Common>,
    tasks: TaskGroup,
    fetchers: HashMap<(BrokerId, usize), Arc<Mailbox<Mail>>>,
    inquiries: FuturesUnordered<BoxFuture<'static, Outcome>>,
    at_once: Arc<Semaphore>,
    current: HashMap<TopicPartition, InboxRef>,
    /// How many entries of `current` make it worth looking for dead ones.
    sweep_at: usize,
    next_id: u64,
    /// The connection to each broker that gets the next partition. They take turns: chance would put two busy ones of
    /// a topic on one connection, and leave them behind on a long line.
    turns: HashMap<BrokerId, usize>,
}

impl<S: Source> Supervisor<S> {
    pub(super) fn new(source: S, common: Arc<Common>, tasks: TaskGroup) -> Self {
        Self {
            source,
            common,
            tasks,
            fetchers: HashMap::new(),
            inquiries: FuturesUnordered::new(),
            at_once: Arc::new(Semaphore::new(INQUIRIES_AT_ONCE)),
            current: HashMap::new(),
            sweep_at: 1024,
            next_id: 0,
            turns: HashMap::new(),
        }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self, mut subscribes: mpsc::Receiver<Subscribe>) {
        let mut is_open = true;
        loop {
            tokio::select! {
                subscribe = subscribes.recv(), if is_open => match subscribe {
                    Some(subscribe) => self.subscribe(subscribe),
                    // The handles are gone, the inboxes may still be read.
                    None => is_open = false,
                },
                () = self.common.returned.arrival() => {
                    for (slot, trouble) in self.common.returned.take() {
                        self.look_into(slot, trouble);
                    }
                }
                Some(outcome) = self.inquiries.next(), if !self.inquiries.is_empty() => match outcome {
                    Outcome::Place(slot, leader) => self.place(slot, leader),
                    Outcome::Over => {}
                },
            }
        }
    }

    fn subscribe(&mut self, subscribe: Subscribe) {
        let Subscribe { subscription, outlet } = subscribe;
        let id = SlotId(self.next_id);
        self.next_id += 1;
        // Two readers of one partition would share a line of the session and see half of it each.
        if let Some(previous) = self.current.insert(subscription.partition.clone(), outlet.reference()) {
            previous.close();
        }
        if self.current.len() >= self.sweep_at {
            self.current.retain(|_, inbox| !inbox.is_gone());
            self.sweep_at = (self.current.len() * 2).max(1024);
        }
        let bytes_max = i32::try_from(self.common.settings.partition_bytes_max).unwrap_or(i32::MAX);
        let slot = Box::new(Slot::new(id, subscription, bytes_max, outlet));
        self.look_into(slot, Trouble::New);
    }

    fn look_into(&self, slot: Box<Slot>, trouble: Trouble) {
        tracing::debug!(partition = %slot.partition, ?trouble, "looking for the partition's place");
        self.inquiries.push(Box::pin(inquire(self.source.clone(), Arc::clone(&self.at_once), slot, trouble)));
    }

    fn place(&mut self, slot: Box<Slot>, leader: Leader) {
        let turn = self.turns.entry(leader.broker).or_default();
        let connection = *turn;
        *turn = (connection + 1) % self.common.settings.connections_per_broker.max(1);
        let mailbox = self.fetchers.entry((leader.broker, connection)).or_insert_with(|| {
            let mailbox = Arc::new(Mailbox::new());
            let fetcher =
                Fetcher::new(leader.broker, self.source.clone(), Arc::clone(&self.common), Arc::clone(&mailbox));
            self.tasks.spawn_until_stopped("fetcher", fetcher.run());
            mailbox
        });
        mailbox.post(Mail::Add(slot));
    }
}
