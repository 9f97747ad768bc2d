//! Doing on the target what a round decided: creating, widening, setting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::compare::{Seen, Side};
use super::observe::{Configs, see_targets};
use super::settings::named_in;
use crate::cluster::{Cluster, ClusterError, NewTopic};
use crate::types::TopicName;
use crate::wire::ResponseError;

/// How often, and how far apart, the target is asked about a topic that was just made: brokers learn of it a moment
/// after the controller.
const LOOKS: usize = 25;
const LOOK_DISTANCE: Duration = Duration::from_millis(200);
/// How often a refused order is given again without the settings that the refusal names.
const REFUSALS_MAX: usize = 8;

/// Creates a topic. Settings that the target refuses by name are left out and told; a topic that exists meanwhile is
/// as good as created.
pub(super) async fn create(target: &Cluster, mut topic: NewTopic) -> Result<BTreeSet<String>, ClusterError> {
    let mut refused = BTreeSet::new();
    for _ in 0..REFUSALS_MAX {
        let error = match target.create_topic(&topic).await {
            Ok(_) => return Ok(refused),
            Err(error) if error.code() == Some(ResponseError::TopicAlreadyExists.code()) => return Ok(refused),
            Err(error) => error,
        };
        let named = named_by_refusal(&error, topic.configs.keys());
        if named.is_empty() {
            return Err(error);
        }
        topic.configs.retain(|name, _| !named.contains(name));
        refused.extend(named);
    }
    target.create_topic(&topic).await.map(|_| refused)
}

/// Changes settings. Those that the target refuses by name are left out and told.
pub(super) async fn alter(
    target: &Cluster,
    topic: &TopicName,
    mut changes: BTreeMap<String, Option<String>>,
) -> Result<BTreeSet<String>, ClusterError> {
    let mut refused = BTreeSet::new();
    while !changes.is_empty() {
        let error = match target.alter_topic_configs(topic, &changes).await {
            Ok(()) => break,
            Err(error) => error,
        };
        let named = named_by_refusal(&error, changes.keys());
        if named.is_empty() || refused.len() > REFUSALS_MAX {
            return Err(error);
        }
        changes.retain(|name, _| !named.contains(name));
        refused.extend(named);
    }
    Ok(refused)
}

/// Adds partitions; a topic that has them meanwhile is as good.
pub(super) async fn widen(target: &Cluster, topic: &TopicName, total: i32) -> Result<(), ClusterError> {
    match target.add_partitions(topic, total).await {
        Err(error) if error.code() == Some(ResponseError::InvalidPartitions.code()) => Ok(()),
        outcome => outcome,
    }
}

fn named_by_refusal<'c>(error: &ClusterError, names: impl Iterator<Item = &'c String>) -> BTreeSet<String> {
    match error {
        ClusterError::Refused { code, message: Some(message), .. } if *code == ResponseError::InvalidConfig.code() => {
            named_in(message, names)
        }
        ClusterError::Refused { .. } | ClusterError::Wire { .. } => BTreeSet::new(),
    }
}

/// Waits until the target shows what was made, as long as that takes by experience. `seen` has what was made, with
/// the partition counts that it should have.
pub(super) async fn see_made(
    target: &Cluster,
    seen: &mut BTreeMap<TopicName, Seen>,
    partitions: &BTreeMap<TopicName, i32>,
) -> Result<(), ClusterError> {
    for _ in 0..LOOKS {
        see_targets(target, seen).await?;
        let is_there = |(topic, seen): (&TopicName, &Seen)| match (&seen.target, partitions.get(topic)) {
            (Side::Present(life), Some(partitions)) => life.partitions >= *partitions,
            (Side::Present(_), None) => true,
            (Side::Absent | Side::Unclear(_), _) => false,
        };
        if seen.iter().all(is_there) {
            break;
        }
        tokio::time::sleep(LOOK_DISTANCE).await;
    }
    Ok(())
}

/// Settings of target topics, of which some may be so new that a broker does not know them.
pub(super) async fn settings_of(target: &Cluster, topics: &[TopicName]) -> Result<Configs, ClusterError> {
    let mut configs = target.topic_configs(topics).await?;
    for _ in 0..LOOKS {
        let is_unknown = |answer: &Result<_, ClusterError>| answer.as_ref().is_err_and(ClusterError::is_unknown_topic);
        let unknown: Vec<TopicName> =
            configs.iter().filter(|(_, answer)| is_unknown(answer)).map(|(topic, _)| topic.clone()).collect();
        if unknown.is_empty() {
            break;
        }
        tokio::time::sleep(LOOK_DISTANCE).await;
        configs.extend(target.topic_configs(&unknown).await?);
    }
    Ok(configs)
}

/// The names of all settings that the target knows, read from any topic; `None` where there is none to read.
pub(super) async fn known_settings(target: &Cluster) -> Result<Option<BTreeSet<String>>, ClusterError> {
    const TRIED: usize = 5;
    let topics: Vec<TopicName> = target.metadata(None).await?.topics.into_keys().take(TRIED).collect();
    let configs = target.topic_configs(&topics).await?;
    let of_one = configs.into_values().find_map(Result::ok);
    Ok(of_one.map(|entries| entries.into_iter().map(|entry| entry.name).collect()))
}
