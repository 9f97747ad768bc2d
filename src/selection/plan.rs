//! The mapping of all topics of a source at once.

use std::collections::BTreeMap;

use super::error::UnusableTarget;
use super::topics::{Decision, Selected, Selection};
use crate::types::TopicName;

/// Which topics are mirrored and under which name, and which can't be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan<'s> {
    /// Each mirrored topic by its name on the source. No two have the same name on the target.
    pub mirrored: BTreeMap<TopicName, Selected<'s>>,
    /// Topics that would share a name on the target. None of them is in `mirrored`: which one is meant, only the
    /// operator can say.
    pub collisions: Vec<Collision>,
    /// Topics whose name on the target can't be used.
    pub unusable: Vec<UnusableTarget>,
}

/// Several topics of the source that would become one on the target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topics {} would all have the name `{target}` on the target", quoted(.source_topics))]
pub struct Collision {
    /// The name they would share.
    pub target: TopicName,
    /// Their names on the source, sorted; at least two.
    pub source_topics: Vec<TopicName>,
}

fn quoted(topics: &[TopicName]) -> String {
    topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ")
}

impl<'s> Plan<'s> {
    pub(super) fn new(selection: &'s Selection, topics: impl IntoIterator<Item = TopicName>) -> Self {
        let mut plan = Self::default();
        let mut by_target: BTreeMap<TopicName, BTreeMap<TopicName, Selected<'s>>> = BTreeMap::new();
        for topic in topics {
            match selection.decide(&topic) {
                Decision::Mirrored(selected) => {
                    by_target.entry(selected.target.clone()).or_default().insert(topic, selected);
                }
                Decision::NotMirrored(_) => {}
                Decision::Unusable(unusable) => plan.unusable.push(unusable),
            }
        }
        for (target, sources) in by_target {
            if sources.len() > 1 {
                plan.collisions.push(Collision { target, source_topics: sources.into_keys().collect() });
            } else {
                plan.mirrored.extend(sources);
            }
        }
        plan.unusable.sort_by(|a, b| a.source_topic.cmp(&b.source_topic));
        plan.unusable.dedup();
        plan
    }
}
