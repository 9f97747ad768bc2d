//! What we may do, asked of the brokers, against what a link needs.

use std::collections::BTreeMap;

use super::acls::{GROUP, Pattern, Resource, Right, STATE_TOPIC, TRANSACTIONAL_ID, command};
use super::reach::Reached;
use super::report::{Report, list};
use super::{ClusterPlan, LinkPlan};
use crate::cluster::{Cluster, ClusterError, NewTopic, Operation, Permissions};
use crate::types::TopicName;

/// So many topics are tried one by one where the brokers don't tell in one answer; the others will be like them.
const TRIALS_MAX: usize = 20;

/// Who is asked, as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) plan: &'a ClusterPlan,
    pub(super) cluster: &'a Cluster,
    pub(super) about: &'a str,
}

impl Asked<'_> {
    pub(super) fn who(&self) -> String {
        self.plan.principal().unwrap_or_else(|| "causeway".to_owned())
    }

    /// Says that a right is missing, and how to give it.
    pub(super) fn lacks(&self, operation: Operation, resource: &Resource, what: &str, report: &mut Report) {
        let right = Right { resource: resource.clone(), operations: vec![operation] };
        let sentence = format!("{} lacks {} on {what}", self.who(), operation.name());
        report.fail(self.about, sentence, command(self.plan, None, &right));
    }

    pub(super) fn could_not_ask(&self, what: &str, error: &ClusterError, report: &mut Report) {
        let sentence = format!("what we may do on {what} could not be found out: {error}");
        report.warn(self.about, sentence, "mend that, and check again");
    }
}

/// Rights on topics: those in `wanted`, of which `Create` counts only where the topic is absent. Answers with the
/// topics that exist.
pub(super) async fn topics(
    asked: Asked<'_>,
    topics: &[TopicName],
    wanted: &[Operation],
    report: &mut Report,
) -> Vec<TopicName> {
    if topics.is_empty() {
        return Vec::new();
    }
    let told = match asked.cluster.topic_permissions(topics).await {
        Ok(told) => told,
        Err(error) => {
            asked.could_not_ask(&list(topics.iter()), &error, report);
            return Vec::new();
        }
    };
    let mut missing: BTreeMap<Operation, Vec<TopicName>> = BTreeMap::new();
    let mut there = Vec::new();
    let mut untold = Vec::new();
    let mut trials = 0;
    for (topic, told) in told {
        let lacking = match told {
            Ok(told) => {
                if told.does_exist {
                    there.push(topic.clone());
                }
                let Some(permissions) = told.permissions else {
                    untold.push(topic);
                    continue;
                };
                lacking(permissions, told.does_exist, wanted)
            }
            // What can't even be seen lacks everything, until a trial says otherwise.
            Err(error) if error.is_permission_missing() => wanted.to_vec(),
            Err(error) => {
                asked.could_not_ask(&format!("topic {topic}"), &error, report);
                continue;
            }
        };
        for operation in lacking {
            // Some rights can also come from elsewhere, or don't show where the topic is hidden.
            trials += 1;
            if trials > TRIALS_MAX || !is_given_after_all(asked.cluster, &topic, operation).await {
                missing.entry(operation).or_default().push(topic.clone());
            }
        }
    }
    say_topics(asked, topics, &missing, &untold, report);
    there
}

/// Whether topics that begin in these ways are hidden from us, which is reported. Their names can't be asked for, but a
/// name that is nothing but the beginning is as hidden as they are.
pub(super) async fn hidden(asked: Asked<'_>, patterns: &[Pattern], report: &mut Report) -> bool {
    let mut is_any_hidden = false;
    for pattern in patterns {
        let Pattern::Prefixed(beginning) = pattern else { continue };
        let Ok(probe) = TopicName::new(beginning) else { continue };
        let is_hidden = match asked.cluster.topic_permissions(std::slice::from_ref(&probe)).await {
            Ok(told) => told.values().any(|told| told.as_ref().is_err_and(ClusterError::is_permission_missing)),
            Err(_) => false,
        };
        if is_hidden {
            let resource = Resource::Topic(pattern.clone());
            asked.lacks(Operation::Read, &resource, &format!("topics that begin with {beginning}"), report);
            is_any_hidden = true;
        }
    }
    is_any_hidden
}

/// What is missing of a topic that the broker tells about. What comes with another right is missing only where it is
/// denied.
pub(super) fn lacking(permissions: Permissions, does_exist: bool, wanted: &[Operation]) -> Vec<Operation> {
    let is_needed = |operation: &Operation| *operation != Operation::Create || !does_exist;
    let mut lacking: Vec<Operation> =
        wanted.iter().copied().filter(is_needed).filter(|operation| !permissions.allow(*operation)).collect();
    for (implied, by) in IMPLIED {
        let should_be = wanted.iter().any(|operation| by.contains(operation) && permissions.allow(*operation));
        if should_be && !permissions.allow(*implied) {
            lacking.push(*implied);
        }
    }
    lacking
}

/// Rights that come with others.
const IMPLIED: &[(Operation, &[Operation])] = &[
    (Operation::Describe, &[Operation::Read, Operation::Write, Operation::Alter]),
    (Operation::DescribeConfigs, &[Operation::AlterConfigs]),
];

/// Tries what can be tried without changing anything.
async fn is_given_after_all(cluster: &Cluster, topic: &TopicName, operation: Operation) -> bool {
    let outcome = match operation {
        Operation::Create => {
            let new =
                NewTopic { name: topic.clone(), partitions: 1, replication_factor: None, configs: BTreeMap::new() };
            cluster.try_create_topic(&new).await.map(|_| ())
        }
        Operation::DescribeConfigs => match cluster.topic_configs(std::slice::from_ref(topic)).await {
            Ok(mut configs) => configs.remove(topic).map_or(Ok(()), |answer| answer.map(|_| ())),
            Err(error) => Err(error),
        },
        Operation::AlterConfigs => {
            let change = BTreeMap::from([("compression.type".to_owned(), Some("producer".to_owned()))]);
            cluster.try_alter_topic_configs(topic, &change).await
        }
        // Each of them would let us see the topic, so they were told, or are missing.
        Operation::Delete
        | Operation::Read
        | Operation::Write
        | Operation::Alter
        | Operation::Describe
        | Operation::IdempotentWrite => {
            return false;
        }
    };
    match outcome {
        Ok(()) => true,
        Err(error) => error.code().is_some() && !error.is_permission_missing(),
    }
}

fn say_topics(
    asked: Asked<'_>,
    topics: &[TopicName],
    missing: &BTreeMap<Operation, Vec<TopicName>>,
    untold: &[TopicName],
    report: &mut Report,
) {
    for (operation, topics) in missing {
        if let [topic] = topics.as_slice() {
            let resource = Resource::Topic(Pattern::Literal(topic.to_string()));
            asked.lacks(*operation, &resource, &format!("topic {topic}"), report);
        } else {
            let sentence = format!("{} lacks {} on {}", asked.who(), operation.name(), list(topics.iter()));
            report.fail(asked.about, sentence, "`causeway check --acls` prints the commands that give the rights");
        }
    }
    if !untold.is_empty() {
        let sentence = format!("the brokers don't tell what we may do on {}", list(untold.iter()));
        report.warn(asked.about, sentence, "compare the rights with `causeway check --acls`");
    }
    if missing.is_empty() && untold.is_empty() {
        report.ok(asked.about, format!("every right on {} is there", list(topics.iter())));
    }
}

/// Everything that the daemon itself needs on the target, apart from mirror topics. Answers whether the state topic
/// exists.
pub(super) async fn state(link: &LinkPlan, asked: Asked<'_>, report: &mut Report) -> bool {
    let there = topics(asked, std::slice::from_ref(&link.state_topic), STATE_TOPIC, report).await;
    let group = Resource::Group(Pattern::Literal(link.group.clone()));
    let outcome = asked.cluster.try_read_group(&link.group).await;
    say(asked, GROUP, &group, &format!("group {}", link.group), outcome, report);

    let prefix = link.transactional_id_prefix();
    let id = format!("{prefix}{}-check", link.daemon_id);
    let ids = Resource::TransactionalId(Pattern::Prefixed(prefix.clone()));
    let outcome = asked.cluster.try_write_transactional_id(&id).await;
    say(asked, TRANSACTIONAL_ID, &ids, &format!("transactional ids that begin with {prefix}"), outcome, report);

    match asked.cluster.allocate_producer_id().await {
        Ok(_) => report.ok(asked.about, "it gives producer ids away"),
        Err(error) if error.is_permission_missing() => {
            let sentence = format!("{} gets no producer id: it lacks Write on every topic", asked.who());
            let remedy = "give Write on the mirror topics (before Kafka 3.0: IdempotentWrite on the cluster)";
            report.fail(asked.about, sentence, remedy);
        }
        Err(error) => asked.could_not_ask("producer ids", &error, report),
    }
    !there.is_empty()
}

/// Rights on the ACLs of a cluster.
pub(super) async fn acls(asked: Asked<'_>, wanted: &[Operation], report: &mut Report) {
    match asked.cluster.topic_acls().await {
        Ok(_) => {}
        Err(error) if error.is_without_authorizer() => {
            let sentence = "it has no authorizer, so there are no ACLs";
            let remedy = "switch `sync.acls` and `protect` off, or set authorizer.class.name on its brokers";
            report.fail(asked.about, sentence, remedy);
            return;
        }
        Err(error) if error.is_permission_missing() => {
            asked.lacks(Operation::Describe, &Resource::Cluster, "the cluster", report);
            return;
        }
        Err(error) => {
            asked.could_not_ask("ACLs", &error, report);
            return;
        }
    }
    match asked.cluster.cluster_permissions().await {
        Ok(Some(permissions)) => {
            let lacking: Vec<Operation> =
                wanted.iter().copied().filter(|operation| !permissions.allow(*operation)).collect();
            for operation in &lacking {
                asked.lacks(*operation, &Resource::Cluster, "the cluster", report);
            }
            if lacking.is_empty() {
                report.ok(asked.about, "every right on ACLs is there");
            }
        }
        Ok(None) => {
            let sentence = "the brokers don't tell what we may do on the cluster";
            report.warn(asked.about, sentence, "compare the rights with `causeway check --acls`");
        }
        Err(error) => asked.could_not_ask("the cluster", &error, report),
    }
}

fn say(
    asked: Asked<'_>,
    operations: &[Operation],
    resource: &Resource,
    what: &str,
    outcome: Result<(), ClusterError>,
    report: &mut Report,
) {
    match outcome {
        Ok(()) => report.ok(asked.about, format!("every right on {what} is there")),
        Err(error) if error.is_permission_missing() => {
            for operation in operations {
                asked.lacks(*operation, resource, what, report);
            }
        }
        Err(error) => asked.could_not_ask(what, &error, report),
    }
}

/// Puts a reached cluster and its plan together.
pub(super) fn asked<'a>(plan: &'a ClusterPlan, reached: &'a Reached, about: &'a str) -> Asked<'a> {
    Asked { plan, cluster: &reached.cluster, about }
}

/// What keeping offsets the same can make use of. None of it is needed: what is missing has a consequence.
pub(super) async fn for_same_offsets(asked: Asked<'_>, topics: &[TopicName], report: &mut Report) {
    match asked.cluster.cluster_permissions().await {
        Err(error) => asked.could_not_ask("the cluster", &error, report),
        Ok(Some(permissions)) if permissions.allow(Operation::Alter) => {
            report.ok(asked.about, "offsets without a record are filled by markers (Alter on the cluster is there)");
        }
        Ok(Some(_) | None) => report.ok(
            asked.about,
            "offsets without a record are filled by empty transactions: Alter on the cluster is not there, and only \
             needed to fill more than some ten a second and partition",
        ),
    }
    let Ok(told) = asked.cluster.topic_permissions(topics).await else { return };
    let lacks = |topic: &&TopicName| match told.get(*topic) {
        Some(Ok(told)) => told.permissions.is_some_and(|permissions| !permissions.allow(Operation::Delete)),
        Some(Err(_)) | None => false,
    };
    let lacking: Vec<&TopicName> = topics.iter().filter(lacks).collect();
    if !lacking.is_empty() {
        let sentence = format!(
            "{} lacks Delete on {}: partitions whose source no longer begins at offset 0 will have their offsets \
             translated, because filler could not be deleted",
            asked.who(),
            list(lacking.into_iter())
        );
        report.warn(asked.about, sentence, "give the right before the link starts, or write offsets = \"translate\"");
    }
}
