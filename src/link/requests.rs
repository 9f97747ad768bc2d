//! Orders: pause, resume, resolve.
//!
//! Anyone may leave an order; the owner of the link's shard alone turns it into state, so an order is carried out
//! once, in the order of arrival, and any daemon can finish what another began.

use std::time::Duration;

use uuid::Uuid;

use super::Link;
use crate::store::{
    Key, Lease, LinkRecord, LinkState, RequestAction, RequestRecord, ResolutionRecord, TopicRecord, TopicState, Value,
    View, Write,
};
use crate::sync::{SyncError, resolve_topic};
use crate::types::{LinkName, PartitionIndex, ResolveVerb, TopicName};

/// What an order would change: shown before it is given, and what is done when it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// The link as a whole.
    Link {
        /// Its new state.
        state: LinkState,
    },
    /// One topic.
    Topic {
        /// The source topic.
        topic: TopicName,
        /// Its new state.
        state: TopicState,
    },
    /// A topic that is stopped as a whole.
    ResolveTopic {
        /// The source topic.
        topic: TopicName,
        /// How.
        verb: ResolveVerb,
    },
    /// A stopped partition.
    ResolvePartition {
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// How.
        verb: ResolveVerb,
        /// Why it is stopped.
        reason: String,
    },
}

impl Link {
    /// Carries out orders as they come, until dropped.
    pub(super) async fn carry_out_requests(&self, lease: &Lease) {
        let mut changes = self.parts.store.view().changes();
        loop {
            changes.mark_unchanged();
            for (id, request) in self.parts.store.view().requests(self.name()) {
                match self.carry_out(lease, id, &request).await {
                    Ok(()) => self.show_problem("request", None),
                    Err(error) => {
                        self.show_problem("request", Some(format!("an order can't be carried out yet: {error}")));
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        break;
                    }
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(super::LOOK_INTERVAL) => {}
            }
        }
    }

    /// Writes what an order means, and takes the order away, in one transaction.
    async fn carry_out(&self, lease: &Lease, id: Uuid, request: &RequestRecord) -> Result<(), SyncError> {
        let view = self.parts.store.view();
        let link = self.name();
        let changes =
            settled_preview(view, link, request, || matches!(request.action, RequestAction::Resolve { .. })).await;
        let mut others = vec![Write::Remove(Key::Request { link: link.clone(), id })];
        for change in &changes {
            tracing::warn!(%link, who = %request.who, ?change, "order carried out");
            others.extend(self.write_of(change, id, request));
        }
        let changed = |topic: &TopicName, record: &TopicRecord| changed_record(&changes, topic, record);
        self.topics.change_records(lease, changed, others).await?;
        // The view shows the removal soon; until then the same order must not be carried out again.
        let mut changes = view.changes();
        while view.requests(link).iter().any(|(open, _)| *open == id) {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What is to be written besides topic records.
    fn write_of(&self, change: &Preview, id: Uuid, request: &RequestRecord) -> Option<Write> {
        let link = self.name().clone();
        match change {
            Preview::Link { state } => {
                let record = LinkRecord { state: *state, ..self.record()? };
                Some(Write::Put(Key::Link { link }, Value::Link(record)))
            }
            Preview::Topic { .. } | Preview::ResolveTopic { .. } => None,
            Preview::ResolvePartition { topic, partition, verb, .. } => {
                let stop = self.parts.store.view().position(&link, topic, *partition)?.status.stop?;
                let record = ResolutionRecord {
                    id,
                    verb: *verb,
                    reason: stop.reason,
                    source_offset: stop.source_offset,
                    who: request.who.clone(),
                    at_ms: request.at_ms,
                };
                let key = Key::Resolution { link, topic: topic.clone(), partition: *partition };
                Some(Write::Put(key, Value::Resolution(record)))
            }
        }
    }
}

/// A topic's record after these changes; `None`: as it is.
fn changed_record(changes: &[Preview], topic: &TopicName, record: &TopicRecord) -> Option<TopicRecord> {
    changes.iter().find_map(|change| match change {
        Preview::Topic { topic: named, state } if named == topic => {
            Some(TopicRecord { state: *state, ..record.clone() })
        }
        Preview::ResolveTopic { topic: named, verb } if named == topic => resolve_topic(record, *verb),
        Preview::Topic { .. }
        | Preview::ResolveTopic { .. }
        | Preview::Link { .. }
        | Preview::ResolvePartition { .. } => None,
    })
}

/// How long an order that seems to change nothing waits for the view, and how often it looks.
const VIEW_LIMIT: Duration = Duration::from_secs(3);
const VIEW_PAUSE: Duration = Duration::from_millis(50);

/// The same as `preview`, for an order about something that the view may not show yet: a partition that has just
/// stopped is shown as stopped where it runs before that is written and read back. While `is_behind`, an order that
/// would change nothing waits, some seconds at most.
pub async fn settled_preview(
    view: &View,
    link: &LinkName,
    request: &RequestRecord,
    is_behind: impl Fn() -> bool,
) -> Vec<Preview> {
    let deadline = tokio::time::Instant::now() + VIEW_LIMIT;
    loop {
        let changes = preview(view, link, request);
        if !changes.is_empty() || !is_behind() || tokio::time::Instant::now() > deadline {
            return changes;
        }
        tokio::time::sleep(VIEW_PAUSE).await;
    }
}

/// What an order would change, as the state is now. Empty: nothing.
fn preview(view: &View, link: &LinkName, request: &RequestRecord) -> Vec<Preview> {
    let topics: Vec<(TopicName, TopicRecord)> = match &request.topics {
        None => view.topics(link),
        Some(names) => names.iter().filter_map(|name| Some((name.clone(), view.topic(link, name)?))).collect(),
    };
    match request.action {
        RequestAction::Pause if request.topics.is_none() => vec![Preview::Link { state: LinkState::Paused }],
        RequestAction::Resume if request.topics.is_none() => {
            let link = std::iter::once(Preview::Link { state: LinkState::Active });
            link.chain(changed_topics(topics, TopicState::Paused, TopicState::Mirroring)).collect()
        }
        RequestAction::Pause => changed_topics(topics, TopicState::Mirroring, TopicState::Paused).collect(),
        RequestAction::Resume => changed_topics(topics, TopicState::Paused, TopicState::Mirroring).collect(),
        RequestAction::Resolve { partition, verb } => {
            topics.iter().flat_map(|(topic, record)| resolutions(view, link, topic, record, partition, verb)).collect()
        }
    }
}

fn changed_topics(
    topics: Vec<(TopicName, TopicRecord)>,
    from: TopicState,
    to: TopicState,
) -> impl Iterator<Item = Preview> {
    let concerned = topics.into_iter().filter(move |(_, record)| record.state == from);
    concerned.map(move |(topic, _)| Preview::Topic { topic, state: to })
}

fn resolutions(
    view: &View,
    link: &LinkName,
    topic: &TopicName,
    record: &TopicRecord,
    partition: Option<PartitionIndex>,
    verb: ResolveVerb,
) -> Vec<Preview> {
    if record.stop.as_ref().is_some_and(|stop| stop.resolve.contains(&verb)) {
        return vec![Preview::ResolveTopic { topic: topic.clone(), verb }];
    }
    let partitions = (0..record.partitions).map(PartitionIndex).filter(|index| partition.is_none_or(|p| p == *index));
    let stopped = partitions.filter_map(|index| {
        let stop = view.position(link, topic, index)?.status.stop?;
        stop.resolve.contains(&verb).then(|| Preview::ResolvePartition {
            topic: topic.clone(),
            partition: index,
            verb,
            reason: stop.reason,
        })
    });
    stopped.collect()
}
