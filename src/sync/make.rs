//! The second half of a round: making the target so, topic by topic.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;

use super::SyncError;
use super::apply;
use super::compare::{Seen, Side, Verdict, is_established};
use super::drift;
use super::observe::Configs;
use super::record;
use super::round::{Job, Jobs};
use super::settings::{self, Phase};
use super::stop::{Stop, StopReason};
use super::topics::{Problem, RoundReport, TopicSync};
use crate::cluster::{ClusterError, ConfigEntry, NewTopic, Remedy};
use crate::store::SettingsRecord;
use crate::types::{PartitionIndex, TopicName};

/// How many orders are under way at the target's controller at once.
const ORDERS_AT_ONCE: usize = 8;

/// Creates and widens target topics, and looks at what has become of them.
pub(super) async fn make(
    sync: &TopicSync,
    jobs: &mut Jobs,
    at_source: &Configs,
    report: &mut RoundReport,
) -> Result<(), SyncError> {
    let is_something_new = jobs.values().any(|job| matches!(job.verdict, Verdict::Create { .. }));
    let known = if is_something_new { apply::known_settings(&sync.target).await? } else { None };
    let mut orders = Vec::new();
    let mut partitions = BTreeMap::new();
    for (topic, job) in jobs.iter_mut() {
        let Some(target_topic) = job.seen.target_topic().cloned() else { continue };
        match job.verdict {
            Verdict::Create { partitions: count } => {
                let configs = match at_source.get(topic) {
                    Some(Ok(configs)) => configs,
                    Some(Err(error)) => {
                        job.failure = Some(not_created(&target_topic, error));
                        continue;
                    }
                    None => continue,
                };
                let (configs, settings) =
                    at_creation(job, configs, known.as_ref(), sync.settings.are_offsets_preserved);
                job.settings = settings;
                let replication_factor = record::choice(&job.seen).and_then(|choice| choice.replication_factor);
                let new = NewTopic { name: target_topic.clone(), partitions: count, replication_factor, configs };
                orders.push((topic.clone(), target_topic, Order::Create(new)));
                partitions.insert(topic.clone(), count);
            }
            Verdict::Mirror { add_partitions_to: Some(total), .. } => {
                orders.push((topic.clone(), target_topic, Order::Widen(total)));
                partitions.insert(topic.clone(), total);
            }
            Verdict::Mirror { add_partitions_to: None, .. }
            | Verdict::Ignore
            | Verdict::Unclear(_)
            | Verdict::Stop(_) => {}
        }
    }
    let given = orders.into_iter().map(|(topic, target_topic, order)| async move {
        let outcome = order.give(sync, &target_topic).await;
        (topic, target_topic, outcome)
    });
    let outcomes: Vec<_> = futures::stream::iter(given).buffer_unordered(ORDERS_AT_ONCE).collect().await;
    for (topic, target_topic, outcome) in outcomes {
        let Some(job) = jobs.get_mut(&topic) else { continue };
        let is_created = matches!(job.verdict, Verdict::Create { .. });
        match outcome {
            Ok(refused) => {
                if is_created {
                    report.created.push(topic.clone());
                }
                report.problems.extend(refused.iter().map(|name| left_out(&topic, name)));
            }
            Err(error) => {
                partitions.remove(&topic);
                report.count_denial(&error);
                if is_created {
                    job.failure = Some(not_created(&target_topic, &error));
                } else {
                    report.problems.push(Problem::about(&topic, error.to_string()));
                }
            }
        }
    }
    see(sync, jobs, &partitions).await
}

fn has_local_writers(job: &Job) -> bool {
    record::choice(&job.seen).is_some_and(|choice| choice.has_local_writers)
}

fn at_creation(
    job: &Job,
    configs: &[ConfigEntry],
    known: Option<&BTreeSet<String>>,
    are_offsets_preserved: bool,
) -> (BTreeMap<String, String>, SettingsRecord) {
    if has_local_writers(job) {
        settings::at_creation_for_all(configs, known)
    } else {
        settings::at_creation(configs, known, are_offsets_preserved)
    }
}

/// Something to be made on the target.
enum Order {
    Create(NewTopic),
    Widen(i32),
}

impl Order {
    /// Answers with the settings that were refused.
    async fn give(self, sync: &TopicSync, target_topic: &TopicName) -> Result<BTreeSet<String>, ClusterError> {
        match self {
            Self::Create(new) => apply::create(&sync.target, new).await,
            Self::Widen(total) => apply::widen(&sync.target, target_topic, total).await.map(|()| BTreeSet::new()),
        }
    }
}

/// Looks at what was made, and puts it into the jobs.
async fn see(sync: &TopicSync, jobs: &mut Jobs, partitions: &BTreeMap<TopicName, i32>) -> Result<(), SyncError> {
    if partitions.is_empty() {
        return Ok(());
    }
    let mut seen: BTreeMap<TopicName, Seen> =
        partitions.keys().filter_map(|topic| Some((topic.clone(), jobs.get(topic)?.seen.clone()))).collect();
    apply::see_made(&sync.target, &mut seen, partitions).await?;
    for (topic, seen) in seen {
        if let Some(job) = jobs.get_mut(&topic) {
            if let (Side::Absent | Side::Unclear(_), Verdict::Create { .. }) = (&seen.target, &job.verdict) {
                let message = "the target topic was created and does not show up yet".to_owned();
                job.failure = Some(Stop::new(StopReason::TargetNotCreated, message));
            }
            job.seen = seen;
        }
    }
    Ok(())
}

/// Brings the settings of target topics into line, and notes what is in force.
pub(super) async fn set(
    sync: &TopicSync,
    jobs: &mut Jobs,
    at_source: &Configs,
    report: &mut RoundReport,
) -> Result<(), SyncError> {
    let is_there = |job: &&Job| job.failure.is_none() && matches!(job.seen.target, Side::Present(_));
    let asked: BTreeSet<TopicName> =
        at_source.keys().filter_map(|topic| jobs.get(topic).filter(is_there)?.seen.target_topic().cloned()).collect();
    let asked: Vec<TopicName> = asked.into_iter().collect();
    let at_target = if asked.is_empty() { Configs::new() } else { apply::settings_of(&sync.target, &asked).await? };
    for (topic, configs) in at_source {
        let Some(job) = jobs.get_mut(topic).filter(|job| is_there(&&**job)) else { continue };
        let Some(target_topic) = job.seen.target_topic().cloned() else { continue };
        let (configs, at_target) = match (configs, at_target.get(&target_topic)) {
            (Ok(configs), Some(Ok(at_target))) => (configs, at_target),
            (Err(error), _) | (Ok(_), Some(Err(error))) => {
                fail(job, topic, error, report);
                continue;
            }
            (Ok(_), None) => continue,
        };
        let phase = phase(sync, topic, job);
        let has_local_writers = has_local_writers(job);
        let is_sync_on = (sync.settings.is_config_sync_on || phase == Phase::Adopting) && !has_local_writers;
        let are_offsets_preserved = sync.settings.are_offsets_preserved;
        let mut changes =
            settings::changes(configs, at_target, &job.settings, phase, is_sync_on, are_offsets_preserved);
        if is_sync_on && phase != Phase::Adopting {
            drift::settle(sync.settings.drift, configs, at_target, &job.settings, &mut changes);
        }
        if has_local_writers {
            changes.leave_retention(&job.settings);
        }
        sync.with_memory(|memory| {
            changes.alter.retain(|name, value| {
                let is_refused = memory.refused.get(&(target_topic.clone(), name.clone())) == Some(value);
                report.problems.extend(is_refused.then(|| left_out(topic, name)));
                !is_refused
            });
        });
        job.batch_bytes_max = settings::batch_bytes_max(at_target);
        match apply::alter(&sync.target, &target_topic, changes.alter.clone()).await {
            Ok(refused) => {
                let has_taken = |name: &str| changes.alter.contains_key(name) && !refused.contains(name);
                if has_taken("max.message.bytes") {
                    job.batch_bytes_max = settings::batch_bytes_max(configs);
                }
                job.settings = changes.record;
                for name in refused {
                    report.problems.push(left_out(topic, &name));
                    let value = changes.alter.get(&name).cloned().flatten();
                    sync.with_memory(|memory| memory.refused.insert((target_topic.clone(), name), value));
                }
            }
            Err(error) => fail(job, topic, &error, report),
        }
    }
    Ok(())
}

/// Settings could not be read or changed: a topic that is mirrored goes on, one that is not waits.
fn fail(job: &mut Job, topic: &TopicName, error: &ClusterError, report: &mut RoundReport) {
    report.problems.push(Problem::about(topic, error.to_string()));
    report.count_denial(error);
    if !job.seen.record.as_ref().is_some_and(is_established) {
        job.failure = Some(Stop::new(StopReason::SettingsRefused, error.to_string()));
    }
}

fn phase(sync: &TopicSync, topic: &TopicName, job: &Job) -> Phase {
    let Some(before) = job.seen.record.as_ref().filter(|record| is_established(record)) else {
        return if matches!(job.verdict, Verdict::Create { .. }) { Phase::CatchingUp } else { Phase::Adopting };
    };
    if !job.settings.is_history_held {
        // Nothing waits for the positions of what may be thousands of partitions.
        return Phase::CaughtUp;
    }
    let position = |index| sync.store.view().position(&sync.settings.link, topic, PartitionIndex(index));
    let has_caught_up = (0..before.partitions).all(|index| record::has_caught_up(before, position(index).as_ref()));
    if has_caught_up { Phase::CaughtUp } else { Phase::CatchingUp }
}

fn left_out(topic: &TopicName, name: &str) -> Problem {
    Problem::about(topic, format!("the target refuses the source topic's value of {name}: it is left as it is there"))
}

fn not_created(target_topic: &TopicName, error: &ClusterError) -> Stop {
    let then = match error.remedy() {
        Remedy::Retry => "; tried again with the next round",
        Remedy::RetrySlowly | Remedy::GiveUp => "; tried again with each round, until that is mended",
    };
    Stop::new(StopReason::TargetNotCreated, format!("{target_topic} is not on the target yet: {error}{then}"))
}
