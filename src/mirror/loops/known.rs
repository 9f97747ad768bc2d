//! Producer ids and what they were found to be.
//!
//! Owns: the ids of links (all of them), the ids of others (the most recently asked for).
//! Promises: an id of a link is never forgotten. Does not know: where they come from.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Other ids are remembered in two generations of this size; a forgotten one is only looked for again.
const GENERATION_MAX: usize = 50_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    of_links: HashSet<i64>,
    young: HashSet<i64>,
    old: HashSet<i64>,
}

impl Known {
    /// Notes the id of a link from our target.
    pub(super) fn note_link(&self, producer_id: i64) {
        let mut inner = self.lock();
        inner.of_links.insert(producer_id);
        inner.young.remove(&producer_id);
        inner.old.remove(&producer_id);
    }

    pub(super) fn get(&self, producer_id: i64) -> Option<bool> {
        let mut inner = self.lock();
        if inner.of_links.contains(&producer_id) {
            Some(true)
        } else if inner.young.contains(&producer_id) {
            Some(false)
        } else if inner.old.remove(&producer_id) {
            inner.remember(producer_id);
            Some(false)
        } else {
            None
        }
    }

    /// Everything was read since the id was asked about: what is not a link's now never will be.
    pub(super) fn settle(&self, producer_id: i64) -> bool {
        let mut inner = self.lock();
        let is_link = inner.of_links.contains(&producer_id);
        if !is_link {
            inner.remember(producer_id);
        }
        is_link
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A task that panicked left whole sets behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, producer_id: i64) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(producer_id);
    }
}
