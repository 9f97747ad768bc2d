//! What there is: topics of both sides, what the configuration wants, what was published.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Choice, Life, Seen, Side, Wish, is_established};
use super::topics::Problem;
use crate::cluster::{Cluster, ClusterError, ConfigEntry, OffsetQuery};
use crate::selection::{Decision, Selected, Selection};
use crate::store::TopicRecord;
use crate::types::{PartitionIndex, TopicName, TopicPartition};
use crate::wire::{ResponseError, TopicMetadata};

/// Everything a round looks at, by source topic.
#[derive(Debug, Default)]
pub(super) struct Observation {
    pub(super) seen: BTreeMap<TopicName, Seen>,
    /// Names that no topic record can stand for.
    pub(super) problems: Vec<Problem>,
}

/// Settings of topics, as far as they could be read.
pub(super) type Configs = BTreeMap<TopicName, Result<Vec<ConfigEntry>, ClusterError>>;

/// Looks at both sides.
pub(super) async fn observe(
    source: &Cluster,
    target: &Cluster,
    selection: &Selection,
    published: Vec<(TopicName, TopicRecord)>,
) -> Result<Observation, ClusterError> {
    let at_source = source.metadata(None).await?.topics;
    let is_one_cluster = source.id().await? == target.id().await?;
    let mut observation = wishes(selection, at_source.keys(), published);
    for (topic, seen) in &mut observation.seen {
        seen.source = match at_source.get(topic) {
            Some(metadata) => side(source, topic, metadata),
            None => Side::Absent,
        };
    }
    if is_one_cluster {
        mark_own_targets(&mut observation.seen);
    }
    confirm_absent(source, &mut observation.seen).await?;
    see_targets(target, &mut observation.seen).await?;
    see_emptiness(target, &mut observation.seen).await?;
    Ok(observation)
}

/// What the configuration wants of the topics that exist or were published.
pub(super) fn wishes<'t>(
    selection: &Selection,
    at_source: impl Iterator<Item = &'t TopicName>,
    published: Vec<(TopicName, TopicRecord)>,
) -> Observation {
    let mut names: BTreeSet<TopicName> = at_source.cloned().collect();
    let mut records: BTreeMap<TopicName, TopicRecord> = published.into_iter().collect();
    let plan = selection.plan(names.iter().cloned());
    names.extend(records.keys().cloned());
    // Names that records hold already count as well, so that no newcomer takes one.
    let taken: BTreeMap<TopicName, TopicName> = records
        .iter()
        .filter(|(_, record)| is_established(record))
        .map(|(topic, record)| (record.target_topic.clone(), topic.clone()))
        .collect();
    let mut observation = Observation::default();
    for unusable in &plan.unusable {
        observation.problems.push(Problem::about(&unusable.source_topic, unusable.to_string()));
    }
    let collisions: BTreeMap<&TopicName, String> = plan
        .collisions
        .iter()
        .flat_map(|collision| collision.source_topics.iter().map(|topic| (topic, collision.to_string())))
        .collect();
    for topic in names {
        let wish = match selection.decide(&topic) {
            Decision::Mirrored(selected) => wish(&topic, &selected, collisions.get(&topic), &taken),
            Decision::NotMirrored(_) | Decision::Unusable(_) => Wish::Nothing,
        };
        let record = records.remove(&topic);
        if wish != Wish::Nothing || record.is_some() {
            let seen = Seen {
                wish,
                record,
                source: Side::Absent,
                target: Side::Absent,
                has_records: None,
                is_own_target: false,
            };
            observation.seen.insert(topic, seen);
        }
    }
    observation
}

/// Within one cluster, what this link writes to is not read by it: it would run in circles, or make copies of copies
/// of copies.
fn mark_own_targets(seen: &mut BTreeMap<TopicName, Seen>) {
    let targets: BTreeSet<TopicName> = seen.values().filter_map(|seen| seen.target_topic().cloned()).collect();
    for (topic, seen) in seen {
        seen.is_own_target = targets.contains(topic);
    }
}

fn wish(
    topic: &TopicName,
    selected: &Selected<'_>,
    collision: Option<&String>,
    taken: &BTreeMap<TopicName, TopicName>,
) -> Wish {
    let choice = Choice {
        target: selected.target.clone(),
        priority: selected.settings.priority,
        replication_factor: selected.settings.replication_factor,
        existing_target: selected.settings.existing_target,
        has_local_writers: selected.settings.has_local_writers,
    };
    match (collision, taken.get(&selected.target).filter(|holder| *holder != topic)) {
        (Some(message), _) => Wish::Collision { choice, message: format!("{message}; `rename` tells them apart") },
        (None, Some(holder)) => {
            let message = format!("{} on the target is the mirror of {holder} already", selected.target);
            Wish::Collision { choice, message }
        }
        (None, None) => Wish::Mirror(choice),
    }
}

/// A topic of a metadata response. Some of its partitions being without a leader doesn't matter here.
fn side(cluster: &Cluster, topic: &TopicName, metadata: &TopicMetadata) -> Side {
    let name = cluster.name();
    match ResponseError::try_from_code(metadata.error_code) {
        None | Some(ResponseError::LeaderNotAvailable) => match i32::try_from(metadata.partitions.len()) {
            Ok(partitions) if partitions > 0 => Side::Present(Life { id: metadata.id, partitions }),
            Ok(_) | Err(_) => Side::Unclear(format!("cluster {name} tells no partitions of topic {topic} yet")),
        },
        Some(ResponseError::UnknownTopicOrPartition) => Side::Absent,
        Some(ResponseError::TopicAuthorizationFailed) => {
            Side::Unclear(format!("cluster {name} refused Describe on topic {topic}"))
        }
        Some(error) => Side::Unclear(format!("cluster {name} answered {error} about topic {topic}")),
    }
}

/// A list of all topics leaves out those that we may not see, and a broker that has just started may not know all:
/// a topic that was mirrored is asked for by name before it counts as gone.
async fn confirm_absent(source: &Cluster, seen: &mut BTreeMap<TopicName, Seen>) -> Result<(), ClusterError> {
    let missing: Vec<TopicName> =
        seen.iter().filter(|(_, seen)| seen.source == Side::Absent).map(|(topic, _)| topic.clone()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let told = source.metadata(Some(&missing)).await?.topics;
    for topic in &missing {
        if let (Some(seen), Some(metadata)) = (seen.get_mut(topic), told.get(topic)) {
            seen.source = side(source, topic, metadata);
        }
    }
    Ok(())
}

/// Fills in the target sides.
pub(super) async fn see_targets(target: &Cluster, seen: &mut BTreeMap<TopicName, Seen>) -> Result<(), ClusterError> {
    let asked: BTreeSet<TopicName> = seen.values().filter_map(|seen| seen.target_topic().cloned()).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let asked: Vec<TopicName> = asked.into_iter().collect();
    let told = target.metadata(Some(&asked)).await?.topics;
    for seen in seen.values_mut() {
        let Some(topic) = seen.target_topic() else { continue };
        seen.target = match told.get(topic) {
            Some(metadata) => side(target, topic, metadata),
            None => Side::Unclear(format!("cluster {} did not answer about topic {topic}", target.name())),
        };
    }
    Ok(())
}

/// Looks whether target topics that are to become mirror topics hold records.
async fn see_emptiness(target: &Cluster, seen: &mut BTreeMap<TopicName, Seen>) -> Result<(), ClusterError> {
    let mut asked = Vec::new();
    for seen in seen.values() {
        let is_established = seen.record.as_ref().is_some_and(is_established);
        if let (false, Side::Present(life), Some(topic)) = (is_established, &seen.target, seen.target_topic()) {
            let of = |index| TopicPartition::new(topic.clone(), PartitionIndex(index));
            asked.extend((0..life.partitions).map(of));
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let starts = target.list_offsets(&asked, OffsetQuery::LogStart).await?;
    let ends = target.list_offsets(&asked, OffsetQuery::HighWatermark).await?;
    let mut has_records: BTreeMap<TopicName, Option<bool>> = BTreeMap::new();
    for partition in &asked {
        let is_empty = match (starts.get(partition), ends.get(partition)) {
            (Some(Ok(start)), Some(Ok(end))) => Some(start.offset == end.offset),
            (_, _) => None,
        };
        let so_far = has_records.entry(partition.topic.clone()).or_insert(Some(false));
        *so_far = match (*so_far, is_empty) {
            (Some(true), _) | (_, Some(false)) => Some(true),
            (Some(false), Some(true)) => Some(false),
            (None, _) | (_, None) => None,
        };
    }
    for seen in seen.values_mut() {
        seen.has_records = seen.target_topic().and_then(|topic| has_records.get(topic)).copied().flatten();
    }
    Ok(())
}
