//! Reading the state topics on the source for the producer ids of links.
//!
//! Owns: how far each partition was read.
//! Promises: when a read succeeds, every link record that was committed before it began has been seen; of what else was
//! stored, all but what lies behind a transaction that is still open, and where that is so is noted.
//! Does not know: who asks, and why.
//!
//! Behind an open transaction links are read all the same: a producer id that a link stored, or meant to store, is no
//! application's, whatever becomes of the transaction. To wait for its end would let a transaction that never ends, in
//! any group's state topic, hold up every link.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt};

use super::known::Known;
use super::origins::Origins;
use super::states::States;
use crate::batch::{AbortedFilter, Admission, RawBatch, decode, split};
use crate::cluster::{ClusterError, FetchedOnce, Isolation};
use crate::store::{Key, Value, parse};
use crate::types::{TopicId, TopicName, TopicPartition};

/// `OFFSET_OUT_OF_RANGE`.
const CODE_OUT_OF_RANGE: i16 = 1;
/// State records are small; batches of them are too.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// A state topic has dozens of partitions, and the source can be far away.
const PARTITIONS_AT_ONCE: usize = 8;

/// See the module.
pub(super) struct Reader<S> {
    states: S,
    target_cluster_id: String,
    known: Arc<Known>,
    origins: Arc<Origins>,
    positions: Mutex<BTreeMap<TopicPartition, Position>>,
    bytes_read: Arc<AtomicU64>,
}

/// How far a partition was read. Another topic id is another log.
#[derive(Debug, Clone, Copy)]
struct Position {
    topic_id: Option<TopicId>,
    next: i64,
}

impl<S: States> Reader<S> {
    pub(super) fn new(states: S, target_cluster_id: String, known: Arc<Known>, origins: Arc<Origins>) -> Self {
        Self { states, target_cluster_id, known, origins, positions: Mutex::default(), bytes_read: Arc::default() }
    }

    /// Counts the bytes of records that were read.
    pub(super) fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// Reads all state topics from where they were read to before, up to their high watermarks of now.
    pub(super) async fn read_on(&self) -> Result<(), ClusterError> {
        let partitions = self.states.partitions().await?;
        self.origins.forget_unread_but(|partition| partitions.contains_key(partition));
        if partitions.is_empty() {
            return Ok(());
        }
        // Records about another cluster, in a copy of a state topic, would name ids that mean nothing here.
        let source_cluster_id = self.states.cluster_id().await?;
        let asked: Vec<_> = partitions.keys().cloned().collect();
        let ends = self.states.high_watermarks(&asked).await?;
        let mut reads = Vec::with_capacity(partitions.len());
        for (partition, topic_id) in &partitions {
            let end = ends.get(partition).copied();
            reads.push(self.read_partition(partition, *topic_id, end, &source_cluster_id));
        }
        let mut reads = stream::iter(reads).buffer_unordered(PARTITIONS_AT_ONCE);
        while let Some(read) = reads.next().await {
            read?;
        }
        Ok(())
    }

    async fn read_partition(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        end: Option<i64>,
        source_cluster_id: &str,
    ) -> Result<(), ClusterError> {
        // Without an answer about one partition nothing is certain.
        let Some(end) = end else {
            return Err(self.states.unreadable(&partition.to_string(), "its high watermark was not told".to_owned()));
        };
        let known = self.positions().get(partition).filter(|position| position.topic_id == topic_id).copied();
        let mut next = match known {
            Some(position) => position.next,
            None => self.states.log_start(partition).await?,
        };
        let mut unread = None;
        while next < end {
            let fetched = match self.states.fetch(partition, next, Isolation::ReadCommitted).await {
                Ok(fetched) => fetched,
                // Compaction and retention may pass us by: what is gone was not needed.
                Err(error) if error.code() == Some(CODE_OUT_OF_RANGE) => {
                    let log_start = self.states.log_start(partition).await?;
                    if log_start <= next {
                        return Err(error);
                    }
                    next = log_start;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.bytes_read.fetch_add(fetched.records.len() as u64, Ordering::Relaxed);
            let last_stable = fetched.last_stable;
            let reached = self.take(partition, next, fetched, source_cluster_id)?;
            if reached > next {
                next = reached;
                self.positions().insert(partition.clone(), Position { topic_id, next });
            } else if last_stable >= end {
                // Nothing is left between here and the end.
                next = end;
            } else {
                self.read_undecided(partition, next, end, source_cluster_id).await?;
                let reason = format!("a transaction has been open at offset {last_stable} for too long");
                unread = Some(self.states.unreadable(&partition.to_string(), reason));
                break;
            }
        }
        self.origins.note_unread(partition, unread);
        self.positions().insert(partition.clone(), Position { topic_id, next });
        Ok(())
    }

    /// Reads links behind an open transaction.
    async fn read_undecided(
        &self,
        partition: &TopicPartition,
        from: i64,
        end: i64,
        source_cluster_id: &str,
    ) -> Result<(), ClusterError> {
        let unreadable = |reason: String| self.states.unreadable(&partition.to_string(), reason);
        let mut next = from;
        while next < end {
            let fetched = self.states.fetch(partition, next, Isolation::ReadUncommitted).await?;
            let before = next;
            for batch in split(fetched.records).map_err(|error| unreadable(error.to_string()))? {
                if !batch.header.is_control() {
                    self.take_batch(None, &batch, source_cluster_id, &partition.topic).map_err(unreadable)?;
                }
                next = next.max(batch.header.last_offset().saturating_add(1));
            }
            if next == before {
                break;
            }
        }
        Ok(())
    }

    /// Takes the records in. Returns the offset after the last batch.
    fn take(
        &self,
        partition: &TopicPartition,
        from: i64,
        fetched: FetchedOnce,
        source_cluster_id: &str,
    ) -> Result<i64, ClusterError> {
        if fetched.records.is_empty() {
            return Ok(from);
        }
        let unreadable = |reason: String| self.states.unreadable(&partition.to_string(), reason);
        let mut filter = AbortedFilter::new(fetched.aborted);
        let mut next = from;
        for batch in split(fetched.records).map_err(|error| unreadable(error.to_string()))? {
            let admission = filter.admit(&batch).map_err(|error| unreadable(error.to_string()))?;
            let last = batch.header.last_offset();
            if last < from {
                continue;
            }
            match admission {
                Admission::Data => {
                    let origins = Some(&*self.origins);
                    self.take_batch(origins, &batch, source_cluster_id, &partition.topic).map_err(unreadable)?;
                }
                Admission::Control | Admission::Aborted => {}
            }
            next = next.max(last.saturating_add(1));
        }
        Ok(next)
    }

    /// Without `origins`, only links are taken in: the rest of the batch may not have been committed.
    fn take_batch(
        &self,
        origins: Option<&Origins>,
        batch: &RawBatch,
        source_cluster_id: &str,
        state_topic: &TopicName,
    ) -> Result<(), String> {
        batch.verify_crc().map_err(|error| error.to_string())?;
        let records = decode(batch, DECOMPRESSED_BYTES_MAX).map_err(|error| error.to_string())?;
        for record in records {
            let at = |error: &dyn std::fmt::Display| format!("the record at offset {}: {error}", record.offset);
            let key = record.key.as_deref().unwrap_or_default();
            // By its key first: only link records must be understood.
            match parse(key, None).map_err(|error| at(&error))? {
                Some((Key::Link { .. }, _)) => {}
                Some((key @ (Key::Topic { .. } | Key::Position { .. }), _)) => {
                    let value = parse(record.key.as_deref().unwrap_or_default(), record.value.as_deref());
                    let value = value.ok().flatten().and_then(|(_, value)| value);
                    origins.inspect(|origins| origins.note(state_topic, &key, value.as_ref()));
                    continue;
                }
                Some(_) | None => continue,
            }
            let Some((Key::Link { link: name }, Some(Value::Link(link)))) =
                parse(key, record.value.as_deref()).map_err(|error| at(&error))?
            else {
                // A removed link: the ids that it used stay known.
                continue;
            };
            if link.source_cluster_id == self.target_cluster_id && link.target_cluster_id == source_cluster_id {
                for producer_id in link.fillers.iter().chain([&link.producer_id]) {
                    self.known.note_link(producer_id.0);
                }
                self.origins.note_link((state_topic.clone(), name), link.producer_id.0);
            }
        }
        Ok(())
    }

    fn positions(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Position>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
