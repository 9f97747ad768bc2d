//! Errands that run side by side, so that nobody waits for the slowest.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::Side;
use crate::types::BrokerId;

/// Something that is done by one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// Asking which brokers there are.
    Brokers(Side),
    /// Reading the groups of a source broker.
    Read(BrokerId),
    /// Asking who coordinates groups on the target.
    Locate,
    /// Looking at groups of a target broker, and writing to them.
    Write(BrokerId),
    /// Storing records.
    Store,
    /// Asking how long the target keeps positions.
    Retention,
    /// Comparing records of both sides.
    Rehearse,
}

/// Errands under way.
pub(super) struct Lanes<'a> {
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Errand> + Send + 'a>>>,
    busy: BTreeSet<Errand>,
}

impl<'a> Lanes<'a> {
    pub(super) fn new() -> Self {
        Self { running: FuturesUnordered::new(), busy: BTreeSet::new() }
    }

    pub(super) fn is_busy(&self, errand: Errand) -> bool {
        self.busy.contains(&errand)
    }

    /// Whether anything of this kind is under way.
    pub(super) fn is_any_busy(&self, kind: impl Fn(Errand) -> bool) -> bool {
        self.busy.iter().any(|errand| kind(*errand))
    }

    /// Starts an errand, unless it is under way.
    pub(super) fn start(&mut self, errand: Errand, work: impl Future<Output = ()> + Send + 'a) {
        if self.busy.insert(errand) {
            self.running.push(Box::pin(async move {
                work.await;
                errand
            }));
        }
    }

    /// Works on all errands until those of this kind are done, or until then.
    pub(super) async fn settle(&mut self, kind: impl Fn(Errand) -> bool, until: Instant) {
        while self.is_any_busy(&kind) {
            if !self.go_on(until).await {
                return;
            }
        }
    }

    /// Works on all errands until then.
    pub(super) async fn work_until(&mut self, until: Instant) {
        while self.go_on(until).await {}
    }

    /// Works until one errand is done; whether it was before the time.
    async fn go_on(&mut self, until: Instant) -> bool {
        if self.running.is_empty() {
            tokio::time::sleep_until(until).await;
            return false;
        }
        match tokio::time::timeout_at(until, self.running.next()).await {
            Ok(Some(done)) => self.busy.remove(&done),
            Ok(None) | Err(_) => false,
        }
    }
}
