//! The topics themselves: their names, their settings, and appending to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::watch;

use super::form::Pair;
use super::{Settings, WriteError};
use crate::batch::{Codec, Record, encode_batch};
use crate::cluster::{Appender, Cluster, NewTopic};
use crate::store::{Store, Value};
use crate::types::{ClusterName, PartitionIndex, TopicName, TopicPartition};
use crate::wire::ResponseError;

/// One of MirrorMaker's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OwnTopic {
    /// Of all links that write to the target.
    Heartbeats,
    /// What would be the copy of the source's own.
    SourceHeartbeats,
    Checkpoints,
    OffsetSyncs,
}

impl OwnTopic {
    const ALL: [Self; 4] = [Self::Heartbeats, Self::SourceHeartbeats, Self::Checkpoints, Self::OffsetSyncs];

    /// Its name, as MirrorMaker's clients expect it.
    fn name(self, source: &ClusterName) -> String {
        match self {
            Self::Heartbeats => "heartbeats".to_owned(),
            Self::SourceHeartbeats => format!("{source}.heartbeats"),
            Self::Checkpoints => format!("{source}.checkpoints.internal"),
            Self::OffsetSyncs => format!("mm2-offset-syncs.{source}.internal"),
        }
    }
}

/// The names of the topics that a link from this source writes on its target.
#[must_use]
pub fn topic_names(source: &ClusterName) -> Vec<TopicName> {
    // All of them are valid: a cluster's name has at most 100 letters that are allowed in topics.
    OwnTopic::ALL.iter().filter_map(|topic| TopicName::new(&topic.name(source)).ok()).collect()
}

/// What it is created with. Clients read the topic from its beginning, so it is kept short: small segments, which
/// compaction gets to soon.
const CONFIGS: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "16777216"), ("min.cleanable.dirty.ratio", "0.1")];
/// The records of one batch take at most so much, far below any broker's limit.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Bytes of a record besides its key and value, at most.
const RECORD_BYTES_MORE: usize = 32;

/// Appends to one of the topics; creates it where it is absent.
#[derive(Debug)]
pub(super) struct Writer {
    topic: OwnTopic,
    name: String,
    target: Cluster,
    store: Store,
    /// Tells when topics may have become mirror topics.
    changes: watch::Receiver<u64>,
    appender: Option<Appender>,
}

impl Writer {
    pub(super) fn new(topic: OwnTopic, settings: &Settings, target: Cluster, store: Store) -> Self {
        let changes = store.view().changes();
        Self { topic, name: topic.name(&settings.source), target, store, changes, appender: None }
    }

    pub(super) fn topic(&self) -> OwnTopic {
        self.topic
    }

    /// Writes records; without any it still sees to it that the topic is there, which clients wait for.
    pub(super) async fn write(&mut self, records: Vec<Pair>) -> Result<(), WriteError> {
        let outcome = self.append(records).await;
        if outcome.is_err() {
            self.appender = None;
        }
        outcome
    }

    async fn append(&mut self, records: Vec<Pair>) -> Result<(), WriteError> {
        if self.changes.has_changed().unwrap_or(true) {
            self.changes.mark_unchanged();
            self.refuse_mirrored()?;
        }
        let appender = if let Some(appender) = &mut self.appender {
            appender
        } else {
            let partition = self.open().await?;
            self.appender.insert(Appender::new(self.target.clone(), partition))
        };
        for batch in batches(&records, crate::tasks::wall_clock_ms())? {
            appender.append(&batch).await?;
        }
        Ok(())
    }

    /// Creates the topic where it is absent. One partition: clients read no other one.
    async fn open(&self) -> Result<TopicPartition, WriteError> {
        self.refuse_mirrored()?;
        let name = TopicName::new(&self.name).map_err(|error| WriteError::Unusable(error.to_string()))?;
        let is_absent = || async {
            let told = self.target.metadata(Some(std::slice::from_ref(&name))).await?;
            let code = told.topics.get(&name).map_or(0, |topic| topic.error_code);
            Ok::<bool, WriteError>(code == ResponseError::UnknownTopicOrPartition.code())
        };
        if is_absent().await? {
            let configs: BTreeMap<String, String> =
                CONFIGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let new = NewTopic { name: name.clone(), partitions: 1, replication_factor: None, configs };
            match self.target.create_topic(&new).await {
                Ok(_) => tracing::info!(topic = %name, "created MirrorMaker's topic"),
                Err(error) if error.code() == Some(ResponseError::TopicAlreadyExists.code()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(TopicPartition::new(name, PartitionIndex(0)))
    }

    /// Where a link writes its copies into this topic, a record of ours would stop that partition.
    fn refuse_mirrored(&self) -> Result<(), WriteError> {
        let is_it =
            |value: &Value| matches!(value, Value::Topic(topic) if topic.target_topic.as_str() == self.name.as_str());
        let is_mirrored = self.store.view().all().iter().any(|(_, value)| is_it(value));
        if is_mirrored { Err(WriteError::IsMirrored(self.name.clone())) } else { Ok(()) }
    }
}

/// Records as batches, none of them too large.
pub(super) fn batches(records: &[Pair], now_ms: i64) -> Result<Vec<Bytes>, WriteError> {
    let mut batches = Vec::new();
    let mut open: Vec<Record> = Vec::new();
    let mut open_bytes = 0_usize;
    let mut close = |open: &mut Vec<Record>| -> Result<(), WriteError> {
        if !open.is_empty() {
            let batch = encode_batch(open, Codec::None).map_err(|error| WriteError::Unusable(error.to_string()))?;
            batches.push(batch);
            open.clear();
        }
        Ok(())
    };
    for pair in records {
        let bytes = pair.key.len() + pair.value.len() + RECORD_BYTES_MORE;
        if open_bytes + bytes > BATCH_BYTES_MAX {
            close(&mut open)?;
            open_bytes = 0;
        }
        open_bytes += bytes;
        open.push(Record {
            offset: i64::try_from(open.len()).unwrap_or(i64::MAX),
            timestamp: now_ms,
            key: Some(pair.key.clone()),
            value: Some(pair.value.clone()),
            headers: Vec::new(),
        });
    }
    close(&mut open)?;
    Ok(batches)
}
