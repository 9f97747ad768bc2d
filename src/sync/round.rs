//! One round over all topics of a link.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::SyncError;
use super::compare::{Seen, Side, Verdict, compare};
use super::make::{make, set};
use super::observe::observe;
use super::record::{self, Moment};
use super::settings::BATCH_BYTES_MAX_DEFAULT;
use super::stop::Stop;
use super::topics::{Problem, RoundReport, TopicSync};
use crate::store::{Key, Lease, SettingsRecord, StartAt, TopicRecord, Value, Write};
use crate::types::{PartitionIndex, TopicName};

/// How many established topics have their settings compared in a round: over a long line, the settings of thousands
/// of topics are too much to read every few seconds, so they take turns.
const SETTINGS_PER_ROUND: usize = 500;
/// A link is new for so long: if its owner dies in its very first round, the next owner makes that round.
const FIRST_ROUND_LIMIT: Duration = Duration::from_mins(10);

/// What a round knows and decides of one topic.
pub(super) struct Job {
    pub(super) seen: Seen,
    pub(super) verdict: Verdict,
    pub(super) settings: SettingsRecord,
    pub(super) batch_bytes_max: usize,
    /// What went wrong while making it so; a topic that is not established yet can't become so then.
    pub(super) failure: Option<Stop>,
}

/// Source topics, each with what is to be done.
pub(super) type Jobs = BTreeMap<TopicName, Job>;

pub(super) async fn round(sync: &TopicSync, lease: &Lease) -> Result<RoundReport, SyncError> {
    let _turn = sync.turn().await;
    let published = sync.store.view().topics(&sync.settings.link);
    let start = start_of_newcomers(sync, &published);
    let observation = observe(&sync.source, &sync.target, &sync.selection, published).await?;
    let mut report = RoundReport { problems: observation.problems, ..RoundReport::default() };
    let mut jobs: Jobs = observation.seen.into_iter().map(|(topic, seen)| (topic.clone(), job(&topic, seen))).collect();

    let due = due_for_settings(sync, &jobs);
    let at_source = sync.source.topic_configs(&due).await?;
    make(sync, &mut jobs, &at_source, &mut report).await?;
    set(sync, &mut jobs, &at_source, &mut report).await?;

    let moment = Moment { now_ms: crate::tasks::wall_clock_ms(), start };
    let writes = conclude(sync, &jobs, moment, &mut report);
    sync.publish(lease, writes).await?;
    sync.with_memory(|memory| memory.has_made_a_round = true);
    Ok(report)
}

fn job(topic: &TopicName, seen: Seen) -> Job {
    let verdict = compare(topic, &seen);
    let record = seen.record.as_ref();
    Job {
        settings: record.map(|record| record.settings.clone()).unwrap_or_default(),
        batch_bytes_max: record.map_or(BATCH_BYTES_MAX_DEFAULT, |record| record.batch_bytes_max),
        verdict,
        seen,
        failure: None,
    }
}

/// Where topics without a record begin.
fn start_of_newcomers(sync: &TopicSync, published: &[(TopicName, TopicRecord)]) -> StartAt {
    let created_at_ms = match sync.store.view().get(&Key::Link { link: sync.settings.link.clone() }).as_deref() {
        Some(Value::Link(link)) => Some(link.created_at_ms),
        Some(_) | None => None,
    };
    let has_made_a_round = sync.with_memory(|memory| memory.has_made_a_round);
    let age_ms = created_at_ms.map_or(0, |created| crate::tasks::wall_clock_ms().saturating_sub(created));
    let is_new = i64::try_from(FIRST_ROUND_LIMIT.as_millis()).is_ok_and(|limit| age_ms <= limit);
    if published.is_empty() && !has_made_a_round && is_new { sync.settings.start } else { StartAt::Earliest }
}

/// Topics whose settings are looked at in this round: all that are to be made or whose history is held back, and
/// those whose turn it is.
fn due_for_settings(sync: &TopicSync, jobs: &Jobs) -> Vec<TopicName> {
    let mut due = BTreeSet::new();
    let mut established = Vec::new();
    for (topic, job) in jobs {
        match &job.verdict {
            Verdict::Create { .. } | Verdict::Mirror { is_adopted: true, .. } => {
                due.insert(topic.clone());
            }
            Verdict::Mirror { is_adopted: false, .. } if job.settings.is_history_held => {
                due.insert(topic.clone());
            }
            Verdict::Mirror { is_adopted: false, .. } => established.push(topic),
            Verdict::Ignore | Verdict::Unclear(_) | Verdict::Stop(_) => {}
        }
    }
    sync.with_memory(|memory| {
        let after = |topic: &&&TopicName| memory.compared_up_to.as_ref().is_some_and(|last| *last < ***topic);
        let first_turn: Vec<&TopicName> = established.iter().filter(after).take(SETTINGS_PER_ROUND).copied().collect();
        let rest = SETTINGS_PER_ROUND.saturating_sub(first_turn.len());
        let turn: Vec<&TopicName> = first_turn.iter().copied().chain(established.iter().copied().take(rest)).collect();
        memory.compared_up_to = turn.last().map(|topic| (*topic).clone());
        due.extend(turn.into_iter().cloned());
    });
    due.into_iter().collect()
}

/// What is to be written, and the rest of the report.
fn conclude(sync: &TopicSync, jobs: &Jobs, moment: Moment, report: &mut RoundReport) -> Vec<Write> {
    let mut writes = Vec::new();
    for (topic, job) in jobs {
        let stop = match (&job.verdict, &job.failure) {
            (Verdict::Ignore, _) => continue,
            (Verdict::Unclear(reason), _) => {
                report.problems.push(Problem::about(topic, reason.clone()));
                continue;
            }
            (Verdict::Stop(stop), _) | (Verdict::Create { .. } | Verdict::Mirror { .. }, Some(stop)) => Some(stop),
            (Verdict::Create { .. } | Verdict::Mirror { .. }, None) => None,
        };
        let key = Key::Topic { link: sync.settings.link.clone(), topic: topic.clone() };
        let record = match stop {
            Some(stop) if record::is_forgotten(&job.seen, stop) && !has_position(sync, topic) => {
                writes.extend(job.seen.record.is_some().then_some(Write::Remove(key)));
                continue;
            }
            Some(stop) => {
                report.stopped += 1;
                record::stopped(&job.seen, stop, moment)
            }
            None => {
                report.mirrored += 1;
                if let Side::Present(life) = &job.seen.source {
                    report.partitions += usize::try_from(life.partitions).unwrap_or(0);
                }
                report.problems.extend(more_partitions(topic, &job.seen));
                record::mirrored(&job.seen, &job.settings, job.batch_bytes_max, moment)
            }
        };
        match record {
            // Somebody changed the record while the round was made: the next one goes by what it says now.
            Some(_) if sync.store.view().topic(&sync.settings.link, topic) != job.seen.record => {}
            Some(record) if job.seen.record.as_ref() != Some(&record) => {
                let earlier = job.seen.record.as_ref().and_then(|record| record.stop.as_ref());
                let news = stop.filter(|stop| !stop.is_like(earlier));
                report.newly_stopped.extend(news.map(|stop| (topic.clone(), stop.clone())));
                writes.push(Write::Put(key, Value::Topic(record)));
            }
            Some(_) => {}
            None => {
                let message = job.failure.as_ref().map_or("not ready yet", |stop| &stop.message);
                report.problems.push(Problem::about(topic, message));
            }
        }
    }
    writes
}

/// Records keep their partition, so more partitions on the target do no harm to the copy; but whoever writes there
/// by key after a fail over, or joins with another topic, would count on equal numbers.
fn more_partitions(topic: &TopicName, seen: &Seen) -> Option<Problem> {
    match (&seen.source, &seen.target) {
        (Side::Present(source), Side::Present(target)) if target.partitions > source.partitions => {
            let (more, fewer) = (target.partitions, source.partitions);
            let message =
                format!("the target topic has {more} partitions, the source topic {fewer}: keys spread differently");
            Some(Problem::about(topic, message))
        }
        (_, _) => None,
    }
}

fn has_position(sync: &TopicSync, topic: &TopicName) -> bool {
    sync.store.view().position(&sync.settings.link, topic, PartitionIndex(0)).is_some()
}
