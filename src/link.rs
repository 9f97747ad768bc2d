//! One link as a whole, on one daemon.
//!
//! Owns: when the control loops of a link run here (its shard is ours), which of its partitions run here (their
//! shards are ours), and carrying out orders.
//! Promises: work begins only under a lease and ends with it; the data producer id is stored before its first use;
//! workers obey the published records, not their own file.
//! Does not know: HTTP, files, signals.

mod control;
mod maps;
mod requests;
mod workers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use requests::{Preview, settled_preview};

use crate::cluster::Cluster;
use crate::mirror::{self, Registry};
use crate::selection::Selection;
use crate::store::{Key, Lease, LinkRecord, Store, Value};
use crate::sync::acls::AclSync;
use crate::sync::mirrormaker::{GroupPositions, MirrorMakerTopics};
use crate::sync::{self, GroupParts, GroupSettings, GroupSync, RoundReport, TopicSync};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::LinkName;
use control::Control;
use maps::LinkMaps;
use workers::Workers;

/// The shards of a state topic that this daemon owns.
pub type Leases = Arc<BTreeMap<i32, Lease>>;

/// How long partitions may take to drain when they are stopped without haste.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How often a link looks whether what it started still runs.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it compares everything with what is published, also when nothing told it to.
const COMPARE_INTERVAL: Duration = Duration::from_secs(10);

/// What a link is told by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub name: LinkName,
    /// Digest of its settings in this daemon's file.
    pub digest: String,
    /// Those settings by key.
    pub meaning: BTreeMap<String, String>,
    /// The data path.
    pub mirror: mirror::Settings,
    /// The loop over its topics.
    pub topics: sync::Settings,
    /// The loop over their ACLs.
    pub acls: sync::acls::Settings,
    /// MirrorMaker's topics, where they are written.
    pub mirrormaker: Option<sync::mirrormaker::Settings>,
    /// Which topics.
    pub selection: Selection,
    /// The loop over its consumer groups.
    pub groups: GroupSettings,
}

/// What a link works with.
#[derive(Clone)]
pub struct Parts {
    /// Read from here.
    pub source: Cluster,
    /// Written to here.
    pub target: Cluster,
    /// The state on the target.
    pub store: Store,
    /// Our shards of it.
    pub leases: watch::Receiver<Leases>,
    /// Where running partitions are shown.
    pub registry: Registry,
    /// Where things are counted.
    pub metrics: Metrics,
}

/// One link on this daemon.
pub struct Link {
    settings: Settings,
    parts: Parts,
    topics: TopicSync,
    acls: AclSync,
    mirrormaker: Option<MirrorMakerTopics>,
    groups: Arc<GroupSync>,
    /// What hinders the link as a whole at the moment, by what was tried.
    problems: Mutex<BTreeMap<&'static str, String>>,
}

impl Link {
    /// Puts a link together; nothing is asked yet.
    #[must_use]
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let topics = TopicSync::new(
            settings.topics.clone(),
            parts.source.clone(),
            parts.target.clone(),
            parts.store.clone(),
            settings.selection.clone(),
        );
        let group_parts = GroupParts {
            source: parts.source.clone(),
            target: parts.target.clone(),
            store: parts.store.clone(),
            maps: Arc::new(LinkMaps::new(settings.name.clone(), parts.registry.clone(), parts.store.view().clone())),
            metrics: parts.metrics.clone(),
        };
        let groups = Arc::new(GroupSync::new(settings.groups.clone(), group_parts));
        let clusters = || (parts.source.clone(), parts.target.clone(), parts.store.clone());
        let (source, target, store) = clusters();
        let acls = AclSync::new(settings.acls.clone(), source, target, store);
        let mirrormaker = settings.mirrormaker.clone().map(|settings| {
            let (source, target, store) = clusters();
            MirrorMakerTopics::new(settings, source, target, store, Arc::clone(&groups) as Arc<dyn GroupPositions>)
        });
        Self { settings, parts, topics, acls, mirrormaker, groups, problems: Mutex::default() }
    }

    /// The link's name.
    #[must_use]
    pub fn name(&self) -> &LinkName {
        &self.settings.name
    }

    /// What the last round over the topics found, where this daemon made it.
    #[must_use]
    pub fn topics_report(&self) -> RoundReport {
        self.topics.reports().borrow().clone()
    }

    /// The loop over its consumer groups, which tells of them where it runs.
    #[must_use]
    pub fn groups(&self) -> &GroupSync {
        &self.groups
    }

    /// What hinders the link as a whole at the moment.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let own = self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect::<Vec<_>>();
        if !self.is_kept_here() {
            return own;
        }
        let of_acls = self.acls.problems().into_iter().map(|problem| problem.message);
        let of_mirrormaker = self.mirrormaker.iter().flat_map(MirrorMakerTopics::problems);
        own.into_iter().chain(of_acls).chain(of_mirrormaker).collect()
    }

    /// Whether its control loops are this daemon's work.
    #[must_use]
    pub fn is_kept_here(&self) -> bool {
        let shard = self.parts.store.shard_of_link(&self.settings.name);
        self.parts.leases.borrow().get(&shard).is_some_and(Lease::is_held)
    }

    /// The link as the group knows it.
    #[must_use]
    pub fn record(&self) -> Option<LinkRecord> {
        match self.parts.store.view().get(&Key::Link { link: self.settings.name.clone() })?.as_ref() {
            Value::Link(record) => Some(record.clone()),
            _ => None,
        }
    }

    fn show_problem(&self, what: &'static str, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => {
                if problems.get(what) != Some(&problem) {
                    tracing::warn!(link = %self.settings.name, "{problem}");
                }
                problems.insert(what, problem);
            }
            None => {
                problems.remove(what);
            }
        }
    }

    /// Works until `tasks` are told to stop; then lets all partitions drain.
    pub async fn run(self: Arc<Self>, tasks: TaskGroup) {
        let mut leases = self.parts.leases.clone();
        let mut changes = self.parts.store.view().changes();
        let mut control = Control::new(Arc::clone(&self));
        let mut workers = Workers::new(Arc::clone(&self));
        let mut compare_at = tokio::time::Instant::now();
        loop {
            let held = leases.borrow_and_update().clone();
            changes.mark_unchanged();
            control.keep(&held).await;
            let now = tokio::time::Instant::now();
            if now >= compare_at || !workers.is_as_left() {
                compare_at = now + COMPARE_INTERVAL;
                workers.keep(&held, &tasks).await;
            }
            let changed = tokio::select! {
                biased;
                () = tasks.stopped() => break,
                changed = leases.changed() => changed,
                changed = changes.changed() => changed,
                () = tokio::time::sleep(LOOK_INTERVAL) => continue,
            };
            if changed.is_err() {
                break;
            }
            compare_at = tokio::time::Instant::now();
        }
        control.close().await;
        workers.close().await;
    }
}
