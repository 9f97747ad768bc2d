//! The entries of a link for topics.

use super::error::{EntryFault, EntryField, FaultReason, SelectionError, UnusableReason, UnusableTarget};
use super::plan::Plan;
use super::rules::{Naming, Rule, Rules, Verdict, Which};
use super::{is_internal, is_own, is_written_by_brokers_only};
use crate::types::TopicName;

/// What to do where a target topic exists already and causeway didn't make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingTarget {
    /// Leave it alone and say so.
    #[default]
    Refuse,
    /// Append to it, with translated offsets.
    Translate,
}

/// One entry: the first that matches a topic decides on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it selects and how it names it.
    pub rule: Rule,
    /// Topics with a higher one go first where the link's rate is limited. Default 0.
    pub priority: i32,
    /// The replication factor of mirror topics, from 1; the target's default when there is none.
    pub replication_factor: Option<i16>,
    /// What to do with a target topic that exists already.
    pub existing_target: ExistingTarget,
    /// Whether applications on the target write to the mirror topics as well. Default no.
    pub has_local_writers: bool,
}

impl Entry {
    /// An entry for all names that a regular expression matches as a whole, with defaults.
    #[must_use]
    pub fn matching(pattern: &str) -> Self {
        Self::new(Which::Match(pattern.to_owned()))
    }

    /// An entry for one exact name, with defaults.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::new(Which::Name(name.to_owned()))
    }

    /// The same entry with a template for the name on the target.
    #[must_use]
    pub fn renamed(mut self, template: &str) -> Self {
        self.rule.naming = Naming::Rename(template.to_owned());
        self
    }

    fn new(which: Which) -> Self {
        Self {
            rule: Rule { which, exclude: Vec::new(), naming: Naming::Same },
            priority: 0,
            replication_factor: None,
            existing_target: ExistingTarget::default(),
            has_local_writers: false,
        }
    }
}

/// Which topics a link mirrors. The default selects nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    entries: Vec<Entry>,
    rules: Rules,
}

/// A topic that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'s> {
    /// Its name on the target.
    pub target: TopicName,
    /// Which entry decided, counted from 0.
    pub entry: usize,
    /// That entry, with priority, replication factor and the rest.
    pub settings: &'s Entry,
}

/// Why a topic is not mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotMirrored {
    /// No entry matches.
    NoEntry,
    /// This entry matches and excludes it.
    Excluded {
        /// The entry, counted from 0.
        entry: usize,
    },
    /// It is internal, and no entry names it.
    Internal,
    /// It is causeway's own.
    Own,
}

/// What is decided about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'s> {
    /// It is mirrored.
    Mirrored(Selected<'s>),
    /// It is not.
    NotMirrored(NotMirrored),
    /// It would be, but its name on the target can't be used.
    Unusable(UnusableTarget),
}

impl Selection {
    /// Compiles entries and checks what can be checked without a cluster.
    ///
    /// # Errors
    /// Every fault of every entry: bad regular expressions, templates, names; names that can't exist on the target;
    /// two exact names that would become one.
    pub fn new(entries: Vec<Entry>) -> Result<Self, SelectionError> {
        let mut faults: Vec<EntryFault> = entries.iter().enumerate().flat_map(check_alone).collect();
        match Rules::new(entries.iter().map(|entry| &entry.rule)) {
            Ok(rules) if faults.is_empty() => {
                let selection = Self { entries, rules };
                let faults = selection.check_named();
                if faults.is_empty() { Ok(selection) } else { Err(SelectionError { faults }) }
            }
            Ok(_) => Err(SelectionError { faults }),
            Err(error) => {
                faults.extend(error.faults);
                faults.sort_by_key(|fault| fault.entry);
                Err(SelectionError { faults })
            }
        }
    }

    /// Decides on a topic of the source.
    #[must_use]
    pub fn decide(&self, topic: &TopicName) -> Decision<'_> {
        if is_own(topic) {
            return Decision::NotMirrored(NotMirrored::Own);
        }
        match self.rules.decide(topic.as_str(), is_internal(topic)) {
            Verdict::NoEntry if is_internal(topic) => Decision::NotMirrored(NotMirrored::Internal),
            Verdict::NoEntry => Decision::NotMirrored(NotMirrored::NoEntry),
            Verdict::Excluded { entry } => Decision::NotMirrored(NotMirrored::Excluded { entry }),
            Verdict::Target { entry, target } => match (usable(&target), self.entries.get(entry)) {
                (Ok(target), Some(settings)) => Decision::Mirrored(Selected { target, entry, settings }),
                (Ok(_), None) => Decision::NotMirrored(NotMirrored::NoEntry),
                (Err(reason), _) => Decision::Unusable(UnusableTarget { source_topic: topic.clone(), entry, reason }),
            },
        }
    }

    /// The topic's name and settings on the target, or nothing where it is not mirrored.
    ///
    /// # Errors
    /// An entry selects the topic, but makes a name that can't be used.
    pub fn select(&self, topic: &TopicName) -> Result<Option<Selected<'_>>, UnusableTarget> {
        match self.decide(topic) {
            Decision::Mirrored(selected) => Ok(Some(selected)),
            Decision::NotMirrored(_) => Ok(None),
            Decision::Unusable(unusable) => Err(unusable),
        }
    }

    /// Decides on all topics of a source at once, and finds those that would get the same name.
    pub fn plan(&self, topics: impl IntoIterator<Item = TopicName>) -> Plan<'_> {
        Plan::new(self, topics)
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The topics that entries name exactly and that those entries decide: entry, name on the source, name on the
    /// target. Known without any cluster.
    pub fn named(&self) -> impl Iterator<Item = (usize, TopicName, TopicName)> + '_ {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let Which::Name(name) = &entry.rule.which else { return None };
            let topic = TopicName::new(name).ok()?;
            match self.decide(&topic) {
                Decision::Mirrored(selected) if selected.entry == index => Some((index, topic, selected.target)),
                Decision::Mirrored(_) | Decision::NotMirrored(_) | Decision::Unusable(_) => None,
            }
        })
    }

    /// Entries that name a topic on which an earlier entry decides: entry, the earlier one. They have no effect.
    pub fn without_effect(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let Which::Name(name) = &entry.rule.which else { return None };
            let topic = TopicName::new(name).ok()?;
            let deciding = match self.decide(&topic) {
                Decision::Mirrored(selected) => selected.entry,
                Decision::NotMirrored(NotMirrored::Excluded { entry }) => entry,
                Decision::Unusable(unusable) => unusable.entry,
                Decision::NotMirrored(NotMirrored::NoEntry | NotMirrored::Internal | NotMirrored::Own) => return None,
            };
            (deciding < index).then_some((index, deciding))
        })
    }

    /// What the exact names tell before any cluster is asked.
    fn check_named(&self) -> Vec<EntryFault> {
        let mut faults = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let Which::Name(name) = &entry.rule.which else { continue };
            let Ok(topic) = TopicName::new(name) else { continue };
            if let Decision::Unusable(unusable) = self.decide(&topic)
                && unusable.entry == index
            {
                let field = match entry.rule.naming {
                    Naming::Same => EntryField::Name,
                    Naming::Rename(_) => EntryField::Rename,
                    Naming::Prefix(_) => EntryField::Prefix,
                };
                faults.push(EntryFault { entry: index, field, reason: FaultReason::Target(unusable.reason) });
            }
        }
        let named: Vec<_> = self.named().collect();
        for (position, (entry, topic, target)) in named.iter().enumerate() {
            let earlier = named.iter().take(position).find(|(_, _, other_target)| other_target == target);
            if let Some((other_entry, other, _)) = earlier {
                let reason = FaultReason::SameTarget {
                    this: topic.to_string(),
                    other: other.to_string(),
                    entry: *other_entry,
                    target: target.to_string(),
                };
                faults.push(EntryFault { entry: *entry, field: EntryField::Name, reason });
            }
        }
        faults
    }
}

/// What is wrong with an entry whatever the others say.
fn check_alone((index, entry): (usize, &Entry)) -> Vec<EntryFault> {
    let fault = |field, reason| EntryFault { entry: index, field, reason };
    let mut faults = Vec::new();
    if let Which::Name(name) = &entry.rule.which {
        match TopicName::new(name) {
            Ok(topic) if is_own(&topic) => faults.push(fault(EntryField::Name, FaultReason::Own(name.clone()))),
            Ok(_) => {}
            Err(error) => faults.push(fault(EntryField::Name, FaultReason::Name(error.to_string()))),
        }
    }
    if let Some(factor) = entry.replication_factor.filter(|factor| *factor < 1) {
        faults.push(fault(EntryField::ReplicationFactor, FaultReason::ReplicationFactor(factor)));
    }
    faults
}

/// Checks a name for a mirror topic.
fn usable(target: &str) -> Result<TopicName, UnusableReason> {
    let target = TopicName::new(target)?;
    if is_own(&target) {
        Err(UnusableReason::Own(target))
    } else if is_written_by_brokers_only(&target) {
        Err(UnusableReason::BrokersOnly(target))
    } else {
        Ok(target)
    }
}
