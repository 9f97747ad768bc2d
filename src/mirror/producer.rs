//! Sending: one producer per target broker, whose requests carry many partitions.
//!
//! Owns: two connections per target broker, the requests in flight on them.
//! Promises: appends of a partition are sent in the order in which they were handed in, one batch per partition and
//! request; each append gets exactly one [`Produced`]; nothing is ever sent twice by itself; an unprotected append
//! never waits behind another request of its connection.
//! Does not know: what an answer means (see `outcome`), which leader is right.
//!
//! Why the second connection: a broker takes the requests of a connection one by one, and holds an append until its
//! replicas have it. What follows lies in the socket meanwhile, even when we are dead long since. Where the broker
//! remembers our producer id, a late append is refused. Where it doesn't, this happened in a simulation: an append
//! waits behind a held one; the daemon dies; the next one looks at the log, and appends the same records; the broker
//! forgets the producer, because the records are old; then it gets to the first append and takes it. So what the
//! broker may not remember goes on a connection of its own, where only one request is under way.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use metrics::{Counter, Histogram};
use tokio::sync::mpsc;

use crate::batch::Stamped;
use crate::cluster::Cluster;
use crate::tasks::{Backoff, TaskGroup};
use crate::telemetry::{Metrics, names};
use crate::types::{BrokerId, TargetOffset, TopicId, TopicPartition};
use crate::wire::messages::ProduceResponse;
use crate::wire::{Connection, PartitionAppend, Pending, ProduceRequest, TopicAppends, WireError};

/// Limits of producing for one link on this daemon.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Requests in flight on one connection, where it carries protected appends. Brokers remember the last five
    /// batches of a producer.
    pub requests_in_flight_max: usize,
    /// Batch bytes of one request; a single batch may exceed it.
    pub request_bytes_max: usize,
    /// How long a broker may wait for its in-sync replicas.
    pub acknowledge_timeout: Duration,
}

/// One batch on its way to one mirror partition.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: Option<TopicId>,
    pub(super) batch: Stamped,
    pub(super) protection: Protection,
    /// Gives the answer back to the partition, with the number that it gave this append.
    pub(super) number: u64,
    pub(super) reply: mpsc::Sender<Produced>,
}

/// What keeps a late append out of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protection {
    /// The broker remembers the producer, and will for hours: the sequence decides.
    Sequence,
    /// Nothing: it takes any sequence, now or soon.
    Unprotected,
}

/// What came of an append.
#[derive(Debug)]
pub(super) struct Produced {
    pub(super) number: u64,
    pub(super) outcome: Outcome,
}

/// What the broker said, or that it said nothing.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// An answer: its code, the base offset, and the broker's words.
    Answered { code: i16, base_offset: Option<TargetOffset>, message: Option<String> },
    /// It was never sent.
    NotSent(WireError),
    /// It was sent, or may have been, and no answer came.
    Unknown(WireError),
}

/// The producers of one link on this daemon. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Producers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    target: Cluster,
    tasks: TaskGroup,
    measures: Measures,
    lines: Mutex<HashMap<Line, mpsc::Sender<Append>>>,
}

/// What has a connection of its own.
type Line = (BrokerId, Protection);

#[derive(Debug)]
struct Measures {
    metrics: Metrics,
    link: String,
    seconds: Histogram,
    requests: Counter,
    lost: Counter,
}

impl Measures {
    fn error(&self, code: i16) {
        let labels = [("link", self.link.as_str()), ("code", &code.to_string())];
        self.metrics.counter(names::PRODUCE_ERRORS_TOTAL, &labels).increment(1);
    }
}

/// Appends that may wait for one broker before the partitions are held up. Their bytes are bounded by the link's
/// budget; this bounds their number.
const WAITING_MAX: usize = 4096;

/// Fewer appends than this, of fewer bytes, are a trickle. It gathers while a request is under way: what a broker does
/// for a request costs it more than a few records do.
const TRICKLE_APPENDS: usize = 64;
const TRICKLE_BYTES: usize = 64 << 10;
/// How long a trickle gathers at most.
const TRICKLE_WAIT: Duration = Duration::from_millis(4);

impl Producers {
    pub(super) fn new(settings: Settings, target: Cluster, link: &str, metrics: &Metrics, tasks: &TaskGroup) -> Self {
        let labels = &[("link", link)];
        let measures = Measures {
            metrics: metrics.clone(),
            link: link.to_owned(),
            seconds: metrics.histogram(names::PRODUCE_SECONDS, labels),
            requests: metrics.counter(names::PRODUCE_REQUESTS_TOTAL, labels),
            lost: metrics.counter(names::PRODUCE_CONNECTIONS_LOST_TOTAL, labels),
        };
        let lines = Mutex::new(HashMap::new());
        Self { shared: Arc::new(Shared { settings, target, tasks: tasks.clone(), measures, lines }) }
    }

    /// Hands an append to the producer of a broker. Waits while too many wait there already.
    pub(super) async fn append(&self, broker: BrokerId, append: Append) {
        let queue = self.queue_of((broker, append.protection));
        // A closed queue means that the daemon stops: nobody waits for the answer.
        let _ = queue.send(append).await;
    }

    fn queue_of(&self, line: Line) -> mpsc::Sender<Append> {
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = lines.entry(line).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let in_flight_max = match line.1 {
                Protection::Sequence => self.shared.settings.requests_in_flight_max,
                Protection::Unprotected => 1,
            };
            let producer =
                Producer { broker: line.0, in_flight_max, shared: Arc::clone(&self.shared), queue: receiver };
            self.shared.tasks.spawn_until_stopped("producer", producer.run());
            sender
        });
        queue.clone()
    }
}

struct Producer {
    broker: BrokerId,
    in_flight_max: usize,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Append>,
}

/// A request in flight: whom to tell, and since when it is under way.
struct Sent {
    appends: Vec<(TopicPartition, Option<TopicId>, u64, mpsc::Sender<Produced>)>,
    since: Instant,
}

impl Producer {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while let Some(first) = self.queue.recv().await {
            match self.shared.target.client().connect(self.broker).await {
                Ok(connection) => {
                    backoff.reset();
                    self.serve(&connection, first).await;
                }
                Err(error) => {
                    tell(first.number, &first.reply, Outcome::NotSent(error.clone()));
                    self.refuse_waiting(&error);
                    backoff.pause().await;
                }
            }
        }
    }

    fn refuse_waiting(&mut self, error: &WireError) {
        while let Ok(append) = self.queue.try_recv() {
            tell(append.number, &append.reply, Outcome::NotSent(error.clone()));
        }
    }

    /// Sends and answers until the connection is lost; then everything under way has been answered.
    async fn serve(&mut self, connection: &Connection, first: Append) {
        let mut waiting = VecDeque::from([first]);
        let mut in_flight = FuturesOrdered::new();
        let mut due = tokio::time::Instant::now();
        loop {
            self.take_waiting(&mut waiting);
            if in_flight.is_empty() && !waiting.is_empty() {
                // One response woke several partitions, and the first of them woke us: the others run before we do.
                tokio::task::yield_now().await;
                self.take_waiting(&mut waiting);
            }
            if in_flight.len() < self.in_flight_max
                && !waiting.is_empty()
                && (in_flight.is_empty() || due <= tokio::time::Instant::now() || is_worth_a_request(&waiting))
            {
                due = tokio::time::Instant::now() + TRICKLE_WAIT;
                let appends = take_for_request(&mut waiting, self.shared.settings.request_bytes_max);
                match self.send(connection, appends).await {
                    Ok(answer) => in_flight.push_back(answer),
                    Err(error) => return self.lose(error, waiting, in_flight).await,
                }
                continue;
            }
            tokio::select! {
                // Brokers close what is idle for long. Noticed now, the next append begins on a new connection; sent
                // into this one, nobody could tell what became of it.
                () = connection.closed(), if in_flight.is_empty() && waiting.is_empty() => return,
                Some(append) = self.queue.recv(), if waiting.len() < WAITING_MAX => waiting.push_back(append),
                () = tokio::time::sleep_until(due), if !waiting.is_empty() && in_flight.len() < self.in_flight_max => {}
                Some((sent, answer)) = in_flight.next() => match answer {
                    Ok(answer) => self.answer(sent, &answer),
                    Err(error) => {
                        tell_all(sent, &Outcome::Unknown(error.clone()));
                        return self.lose(error, waiting, in_flight).await;
                    }
                },
                else => return,
            }
        }
    }

    fn take_waiting(&mut self, waiting: &mut VecDeque<Append>) {
        while waiting.len() < WAITING_MAX
            && let Ok(append) = self.queue.try_recv()
        {
            waiting.push_back(append);
        }
    }

    async fn send(
        &self,
        connection: &Connection,
        appends: Vec<Append>,
    ) -> Result<impl Future<Output = (Sent, Result<ProduceResponse, WireError>)> + use<>, WireError> {
        let mut topics: Vec<TopicAppends> = Vec::new();
        let mut sent = Sent { appends: Vec::with_capacity(appends.len()), since: Instant::now() };
        for append in appends {
            let Append { partition, topic_id, batch, number, reply, protection: _ } = append;
            let one =
                PartitionAppend { partition: partition.partition, header: batch.header, body: batch.body.clone() };
            // What is left of a deleted topic's life must not travel under the id of the next.
            match topics.iter_mut().find(|topic| topic.name == partition.topic && topic.id == topic_id) {
                Some(topic) => topic.partitions.push(one),
                None => {
                    topics.push(TopicAppends { name: partition.topic.clone(), id: topic_id, partitions: vec![one] });
                }
            }
            sent.appends.push((partition, topic_id, number, reply));
        }
        let request = ProduceRequest { timeout: self.shared.settings.acknowledge_timeout, topics };
        let pending: Pending<ProduceResponse> = match connection.start_produce(&request).await {
            Ok(pending) => pending,
            Err(error) => {
                // A connection that breaks while the request is queued may have carried it.
                tell_all(sent, &Outcome::Unknown(error.clone()));
                return Err(error);
            }
        };
        self.shared.measures.requests.increment(1);
        Ok(async move { (sent, pending.await) })
    }

    fn answer(&self, sent: Sent, response: &ProduceResponse) {
        self.shared.measures.seconds.record(sent.since.elapsed());
        let mut answers = HashMap::new();
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                if partition.error_code != 0 {
                    self.shared.measures.error(partition.error_code);
                }
                let answer = Outcome::Answered {
                    code: partition.error_code,
                    base_offset: TargetOffset::new(partition.base_offset).ok(),
                    message: partition.error_message.as_ref().map(ToString::to_string),
                };
                answers.insert((topic.name.to_string(), topic.topic_id, partition.index), answer);
            }
        }
        for (partition, topic_id, number, reply) in sent.appends {
            let by_name = (partition.topic.as_str().to_owned(), uuid::Uuid::nil(), partition.partition.0);
            let by_id = topic_id.map(|id| (String::new(), id.0, partition.partition.0));
            let answer = answers.remove(&by_name).or_else(|| by_id.and_then(|key| answers.remove(&key)));
            let outcome = answer.unwrap_or_else(|| {
                Outcome::Unknown(WireError::Malformed {
                    address: format!("broker {}", self.broker),
                    api: "Produce",
                    reason: format!("no answer for {partition}"),
                })
            });
            tell(number, &reply, outcome);
        }
    }

    /// The connection is of no use any more: its requests have no answer, what waited was never sent.
    async fn lose<F>(&mut self, error: WireError, waiting: VecDeque<Append>, mut in_flight: FuturesOrdered<F>)
    where
        F: Future<Output = (Sent, Result<ProduceResponse, WireError>)>,
    {
        self.shared.measures.lost.increment(1);
        tracing::debug!(broker = %self.broker, %error, "lost a connection for producing");
        while let Some((sent, answer)) = in_flight.next().await {
            match answer {
                Ok(answer) => self.answer(sent, &answer),
                Err(error) => tell_all(sent, &Outcome::Unknown(error)),
            }
        }
        for append in waiting {
            tell(append.number, &append.reply, Outcome::NotSent(error.clone()));
        }
    }
}

/// Whether what waits is no trickle: it is much, or it is more of a partition than one request can carry.
fn is_worth_a_request(waiting: &VecDeque<Append>) -> bool {
    let mut bytes = 0;
    let mut partitions = HashSet::new();
    waiting.len() >= TRICKLE_APPENDS
        || waiting.iter().any(|append| {
            bytes += append.batch.body.len();
            bytes >= TRICKLE_BYTES || !partitions.insert(&append.partition)
        })
}

/// Takes what fits into one request: the first waiting batch of each partition, in the order of waiting. Batches
/// behind another one of their partition keep their place in the line.
fn take_for_request(waiting: &mut VecDeque<Append>, bytes_max: usize) -> Vec<Append> {
    let mut taken = Vec::new();
    let mut passed_over = VecDeque::new();
    let mut partitions = HashSet::new();
    let mut bytes = 0;
    while let Some(append) = waiting.pop_front() {
        let fits = taken.is_empty() || bytes + append.batch.body.len() <= bytes_max;
        if partitions.insert(append.partition.clone()) && fits {
            bytes += append.batch.body.len();
            taken.push(append);
        } else {
            passed_over.push_back(append);
        }
    }
    *waiting = passed_over;
    taken
}

fn tell_all(sent: Sent, outcome: &Outcome) {
    for (_, _, number, reply) in sent.appends {
        tell(number, &reply, outcome.clone());
    }
}

/// The reply queue of a partition holds as many answers as it may have appends under way, so it is never full; a
/// closed one means that the partition stopped.
fn tell(number: u64, reply: &mpsc::Sender<Produced>, outcome: Outcome) {
    let _ = reply.try_send(Produced { number, outcome });
}

#[cfg(test)]
mod tests;
