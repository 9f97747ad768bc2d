//! Which producer ids at the source belong to links that copy from our own target: their batches must not go back.
//!
//! Owns: the ids found in the state topics on the source, and the ids that are in none of them.
//! Promises: an answer is given only after every state topic on the source was read to an end that lies behind the
//! batch in question, and then stays true: a link stores its producer id before it first uses it, keeps it for ever,
//! and nobody else ever gets it.
//! Does not know: batches, partitions of the data path.
//!
//! Not done here: a batch of a link from our target is always left out. A target that lost the batch's origin (its
//! topic was recreated, or its log end lies below the origin's offset) should get it back; that takes the origin's
//! topic id and offset from the opposite link's map. [`SourceProducers::is_from_target`] is the place for it: the
//! answer would depend on the batch as well.
//!
//! State topics that we may not describe are not in the metadata that a broker sends us, and neither are topics that
//! this broker has not heard of yet. So the permissions to describe and read topics with the prefix `__causeway.` on
//! the source are part of what a link needs. A new group of daemons is heard of long before its first batch: its
//! state topic is written and read, its shards are given out, and its target topics are created in between.

mod known;
mod reader;
mod rounds;
mod states;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::known::Known;
use self::reader::Reader;
use self::rounds::Rounds;
use self::states::States;
use crate::cluster::{Cluster, ClusterError};

/// The producer ids of links at the source. Clones share what they know.
#[derive(Debug, Clone)]
pub struct SourceProducers {
    known: Arc<Known>,
    rounds: Arc<Rounds>,
}

impl SourceProducers {
    /// Knows nothing yet. `target_cluster_id` is Kafka's id of the link's target.
    #[must_use]
    pub fn new(source: Cluster, target_cluster_id: String) -> Self {
        Self::of(source, target_cluster_id)
    }

    fn of<S: States>(source: S, target_cluster_id: String) -> Self {
        let known = Arc::new(Known::default());
        let reader = Arc::new(Reader::new(source, target_cluster_id, Arc::clone(&known)));
        let rounds = Rounds::new(move || {
            let reader = Arc::clone(&reader);
            Box::pin(async move { reader.read_on().await })
        });
        Self { known, rounds: Arc::new(rounds) }
    }

    /// Reads the state topics on the source to their end. A link must not start before this succeeded.
    pub async fn read(&self) -> Result<(), ClusterError> {
        self.rounds.round().await
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
}
