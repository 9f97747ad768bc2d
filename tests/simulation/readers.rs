//! Consumer groups at the source, and whether they would go on at the same record on the target.
//!
//! Owns: groups that commit positions anywhere in the logs, forward and back; reading what both sides have of them.
//! Promises: asks with plain requests, nothing of the daemon's group code.
//! Does not know: mirroring.

use std::collections::BTreeMap;

use causeway::emulator;
use causeway::types::TopicPartition;
use causeway::wire::{Client, Route, Settings};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use kafka_protocol::protocol::StrBytes;

use crate::checker::Seen;
use crate::clusters;
use crate::dice::Dice;
use crate::workload;

const GROUPS: [&str; 2] = ["billing", "audit"];

/// Applications that read at the source.
pub struct Readers {
    cluster: emulator::Cluster,
    client: Client,
    dice: Dice,
}

impl Readers {
    pub fn new(source: &emulator::Cluster, dice: Dice) -> Self {
        let settings = Settings::plain(vec!["a:9092".to_owned()], "app-readers");
        Self { cluster: source.clone(), client: clusters::client(source, "app", settings), dice }
    }

    /// Commits until it is dropped.
    pub async fn run(mut self) {
        let partitions = workload::partitions();
        loop {
            tokio::time::sleep(self.dice.pause(50, 1_500)).await;
            let partition = self.dice.pick(&partitions).clone();
            let group = *self.dice.pick(&GROUPS);
            let view = self.cluster.partition(partition.topic.as_str(), partition.partition.0);
            let Some(end) = view.and_then(|view| u64::try_from(view.high_watermark).ok()) else { continue };
            // Mostly somewhere near the end, now and then a rewind, and never beyond what could have been read.
            let near = end.saturating_sub(self.dice.below(20));
            let at = if self.dice.is(5) { self.dice.below(end + 1) } else { near };
            self.commit(group, &partition, i64::try_from(at).unwrap()).await;
        }
    }

    async fn commit(&self, group: &str, partition: &TopicPartition, at: i64) {
        let position = OffsetCommitRequestPartition::default()
            .with_partition_index(partition.partition.0)
            .with_committed_offset(at)
            .with_committed_metadata(Some(StrBytes::from_static_str("by the app")));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(StrBytes::from_string(partition.topic.to_string()).into())
            .with_partitions(vec![position]);
        let request = OffsetCommitRequest::default()
            .with_group_id(StrBytes::from_string(group.to_owned()).into())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        // What was not taken is as if it had not been.
        drop(self.client.call_at_most(Route::Group(group.to_owned()), &request, 8).await);
    }
}

/// What one side has committed, by group and partition.
pub type Positions = BTreeMap<(&'static str, TopicPartition), i64>;

/// The positions of all groups in a cluster.
///
/// # Errors
/// What kept us from reading them.
pub async fn positions(client: &Client) -> Result<Positions, String> {
    let mut all = Positions::new();
    for group in GROUPS {
        let request =
            OffsetFetchRequest::default().with_group_id(StrBytes::from_static_str(group).into()).with_topics(None);
        let told = client.call_at_most(Route::Group(group.to_owned()), &request, 7).await;
        let told = told.map_err(|error| error.to_string())?;
        if told.error_code != 0 {
            return Err(format!("group {group}: error {}", told.error_code));
        }
        let committed: BTreeMap<(String, i32), i64> = told
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|one| (topic.name.to_string(), one)))
            .map(|(topic, one)| ((topic, one.partition_index), one.committed_offset))
            .collect();
        for partition in workload::partitions() {
            let at = committed.get(&(partition.topic.to_string(), partition.partition.0));
            if let Some(at) = at.filter(|at| **at >= 0) {
                all.insert((group, partition), *at);
            }
        }
    }
    Ok(all)
}

/// Which groups would go on with another record on the target than at the source.
pub fn differences(
    partition: &TopicPartition,
    (source, at_source): (&[Seen], &Positions),
    (target, at_target): (&[Seen], &Positions),
) -> Vec<String> {
    let next = |seen: &[Seen], at: i64| seen.iter().position(|record| record.offset >= at).unwrap_or(seen.len());
    let mut found = Vec::new();
    for (place, at) in at_source.iter().filter(|((_, of), _)| of == partition) {
        let expected = next(source, *at);
        match at_target.get(place) {
            None => found.push(format!("group {} is at {at}, and not on the target", place.0)),
            Some(there) if next(target, *there) != expected => found.push(format!(
                "group {} is at {at}, before record {expected}; on the target at {there}, before record {}",
                place.0,
                next(target, *there)
            )),
            Some(_) => {}
        }
    }
    found
}
