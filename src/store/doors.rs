//! What the store needs of Kafka beyond its own client: reading the state topic, writing to it, membership.
//!
//! Owns: [`Doors`], [`Sink`].
//! Promises: the store behind it is the same, whoever stands in front of it.
//! Does not know: librdkafka, which [`super::kafka`] puts here, nor what a simulation puts here instead.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::watch;

use super::{StoreError, View};
use crate::shards::{Holdings, JobQueue, Record, WriterMeasures};
use crate::tasks::TaskGroup;

/// The ways to the state topic and to the daemon group. Each is begun once, in this order, and ends with `tasks`.
pub trait Doors: fmt::Debug + Send + Sync {
    /// Which shards are ours.
    fn holdings(&self) -> Arc<dyn Holdings>;

    /// Writes a record that needs no lease; returns when all in-sync replicas have it.
    fn post(&self, record: Record) -> BoxFuture<'_, Result<(), String>>;

    /// Begins to read the state topic, from its beginning and for ever.
    ///
    /// # Errors
    /// It can't begin.
    fn read(&self, sink: Sink, tasks: &TaskGroup) -> Result<(), StoreError>;

    /// Begins to write jobs ([`crate::shards::run_writer`]).
    ///
    /// # Errors
    /// It can't begin.
    fn write(&self, jobs: JobQueue, measures: WriterMeasures, tasks: &TaskGroup) -> Result<(), StoreError>;

    /// Becomes a member of the group. `trouble` takes what ends the membership for good, and whatever else it is told
    /// ends it as well.
    ///
    /// # Errors
    /// It can't begin.
    fn join(&self, trouble: watch::Sender<Option<String>>, tasks: &TaskGroup) -> Result<(), StoreError>;

    /// Waits, not for long, until what `tasks` do not count has ended, too.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Where a reader puts what it reads.
#[derive(Debug)]
pub struct Sink {
    pub(super) view: View,
    pub(super) is_at_end: watch::Sender<bool>,
    pub(super) trouble: watch::Sender<Option<String>>,
    pub(super) refusal: watch::Sender<Option<String>>,
}

impl Sink {
    /// A committed record, in the order of its partition.
    pub fn record(&self, partition: i32, key: &[u8], value: Option<&[u8]>) {
        self.view.apply(partition, key, value);
    }

    /// Every partition has been read to where it ended at some moment.
    pub fn at_end(&self) {
        self.is_at_end.send_replace(true);
    }

    /// What was read can no longer be trusted.
    pub fn trouble(&self, reason: String) {
        self.trouble.send_replace(Some(reason));
    }

    /// A person has to mend this before anything can be read.
    pub fn refuse(&self, reason: String) {
        self.refusal.send_replace(Some(reason));
    }
}
