//! What this daemon stored last of a partition.
//!
//! Owns: [`Marks`], by which it is recognised in the view.
//! Promises: whoever begins with what the view shows begins with no less than was stored, although the view is always
//! a little behind.
//! Does not know: how state is stored, what it means.
//!
//! A former owner elsewhere needs none of this: a lease comes with everything read that was stored under the one
//! before. It is for a partition that is stopped and started again under the same lease. An older plan would not
//! explain what was sent last.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hasher};

use crate::store::{PlanRecord, PositionRecord, Value, Write};

/// Failed writes in a row that are remembered. Each took its time, so the older ones can't show up any more.
const ATTEMPTS_MAX: usize = 64;

/// A position and the plan that goes with it. Equal records have equal marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mark {
    position: Option<u64>,
    plan: Option<u64>,
}

/// The last write that is known to be there, and those after it that may be.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    committed: Option<Mark>,
    attempted: VecDeque<Mark>,
}

impl Marks {
    /// These are about to be written.
    pub(super) fn begin(&mut self, writes: &[Write]) {
        let mut mark = self.attempted.back().copied().or(self.committed).unwrap_or_default();
        for write in writes {
            match write {
                Write::Put(_, Value::Position(record)) => mark.position = Some(mark_of(record)),
                Write::Put(_, Value::Plan(record)) => mark.plan = Some(mark_of(record)),
                Write::Put(..) | Write::Remove(_) => {}
            }
        }
        if self.attempted.len() >= ATTEMPTS_MAX {
            self.attempted.pop_front();
        }
        self.attempted.push_back(mark);
    }

    /// What was about to be written is there.
    pub(super) fn commit(&mut self) {
        if let Some(mark) = self.attempted.pop_back() {
            self.committed = Some(mark);
            self.attempted.clear();
        }
    }

    /// Whether the view has come as far as the last write that is known to be there. A later one that may be on its
    /// way is no harm: nothing was sent that it would have to explain.
    pub(super) fn is_shown(&self, position: Option<&PositionRecord>, plan: Option<&PlanRecord>) -> bool {
        let Some(committed) = self.committed else { return true };
        let (position, plan) = (position.map(mark_of), plan.map(mark_of));
        let is_it = |mark: &Mark| mark.position == position && (mark.plan.is_none() || mark.plan == plan);
        is_it(&committed) || self.attempted.iter().any(is_it)
    }
}

fn mark_of(record: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(format!("{record:?}").as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
