//! The stored records of groups, by which every daemon can tell where a group stands, also without the source.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::GroupSync;
use super::decide::Standing;
use super::memory::{Known, Memory};
use crate::cluster::Committed;
use crate::store::{GroupPositionRecord, GroupRecord, Key, Lease, StoreError, Value, Write};
use crate::types::{GroupName, TopicName, TopicPartition};

/// Records of one write: some hundred kilobytes.
const RECORDS_PER_WRITE: usize = 2_000;

impl Known {
    fn record(&self) -> GroupRecord {
        let mut positions: BTreeMap<TopicName, Vec<GroupPositionRecord>> = BTreeMap::new();
        for (partition, standing) in &self.standings {
            positions.entry(partition.topic.clone()).or_default().push(GroupPositionRecord {
                partition: partition.partition.0,
                source_offset: standing.source,
                committed: standing.committed,
                state: self.overlaid(standing.state),
            });
        }
        GroupRecord { target_group: self.target.clone(), kind: self.kind, message: self.message(), positions }
    }

    /// A group as it was stored: known, but never a reason to move a position back.
    fn recalled(record: &GroupRecord, now: Instant) -> Self {
        let mut known = Self::new(record.target_group.clone(), record.kind, now);
        for (topic, of_topic) in &record.positions {
            for stored in of_topic {
                let partition = TopicPartition::new(topic.clone(), crate::types::PartitionIndex(stored.partition));
                let standing =
                    Standing { source: stored.source_offset, committed: stored.committed, state: stored.state };
                let committed = Committed { offset: stored.source_offset.get(), metadata: String::new() };
                // What came from the target is known by its metadata, which is not stored.
                if stored.state != crate::types::GroupPositionState::FromTarget {
                    known.source.insert(partition.clone(), committed);
                }
                known.standings.insert(partition, standing);
            }
        }
        known.stored = Some(record.clone());
        known
    }
}

impl GroupSync {
    /// Begins with what the state has.
    pub(super) fn recall(&self) {
        let now = Instant::now();
        let view = self.parts.store.view();
        let stored = view.groups(&self.settings.link);
        let mut memory = self.memory();
        *memory = Memory::default();
        memory.is_running = true;
        memory.groups = stored.into_iter().map(|(group, record)| (group, Known::recalled(&record, now))).collect();
    }

    /// Stores the records that have changed, as many as one write takes; the next write begins after them.
    pub(super) async fn store(&self, lease: &Lease, gone: Vec<GroupName>) {
        let (records, up_to) = self.memory().changed_records();
        let key = |group: &GroupName| Key::Group { link: self.settings.link.clone(), group: group.clone() };
        let removals = gone.iter().map(|group| Write::Remove(key(group)));
        let puts = records.iter().map(|(group, record)| Write::Put(key(group), Value::Group(record.clone())));
        let writes: Vec<Write> = removals.chain(puts).collect();
        if writes.is_empty() {
            return;
        }
        let outcome = self.parts.store.write(lease, writes).await;
        let mut memory = self.memory();
        match outcome {
            Ok(()) => {
                memory.show_problem("store", None);
                memory.stored_up_to = up_to;
                for (group, record) in records {
                    if let Some(known) = memory.groups.get_mut(&group) {
                        known.stored = Some(record);
                    }
                }
            }
            // Whoever has the shard now stores what it finds.
            Err(StoreError::LeaseLost { .. }) => {}
            Err(error) => memory.show_problem("store", Some(format!("positions of groups can't be stored: {error}"))),
        }
    }
}

impl Memory {
    /// Records that differ from the stored ones, from where the last write ended, and where these end.
    fn changed_records(&self) -> (Vec<(GroupName, GroupRecord)>, Option<GroupName>) {
        let is_after = |name: &GroupName| self.stored_up_to.as_ref().is_none_or(|last| name > last);
        let after = self.groups.iter().filter(|(name, _)| is_after(name));
        let before = self.groups.iter().filter(|(name, _)| !is_after(name));
        let mut records = Vec::new();
        for (name, known) in after.chain(before) {
            let record = known.record();
            if known.stored.as_ref() != Some(&record) {
                records.push((name.clone(), record));
                if records.len() >= RECORDS_PER_WRITE {
                    break;
                }
            }
        }
        let up_to = records.last().map(|(name, _)| name.clone());
        (records, up_to)
    }
}
