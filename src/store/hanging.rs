//! Transactions in the state topic that nobody ends any more.
//!
//! Owns: a look at the open transactions of our shards now and then, and the marker that ends one that hangs.
//! Promises: a transaction is ended only when its coordinator has done with it long ago: as committed where the shard's
//! owner wrote it, as aborted where somebody else did.
//! Does not know: what the records say.
//!
//! A coordinator that starts goes on with the transactions that it was about to end. Where its broker's metadata does
//! not name the leader of a partition yet, it takes the partition for deleted and leaves its marker out (seen on Kafka
//! 4.3.1: "Couldn't find leader endpoint for partitions ... these partitions are likely deleted already"). Then the
//! transaction is over for the coordinator and open for the partition, for ever: nobody reads beyond it, no shard can
//! be taken over, and nothing behind it is compacted.
//!
//! An owner may have heard that its transaction was committed, and have acted upon it: so an abort could take back what
//! others rely on. One that was committed though nobody heard of it harms nobody, as always after a crash. Whoever was
//! not the owner has never heard anything but a refusal, and its records must not come back.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{DescribeProducersRequest, ListTransactionsRequest, WriteTxnMarkersRequest};

use super::View;
use super::topic::text;
use crate::types::{BrokerId, PartitionIndex, TopicName, TopicPartition};
use crate::wire::{Client, Route, WireError};

/// In so many looks a transaction must have been seen before it is thought to hang: together they take several times
/// as long as a transaction of ours may be open.
const LOOKS_MIN: u32 = 4;
/// As the coordinator says that it has not done with a transaction.
const UNDECIDED: [&str; 4] = ["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"];

/// An open transaction of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    shard: i32,
    producer_id: i64,
    producer_epoch: i16,
    start: i64,
}

/// What the coordinators say of a producer id.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Its transaction may still be ended by them.
    Undecided,
    /// They have done with it.
    Done { transactional_id: String },
    /// None knows it, or none may tell.
    Nothing,
}

/// See the module.
pub(super) struct Hanging {
    client: Client,
    topic: TopicName,
    group: String,
    view: View,
    /// How often each was seen.
    seen: BTreeMap<Open, u32>,
}

impl Hanging {
    pub(super) fn new(client: Client, topic: TopicName, group: String, view: View) -> Self {
        Self { client, topic, group, view, seen: BTreeMap::new() }
    }

    /// Looks at these shards, and ends what hangs.
    pub(super) async fn look(&mut self, shards: &[i32]) -> Result<(), WireError> {
        let mut now: BTreeMap<Open, (BrokerId, i32)> = BTreeMap::new();
        for (broker, shards) in self.by_leader(shards).await? {
            self.open_transactions(broker, &shards, &mut now).await?;
        }
        self.seen.retain(|open, _| now.contains_key(open));
        for (open, (broker, coordinator_epoch)) in now {
            let looks = self.seen.entry(open).or_insert(0);
            *looks = looks.saturating_add(1);
            if *looks < LOOKS_MIN {
                continue;
            }
            let is_first = *looks == LOOKS_MIN;
            match self.ask_coordinators(open.producer_id).await? {
                Told::Nothing if is_first => complain(open, "no transaction coordinator knows its producer id"),
                Told::Nothing | Told::Undecided => {}
                Told::Done { transactional_id } => {
                    let owner = self.view.takeover(open.shard).map(|takeover| takeover.daemon);
                    let is_owners = owner.is_some_and(|daemon| is_of(&transactional_id, &self.group, &daemon));
                    self.end(open, is_owners, (broker, coordinator_epoch), is_first).await?;
                }
            }
        }
        Ok(())
    }

    async fn by_leader(&self, shards: &[i32]) -> Result<BTreeMap<BrokerId, Vec<i32>>, WireError> {
        let mut by_leader: BTreeMap<BrokerId, Vec<i32>> = BTreeMap::new();
        for &shard in shards {
            let leader = self.client.leader(&self.partition(shard)).await?;
            by_leader.entry(leader.broker).or_default().push(shard);
        }
        Ok(by_leader)
    }

    async fn open_transactions(
        &self,
        broker: BrokerId,
        shards: &[i32],
        open: &mut BTreeMap<Open, (BrokerId, i32)>,
    ) -> Result<(), WireError> {
        let of_topic =
            TopicRequest::default().with_name(text(&self.topic).into()).with_partition_indexes(shards.to_vec());
        let request = DescribeProducersRequest::default().with_topics(vec![of_topic]);
        let response = self.client.call(Route::Broker(broker), &request).await?;
        for told in response.topics.iter().flat_map(|topic| &topic.partitions) {
            if told.error_code != 0 {
                // Most likely another broker leads it now.
                self.client.forget_leader(&self.partition(told.partition_index));
                continue;
            }
            for state in told.active_producers.iter().filter(|state| state.current_txn_start_offset >= 0) {
                // The field is wider than the epochs that exist.
                let Ok(producer_epoch) = i16::try_from(state.producer_epoch) else { continue };
                let found = Open {
                    shard: told.partition_index,
                    producer_id: state.producer_id.0,
                    producer_epoch,
                    start: state.current_txn_start_offset,
                };
                open.insert(found, (broker, state.coordinator_epoch));
            }
        }
        Ok(())
    }

    async fn ask_coordinators(&self, producer_id: i64) -> Result<Told, WireError> {
        let request = ListTransactionsRequest::default().with_producer_id_filters(vec![producer_id.into()]);
        let mut told = Told::Nothing;
        // Brokers that are down are in nobody's metadata; the coordinator of what they coordinated is another by now.
        self.client.metadata(Some(&[])).await?;
        for broker in self.client.brokers().into_keys() {
            let response = self.client.call(Route::Broker(broker), &request).await?;
            if response.error_code != 0 {
                return Ok(Told::Undecided);
            }
            for found in response.transaction_states.iter().filter(|found| found.producer_id.0 == producer_id) {
                if UNDECIDED.contains(&found.transaction_state.as_str()) {
                    return Ok(Told::Undecided);
                }
                told = Told::Done { transactional_id: found.transactional_id.to_string() };
            }
        }
        Ok(told)
    }

    async fn end(
        &self,
        open: Open,
        is_committed: bool,
        (broker, coordinator_epoch): (BrokerId, i32),
        is_first: bool,
    ) -> Result<(), WireError> {
        let of_topic = WritableTxnMarkerTopic::default()
            .with_name(text(&self.topic).into())
            .with_partition_indexes(vec![open.shard]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(open.producer_id.into())
            .with_producer_epoch(open.producer_epoch)
            .with_transaction_result(is_committed)
            // A leader that has seen none yet says -1, and takes none below 0.
            .with_coordinator_epoch(coordinator_epoch.max(0))
            .with_topics(vec![of_topic]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let response = self.client.call(Route::Broker(broker), &request).await?;
        let partitions = response.markers.iter().flat_map(|marker| &marker.topics).flat_map(|topic| &topic.partitions);
        match partitions.map(|partition| partition.error_code).find(|code| *code != 0) {
            None => {
                let Open { shard, producer_id, start, .. } = open;
                tracing::warn!(
                    shard,
                    producer_id,
                    start,
                    is_committed,
                    "ended a transaction that hung in the state topic"
                );
            }
            Some(code) if is_first => complain(open, &format!("a marker was refused (error {code})")),
            Some(_) => {}
        }
        Ok(())
    }

    fn partition(&self, shard: i32) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), PartitionIndex(shard))
    }
}

/// Whether a transactional id is one that a daemon of the group writes state with: see `KafkaTransactions`.
fn is_of(transactional_id: &str, group: &str, daemon: &str) -> bool {
    transactional_id
        .strip_prefix(&super::open::transactional_id(group, daemon))
        .is_some_and(|turn| turn == "-a" || turn == "-b")
}

fn complain(open: Open, reason: &str) {
    let Open { shard, producer_id, producer_epoch, start } = open;
    tracing::error!(
        shard,
        producer_id,
        producer_epoch,
        start,
        reason,
        "a transaction hangs in the state topic and can't be ended: the shard can't be taken over, and grows. \
         Let the daemon alter the cluster, or write the marker by an administrator's tool"
    );
}

#[cfg(test)]
#[path = "tests/hanging.rs"]
mod tests;
