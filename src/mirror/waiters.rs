//! Those who wait until a partition has come to a source offset.
//!
//! Owns: who is told when.
//! Promises: moving on costs nothing while nobody is due, however many wait.
//! Does not know: why anybody waits.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::live::Live;
use super::position::Position;
use crate::types::SourceOffset;

/// By what they wait for, and a number of their own.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: BTreeMap<(SourceOffset, u64), oneshot::Sender<()>>,
    next: u64,
}

impl Waiters {
    /// All before this offset is acknowledged.
    pub(super) fn reach(&mut self, position: SourceOffset) {
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 < position) {
            // Nobody waits any more where this fails.
            let _ = first.remove().send(());
        }
    }
}

/// A place among the waiting, given up when dropped.
struct Place<'a> {
    live: &'a Live,
    key: (SourceOffset, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.live.lock().waiters.waiting.remove(&self.key);
    }
}

impl Live {
    /// The next source offset to copy, once known.
    #[must_use]
    pub fn source_position(&self) -> Option<SourceOffset> {
        self.lock().position.as_ref().map(Position::source)
    }

    /// Waits until the record at this source offset, or whatever the source has there, is acknowledged by the target.
    /// May also return earlier: whoever is woken looks again.
    pub async fn reach(&self, offset: SourceOffset) {
        let (place, told) = {
            let mut inner = self.lock();
            if inner.position.as_ref().is_some_and(|position| position.source() > offset) {
                return;
            }
            let (sender, told) = oneshot::channel();
            let key = (offset, inner.waiters.next);
            inner.waiters.next = inner.waiters.next.wrapping_add(1);
            inner.waiters.waiting.insert(key, sender);
            (Place { live: self, key }, told)
        };
        // The other end is dropped together with the partition: then the caller looks who has it now.
        let _ = told.await;
        drop(place);
    }
}

#[cfg(test)]
mod tests;
