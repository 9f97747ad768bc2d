//! Rights on the consumer groups that a link synchronises.
//!
//! A cluster lists the groups that we may see and no others, so what is missing at the source shows only where a group
//! has a name in the configuration, or where nothing is seen of a whole entry.

use std::collections::BTreeSet;

use super::LinkPlan;
use super::acls::{GROUP, Pattern, Resource, group_patterns};
use super::reach::{Reached, Role, about};
use super::report::Report;
use super::rights::{Asked, asked};
use crate::cluster::{Cluster, ClusterError, Operation, WhichGroups};
use crate::selection::{GroupDecision, Which};
use crate::types::GroupName;

/// So many groups are tried one by one; the others will be like them.
const TRIALS_MAX: usize = 20;
/// What is asked for where an entry selects all names: a right on all groups is one on this, too.
const ANY_GROUP: &str = "causeway-check";

/// Looks for the groups that the link selects. Answers with their names on the target.
pub(super) async fn check_source(link: &LinkPlan, source: &Reached, report: &mut Report) -> Vec<GroupName> {
    if link.groups.entries().is_empty() {
        return Vec::new();
    }
    let about = about(&link.source, Role::Source);
    let asked = asked(&link.source, source, &about);
    let listed = match list(asked.cluster).await {
        Ok(listed) => listed,
        Err(error) => {
            asked.could_not_ask("consumer groups", &error, report);
            return Vec::new();
        }
    };
    let named = link.groups.entries().iter().filter_map(|rule| match &rule.which {
        Which::Name(name) => GroupName::new(name).ok(),
        Which::Match(_) => None,
    });
    let all: BTreeSet<GroupName> = listed.iter().cloned().chain(named).collect();
    let target_of = |group: &GroupName| match link.groups.decide(group) {
        GroupDecision::Synchronised(selected) => Some(selected.target),
        GroupDecision::NoEntry | GroupDecision::Excluded { .. } => None,
    };
    let mut is_any_hidden = false;
    for (pattern, _) in group_patterns(link) {
        let is_seen = listed.iter().any(|group| pattern.covers(group.as_str()));
        if !is_seen && may_not_see(asked.cluster, &pattern).await {
            is_any_hidden = true;
            let what = pattern.of_groups();
            asked.lacks(Operation::Describe, &Resource::Group(pattern), &what, report);
        }
    }
    let targets: Vec<GroupName> = all.iter().filter_map(target_of).collect();
    if !is_any_hidden {
        let sentence = format!("{} of the {} consumer groups that it shows are selected", targets.len(), listed.len());
        report.ok(asked.about, sentence);
    }
    targets
}

/// Tries what writing positions needs.
pub(super) async fn check_target(link: &LinkPlan, asked: Asked<'_>, groups: &[GroupName], report: &mut Report) {
    let patterns: Vec<Pattern> = group_patterns(link).into_iter().map(|(_, target)| target).collect();
    if patterns.is_empty() {
        return;
    }
    // Where an entry has no group yet, a name that is nothing but the beginning is as good as any other.
    let is_without_group = |pattern: &&Pattern| !groups.iter().any(|group| pattern.covers(group.as_str()));
    let probes = patterns.iter().filter(is_without_group).map(|pattern| (pattern.probe(), pattern.clone()));
    let by_name = |group: &GroupName| (group.as_str().to_owned(), Pattern::Literal(group.as_str().to_owned()));
    let mut is_complete = true;
    for (name, pattern) in groups.iter().map(by_name).take(TRIALS_MAX).chain(probes) {
        match asked.cluster.try_read_group(&name).await {
            Ok(()) => {}
            Err(error) if error.is_permission_missing() => {
                is_complete = false;
                // One sentence for an entry, however many groups it selects.
                let pattern = patterns.iter().find(|entry| entry.covers(&name)).cloned().unwrap_or(pattern);
                let what = pattern.of_groups();
                for operation in GROUP {
                    asked.lacks(*operation, &Resource::Group(pattern.clone()), &what, report);
                }
                break;
            }
            Err(error) => {
                is_complete = false;
                asked.could_not_ask(&format!("group {name}"), &error, report);
                break;
            }
        }
    }
    if is_complete {
        report.ok(asked.about, "every right on the consumer groups is there");
    }
    if asked.cluster.offsets_retention().await.is_none() {
        let sentence = "offsets.retention.minutes is not shown (DescribeConfigs on the cluster is not there): \
                        positions of groups are taken to live for a day, and written again within six hours";
        report.ok(asked.about, sentence);
    }
}

/// The groups that we may see.
async fn list(cluster: &Cluster) -> Result<BTreeSet<GroupName>, ClusterError> {
    let mut groups = BTreeSet::new();
    for broker in cluster.metadata(Some(&[])).await?.brokers.keys() {
        groups.extend(cluster.group_desk(*broker).list(WhichGroups::All).await?.into_iter().map(|listed| listed.group));
    }
    Ok(groups)
}

/// Whether a group with such a name would be hidden from us. Any broker refuses before it looks whether it is the
/// group's coordinator.
async fn may_not_see(cluster: &Cluster, pattern: &Pattern) -> bool {
    let Ok(probe) = GroupName::new(&pattern.probe()) else { return false };
    let Ok(metadata) = cluster.metadata(Some(&[])).await else { return false };
    let Some(broker) = metadata.brokers.keys().next() else { return false };
    match cluster.group_desk(*broker).offsets(std::slice::from_ref(&probe)).await {
        Ok(answers) => answers.values().any(|told| told.as_ref().is_err_and(ClusterError::is_permission_missing)),
        Err(error) => error.is_permission_missing(),
    }
}

impl Pattern {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Prefixed(beginning) => name.starts_with(beginning.as_str()),
        }
    }

    /// A name that stands for all of them.
    fn probe(&self) -> String {
        match self {
            Self::Prefixed(beginning) if beginning.is_empty() => ANY_GROUP.to_owned(),
            Self::Literal(name) | Self::Prefixed(name) => name.clone(),
        }
    }

    fn of_groups(&self) -> String {
        match self {
            Self::Literal(name) => format!("group {name}"),
            Self::Prefixed(beginning) if beginning.is_empty() => "all groups".to_owned(),
            Self::Prefixed(beginning) => format!("groups that begin with {beginning}"),
        }
    }
}
