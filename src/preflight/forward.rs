//! How far empty mirror partitions have to be brought before the copy can begin with the same offsets.

use std::collections::BTreeMap;

use super::link::{Look, Names};
use super::report::{Report, list};
use crate::cluster::{ClusterError, OffsetQuery};
use crate::types::{PartitionIndex, TopicName, TopicPartition};

/// Offsets of filler that one partition takes in a second, and the bytes of a million of them.
const OFFSETS_A_SECOND: u64 = 3_000_000;
const BYTES_A_MILLION: u64 = 600_000;

/// Says how long it will take and how much will be written, or that it is too far.
pub(super) async fn check(look: &Look<'_>, names: &Names, about: &str, report: &mut Report) {
    let distances = match distances(look, names).await {
        Ok(distances) => distances,
        Err(error) => {
            let sentence = format!("where topics begin at the source could not be looked at: {error}");
            report.warn(about, sentence, "mend that, and check again");
            return;
        }
    };
    let max = look.link.fast_forward_max;
    let (near, far): (Vec<_>, Vec<_>) = distances.into_iter().partition(|(_, distance)| *distance <= max);
    if !near.is_empty() {
        let total: u64 = near.iter().map(|(_, distance)| distance).fold(0, |sum, next| sum.saturating_add(*next));
        let farthest = near.iter().map(|(_, distance)| *distance).max().unwrap_or(0);
        let sentence = format!(
            "{} mirror partitions are brought forward before they are copied, by {total} offsets in all: about {} s, \
             and {} MB that are deleted again",
            near.len(),
            farthest.div_ceil(OFFSETS_A_SECOND),
            (total / 1_000_000).saturating_mul(BYTES_A_MILLION).div_ceil(1_000_000),
        );
        report.ok(about, sentence);
    }
    if !far.is_empty() {
        let mut topics: Vec<&TopicName> = far.iter().map(|(partition, _)| &partition.topic).collect();
        topics.dedup();
        let farthest = far.iter().map(|(_, distance)| *distance).max().unwrap_or(0);
        let sentence = format!(
            "{}: {} partitions begin up to {farthest} offsets ahead, more than fast_forward_max ({max}): their \
             offsets will be translated",
            list(topics.into_iter()),
            far.len()
        );
        report.warn(about, sentence, "raise fast_forward_max, or write offsets = \"translate\"");
    }
}

/// By how many offsets each partition begins ahead of its mirror partition that never held a record.
async fn distances(look: &Look<'_>, names: &Names) -> Result<Vec<(TopicPartition, u64)>, ClusterError> {
    let mut mirrors: BTreeMap<TopicPartition, TopicPartition> = BTreeMap::new();
    for (topic, target) in names {
        let partitions = look.at_source.topics.get(topic).map(|topic| &topic.partitions);
        for index in partitions.into_iter().flat_map(BTreeMap::keys).copied() {
            let of = |topic: &TopicName, index: PartitionIndex| TopicPartition::new(topic.clone(), index);
            mirrors.insert(of(topic, index), of(target, index));
        }
    }
    let sources: Vec<TopicPartition> = mirrors.keys().cloned().collect();
    let target_topics: Vec<TopicName> = names.values().cloned().collect();
    let there = look.target.cluster.metadata(Some(&target_topics)).await?.topics;
    let is_there = |partition: &TopicPartition| {
        there.get(&partition.topic).is_some_and(|topic| topic.partitions.contains_key(&partition.partition))
    };
    let targets: Vec<TopicPartition> = mirrors.values().filter(|partition| is_there(partition)).cloned().collect();
    let starts = look.source.cluster.list_offsets(&sources, OffsetQuery::LogStart).await?;
    let ends = look.target.cluster.list_offsets(&targets, OffsetQuery::HighWatermark).await?;
    let distance = |(source, target): (TopicPartition, TopicPartition)| {
        let start = starts.get(&source)?.as_ref().ok()?.offset?;
        let is_new = !is_there(&target) || ends.get(&target)?.as_ref().ok()?.offset == Some(0);
        let distance = u64::try_from(start).ok().filter(|distance| is_new && *distance > 0)?;
        Some((source, distance))
    };
    Ok(mirrors.into_iter().filter_map(distance).collect())
}
