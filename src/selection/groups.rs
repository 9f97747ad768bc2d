//! The entries of a link for consumer groups.

use super::error::SelectionError;
use super::rules::{Rule, Rules, Verdict};
use crate::types::GroupName;

/// Which consumer groups are synchronised. The default selects nothing.
#[derive(Debug, Clone, Default)]
pub struct GroupSelection {
    entries: Vec<Rule>,
    rules: Rules,
}

/// A group that is synchronised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedGroup {
    /// Its name on the target.
    pub target: GroupName,
    /// Which entry decided, counted from 0.
    pub entry: usize,
}

/// What is decided about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupDecision {
    /// Its offsets are synchronised.
    Synchronised(SelectedGroup),
    /// No entry matches.
    NoEntry,
    /// This entry matches and excludes it.
    Excluded {
        /// The entry, counted from 0.
        entry: usize,
    },
}

impl GroupSelection {
    /// Compiles entries.
    ///
    /// # Errors
    /// Every fault of every entry: bad regular expressions and templates.
    pub fn new(entries: Vec<Rule>) -> Result<Self, SelectionError> {
        let rules = Rules::new(entries.iter())?;
        Ok(Self { entries, rules })
    }

    /// Decides on a group of the source.
    #[must_use]
    pub fn decide(&self, group: &GroupName) -> GroupDecision {
        match self.rules.decide(group.as_str(), false) {
            Verdict::NoEntry => GroupDecision::NoEntry,
            Verdict::Excluded { entry } => GroupDecision::Excluded { entry },
            // Kafka has no rule for the names of groups, so this never fails.
            Verdict::Target { entry, target } => match GroupName::new(&target) {
                Ok(target) => GroupDecision::Synchronised(SelectedGroup { target, entry }),
                Err(_) => GroupDecision::NoEntry,
            },
        }
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Rule] {
        &self.entries
    }
}
