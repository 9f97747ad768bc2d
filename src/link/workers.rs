//! The partitions of a link that this daemon works on: those whose shards it owns, as published by the link's owner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{DRAIN_LIMIT, Leases, Link};
use crate::mirror::loops::SourceProducers;
use crate::mirror::{self, Assignment, Farewell, Mirror, OffsetsMode};
use crate::store::{Lease, LinkRecord, LinkState, StartAt, TopicRecord, TopicState};
use crate::tasks::TaskGroup;
use crate::types::{PartitionIndex, TopicName, TopicPartition};

/// How long one attempt to reach a cluster may take before the link looks at its leases again.
const REACH_LIMIT: Duration = Duration::from_secs(10);

/// The data path of a link, once it could be started.
pub(super) struct Workers {
    link: Arc<Link>,
    mirror: Option<(Mirror, LinkRecord)>,
    /// What was read of the links at the source. It outlives an attempt to start: over a slow line the state topics
    /// there take longer than one, and whoever began anew each time would never end. A link's record never names
    /// another target than its first one.
    loops: Option<SourceProducers>,
    tasks: TaskGroup,
}

impl Workers {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, mirror: None, loops: None, tasks: TaskGroup::new() }
    }

    /// Starts what should run here and does not, stops what runs here and should not.
    pub(super) async fn keep(&mut self, leases: &Leases, stopping: &TaskGroup) {
        let Some(record) = self.link.record() else { return };
        let wanted = self.wanted(leases, &record);
        // The owner of the link stores the producer ids for filler before anybody needs them.
        let is_ready = !record.fillers.is_empty() || !self.link.settings.mirror.offsets.is_preserved();
        if self.mirror.is_none() && !wanted.is_empty() && is_ready {
            tokio::select! {
                () = stopping.stopped() => return,
                () = self.open(&record) => {}
            }
        }
        let Some((mirror, _)) = &mut self.mirror else { return };
        let mut lost = mirror.ended();
        let mut outdated = Vec::new();
        for running in mirror.running() {
            match wanted.get(&running.source) {
                _ if !running.lease.is_held() => lost.push(running.source.clone()),
                Some(wanted) if wanted.is_same_work(running) => {}
                Some(_) | None => outdated.push(running.source.clone()),
            }
        }
        mirror.drop_all(&lost).await;
        let (paused, changed): (Vec<_>, Vec<_>) =
            outdated.into_iter().partition(|partition| self.link.is_paused(&record, &partition.topic));
        mirror.stop(&paused, Farewell::Paused, DRAIN_LIMIT).await;
        mirror.stop(&changed, Farewell::HandedOver, DRAIN_LIMIT).await;
        let running: std::collections::BTreeSet<TopicPartition> =
            mirror.running().map(|assignment| assignment.source.clone()).collect();
        for (partition, assignment) in wanted {
            if !running.contains(&partition) && assignment.lease.is_held() {
                mirror.start(assignment);
            }
        }
    }

    /// Whether nothing has ended, or must end, since [`Workers::keep`] was called.
    pub(super) fn is_as_left(&self) -> bool {
        self.mirror
            .as_ref()
            .is_some_and(|(mirror, _)| mirror.ended().is_empty() && mirror.running().all(|work| work.lease.is_held()))
    }

    fn wanted(&self, leases: &Leases, record: &LinkRecord) -> BTreeMap<TopicPartition, Assignment> {
        let mut wanted = BTreeMap::new();
        if record.state == LinkState::Paused {
            return wanted;
        }
        let store = &self.link.parts.store;
        for (topic, record) in store.view().topics(self.link.name()) {
            if record.state != TopicState::Mirroring || record.stop.is_some() {
                continue;
            }
            for index in (0..record.partitions).map(PartitionIndex) {
                let shard = store.shard_of_partition(self.link.name(), &topic, index);
                if let Some(lease) = leases.get(&shard) {
                    let assignment = Assignment {
                        offsets: self.link.settings.mirror.offsets,
                        ..assignment(&topic, &record, index, lease)
                    };
                    wanted.insert(assignment.source.clone(), assignment);
                }
            }
        }
        wanted
    }

    /// Opens the data path, once both clusters were reached and the producer ids of opposite links are known.
    async fn open(&mut self, record: &LinkRecord) {
        let problem = self.try_to_open(record).await.err();
        let problem = problem.map(|problem| format!("link {} can't start: {problem}", self.link.name()));
        self.link.show_problem("start", problem);
    }

    async fn try_to_open(&mut self, record: &LinkRecord) -> Result<(), String> {
        let source = &self.link.parts.source;
        let loops = self
            .loops
            .get_or_insert_with(|| SourceProducers::new(source.clone(), record.target_cluster_id.clone()))
            .clone();
        let read = timeout(REACH_LIMIT, loops.read()).await.map_err(|_| {
            let bytes = loops.bytes_read();
            format!("the source has not told all of its state topics yet, {bytes} bytes so far")
        })?;
        read.map_err(|error| error.to_string())?;
        let opening = timeout(REACH_LIMIT, self.link.open_mirror(record, loops, &self.tasks)).await;
        let mirror = opening.map_err(|_| "the target does not answer".to_owned())?;
        self.mirror = Some((mirror, record.clone()));
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        if let Some((mirror, _)) = self.mirror.take() {
            mirror.close(DRAIN_LIMIT).await;
        }
        self.tasks.close().await;
    }
}

impl Link {
    fn is_paused(&self, record: &LinkRecord, topic: &TopicName) -> bool {
        let topic = self.parts.store.view().topic(self.name(), topic);
        record.state == LinkState::Paused || topic.is_some_and(|topic| topic.state == TopicState::Paused)
    }

    async fn open_mirror(&self, record: &LinkRecord, loops: SourceProducers, tasks: &TaskGroup) -> Mirror {
        let mut settings = self.settings.mirror.clone();
        if let Some(expiration) = self.parts.target.producer_expiration().await {
            settings.producer_expiration = expiration;
        }
        let parts = mirror::Parts {
            source: self.parts.source.clone(),
            target: self.parts.target.clone(),
            store: self.parts.store.clone(),
            loops,
            writer: (record.producer_id, record.producer_epoch),
            fillers: record.fillers.clone(),
            registry: self.parts.registry.clone(),
            metrics: self.parts.metrics.clone(),
        };
        Mirror::new(settings, parts, tasks)
    }
}

fn assignment(topic: &TopicName, record: &TopicRecord, index: PartitionIndex, lease: &Lease) -> Assignment {
    Assignment {
        source: TopicPartition::new(topic.clone(), index),
        target: TopicPartition::new(record.target_topic.clone(), index),
        source_topic_id: record.source_topic_id,
        target_topic_id: record.target_topic_id,
        batch_bytes_max: record.batch_bytes_max,
        // Partitions that were added later begin at their beginning.
        start: if index.0 < record.start_partitions { record.start } else { StartAt::Earliest },
        priority: record.priority,
        has_local_writers: record.has_local_writers,
        offsets: OffsetsMode::Translate,
        lease: lease.clone(),
    }
}
