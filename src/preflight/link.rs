//! One link: its names, its rights, its topics.

use std::collections::{BTreeMap, BTreeSet};

use super::LinkPlan;
use super::acls::{self, CHANGE_ACLS, MIRRORMAKER_TOPIC, SEE_ACLS, SOURCE_TOPIC, STATE_TOPICS, TARGET_TOPIC};
use super::reach::{Reached, Role, about};
use super::report::{Report, list};
use super::rights::{self, asked};
use super::topics::{Bite, Pair, TargetTopic, bites, state_bites};
use super::{forward, groups};
use crate::cluster::{Cluster, ClusterError, ConfigEntry, NewTopic, OffsetQuery};
use crate::selection::{Decision, ExistingTarget, Which};
use crate::types::{PartitionIndex, TopicName, TopicPartition};
use crate::wire::Metadata;

/// A selected topic and its name on the target.
pub(super) type Names = BTreeMap<TopicName, TopicName>;

pub(super) async fn check(link: &LinkPlan, source: Option<&Reached>, target: Option<&Reached>, report: &mut Report) {
    let about_link = format!("link {}", link.name);
    let at_source = match source {
        Some(source) => see(&source.cluster, &about_link, report).await,
        None => None,
    };
    let names = names(link, at_source.as_ref(), &about_link, report);
    if let (Some(source), Some(target)) = (source, target)
        && source.id == target.id
    {
        let sentence = format!("source and target are the same cluster ({})", source.id);
        report.warn(
            &about_link,
            sentence,
            "check bootstrap.servers of both; topics must be renamed within one cluster",
        );
    }
    if let Some(source) = source {
        check_source(link, source, at_source.as_ref(), &names, report).await;
    }
    let selected_groups = match source {
        Some(source) => groups::check_source(link, source, report).await,
        None => Vec::new(),
    };
    let Some(target) = target else { return };
    let about_target = about(&link.target, Role::Target);
    let asked = asked(&link.target, target, &about_target);
    let does_state_exist = rights::state(link, asked, report).await;
    let targets: Vec<TopicName> = names.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    rights::topics(asked, &targets, TARGET_TOPIC, report).await;
    rights::topics(asked, &link.extras.mirrormaker_topics, MIRRORMAKER_TOPIC, report).await;
    if link.extras.is_copying_acls || link.extras.is_protecting {
        rights::acls(asked, CHANGE_ACLS, report).await;
    }
    if link.extras.is_protecting {
        report.ok(&about_target, "`protect` binds everybody but super users of the brokers, whom no ACL binds");
    }
    groups::check_target(link, asked, &selected_groups, report).await;
    if link.are_offsets_preserved && !targets.is_empty() {
        rights::for_same_offsets(asked, &targets, report).await;
    }
    if does_state_exist {
        check_state_topic(link, target, &about_target, report).await;
    }
    if let (Some(source), Some(at_source)) = (source, &at_source) {
        let look = Look { link, source, target, at_source, does_state_exist };
        check_settings(&look, &names, &about_link, report).await;
        if link.are_offsets_preserved {
            forward::check(&look, &names, &about_link, report).await;
        }
    }
}

/// All that a cluster shows us.
async fn see(cluster: &Cluster, about: &str, report: &mut Report) -> Option<Metadata> {
    match cluster.metadata(None).await {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            report.fail(about, error.to_string(), "mend that, and check again");
            None
        }
    }
}

/// Which topics are selected under which name; what is wrong with the names.
fn names(link: &LinkPlan, at_source: Option<&Metadata>, about: &str, report: &mut Report) -> Names {
    let visible: Vec<TopicName> =
        at_source.map(|metadata| metadata.topics.keys().cloned().collect()).unwrap_or_default();
    let plan = link.selection.plan(visible.iter().cloned());
    for collision in &plan.collisions {
        report.fail(about, collision.to_string(), "tell them apart with `rename` or `prefix`");
    }
    for unusable in &plan.unusable {
        report.fail(about, unusable.to_string(), "change the entry's `rename` or `prefix`, or exclude the topic");
    }
    for (entry, earlier) in link.selection.without_effect() {
        let sentence = format!("entry {entry} has no effect: entry {earlier} decides on its topic already");
        report.warn(about, sentence, "put the entry with `name` before the one that matches more");
    }
    let is_excluded = |topic: &&TopicName| {
        matches!(link.selection.decide(topic), Decision::NotMirrored(reason)
            if matches!(reason, crate::selection::NotMirrored::Excluded { .. }))
    };
    let excluded = visible.iter().filter(is_excluded).count();
    let mirrored = plan.mirrored.len();
    let mut names: Names = plan.mirrored.into_iter().map(|(topic, selected)| (topic, selected.target)).collect();
    // Those that are named count even where they can't be seen: that is what has to be found out.
    names.extend(link.selection.named().map(|(_, topic, target)| (topic, target)));
    if at_source.is_some() {
        let sentence =
            format!("it selects {mirrored} of {} topics that the source shows; {excluded} are excluded", visible.len());
        report.ok(about, sentence);
    }
    names
}

async fn check_source(
    link: &LinkPlan,
    source: &Reached,
    at_source: Option<&Metadata>,
    names: &Names,
    report: &mut Report,
) {
    let about = about(&link.source, Role::Source);
    let asked = asked(&link.source, source, &about);
    let topics: Vec<TopicName> = names.keys().cloned().collect();
    let there = rights::topics(asked, &topics, SOURCE_TOPIC, report).await;
    if link.extras.is_copying_acls {
        rights::acls(asked, SEE_ACLS, report).await;
    }
    let Some(at_source) = at_source else { return };
    for topic in names.keys().filter(|topic| there.contains(topic) && !at_source.topics.contains_key(*topic)) {
        report.warn(&about, format!("topic {topic} is not listed"), "check again: it was perhaps just created");
    }
    let is_by_expression = |which: &Which| matches!(which, Which::Match(_));
    let has_expressions = link.selection.entries().iter().any(|entry| is_by_expression(&entry.rule.which));
    let is_any_visible = names.keys().any(|topic| at_source.topics.contains_key(topic));
    if has_expressions && !is_any_visible && !rights::hidden(asked, &acls::source_topics(link), report).await {
        let sentence = "it shows no topic that the link selects: there is none, or Read on them is missing";
        report.fail(&about, sentence, "check `match`, and the rights that `causeway check --acls` prints");
    }
    // Whether another link writes into the source is in its state topics; any name among them will do for the question.
    let probe = [link.state_topic.clone()];
    let is_hidden = match source.cluster.topic_permissions(&probe).await {
        Ok(told) => told.values().any(|told| told.as_ref().is_err_and(ClusterError::is_permission_missing)),
        Err(_) => false,
    };
    if is_hidden {
        let sentence = format!(
            "Read on topics that begin with {STATE_TOPICS} is missing: links that write into this cluster can't be \
             recognised, and opposite links would send records in circles"
        );
        report.warn(&about, sentence, "give the right (`causeway check --acls`) before a link runs the other way");
    }
}

async fn check_state_topic(link: &LinkPlan, target: &Reached, about: &str, report: &mut Report) {
    let topic = std::slice::from_ref(&link.state_topic);
    let (Ok(metadata), Ok(mut configs)) =
        (target.cluster.metadata(Some(topic)).await, target.cluster.topic_configs(topic).await)
    else {
        return;
    };
    let replicas = metadata.topics.get(&link.state_topic).map_or(0, replicas_of);
    if let Some(Ok(configs)) = configs.remove(&link.state_topic) {
        let about = format!("{about}, topic {}", link.state_topic);
        for bite in state_bites(&configs, replicas, target.brokers) {
            report.push(bite.level, &about, bite.sentence, bite.remedy);
        }
    }
}

/// The fewest replicas of any partition.
fn replicas_of(topic: &crate::wire::TopicMetadata) -> usize {
    topic.partitions.values().map(|partition| partition.replicas.len()).min().unwrap_or(0)
}

/// What the settings of topics are looked at with.
pub(super) struct Look<'a> {
    pub(super) link: &'a LinkPlan,
    pub(super) source: &'a Reached,
    pub(super) target: &'a Reached,
    pub(super) at_source: &'a Metadata,
    does_state_exist: bool,
}

async fn check_settings(look: &Look<'_>, names: &Names, about: &str, report: &mut Report) {
    let pairs = match pairs(look, names).await {
        Ok(pairs) => pairs,
        Err(error) => {
            let sentence = format!("the settings of topics could not be looked at: {error}");
            report.warn(about, sentence, "mend that, and check again");
            return;
        }
    };
    let mut together: BTreeMap<Bite, Vec<TopicName>> = BTreeMap::new();
    for (topic, pair) in &pairs {
        for bite in bites(pair) {
            together.entry(bite).or_default().push(topic.clone());
        }
    }
    if together.is_empty() && !pairs.is_empty() {
        report.ok(about, format!("nothing in the settings of {} topics will bite", pairs.len()));
    }
    for (bite, topics) in together {
        let sentence = format!("{}: {}", list(topics.iter()), bite.sentence);
        report.push(bite.level, about, sentence, bite.remedy);
    }
}

/// Each topic on both sides, as far as both can be seen.
async fn pairs(look: &Look<'_>, names: &Names) -> Result<BTreeMap<TopicName, Pair>, ClusterError> {
    let visible: Vec<TopicName> =
        names.keys().filter(|topic| look.at_source.topics.contains_key(*topic)).cloned().collect();
    if visible.is_empty() {
        return Ok(BTreeMap::new());
    }
    let targets: Vec<TopicName> =
        visible.iter().filter_map(|topic| names.get(topic)).cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let source_configs = look.source.cluster.topic_configs(&visible).await?;
    let at_target = look.target.cluster.metadata(Some(&targets)).await?;
    let present: Vec<TopicName> = targets
        .iter()
        .filter(|topic| at_target.topics.get(*topic).is_some_and(|t| t.error_code == 0))
        .cloned()
        .collect();
    let target_configs = look.target.cluster.topic_configs(&present).await?;
    let emptiness = emptiness(&look.target.cluster, &at_target, &present).await?;
    let mut pairs = BTreeMap::new();
    for topic in visible {
        let (Some(target_topic), Some(Ok(source)), Some(metadata)) =
            (names.get(&topic), source_configs.get(&topic), look.at_source.topics.get(&topic))
        else {
            continue;
        };
        let entry = match look.link.selection.decide(&topic) {
            Decision::Mirrored(selected) => selected.settings,
            Decision::NotMirrored(_) | Decision::Unusable(_) => continue,
        };
        let target = match (at_target.topics.get(target_topic), target_configs.get(target_topic)) {
            (Some(there), Some(Ok(configs))) => TargetTopic::Present {
                configs: configs.clone(),
                replicas: replicas_of(there),
                partitions: there.partitions.len(),
                is_empty: emptiness.get(target_topic).copied(),
            },
            (Some(_), Some(Err(_))) => continue,
            (_, _) => absent(look, target_topic, metadata.partitions.len(), entry.replication_factor).await,
        };
        let pair = Pair {
            source: source.clone(),
            source_partitions: metadata.partitions.len(),
            target,
            may_hold_records: entry.existing_target == ExistingTarget::Translate,
            may_be_ours: look.does_state_exist,
            target_brokers: look.target.brokers,
        };
        pairs.insert(topic, pair);
    }
    Ok(pairs)
}

/// What a topic would be like on the target.
async fn absent(look: &Look<'_>, topic: &TopicName, partitions: usize, replication_factor: Option<i16>) -> TargetTopic {
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let new = NewTopic { name: topic.clone(), partitions, replication_factor, configs: BTreeMap::new() };
    // A refusal for want of a right is told with the rights.
    match look.target.cluster.try_create_topic(&new).await {
        Ok(preview) => TargetTopic::Absent {
            replicas: preview.replication_factor.and_then(|factor| usize::try_from(factor).ok()),
            configs: preview.configs,
        },
        Err(_) => TargetTopic::Absent { configs: Vec::<ConfigEntry>::new(), replicas: None },
    }
}

/// Whether topics of the target hold records; those where it could not be seen are left out.
async fn emptiness(
    target: &Cluster,
    metadata: &Metadata,
    topics: &[TopicName],
) -> Result<BTreeMap<TopicName, bool>, ClusterError> {
    let mut partitions = Vec::new();
    for topic in topics {
        let indexes = metadata.topics.get(topic).map(|topic| topic.partitions.keys().copied().collect::<Vec<_>>());
        let of = |index: PartitionIndex| TopicPartition::new(topic.clone(), index);
        partitions.extend(indexes.unwrap_or_default().into_iter().map(of));
    }
    let starts = target.list_offsets(&partitions, OffsetQuery::LogStart).await?;
    let ends = target.list_offsets(&partitions, OffsetQuery::HighWatermark).await?;
    let mut is_empty: BTreeMap<TopicName, bool> = BTreeMap::new();
    for partition in &partitions {
        if let (Some(Ok(start)), Some(Ok(end))) = (starts.get(partition), ends.get(partition)) {
            *is_empty.entry(partition.topic.clone()).or_insert(true) &= start.offset == end.offset;
        }
    }
    Ok(is_empty)
}
