//! What the loop knows of groups from round to round. All of it may be lost: the clusters and the state have it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::decide::{Standing, Terms, Topics, judge};
use super::rehearsal::Rehearsal;
use super::report::GroupsSummary;
use super::tag::Tag;
use super::{Maps, Side};
use crate::cluster::{GroupCommit, GroupOffsets};
use crate::store::GroupRecord;
use crate::tasks::Backoff;
use crate::types::{BrokerId, GroupKind, GroupName, TopicPartition};

/// Every group is looked at on the target this often, also when nothing is to be written: for what others do there.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Groups that are looked at in one round for that reason alone.
const LOOKS_PER_ROUND_MIN: usize = 500;
/// A group that no broker names is forgotten after so long: while its coordinator moves, none does.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether the loop runs here.
    pub(super) is_running: bool,
    /// By their name at the source.
    pub(super) groups: BTreeMap<GroupName, Known>,
    /// Target groups with members, by their coordinator.
    pub(super) active: BTreeMap<BrokerId, BTreeSet<GroupName>>,
    /// Coordinators of target groups.
    pub(super) coordinators: HashMap<GroupName, BrokerId>,
    /// What is decided about names at the source: the name on the target.
    pub(super) decisions: HashMap<GroupName, Option<GroupName>>,
    pub(super) brokers: BTreeMap<Side, BTreeSet<BrokerId>>,
    /// When each source broker last told of all its groups.
    pub(super) told_at: BTreeMap<BrokerId, Instant>,
    /// What hinders at the moment, by what was tried.
    pub(super) problems: BTreeMap<String, String>,
    /// The beginning of the last round in which everything was read and written.
    pub(super) complete_at: Option<Instant>,
    /// The target's `offsets.retention.minutes`, once told.
    pub(super) retention: Option<Duration>,
    /// The group up to which records were stored last.
    pub(super) stored_up_to: Option<GroupName>,
    pub(super) summary: GroupsSummary,
    /// What the last rehearsal found.
    pub(super) rehearsal: Option<Rehearsal>,
    /// What it found that should not be.
    pub(super) mismatch: Option<String>,
    /// The group up to which positions were compared last.
    pub(super) rehearsed_up_to: Option<GroupName>,
}

/// How long the standings of a group hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    /// Until the next round.
    Open,
    /// Until something is heard of either side.
    Settled,
}

/// One group of the source.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) target: GroupName,
    pub(super) kind: GroupKind,
    /// Another group of the source that has the same name on the target, and comes first.
    pub(super) collides_with: Option<GroupName>,
    /// Its positions in mirrored topics.
    pub(super) source: GroupOffsets,
    /// Whether the source told them since we began.
    pub(super) is_fresh: bool,
    /// When a broker last named it.
    pub(super) seen_at: Instant,
    /// When its positions were last read.
    pub(super) read_at: Option<Instant>,
    /// When it was read before it changed, while the change is not on the target.
    pub(super) changed_after: Option<Instant>,
    /// Its positions on the target.
    pub(super) on_target: Option<GroupOffsets>,
    pub(super) looked_at: Option<Instant>,
    /// When all its positions were last written.
    pub(super) refreshed_at: Option<Instant>,
    /// Whether it has members on the target.
    pub(super) is_active: bool,
    /// Why the target does not take it.
    pub(super) trouble: Option<String>,
    /// Whether consumers' own metadata is too long for the target.
    pub(super) is_bare: bool,
    backoff: Backoff,
    pub(super) not_before: Option<Instant>,
    pub(super) standings: BTreeMap<TopicPartition, Standing>,
    /// Most groups have not moved since the last round; to judge all of them again costs more than to read them.
    pub(super) validity: Validity,
    /// What the state has of it.
    pub(super) stored: Option<GroupRecord>,
}

impl Known {
    pub(super) fn new(target: GroupName, kind: GroupKind, now: Instant) -> Self {
        Self {
            target,
            kind,
            collides_with: None,
            source: GroupOffsets::new(),
            is_fresh: false,
            seen_at: now,
            read_at: None,
            changed_after: None,
            on_target: None,
            looked_at: None,
            refreshed_at: None,
            is_active: false,
            trouble: None,
            is_bare: false,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            not_before: None,
            standings: BTreeMap::new(),
            validity: Validity::Open,
            stored: None,
        }
    }

    /// Whether it is written to the target at all.
    pub(super) fn is_synced_kind(&self) -> bool {
        self.kind.has_plain_offsets() && self.collides_with.is_none()
    }

    /// The source told its positions, as they were at or after `started`.
    pub(super) fn absorb(&mut self, offsets: GroupOffsets, started: Instant) {
        if self.source != offsets {
            self.changed_after = self.changed_after.or(self.read_at).or(Some(started));
            self.source = offsets;
            self.validity = Validity::Open;
        }
        if !self.is_fresh {
            // Only what is fresh may move back.
            self.validity = Validity::Open;
        }
        self.is_fresh = true;
        self.read_at = Some(started);
        self.seen_at = started;
    }

    /// Judges it against what is known of the target, and answers with what is to be written.
    pub(super) fn judge(&mut self, common: &Common<'_>, now: Instant) -> Vec<GroupCommit> {
        let terms = Terms {
            topics: common.topics,
            ours: common.ours,
            opposite: common.opposite,
            is_fresh: self.is_fresh,
            is_refresh_due: self.is_refresh_due(common, now),
            is_bare: self.is_bare,
        };
        let judgement = judge(&self.source, self.on_target.as_ref(), common.maps, terms);
        self.standings = judgement.standings;
        self.validity = if judgement.is_settled { Validity::Settled } else { Validity::Open };
        judgement.commits
    }

    fn is_refresh_due(&self, common: &Common<'_>, now: Instant) -> bool {
        self.refreshed_at.is_none_or(|at| now.duration_since(at) >= common.refresh_after)
    }

    pub(super) fn failed(&mut self, trouble: String, now: Instant) {
        self.trouble = Some(trouble);
        self.not_before = Some(now + self.backoff.next_pause());
    }

    pub(super) fn worked(&mut self) {
        self.trouble = None;
        self.not_before = None;
        self.backoff.reset();
    }
}

/// What holds for all groups of a round.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub(super) topics: &'a Topics,
    pub(super) maps: &'a dyn Maps,
    pub(super) ours: &'a Tag,
    pub(super) opposite: &'a Tag,
    /// Positions are written again after so long.
    pub(super) refresh_after: Duration,
}

impl Memory {
    /// Judges all groups, and names those to be looked at on the target: those with something to write first, then
    /// those that were not looked at for long.
    pub(super) fn due(&mut self, common: &Common<'_>, now: Instant) -> Vec<GroupName> {
        let mut to_write = Vec::new();
        let mut to_look = Vec::new();
        let active: BTreeSet<&GroupName> = self.active.values().flatten().collect();
        for (name, known) in &mut self.groups {
            if !known.is_synced_kind() {
                continue;
            }
            known.is_active = active.contains(&known.target);
            let is_judged = known.validity == Validity::Settled && !known.is_refresh_due(common, now);
            let has_work = !is_judged && !known.judge(common, now).is_empty() && !known.is_active;
            if known.not_before.is_some_and(|not_before| now < not_before) {
                continue;
            }
            match known.looked_at {
                _ if has_work => to_write.push(name.clone()),
                None => to_look.push((None, name.clone())),
                Some(at) if now.duration_since(at) >= LOOK_INTERVAL => to_look.push((Some(at), name.clone())),
                Some(_) => {}
            }
        }
        to_look.sort();
        let looks = LOOKS_PER_ROUND_MIN.max(self.groups.len() / 8);
        to_write.extend(to_look.into_iter().take(looks).map(|(_, name)| name));
        to_write
    }

    /// Other topics are mirrored, or other lives of them: nothing that was judged holds.
    pub(super) fn unsettle(&mut self) {
        self.groups.values_mut().for_each(|known| known.validity = Validity::Open);
    }

    /// Drops groups that no broker has named for long, although all brokers have told of theirs.
    pub(super) fn forget_gone(&mut self, now: Instant) -> Vec<GroupName> {
        let brokers = self.brokers.get(&Side::Source).cloned().unwrap_or_default();
        let is_recent =
            |broker: &BrokerId| self.told_at.get(broker).is_some_and(|at| now.duration_since(*at) < FORGET_AFTER / 2);
        if brokers.is_empty() || !brokers.iter().all(is_recent) {
            return Vec::new();
        }
        let is_gone = |known: &Known| now.duration_since(known.seen_at) >= FORGET_AFTER;
        let gone: Vec<GroupName> =
            self.groups.iter().filter(|(_, known)| is_gone(known)).map(|(name, _)| name.clone()).collect();
        for name in &gone {
            self.groups.remove(name);
        }
        gone
    }

    /// Two groups with one name on the target would overwrite each other: the first by name has it.
    pub(super) fn find_collisions(&mut self) {
        let mut holders: BTreeMap<GroupName, GroupName> = BTreeMap::new();
        for (name, known) in &mut self.groups {
            let holder = holders.entry(known.target.clone()).or_insert_with(|| name.clone());
            known.collides_with = (holder != name).then(|| holder.clone());
        }
    }

    pub(super) fn show_problem(&mut self, what: &str, problem: Option<String>) {
        match problem {
            Some(problem) => {
                if self.problems.get(what) != Some(&problem) {
                    tracing::warn!("groups: {problem}");
                }
                self.problems.insert(what.to_owned(), problem);
            }
            None => {
                self.problems.remove(what);
            }
        }
    }
}
