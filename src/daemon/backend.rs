//! The API's port onto the daemon.

use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use super::partitions::Shown;
use super::side::Side;
use crate::api::json::{self, OffsetsMode, OrderAction, TopicSelection};
use crate::api::{ApiError, Backend, BoxFuture, KnownOffset, TranslateQuestion};
use crate::config::{LinkConfig, Offsets};
use crate::link::{Preview, settled_preview};
use crate::store::{Key, LinkRecord, LinkState, RequestAction, RequestRecord, Store, TopicState, Value};
use crate::sync::RoundReport;
use crate::types::{GroupName, LinkName, TopicName, TopicPartition};

impl Daemon {
    pub(super) fn find(&self, link: &str) -> Option<(&LinkConfig, &Arc<Side>)> {
        let config = self.config.links.get(&LinkName::new(link).ok()?)?;
        Some((config, self.sides.get(&config.target)?))
    }

    pub(super) fn shown<T>(&self, link: &str, answer: impl FnOnce(&Shown<'_>) -> T) -> Option<T> {
        let (config, side) = self.find(link)?;
        let store = side.store()?;
        let is_paused = record(&store, &config.name).is_some_and(|record| record.state == LinkState::Paused);
        Some(answer(&Shown { store: &store, registry: &self.registry, link: &config.name, is_paused }))
    }

    fn link_of(&self, config: &LinkConfig, side: &Arc<Side>) -> json::Link {
        let record = side.store().and_then(|store| record(&store, &config.name));
        let topics = self.shown(config.name.as_str(), shown_topics).unwrap_or_default();
        let partitions = || topics.iter().flat_map(|topic| &topic.partitions);
        let is_stopped = |partition: &&json::Partition| partition.state == json::PartitionState::Stopped;
        let problems = self.problems(config, side);
        let state = match &record {
            Some(record) if record.state == LinkState::Paused => json::LinkState::Paused,
            Some(_) => json::LinkState::Active,
            None => json::LinkState::Starting,
        };
        json::Link {
            name: config.name.clone(),
            source: config.source.clone(),
            target: config.target.clone(),
            source_cluster_id: record.as_ref().map(|record| record.source_cluster_id.clone()),
            target_cluster_id: record.as_ref().map(|record| record.target_cluster_id.clone()),
            state,
            offsets: match config.offsets {
                Offsets::Preserve => OffsetsMode::Preserve,
                Offsets::PreserveOrStop => OffsetsMode::PreserveOrStop,
                Offsets::Translate => OffsetsMode::Translate,
            },
            served_here: true,
            config_mismatch: record.as_ref().and_then(|record| mismatch(config, record)),
            problems,
            topics: topics.len() as u64,
            partitions: partitions().count() as u64,
            partitions_stopped: partitions().filter(is_stopped).count() as u64,
            lag_records: partitions().try_fold(0_u64, |sum, one| Some(sum.saturating_add(one.lag_records?))),
            lag_ms: partitions().filter_map(|partition| partition.lag_ms).max(),
            source_contact_age_ms: partitions().filter_map(|partition| partition.source_contact_age_ms).max(),
            groups: self.shown(config.name.as_str(), |shown| shown.groups_summary(side, &config.name)).flatten(),
            producer_id: record.as_ref().map(|record| record.producer_id.0),
            producer_epoch: record.as_ref().map(|record| record.producer_epoch.0),
        }
    }

    /// Whether a partition that runs here has stopped, and the state as it was read back does not say so yet.
    fn is_stop_unread(&self, store: &Store, link: &LinkName) -> bool {
        self.registry.all().into_iter().filter(|((of, _), _)| of == link).any(|((_, partition), live)| {
            let is_read = || store.view().position(link, &partition.topic, partition.partition)?.status.stop;
            live.snapshot().status.stop.is_some() && is_read().is_none()
        })
    }

    /// What a person should look at: the clusters, the state, the link as a whole, its topics, and what partitions
    /// meet at the moment (each thing once).
    fn problems(&self, config: &LinkConfig, side: &Arc<Side>) -> Vec<json::Problem> {
        let of_clusters = [&config.source, &config.target].into_iter().filter_map(|name| self.sights.problem(name));
        let mut problems: Vec<json::Problem> = of_clusters.collect();
        let mut messages: Vec<(&str, String)> = Vec::new();
        messages.extend(side.problem().map(|problem| ("state_unavailable", problem)));
        if let Some(link) = side.link(&config.name) {
            let groups = link.groups().summary().unwrap_or_default();
            messages.extend(groups.problems.into_iter().map(|problem| ("groups", problem)));
            messages.extend(link.problems().into_iter().map(|problem| ("link", problem)));
            // Where the loop ended with its lease, its last report tells of former times.
            let report = if link.is_kept_here() { link.topics_report() } else { RoundReport::default() };
            messages.extend(report.problems.into_iter().map(|problem| match problem.topic {
                Some(topic) => ("topic", format!("topic {topic}: {}", problem.message)),
                None => ("topics", problem.message),
            }));
        }
        let of_link = self.registry.all().into_iter().filter(|((link, _), _)| *link == config.name);
        let troubles = of_link.filter_map(|(_, live)| live.snapshot().trouble);
        let mut troubles: Vec<String> = troubles.collect();
        troubles.sort();
        troubles.dedup();
        messages.extend(troubles.into_iter().take(PROBLEMS_MAX).map(|trouble| ("partition", trouble)));
        for (kind, message) in messages {
            // A cluster that is down is met by everybody.
            if problems.iter().all(|problem| problem.message != message) {
                problems.push(json::Problem { kind: kind.to_owned(), message, ..json::Problem::default() });
            }
        }
        problems
    }
}

/// Problems of partitions that are shown for one link; a cluster that is down would otherwise fill the page.
const PROBLEMS_MAX: usize = 20;

fn shown_topics(shown: &Shown<'_>) -> Vec<json::Topic> {
    shown.topics()
}

fn record(store: &Store, link: &LinkName) -> Option<LinkRecord> {
    match store.view().get(&Key::Link { link: link.clone() })?.as_ref() {
        Value::Link(record) => Some(record.clone()),
        _ => None,
    }
}

/// The first key in which this daemon's file differs from what the link works by.
fn mismatch(config: &LinkConfig, record: &LinkRecord) -> Option<String> {
    if record.digest == config.digest {
        return None;
    }
    let ours = config.meaning.iter().find(|(key, value)| record.meaning.get(*key) != Some(value)).map(|(key, _)| key);
    let theirs = || record.meaning.keys().find(|key| !config.meaning.contains_key(*key));
    Some(ours.or_else(theirs).cloned().unwrap_or_else(|| "unknown".to_owned()))
}

impl Backend for Daemon {
    fn links(&self) -> Vec<json::Link> {
        let links = self.config.links.values();
        links.filter_map(|config| Some(self.link_of(config, self.sides.get(&config.target)?))).collect()
    }

    fn link(&self, link: &str) -> Option<json::Link> {
        self.find(link).map(|(config, side)| self.link_of(config, side))
    }

    fn topics(&self, link: &str) -> Option<Vec<json::Topic>> {
        self.find(link)?;
        Some(self.shown(link, shown_topics).unwrap_or_default())
    }

    fn topic(&self, link: &str, topic: &str) -> Option<json::Topic> {
        let topic = TopicName::new(topic).ok()?;
        self.shown(link, |shown| shown.topic(&topic))?
    }

    fn translate(&self, link: &str, question: &TranslateQuestion) -> Result<json::Translated, ApiError> {
        let TranslateQuestion { topic, partition, offset } = question;
        let place = TopicPartition::new(topic.clone(), *partition);
        let answer = self.shown(link, |shown| match offset {
            KnownOffset::Source(source) => {
                let translation = shown.translate(&place, *source)?;
                Some(json::Translated::forward(topic.clone(), *partition, *source, translation))
            }
            KnownOffset::Target(target) => {
                let translation = shown.translate_reverse(&place, *target)?;
                Some(json::Translated::reverse(topic.clone(), *partition, *target, translation))
            }
        });
        let unavailable = || ApiError::Unavailable(format!("partition {place} was not taken up yet"));
        answer.flatten().ok_or_else(unavailable)
    }

    fn groups(&self, link: &str) -> Option<Vec<json::Group>> {
        let (config, side) = self.find(link)?;
        Some(self.shown(link, |shown| shown.groups(side, &config.name)).unwrap_or_default())
    }

    fn group(&self, link: &str, group: &str) -> Option<json::Group> {
        let (config, side) = self.find(link)?;
        let group = GroupName::new(group).ok()?;
        self.shown(link, |shown| shown.group(side, &config.name, &group))?
    }

    fn wait<'a>(
        &'a self,
        link: &'a str,
        question: &'a TranslateQuestion,
        limit: Duration,
    ) -> BoxFuture<'a, Result<json::Awaited, ApiError>> {
        Box::pin(async move {
            let partition = TopicPartition::new(question.topic.clone(), question.partition);
            match question.offset {
                KnownOffset::Source(offset) => self.wait_for(link, &partition, offset, limit).await,
                KnownOffset::Target(_) => Err(ApiError::Refused("only source offsets can be waited for".to_owned())),
            }
        })
    }

    fn order<'a>(&'a self, link: &'a str, order: json::Order) -> BoxFuture<'a, Result<json::OrderDone, ApiError>> {
        Box::pin(async move {
            let unavailable = || ApiError::Unavailable("the state is not read yet".to_owned());
            let (config, side) = self.find(link).ok_or_else(unavailable)?;
            let store = side.store().ok_or_else(unavailable)?;
            let request = request_of(&order);
            let is_behind = || self.is_stop_unread(&store, &config.name);
            let changes = settled_preview(store.view(), &config.name, &request, is_behind).await;
            let affected = affected(&store, &config.name, &changes);
            if order.dry_run || changes.is_empty() {
                return Ok(json::OrderDone { dry_run: order.dry_run, request: None, affected });
            }
            let posted = store.post_request(&config.name, request).await;
            let id = posted.map_err(|error| ApiError::Unavailable(error.to_string()))?;
            Ok(json::OrderDone { dry_run: false, request: Some(id), affected })
        })
    }

    fn readiness(&self) -> json::Readiness {
        let mut reasons = Vec::new();
        for side in self.sides.values() {
            match (side.problem(), side.store()) {
                (Some(problem), _) => reasons.push(problem),
                (None, None) => reasons.push(format!("the state on cluster {} is being read", side.cluster)),
                (None, Some(store)) if !store.is_ready() => {
                    reasons.push(format!("the group on cluster {} is not joined yet", side.cluster));
                }
                (None, Some(_)) => {}
            }
        }
        json::Readiness::of(reasons)
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        Box::pin(self.shown_metrics())
    }

    fn peers(&self) -> Vec<json::Peer> {
        self.shown_peers()
    }

    fn daemon(&self) -> json::Daemon {
        let mut members = Vec::new();
        for store in self.sides.values().filter_map(|side| side.store()) {
            for (key, value) in store.view().all() {
                if let (Key::Daemon { id }, Value::Daemon(record)) = (key, value.as_ref()) {
                    let (version, listen) = (record.version.clone(), record.listen.clone());
                    members.push(json::Member { id, version, started_at_ms: record.started_at_ms, listen });
                }
            }
        }
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.dedup_by(|a, b| a.id == b.id);
        json::Daemon {
            id: self.config.daemon.id.clone(),
            group: self.config.daemon.group.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: self.started_at_ms,
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            listen: self.config.daemon.listen.to_string(),
            shards_owned: self.sides.values().map(|side| side.leases() as u64).sum(),
            shards: self.sides.len() as u64 * u64::from(crate::store::SHARDS.unsigned_abs()),
            memory_budget: None,
            members,
        }
    }
}

/// What an order changes, in the words of the API.
fn affected(store: &Store, link: &LinkName, changes: &[Preview]) -> Vec<json::Affected> {
    let of_topic = |topic: &TopicName, effect: String| json::Affected { topic: topic.clone(), partition: None, effect };
    let mut affected = Vec::new();
    for change in changes {
        match change {
            Preview::Link { state } => {
                let effect = if *state == LinkState::Paused { "paused with the link" } else { "resumed with the link" };
                let topics = store.view().topics(link);
                affected.extend(topics.iter().map(|(topic, _)| of_topic(topic, effect.to_owned())));
            }
            Preview::Topic { topic, state } => {
                let effect = if *state == TopicState::Paused { "paused" } else { "resumed" };
                affected.push(of_topic(topic, effect.to_owned()));
            }
            Preview::ResolveTopic { topic, verb } => {
                affected.push(of_topic(topic, format!("stopped as a whole; goes on with {}", verb.name())));
            }
            Preview::ResolvePartition { topic, partition, verb, reason } => affected.push(json::Affected {
                topic: topic.clone(),
                partition: Some(*partition),
                effect: format!("stopped because of {reason}; goes on with {}", verb.name()),
            }),
        }
    }
    affected
}

fn request_of(order: &json::Order) -> RequestRecord {
    let action = match order.action {
        OrderAction::Pause => RequestAction::Pause,
        OrderAction::Resume => RequestAction::Resume,
        OrderAction::Resolve { partition, with } => RequestAction::Resolve { partition, verb: with },
    };
    let topics = match &order.topics {
        TopicSelection::All => None,
        TopicSelection::These(topics) => Some(topics.clone()),
    };
    let who = match &order.why {
        Some(why) => format!("{} ({why})", order.who),
        None => order.who.clone(),
    };
    RequestRecord { action, topics, who, at_ms: crate::tasks::wall_clock_ms() }
}
