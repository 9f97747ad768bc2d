//! The control loops of a link, where its shard is owned: the link's record, its topics, orders.

use std::sync::Arc;
use std::time::Duration;

use super::{Leases, Link};
use crate::cluster::ClusterError;
use crate::store::{Key, Lease, LinkRecord, LinkState, StoreError, Value, Write};
use crate::tasks::{Backoff, TaskGroup};
use crate::types::{ProducerEpoch, ProducerId};

/// Producer ids for filler: one for records, and as many for markers as one request can write to a partition.
const FILLERS: usize = 33;

/// Producer ids that were allocated and are not known to be stored.
#[derive(Default)]
struct Allocated {
    writer: Option<(ProducerId, ProducerEpoch)>,
    fillers: Vec<ProducerId>,
}

/// The control loops, while they run.
pub(super) struct Control {
    link: Arc<Link>,
    running: Option<(Lease, TaskGroup)>,
}

/// Why the link's record could not be brought in order.
#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "link {link} was made between the clusters {was:?} (source, target); now they are {is:?}: names in the \
             configuration point to other clusters than before"
    )]
    OtherClusters { link: String, was: (String, String), is: (String, String) },
}

impl Control {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, running: None }
    }

    /// Starts the loops when the link's shard is ours, ends them when it is not.
    pub(super) async fn keep(&mut self, leases: &Leases) {
        let shard = self.link.parts.store.shard_of_link(self.link.name());
        let lease = leases.get(&shard).filter(|lease| lease.is_held());
        // A shard can be lost and come back between two looks: that is another lease, and the loops ended with theirs.
        if let Some((held, _)) = &self.running
            && (lease.is_none() || !held.is_held())
        {
            self.close().await;
        }
        if let (None, Some(lease)) = (&self.running, lease) {
            let tasks = TaskGroup::new();
            self.running = Some((lease.clone(), tasks.clone()));
            let (link, lease) = (Arc::clone(&self.link), lease.clone());
            tasks.spawn_until_stopped("control of a link", async move {
                tokio::select! {
                    () = lease.lost() => {}
                    () = link.control(&lease) => {}
                }
            });
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some((_, tasks)) = self.running.take() {
            tasks.close().await;
        }
    }
}

impl Link {
    async fn control(&self, lease: &Lease) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut allocated = Allocated::default();
        loop {
            match self.keep_record(lease, &mut allocated).await {
                Ok(()) => break,
                Err(error) => {
                    self.show_problem("record", Some(error.to_string()));
                    backoff.pause().await;
                }
            }
        }
        self.show_problem("record", None);
        let mirrormaker = async {
            if let Some(mirrormaker) = &self.mirrormaker {
                mirrormaker.run(lease).await;
            }
        };
        tokio::join!(
            self.topics.run(lease),
            self.groups.run(lease),
            self.carry_out_requests(lease),
            self.acls.run(lease),
            mirrormaker
        );
    }

    /// Brings the link's record in order: made at the first start, with a data producer id of its own; the digest
    /// follows the file of whoever owns the link. `allocated` outlives an attempt.
    async fn keep_record(&self, lease: &Lease, allocated: &mut Allocated) -> Result<(), ControlError> {
        let is = (self.parts.source.id().await?, self.parts.target.id().await?);
        let record = if let Some(record) = self.record() {
            let was = (record.source_cluster_id.clone(), record.target_cluster_id.clone());
            if was != is {
                return Err(ControlError::OtherClusters { link: self.name().to_string(), was, is });
            }
            let fillers = self.fillers(&record.fillers, allocated).await?;
            if record.digest == self.settings.digest && record.fillers == fillers {
                return Ok(());
            }
            let (digest, meaning) = (self.settings.digest.clone(), self.settings.meaning.clone());
            LinkRecord { fillers, digest, meaning, ..record }
        } else {
            // A write that failed may be there all the same, and be obeyed: the next one must say the same.
            let (producer_id, producer_epoch) = match allocated.writer {
                Some(allocated) => allocated,
                None => *allocated.writer.insert(self.parts.target.allocate_producer_id().await?),
            };
            let fillers = self.fillers(&[], allocated).await?;
            tracing::info!(link = %self.name(), %producer_id, "the link starts for the first time");
            LinkRecord {
                source_cluster_id: is.0,
                target_cluster_id: is.1,
                producer_id,
                producer_epoch,
                fillers,
                state: LinkState::Active,
                digest: self.settings.digest.clone(),
                meaning: self.settings.meaning.clone(),
                created_at_ms: crate::tasks::wall_clock_ms(),
            }
        };
        let key = Key::Link { link: self.name().clone() };
        self.parts.store.write(lease, vec![Write::Put(key, Value::Link(record))]).await?;
        Ok(())
    }

    /// The producer ids that write filler: those there are, and what is missing of them where offsets are preserved.
    async fn fillers(&self, known: &[ProducerId], allocated: &mut Allocated) -> Result<Vec<ProducerId>, ClusterError> {
        if !self.settings.mirror.offsets.is_preserved() {
            return Ok(known.to_vec());
        }
        while known.len() + allocated.fillers.len() < FILLERS {
            allocated.fillers.push(self.parts.target.allocate_producer_id().await?.0);
        }
        Ok(known.iter().chain(&allocated.fillers).copied().take(FILLERS).collect())
    }
}
