//! The rounds of the loop: which errands run when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::decide::{Topics, topics};
use super::lanes::{Errand, Lanes};
use super::memory::Memory;
use super::tag::Tag;
use super::write::Round;
use super::{GroupSync, Side};
use crate::store::{Key, Lease, Value};
use crate::telemetry::names;
use crate::types::{BrokerId, GroupName, GroupPositionState};

/// How long a round waits for the slow ones; what comes later is the next round's.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often it is asked which brokers there are.
const BROKERS_INTERVAL: Duration = Duration::from_secs(10);
/// How often changed records are stored.
const STORE_INTERVAL: Duration = Duration::from_secs(2);
/// What the target's positions are taken to live for while it does not tell.
const RETENTION_DEFAULT: Duration = Duration::from_hours(24);
/// How often it is asked how long they live.
const RETENTION_INTERVAL: Duration = Duration::from_mins(5);

/// How often positions are rehearsed.
const REHEARSAL_INTERVAL: Duration = Duration::from_mins(1);

/// When things that are not done every round were begun last.
#[derive(Debug, Default)]
struct Begun {
    brokers: Option<Instant>,
    store: Option<Instant>,
    retention: Option<Instant>,
    rehearsal: Option<Instant>,
}

/// Whether it is time to begin again; if so, it counts as begun.
fn is_due(begun: &mut Option<Instant>, interval: Duration, now: Instant) -> bool {
    let is_due = begun.is_none_or(|at| now.duration_since(at) >= interval);
    if is_due {
        *begun = Some(now);
    }
    is_due
}

/// Nothing is told from memory any more when the loop has ended, however it did.
struct Running<'a>(&'a GroupSync);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.memory() = Memory::default();
    }
}

impl GroupSync {
    /// Makes rounds until the lease is lost. Can be dropped at any await: what was left undone, the next one does.
    pub async fn run(&self, lease: &Lease) {
        if !self.is_on() {
            return;
        }
        let mut lanes = Lanes::new();
        let _running = Running(self);
        self.recall();
        let mut begun = Begun::default();
        let mut changes = self.parts.store.view().changes();
        let mut topics = self.topics();
        loop {
            let start = Instant::now();
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                let now = self.topics();
                if now != topics {
                    topics = now;
                    self.memory().unsettle();
                }
            }
            tokio::select! {
                () = lease.lost() => return,
                () = self.round(lease, &mut lanes, &mut begun, &topics) => {}
            }
            tokio::select! {
                () = lease.lost() => return,
                () = lanes.work_until(start + self.settings.interval) => {}
            }
        }
    }

    fn topics(&self) -> Arc<Topics> {
        Arc::new(topics(self.parts.store.view().topics(&self.settings.link)))
    }

    async fn round<'a>(&'a self, lease: &'a Lease, lanes: &mut Lanes<'a>, begun: &mut Begun, topics: &Arc<Topics>) {
        let start = Instant::now();
        self.ask_for_brokers(lanes, begun, start);
        lanes.settle(|errand| matches!(errand, Errand::Brokers(_)), start + PATIENCE).await;
        self.read_everything(lanes, topics);
        lanes.settle(|errand| matches!(errand, Errand::Read(_)), start + PATIENCE).await;

        let Some(round) = self.terms(lease, topics) else { return };
        let due = self.due(&round);
        let strangers = self.strangers(&due);
        if !strangers.is_empty() {
            lanes.start(Errand::Locate, self.locate(strangers));
            lanes.settle(|errand| errand == Errand::Locate, start + PATIENCE * 2).await;
        }
        let all_written = self.write_everything(lanes, due, &round);
        lanes.settle(|errand| matches!(errand, Errand::Write(_)), start + PATIENCE * 2).await;

        let is_write = |errand| matches!(errand, Errand::Write(_) | Errand::Locate);
        self.conclude_round(start, all_written && !lanes.is_any_busy(is_write));
        let is_complete = self.memory().complete_at.is_some();
        if is_complete && is_due(&mut begun.rehearsal, REHEARSAL_INTERVAL, start) {
            let topics = Arc::clone(topics);
            lanes.start(Errand::Rehearse, async move { self.rehearse(&topics).await });
        }
        if is_due(&mut begun.store, STORE_INTERVAL, start) {
            let gone = self.memory().forget_gone(start);
            lanes.start(Errand::Store, self.store(lease, gone));
        }
    }

    fn ask_for_brokers<'a>(&'a self, lanes: &mut Lanes<'a>, begun: &mut Begun, now: Instant) {
        let has_problem = !self.memory().problems.is_empty();
        let interval = if has_problem { self.settings.interval } else { BROKERS_INTERVAL };
        if is_due(&mut begun.brokers, interval, now) {
            for side in [Side::Source, Side::Target] {
                lanes.start(Errand::Brokers(side), self.find_brokers(side));
            }
        }
        if is_due(&mut begun.retention, RETENTION_INTERVAL, now) {
            lanes.start(Errand::Retention, async {
                let told = self.parts.target.offsets_retention().await;
                let mut memory = self.memory();
                memory.retention = told.or(memory.retention);
            });
        }
    }

    async fn find_brokers(&self, side: Side) {
        let told = self.cluster(side).metadata(Some(&[])).await;
        let mut memory = self.memory();
        let problem = match told {
            Ok(metadata) if metadata.brokers.is_empty() => None,
            Ok(metadata) => {
                let brokers: BTreeSet<BrokerId> = metadata.brokers.keys().copied().collect();
                memory.told_at.retain(|broker, _| side == Side::Target || brokers.contains(broker));
                memory.active.retain(|broker, _| side == Side::Source || brokers.contains(broker));
                memory.problems.retain(|what, _| {
                    let verb = if side == Side::Source { "read " } else { "write " };
                    let last = what.strip_prefix(verb).and_then(|rest| rest.rsplit(' ').next());
                    let of = last.and_then(|broker| broker.parse().ok()).map(BrokerId);
                    of.is_none_or(|broker| brokers.contains(&broker))
                });
                self.desks().retain(|(of, id), _| *of != side || brokers.contains(id));
                memory.brokers.insert(side, brokers);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        memory.show_problem(if side == Side::Source { "source" } else { "target" }, problem);
    }

    fn read_everything<'a>(&'a self, lanes: &mut Lanes<'a>, topics: &Arc<Topics>) {
        let brokers = self.memory().brokers.get(&Side::Source).cloned().unwrap_or_default();
        for broker in brokers {
            let topics = Arc::clone(topics);
            lanes.start(Errand::Read(broker), async move { self.read(broker, &topics).await });
        }
    }

    /// What holds in this round; `None` before the link has its record.
    fn terms(&self, lease: &Lease, topics: &Arc<Topics>) -> Option<Round> {
        let key = Key::Link { link: self.settings.link.clone() };
        let value = self.parts.store.view().get(&key)?;
        let Value::Link(record) = value.as_ref() else { return None };
        let retention = self.memory().retention.unwrap_or(RETENTION_DEFAULT);
        Some(Round {
            topics: Arc::clone(topics),
            ours: Tag::of(&record.source_cluster_id),
            opposite: Tag::of(&record.target_cluster_id),
            refresh_after: retention / 4,
            lease: lease.clone(),
        })
    }

    fn due(&self, round: &Round) -> Vec<GroupName> {
        let mut memory = self.memory();
        memory.find_collisions();
        memory.due(&self.common(round), Instant::now())
    }

    /// Target groups whose coordinator is not known.
    fn strangers(&self, due: &[GroupName]) -> Vec<GroupName> {
        let memory = self.memory();
        let targets = due.iter().filter_map(|group| memory.groups.get(group)).map(|known| &known.target);
        targets.filter(|target| !memory.coordinators.contains_key(*target)).cloned().collect()
    }

    async fn locate(&self, groups: Vec<GroupName>) {
        let told = self.parts.target.group_coordinators(&groups).await;
        let mut memory = self.memory();
        let mut problem = None;
        match told {
            Ok(told) => {
                for (group, coordinator) in told {
                    match coordinator {
                        Ok(broker) => drop(memory.coordinators.insert(group, broker)),
                        Err(error) => problem = Some(error.to_string()),
                    }
                }
            }
            Err(error) => problem = Some(error.to_string()),
        }
        memory.show_problem("locate", problem);
    }

    /// Sends one errand to each target broker, also where nothing is due: for who is active there. Answers whether
    /// all that is due is on its way.
    fn write_everything<'a>(&'a self, lanes: &mut Lanes<'a>, due: Vec<GroupName>, round: &Round) -> bool {
        let mut by_broker: BTreeMap<BrokerId, Vec<GroupName>> = BTreeMap::new();
        let mut is_all = true;
        {
            let memory = self.memory();
            for broker in memory.brokers.get(&Side::Target).into_iter().flatten() {
                by_broker.insert(*broker, Vec::new());
            }
            for group in due {
                let target = memory.groups.get(&group).map(|known| &known.target);
                match target.and_then(|target| memory.coordinators.get(target)) {
                    Some(broker) => by_broker.entry(*broker).or_default().push(group),
                    None => is_all = false,
                }
            }
        }
        for (broker, groups) in by_broker {
            is_all &= !lanes.is_busy(Errand::Write(broker));
            let round = round.clone();
            lanes.start(Errand::Write(broker), self.write(broker, groups, round));
        }
        is_all
    }

    /// Takes stock, and shows it.
    fn conclude_round(&self, start: Instant, is_all_written: bool) {
        let now = Instant::now();
        let mut memory = self.memory();
        let brokers = memory.brokers.get(&Side::Source).cloned().unwrap_or_default();
        let is_all_read = !brokers.is_empty()
            && brokers.iter().all(|broker| memory.told_at.get(broker).is_some_and(|at| *at >= start));
        if is_all_read && is_all_written && memory.problems.is_empty() {
            memory.complete_at = Some(start);
        }
        memory.summarise(now);
        let link = self.settings.link.as_str();
        let metrics = &self.parts.metrics;
        if let Some(at) = memory.complete_at {
            let age = now.duration_since(at).as_secs_f64();
            metrics.set(names::GROUP_SYNC_AGE_SECONDS, &[("link", link)], age);
        }
        if let Some(rehearsal) = &memory.rehearsal {
            let age = now.duration_since(rehearsal.at).as_secs_f64();
            metrics.set(names::REHEARSAL_AGE_SECONDS, &[("link", link)], age);
            let outcomes = [
                ("matching", rehearsal.matching),
                ("at_end", rehearsal.at_end),
                ("not_compared", rehearsal.not_compared),
                ("mismatching", rehearsal.mismatching),
            ];
            for (outcome, positions) in outcomes {
                metrics.set(names::REHEARSED_POSITIONS, &[("link", link), ("outcome", outcome)], count(positions));
            }
        }
        metrics.set(names::GROUPS, &[("link", link)], count(memory.summary.groups));
        for state in GroupPositionState::ALL {
            let positions = memory.summary.positions.get(&state).copied().unwrap_or_default();
            metrics.set(names::GROUP_POSITIONS, &[("link", link), ("state", state.name())], count(positions));
        }
    }
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}
