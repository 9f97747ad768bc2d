//! The offsets of one group: committed ones, and those of open transactions.
//!
//! Owns: both, by topic and partition.
//! Promises: an offset of a transaction is seen when that commits, and not when a later commit has overtaken it.
//! Does not know: who may commit.

use std::collections::BTreeMap;

/// A partition by the name of its topic.
pub(crate) type Partition = (String, i32);

/// A position of a group. `offset` is the next one to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Next offset to read. Kafka takes any number.
    pub(crate) offset: i64,
    /// Leader epoch of the record before; -1 when not known.
    pub(crate) leader_epoch: i32,
    /// What the client likes to remember with it.
    pub(crate) metadata: String,
    /// When it was committed, ms.
    pub(crate) at: i64,
}

/// A position, and its place in the order of all commits of the group.
#[derive(Debug)]
struct Placed {
    place: u64,
    committed: Committed,
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<Partition, Placed>,
    /// By producer id.
    pending: BTreeMap<i64, BTreeMap<Partition, Placed>>,
    commits: u64,
}

impl Offsets {
    pub(super) fn commit(&mut self, partition: Partition, committed: Committed) {
        let place = self.next_place();
        self.committed.insert(partition, Placed { place, committed });
    }

    pub(super) fn commit_in_transaction(&mut self, producer_id: i64, partition: Partition, committed: Committed) {
        let place = self.next_place();
        self.pending.entry(producer_id).or_default().insert(partition, Placed { place, committed });
    }

    fn next_place(&mut self) -> u64 {
        self.commits = self.commits.saturating_add(1);
        self.commits
    }

    /// The transaction of this producer has ended.
    pub(super) fn end_transaction(&mut self, producer_id: i64, is_commit: bool) {
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if !is_commit {
            return;
        }
        for (partition, placed) in pending {
            let is_overtaken = self.committed.get(&partition).is_some_and(|other| other.place > placed.place);
            if !is_overtaken {
                self.committed.insert(partition, placed);
            }
        }
    }

    pub(super) fn get(&self, partition: &Partition) -> Option<&Committed> {
        self.committed.get(partition).map(|placed| &placed.committed)
    }

    /// Whether an open transaction may change this position.
    pub(super) fn is_unstable(&self, partition: &Partition) -> bool {
        self.pending.values().any(|pending| pending.contains_key(partition))
    }

    /// All partitions with a position, those of open transactions not among them.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.committed.keys()
    }

    pub(super) fn delete(&mut self, partition: &Partition) {
        self.committed.remove(partition);
        for pending in self.pending.values_mut() {
            pending.remove(partition);
        }
        self.pending.retain(|_, pending| !pending.is_empty());
    }

    /// Forgets the positions for which `is_expired` holds, those that a transaction may change excepted.
    pub(super) fn expire(&mut self, is_expired: impl Fn(&Partition, &Committed) -> bool) {
        let Self { committed, pending, .. } = self;
        let is_unstable = |partition: &Partition| pending.values().any(|of_one| of_one.contains_key(partition));
        committed.retain(|partition, placed| is_unstable(partition) || !is_expired(partition, &placed.committed));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    /// Roughly what they take in memory.
    pub(super) fn bytes(&self) -> usize {
        let pending = self.pending.values().flatten();
        let all = self.committed.iter().chain(pending);
        all.map(|((topic, _), placed)| topic.len() + placed.committed.metadata.len() + 128).sum()
    }
}
