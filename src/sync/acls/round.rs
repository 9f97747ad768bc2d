//! One round over the ACLs of a link's mirror topics.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{self, Decision, Index, Seen, Wish};
use super::{AclSync, Settings};
use crate::cluster::{ClusterError, TopicAcl};
use crate::store::{AclEntry, AclsRecord, Key, Lease, TopicRecord, Value, Write};
use crate::sync::topics::Problem;
use crate::sync::{StopReason, SyncError, publish};
use crate::types::TopicName;

/// So many topics are named in a sentence.
const NAMED_MAX: usize = 5;
/// So many refused entries are told one by one.
const REFUSED_MAX: usize = 10;
/// Records written at once.
const WRITES_MAX: usize = 500;

/// A topic of the link, with what to do about it.
type Decisions = BTreeMap<TopicName, Decision>;

pub(super) async fn round(sync: &AclSync, lease: &Lease) -> Result<Vec<Problem>, SyncError> {
    let settings = &sync.settings;
    let view = sync.store.view();
    let recorded = view.acls(&settings.link);
    let is_idle = !settings.is_copying && !settings.is_protecting;
    if is_idle && recorded.values().all(|record| record.protecting.is_empty()) {
        return Ok(Vec::new());
    }
    let topics: BTreeMap<TopicName, TopicRecord> = view.topics(&settings.link).into_iter().collect();
    let mut problems = Vec::new();
    let target = match sync.target.topic_acls().await {
        Ok(acls) => Index::new(acls),
        Err(error) => return Ok(vec![told(&error, "on the target nothing can be copied or protected")]),
    };
    let source = if settings.is_copying {
        match sync.source.topic_acls().await {
            Ok(acls) => Some(Index::new(acls)),
            Err(error) => {
                problems.push(told(&error, "what was copied from there stays as it is"));
                None
            }
        }
    } else {
        None
    };
    let decisions = decide(settings, &topics, &recorded, source.as_ref(), &target);
    write(sync, lease, &recorded, &decisions, |decision| &decision.before).await?;
    problems.extend(apply(sync, &decisions).await?);
    let now = sync.store.view().acls(&settings.link);
    write(sync, lease, &now, &decisions, |decision| &decision.after).await?;
    problems.extend(uncovered(&decisions));
    Ok(problems)
}

fn decide(
    settings: &Settings,
    topics: &BTreeMap<TopicName, TopicRecord>,
    recorded: &BTreeMap<TopicName, AclsRecord>,
    source: Option<&Index>,
    target: &Index,
) -> Decisions {
    let wish = Wish {
        is_deleting: settings.is_deleting,
        is_protecting: settings.is_protecting,
        own_principals: &settings.own_principals,
    };
    let names: BTreeSet<&TopicName> = topics.keys().chain(recorded.keys()).collect();
    let decide = |name: &TopicName| {
        let (topic, record) = (topics.get(name), recorded.get(name));
        // Entries on a topic that is no longer the mirror topic are dealt with first.
        let of_record = record.map(|record| &record.target_topic);
        let target_topic = of_record.or(topic.map(|topic| &topic.target_topic))?;
        let is_mirror = topic.is_some_and(|topic| is_mirror(topic) && topic.target_topic == *target_topic);
        if record.is_none() && !is_mirror {
            return None;
        }
        let seen = Seen { source_topic: name, target_topic, is_mirror, source, target, record };
        Some((name.clone(), compare::decide(wish, seen)))
    };
    names.into_iter().filter_map(decide).collect()
}

/// Whether the target topic is one that we alone write to. Where applications write on both sides, two opposite links
/// would also hand each other's copies back and forth, so that no entry could ever be taken away.
fn is_mirror(topic: &TopicRecord) -> bool {
    let is_left = topic.stop.as_ref().is_some_and(|stop| stop.reason == StopReason::NotSelected.word());
    topic.partitions > 0 && !topic.has_local_writers && !is_left
}

/// Writes the records that change; those that become empty are removed.
async fn write(
    sync: &AclSync,
    lease: &Lease,
    recorded: &BTreeMap<TopicName, AclsRecord>,
    decisions: &Decisions,
    record: impl Fn(&Decision) -> &AclsRecord,
) -> Result<(), SyncError> {
    let mut writes = Vec::new();
    for (topic, decision) in decisions {
        let (was, new) = (recorded.get(topic), record(decision));
        let key = || Key::Acls { link: sync.settings.link.clone(), topic: topic.clone() };
        let is_empty = new.copied.is_empty() && new.protecting.is_empty();
        if is_empty && was.is_some() {
            writes.push(Write::Remove(key()));
        } else if !is_empty && was != Some(new) {
            writes.push(Write::Put(key(), Value::Acls(new.clone())));
        }
    }
    for some in writes.chunks(WRITES_MAX) {
        publish::publish(&sync.store, lease, some.to_vec()).await?;
    }
    Ok(())
}

/// Adds and removes. A missing right, or no answer, ends the round: what is noted and not there is added by the next
/// one.
async fn apply(sync: &AclSync, decisions: &Decisions) -> Result<Vec<Problem>, SyncError> {
    let all = |of: fn(&Decision) -> &BTreeSet<AclEntry>| -> Vec<TopicAcl> {
        let of_topic = |decision: &Decision| {
            let topic = decision.before.target_topic.clone();
            of(decision).iter().filter_map(move |entry| compare::acl(&topic, entry)).collect::<Vec<_>>()
        };
        decisions.values().flat_map(of_topic).collect()
    };
    let (added, removed) = (all(|decision| &decision.add), all(|decision| &decision.remove));
    let link = &sync.settings.link;
    let mut refused = Vec::new();
    if !added.is_empty() {
        refused.extend(sync.target.add_topic_acls(&added).await?);
        tracing::info!(%link, entries = added.len(), first = added.first().map(tracing::field::display), "added ACLs");
    }
    if !removed.is_empty() {
        refused.extend(sync.target.remove_topic_acls(&removed).await?);
        let first = removed.first().map(tracing::field::display);
        tracing::info!(%link, entries = removed.len(), first, "removed ACLs");
    }
    if let Some((_, error)) = refused.iter().find(|(_, error)| error.is_permission_missing()) {
        return Err(error.clone().into());
    }
    let told = refused.iter().take(REFUSED_MAX);
    Ok(told.map(|(_, error)| Problem { topic: None, message: error.to_string() }).collect())
}

/// What can't be had by entries, as sentences.
fn uncovered(decisions: &Decisions) -> Vec<Problem> {
    let mut problems = Vec::new();
    let open: Vec<&TopicName> = decisions
        .values()
        .filter(|decision| decision.is_open_to_everybody)
        .map(|decision| &decision.before.target_topic)
        .collect();
    if !open.is_empty() {
        let message = format!(
            "`protect` does not cover `User:*`, who may write to {}: an entry against everybody would hit causeway \
             too; remove the entry that allows it",
            list(&open)
        );
        problems.push(Problem { topic: None, message });
    }
    let mut left_out: BTreeMap<&TopicAcl, Vec<&TopicName>> = BTreeMap::new();
    for (topic, decision) in decisions {
        for acl in &decision.left_out {
            left_out.entry(acl).or_default().push(topic);
        }
    }
    for (acl, topics) in left_out {
        let message = format!(
            "at the source there is `{acl}`: on the mirror topics of {} it would hit causeway too, so it is not \
             copied, nor is what it forbids",
            list(&topics)
        );
        problems.push(Problem { topic: None, message });
    }
    problems
}

fn list(topics: &[&TopicName]) -> String {
    let named: Vec<&str> = topics.iter().take(NAMED_MAX).map(|topic| topic.as_str()).collect();
    let rest = topics.len().saturating_sub(NAMED_MAX);
    if rest == 0 { named.join(", ") } else { format!("{} and {rest} more", named.join(", ")) }
}

/// A cluster whose entries can't be read, with what follows from it and what to do.
fn told(error: &ClusterError, what_follows: &str) -> Problem {
    let remedy = if error.is_without_authorizer() {
        ". It has no authorizer, so there are no ACLs: switch `sync.acls` and `protect` off, or set \
         authorizer.class.name on its brokers"
    } else if error.is_permission_missing() {
        ". `causeway check --acls` prints the command that gives the right"
    } else {
        ""
    };
    Problem { topic: None, message: format!("{error}; {what_follows}{remedy}") }
}
