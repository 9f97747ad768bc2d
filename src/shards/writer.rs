//! The writer: many callers' records in few transactions, each under proof of our membership.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Failure, Grant, Membership, Ownership, Record, Transactions, WriterMeasures};
use crate::tasks::Backoff;

/// Why a job's records are not known to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobError {
    /// The shard is no longer ours. If the loss came in the middle of a commit the records may have been written;
    /// the next owner reads what is there.
    Lost,
    /// Kafka did not take them in time.
    Unavailable(String),
}

/// Records of one shard that are written together or not at all.
#[derive(Debug)]
pub struct Job {
    grant: Grant,
    records: Vec<Record>,
    deadline: Instant,
    reply: oneshot::Sender<Result<(), JobError>>,
}

/// Bounds of the writer.
#[derive(Debug, Clone)]
pub struct WriterLimits {
    /// Bytes in one transaction; a larger job goes alone.
    pub transaction_bytes_max: usize,
    /// Records in one transaction; a larger job goes alone.
    pub transaction_records_max: usize,
    /// How long a job is tried.
    pub patience: Duration,
    /// Longest pause before an attempt is repeated.
    pub retry_pause_max: Duration,
    /// What must never be: the proof is shown, and the commit made, before the records are acknowledged.
    #[cfg(feature = "test-hazards")]
    pub is_flush_left_out: bool,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            transaction_bytes_max: 4 << 20,
            transaction_records_max: 2_000,
            patience: Duration::from_secs(30),
            retry_pause_max: Duration::from_secs(1),
            #[cfg(feature = "test-hazards")]
            is_flush_left_out: false,
        }
    }
}

/// Unwritten for longer than this, state is worth a warning: a moved coordinator takes less.
const UNWRITTEN_MAX: Duration = Duration::from_secs(10);

/// Gives jobs to the writer's thread. Clones feed the same one.
#[derive(Debug, Clone)]
pub struct WriterHandle {
    queue: mpsc::Sender<Vec<Job>>,
    patience: Duration,
}

/// The writer's end of the queue.
pub type JobQueue = mpsc::Receiver<Vec<Job>>;

impl WriterHandle {
    /// A bounded queue.
    #[must_use]
    pub fn new(limits: &WriterLimits) -> (Self, JobQueue) {
        let (queue, jobs) = mpsc::channel(1_024);
        (Self { queue, patience: limits.patience }, jobs)
    }

    /// Writes records of the grant's shard and returns when they are committed.
    pub async fn write(&self, grant: Grant, records: Vec<Record>) -> Result<(), JobError> {
        let mut results = self.write_together(vec![(grant, records)]).await;
        results.pop().unwrap_or(Err(JobError::Lost))
    }

    /// Writes records of several grants, in one transaction where the limits allow; one result each.
    pub async fn write_together(&self, parts: Vec<(Grant, Vec<Record>)>) -> Vec<Result<(), JobError>> {
        let deadline = Instant::now() + self.patience;
        let (jobs, replies): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .map(|(grant, records)| {
                let (reply, answer) = oneshot::channel();
                (Job { grant, records, deadline, reply }, answer)
            })
            .unzip();
        // A writer that has ended drops its jobs, and their replies answer for it.
        let _ = self.queue.send(jobs).await;
        let mut results = Vec::with_capacity(replies.len());
        for answer in replies {
            results.push(answer.await.unwrap_or(Err(JobError::Lost)));
        }
        results
    }
}

/// Writes jobs until `stop` or the last handle is gone. Blocks where the producer does: a real one needs a thread.
pub async fn run_writer<T: Transactions>(
    producer: T,
    ownership: Arc<Ownership<T::Proof>>,
    jobs: JobQueue,
    limits: WriterLimits,
    measures: WriterMeasures,
    stop: CancellationToken,
) {
    let mut writer = Writer { producer, is_open: false, ownership, limits, measures, stop: stop.clone() };
    // The first opening takes several round trips; nobody need wait for them later.
    if let Err(failure) = writer.producer.open().await {
        tracing::debug!(%failure, "state producer not open yet");
    } else {
        writer.is_open = true;
    }
    let mut queue = Queue { jobs, left_over: Vec::new() };
    loop {
        match queue.next(&writer.limits, &stop).await {
            Next::Batch(batch) => writer.settle(batch).await,
            Next::Idle => writer.producer.tend(),
            Next::End => return,
        }
    }
}

enum Next {
    Batch(Vec<Job>),
    Idle,
    End,
}

/// A producer that nobody looks after piles up librdkafka's log lines.
const IDLE_MAX: Duration = Duration::from_secs(10);

struct Queue {
    jobs: JobQueue,
    left_over: Vec<Job>,
}

impl Queue {
    /// Waits for a job and takes along what else is waiting, within the limits; it never waits for more.
    async fn next(&mut self, limits: &WriterLimits, stop: &CancellationToken) -> Next {
        if stop.is_cancelled() {
            return Next::End;
        }
        if self.left_over.is_empty() {
            match stop.run_until_cancelled(tokio::time::timeout(IDLE_MAX, self.jobs.recv())).await {
                Some(Ok(Some(jobs))) => self.left_over = jobs,
                Some(Err(_)) => return Next::Idle,
                Some(Ok(None)) | None => return Next::End,
            }
        }
        let mut batch = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        loop {
            let mut waiting = std::mem::take(&mut self.left_over).into_iter();
            while let Some(job) = waiting.next() {
                bytes += job.records.iter().map(Record::bytes).sum::<usize>();
                records += job.records.len();
                let is_over = bytes > limits.transaction_bytes_max || records > limits.transaction_records_max;
                if is_over && !batch.is_empty() {
                    self.left_over = std::iter::once(job).chain(waiting).collect();
                    return Next::Batch(batch);
                }
                batch.push(job);
            }
            match self.jobs.try_recv() {
                Ok(more) => self.left_over = more,
                Err(_) => return Next::Batch(batch),
            }
        }
    }
}

struct Writer<T: Transactions> {
    producer: T,
    is_open: bool,
    ownership: Arc<Ownership<T::Proof>>,
    limits: WriterLimits,
    measures: WriterMeasures,
    stop: CancellationToken,
}

impl<T: Transactions> Writer<T> {
    /// Tries until every job has its answer. Repeating a transaction whose outcome is unknown is right: all values
    /// are absolute, nobody else writes these keys while the shard is ours, and the repeated records lie behind the
    /// first ones, because a transaction that was not flushed is never committed.
    async fn settle(&mut self, batch: Vec<Job>) {
        for job in self.settle_together(batch).await {
            let left = self.settle_together(vec![job]).await;
            debug_assert!(left.is_empty(), "one job has no neighbours");
        }
    }

    /// What comes back has no answer yet: one of the records is unacceptable, so each job must go alone.
    async fn settle_together(&mut self, batch: Vec<Job>) -> Vec<Job> {
        let mut pending = batch;
        let mut why = String::from("no membership of the daemon group");
        let mut backoff = Backoff::new(Duration::from_millis(20), self.limits.retry_pause_max);
        let began = Instant::now();
        let mut is_told = false;
        loop {
            pending = answer_overdue(pending, &why);
            if self.stop.is_cancelled() {
                return Vec::new();
            }
            if !is_told && began.elapsed() > UNWRITTEN_MAX {
                is_told = true;
                tracing::warn!(reason = why, "state can't be written for some time; what depends on it waits");
            }
            let membership = self.ownership.membership();
            pending = answer_lost(pending);
            let Some(first) = pending.first() else { return pending };
            let patience = first.deadline.saturating_duration_since(Instant::now());
            let is_any_lost = || pending.iter().any(|job| !job.grant.is_held());
            let Some(membership) = membership else {
                self.ownership.wait_beyond(None, patience.min(Duration::from_secs(1)), is_any_lost).await;
                continue;
            };
            match self.attempt(&pending, &membership).await {
                Ok(()) => {
                    for job in pending {
                        drop(job.reply.send(Ok(())));
                    }
                    return Vec::new();
                }
                Err(Failure::Refused(reason)) => {
                    tracing::debug!(reason, "state write refused, waiting for our own rebalance");
                    why = reason;
                    let longest = patience.min(Duration::from_secs(1));
                    self.ownership.wait_beyond(Some(membership.number), longest, is_any_lost).await;
                }
                Err(Failure::Rejected(reason)) if pending.len() == 1 => {
                    for job in pending {
                        answer(job, JobError::Unavailable(reason.clone()));
                    }
                    return Vec::new();
                }
                // One record must not keep its neighbours from being written.
                Err(Failure::Rejected(_)) => return pending,
                Err(Failure::Retry(reason) | Failure::Broken(reason)) => {
                    tracing::debug!(reason, "state write failed, trying again");
                    why = reason;
                    tokio::time::sleep(backoff.next_pause().min(patience)).await;
                }
            }
        }
    }

    /// One transaction; a failed one is aborted.
    async fn attempt(&mut self, jobs: &[Job], membership: &Membership<T::Proof>) -> Result<(), Failure> {
        if !self.is_open {
            self.producer.open().await?;
            self.is_open = true;
        }
        let began = Instant::now();
        let outcome = self.transact(jobs, membership).await;
        self.measures.count(&outcome, began.elapsed());
        let failure = match outcome {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        let is_broken = matches!(failure, Failure::Broken(_));
        if is_broken || self.producer.abort().await.is_err() {
            self.is_open = false;
        }
        Err(failure)
    }

    /// The order is the promise: all records acknowledged by the log, then the proof, then the commit. A record that
    /// went out after the proof could land behind the successor's takeover record.
    async fn transact(&mut self, jobs: &[Job], membership: &Membership<T::Proof>) -> Result<(), Failure> {
        self.producer.begin().await?;
        for record in jobs.iter().flat_map(|job| &job.records) {
            self.producer.send(record).await?;
        }
        #[cfg(feature = "test-hazards")]
        if self.limits.is_flush_left_out {
            self.producer.send_offsets(&[], &membership.proof).await?;
            return self.producer.commit().await;
        }
        let offsets = self.producer.flush().await?;
        let written: BTreeSet<i32> = offsets.iter().map(|offset| offset.shard).collect();
        let unproved = jobs.iter().flat_map(|job| &job.records).find(|record| !written.contains(&record.shard));
        if let Some(record) = unproved {
            return Err(Failure::Broken(format!("no acknowledgement for shard {}", record.shard)));
        }
        self.producer.send_offsets(&offsets, &membership.proof).await?;
        self.producer.commit().await
    }
}

fn answer(job: Job, error: JobError) {
    // A caller that went away needs no answer.
    let _ = job.reply.send(Err(error));
}

fn answer_lost(jobs: Vec<Job>) -> Vec<Job> {
    let (held, lost): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.grant.is_held());
    for job in lost {
        answer(job, JobError::Lost);
    }
    held
}

fn answer_overdue(jobs: Vec<Job>, why: &str) -> Vec<Job> {
    let now = Instant::now();
    let (timely, late): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.deadline > now);
    for job in late {
        answer(job, JobError::Unavailable(why.to_owned()));
    }
    timely
}
