//! Which producer ids at the source belong to links that copy from our own target: their batches must not go back.
//!
//! Owns: the ids found in the state topics on the source, and the ids that are in none of them.
//! Promises: an answer is given only after every state topic on the source was read to an end that lies behind the
//! batch in question, and then stays true: a link stores its producer id before it first uses it, keeps it for ever,
//! and nobody else ever gets it. Where its batches came from is not known for certain while `has_unread`.
//! Does not know: batches, partitions of the data path.
//!
//! A batch of a link from our target is left out, unless the topic that it came from is gone there: `origins` tells
//! which life of it that was, and `returning` decides.
//!
//! State topics that we may not describe are not in the metadata that a broker sends us, and neither are topics that
//! this broker has not heard of yet. So the permissions to describe and read topics with the prefix `__causeway.` on
//! the source are part of what a link needs. A new group of daemons is heard of long before its first batch: its
//! state topic is written and read, its shards are given out, and its target topics are created in between.

mod known;
mod origins;
mod reader;
mod rounds;
mod states;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use self::known::Known;
pub use self::origins::Origin;
use self::origins::Origins;
use self::reader::Reader;
use self::rounds::Rounds;
use self::states::States;
use crate::cluster::{Cluster, ClusterError};
use crate::types::{SourceOffset, TopicName, TopicPartition};

/// For how long an open transaction on an opposite link's state topic is waited for. Daemons' transactions end within
/// 10 s.
const OPEN_TRANSACTION_MAX: Duration = Duration::from_secs(30);
/// Between looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// The producer ids of links at the source. Clones share what they know.
#[derive(Debug, Clone)]
pub struct SourceProducers {
    known: Arc<Known>,
    origins: Arc<Origins>,
    rounds: Arc<Rounds>,
    bytes_read: Arc<AtomicU64>,
}

impl SourceProducers {
    /// Knows nothing yet. `target_cluster_id` is Kafka's id of the link's target.
    #[must_use]
    pub fn new(source: Cluster, target_cluster_id: String) -> Self {
        Self::of(source, target_cluster_id)
    }

    fn of<S: States>(source: S, target_cluster_id: String) -> Self {
        let known = Arc::new(Known::default());
        let origins = Arc::new(Origins::default());
        let reader = Arc::new(Reader::new(source, target_cluster_id, Arc::clone(&known), Arc::clone(&origins)));
        let bytes_read = reader.bytes_read();
        let rounds = Rounds::new(move || {
            let reader = Arc::clone(&reader);
            Box::pin(async move { reader.read_on().await })
        });
        Self { known, origins, rounds: Arc::new(rounds), bytes_read }
    }

    /// Reads the state topics on the source to their end. A link must not start before this succeeded. Whoever gives
    /// up waiting and asks again goes on with the same read.
    pub async fn read(&self) -> Result<(), ClusterError> {
        self.rounds.round().await
    }

    /// Bytes of state topics that were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Whether the producer id belongs to a link from our target, where that is known. No producer id (-1): no link.
    #[must_use]
    pub fn known(&self, producer_id: i64) -> Option<bool> {
        if producer_id < 0 { Some(false) } else { self.known.get(producer_id) }
    }

    /// The same; an id that is not known yet is looked for in the state topics. An unreadable state topic is an
    /// error, never an answer.
    pub async fn is_from_target(&self, producer_id: i64) -> Result<bool, ClusterError> {
        if let Some(answer) = self.known(producer_id) {
            return Ok(answer);
        }
        self.rounds.round().await?;
        Ok(self.known.settle(producer_id))
    }

    /// Whether the link with this producer id has stored more than could be read the last time.
    #[must_use]
    pub fn has_unread(&self, producer_id: i64) -> bool {
        self.origins.unread(producer_id).is_some()
    }

    /// Reads all that the link with this producer id has stored by now. A transaction that is open there is waited for,
    /// some 30 s.
    pub async fn read_all_of(&self, producer_id: i64) -> Result<(), ClusterError> {
        let since = Instant::now();
        loop {
            self.rounds.round().await?;
            let Some(why) = self.origins.unread(producer_id) else { return Ok(()) };
            if since.elapsed() > OPEN_TRANSACTION_MAX {
                return Err(why);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where a batch of a link from our target came from: which life of the target's topic `origin_topic`, by what was
    /// read so far. `at` is the place of the batch at the source.
    #[must_use]
    pub fn origin(&self, producer_id: i64, at: (&TopicPartition, SourceOffset), origin_topic: &TopicName) -> Origin {
        self.origins.of(producer_id, at, origin_topic)
    }
}
