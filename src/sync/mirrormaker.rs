//! MirrorMaker's own topics, written for its clients: Java's `MirrorClient` and `RemoteClusterUtils` find the positions
//! of groups as if MirrorMaker had mirrored.
//!
//! Owns: heartbeats, checkpoints and offset syncs of one link, in MirrorMaker's formats, all on the target.
//! Promises: a checkpoint is written only when everything before it is on the target and acknowledged, and follows
//! the group back when it rewinds; never a tombstone (clients fail on one), never a negative offset; what changed is
//! written within seconds, and everything once by each new owner of the link. A record may be there twice, which
//! means the same as once. Nothing is written into a topic that is mirrored.
//! Does not know: how positions of groups are found out ([`GroupPositions`]), how records are copied.
//!
//! # The topics
//! Aliases of clusters are their names in the configuration. With the link `onprem -> aws` there are on `aws`:
//!
//! | topic | holds | as in MirrorMaker |
//! |---|---|---|
//! | `heartbeats` | a record a second for the link | yes |
//! | `onprem.heartbeats` | a record for each second in which the source answered | the copy of the source's own topic |
//! | `onprem.checkpoints.internal` | per group and partition: offset at the source, offset here | yes |
//! | `mm2-offset-syncs.onprem.internal` | per partition: offsets of the newest record | if told so, see below |
//!
//! Offset syncs are by default on MirrorMaker's *source*. We write nothing there: a source can be gone, or be reached
//! through a session that can't write, and the right to write to it is one right too many. `MirrorClient` reads
//! heartbeats (their names) and checkpoints only; MirrorMaker's own checkpoint connector finds the offset syncs with
//! `offset-syncs.topic.location=target`.
//!
//! Checkpoints name topics as they are on the target, so they are right for any way of naming: the same names
//! (`IdentityReplicationPolicy` at the client), `prefix = "onprem."` (its default policy), or any other.

mod checkpoints;
mod form;
mod syncs;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cluster::{Cluster, ClusterError};
use crate::store::{Lease, Store};
use crate::types::{ClusterName, GroupName, LinkName, SourceOffset, TargetOffset, TopicPartition};
use checkpoints::Checkpoints;
use syncs::OffsetSyncs;
pub use topics::topic_names;
use topics::{OwnTopic, Writer};

/// What the loop needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The link.
    pub link: LinkName,
    /// MirrorMaker's alias of the source.
    pub source: ClusterName,
    /// MirrorMaker's alias of the target.
    pub target: ClusterName,
    /// From one heartbeat to the next.
    pub heartbeat_interval: Duration,
    /// How often checkpoints that changed are written.
    pub checkpoint_interval: Duration,
    /// How often offset syncs that changed are written.
    pub offset_sync_interval: Duration,
}

/// Where a group is on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPosition {
    /// Its name on the target.
    pub group: GroupName,
    /// The mirrored partition, by the source's names.
    pub source: TopicPartition,
    /// The mirror partition.
    pub target: TopicPartition,
    /// The next record to read, at the source.
    pub source_offset: SourceOffset,
    /// The same on the target. Not beyond what is mirrored.
    pub target_offset: TargetOffset,
    /// What the group keeps beside it.
    pub metadata: String,
}

/// Tells where groups are. The group sync does; tests have their own.
pub trait GroupPositions: Send + Sync {
    /// All positions known at the moment.
    fn positions(&self) -> Vec<GroupPosition>;
}

/// The loops that write MirrorMaker's topics for one link. Run where the link's shard is owned.
pub struct MirrorMakerTopics {
    settings: Settings,
    source: Cluster,
    target: Cluster,
    store: Store,
    groups: Arc<dyn GroupPositions>,
    /// What hinders each of them at the moment.
    problems: Mutex<BTreeMap<OwnTopic, String>>,
}

/// How long a source may take to show that it is there.
const SOURCE_LIMIT: Duration = Duration::from_secs(5);

impl MirrorMakerTopics {
    /// Puts it together; nothing is asked yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        source: Cluster,
        target: Cluster,
        store: Store,
        groups: Arc<dyn GroupPositions>,
    ) -> Self {
        Self { settings, source, target, store, groups, problems: Mutex::default() }
    }

    /// Writes until the lease is lost. Can be dropped at any await. Each topic has a loop of its own, so that none
    /// waits for another's cluster.
    pub async fn run(&self, lease: &Lease) {
        let all = async {
            tokio::join!(self.beat(), self.beat_for_source(), self.write_checkpoints(), self.write_offset_syncs());
        };
        tokio::select! {
            () = lease.lost() => {}
            () = all => {}
        }
    }

    /// What hinders it at the moment.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    async fn beat(&self) {
        let mut writer = self.writer(OwnTopic::Heartbeats);
        loop {
            let record = form::heartbeat(&self.settings.source, &self.settings.target, crate::tasks::wall_clock_ms());
            self.write(&mut writer, vec![record]).await;
            tokio::time::sleep(self.settings.heartbeat_interval).await;
        }
    }

    async fn beat_for_source(&self) {
        let mut writer = self.writer(OwnTopic::SourceHeartbeats);
        loop {
            // The topic has to be there also while the source is not: clients look for its name.
            let is_there = tokio::time::timeout(SOURCE_LIMIT, self.source.metadata(Some(&[]))).await;
            let record = form::heartbeat(&self.settings.source, &self.settings.target, crate::tasks::wall_clock_ms());
            let records = if matches!(is_there, Ok(Ok(_))) { vec![record] } else { Vec::new() };
            self.write(&mut writer, records).await;
            tokio::time::sleep(self.settings.heartbeat_interval).await;
        }
    }

    async fn write_checkpoints(&self) {
        let mut writer = self.writer(OwnTopic::Checkpoints);
        let mut checkpoints = Checkpoints::default();
        loop {
            let end_of = |partition: &TopicPartition| {
                checkpoints::mirrored_end(self.store.view(), &self.settings.link, partition)
            };
            let changed = checkpoints.changed(self.groups.positions(), end_of);
            let records = changed.iter().map(form::checkpoint).collect();
            if self.write(&mut writer, records).await {
                checkpoints.written(changed);
            }
            tokio::time::sleep(self.settings.checkpoint_interval).await;
        }
    }

    async fn write_offset_syncs(&self) {
        let mut writer = self.writer(OwnTopic::OffsetSyncs);
        let mut syncs = OffsetSyncs::default();
        loop {
            let changed = syncs.changed(self.store.view(), &self.settings.link);
            let records = changed.iter().map(form::offset_sync).collect();
            if self.write(&mut writer, records).await {
                syncs.written(changed);
            }
            tokio::time::sleep(self.settings.offset_sync_interval).await;
        }
    }

    fn writer(&self, topic: OwnTopic) -> Writer {
        Writer::new(topic, &self.settings, self.target.clone(), self.store.clone())
    }

    /// Writes, and says whether it could; what failed is written again with the next round.
    async fn write(&self, writer: &mut Writer, records: Vec<form::Pair>) -> bool {
        let outcome = writer.write(records).await;
        let problem = outcome.as_ref().err().map(|error| format!("MirrorMaker's topics: {error}"));
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => {
                if problems.get(&writer.topic()) != Some(&problem) {
                    tracing::warn!(link = %self.settings.link, "{problem}");
                }
                problems.insert(writer.topic(), problem);
            }
            None => {
                problems.remove(&writer.topic());
            }
        }
        outcome.is_ok()
    }
}

/// Why nothing could be written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{0} on the target is a mirror topic: leave it out of the link's topics, or rename it")]
    IsMirrored(String),
    #[error("{0}")]
    Unusable(String),
}

#[cfg(test)]
mod tests;
