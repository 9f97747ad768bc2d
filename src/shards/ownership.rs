//! Which shards are ours, and by which membership.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells whether the membership thread is still running as it should. A process that was stopped and resumed has an
/// old pulse before any of its threads has noticed anything, so whoever asks first learns that time has passed.
#[derive(Debug)]
pub struct Pulse {
    start: Instant,
    last_ms: AtomicU64,
    limit: Duration,
}

impl Pulse {
    /// A pulse that counts as stopped when it was not renewed for longer than `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0), limit }
    }

    /// Renews it.
    pub fn beat(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Release);
    }

    /// Whether it was renewed within the limit.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let age = self.now_ms().saturating_sub(self.last_ms.load(Ordering::Acquire));
        u128::from(age) <= self.limit.as_millis()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One time of owning a shard. A shard that is lost and comes back is another grant. Clones stand for the same one.
#[derive(Debug, Clone)]
pub struct Grant {
    shard: i32,
    number: u64,
    lost: CancellationToken,
    pulse: Arc<Pulse>,
}

impl Grant {
    /// The shard.
    #[must_use]
    pub fn shard(&self) -> i32 {
        self.shard
    }

    /// Tells this grant from every other one of this process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is still ours, as far as this process knows.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && self.pulse.is_fresh()
    }

    /// Waits until it is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// What the coordinator is shown as the proof of our membership.
pub struct Membership<P> {
    /// The group metadata of one generation.
    pub proof: Arc<P>,
    /// Counts the generations that this process was part of.
    pub number: u64,
}

impl<P> Clone for Membership<P> {
    fn clone(&self) -> Self {
        Self { proof: Arc::clone(&self.proof), number: self.number }
    }
}

struct Owned<P> {
    membership: Option<Membership<P>>,
    memberships_seen: u64,
    grants: BTreeMap<i32, Grant>,
    grants_given: u64,
    obstacle: Option<String>,
}

/// What is ours, for whoever need not know what proves it.
pub trait Holdings: fmt::Debug + Send + Sync {
    /// The shards that are ours.
    fn grants(&self) -> Vec<Grant>;
    /// Whether there is a membership.
    fn is_member(&self) -> bool;
    /// What keeps us from joining, if that is known and does not pass by itself.
    fn obstacle(&self) -> Option<String>;
    /// Changes whenever anything of this changes.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Nothing is ours any longer.
    fn lose_all(&self);
}

impl<P: Send + Sync> Holdings for Ownership<P> {
    fn grants(&self) -> Vec<Grant> {
        self.grants()
    }

    fn is_member(&self) -> bool {
        self.membership().is_some()
    }

    fn obstacle(&self) -> Option<String> {
        self.obstacle()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn lose_all(&self) {
        self.lose_all();
    }
}

/// Which shards are ours. Written by the membership thread, read by everybody.
pub struct Ownership<P> {
    owned: Mutex<Owned<P>>,
    changed: watch::Sender<u64>,
    pulse: Arc<Pulse>,
}

impl<P> fmt::Debug for Ownership<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards: Vec<i32> = self.lock().grants.keys().copied().collect();
        f.debug_struct("Ownership").field("shards", &shards).finish_non_exhaustive()
    }
}

impl<P> Ownership<P> {
    /// Nothing is ours yet. Grants count as lost when the membership thread gave no sign for `pulse_limit`.
    #[must_use]
    pub fn new(pulse_limit: Duration) -> Self {
        let owned =
            Owned { membership: None, memberships_seen: 0, grants: BTreeMap::new(), grants_given: 0, obstacle: None };
        Self { owned: Mutex::new(owned), changed: watch::Sender::new(0), pulse: Arc::new(Pulse::new(pulse_limit)) }
    }

    /// The pulse that the membership thread keeps.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// A generation began: it is proved by `proof`, and `shards` came on top of those that are ours already.
    ///
    /// Without a fresh pulse nothing is taken: this process slept, the coordinator may have forgotten us meanwhile,
    /// and metadata captured between two memberships is accepted from anybody.
    pub fn assign(&self, shards: &[i32], proof: P) {
        if !self.pulse.is_fresh() {
            tracing::warn!(?shards, "assignment ignored: this process stood still");
            return;
        }
        let mut owned = self.lock();
        owned.memberships_seen += 1;
        owned.obstacle = None;
        owned.membership = Some(Membership { proof: Arc::new(proof), number: owned.memberships_seen });
        for shard in shards {
            owned.grants_given += 1;
            let number = owned.grants_given;
            let grant = Grant { shard: *shard, number, lost: CancellationToken::new(), pulse: Arc::clone(&self.pulse) };
            if let Some(before) = owned.grants.insert(*shard, grant) {
                before.lost.cancel();
            }
        }
        self.tell(owned);
    }

    /// These shards are no longer ours.
    pub fn revoke(&self, shards: &[i32]) {
        let mut owned = self.lock();
        for shard in shards {
            if let Some(grant) = owned.grants.remove(shard) {
                grant.lost.cancel();
            }
        }
        self.tell(owned);
    }

    /// Nothing is ours any longer, and the membership proves nothing.
    pub fn lose_all(&self) {
        let mut owned = self.lock();
        for grant in std::mem::take(&mut owned.grants).into_values() {
            grant.lost.cancel();
        }
        owned.membership = None;
        owned.obstacle = None;
        self.tell(owned);
    }

    /// The current membership. Read it **before** asking a grant whether it is held: a revocation clears the grants
    /// before the next generation's membership is stored, so a grant that is held afterwards belongs to it.
    #[must_use]
    pub fn membership(&self) -> Option<Membership<P>> {
        self.lock().membership.clone()
    }

    /// Something keeps us from joining that does not pass by itself.
    pub fn hinder(&self, why: String) {
        self.lock().obstacle = Some(why);
    }

    /// What keeps us from joining, if that is known and does not pass by itself.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let owned = self.lock();
        owned.obstacle.clone().filter(|_| owned.membership.is_none())
    }

    /// The shards that are ours.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        self.lock().grants.values().cloned().collect()
    }

    /// Changes whenever anything here changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until the membership is another one than `number` (`None`: until there is one), `is_enough` says so
    /// after some other change, or `longest` has passed.
    pub async fn wait_beyond(&self, number: Option<u64>, longest: Duration, is_enough: impl Fn() -> bool) {
        let deadline = Instant::now() + longest;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let is_other = self.lock().membership.as_ref().is_some_and(|now| Some(now.number) != number);
            if is_other || is_enough() {
                return;
            }
            let Ok(Ok(())) = tokio::time::timeout_at(deadline, changes.changed()).await else { return };
        }
    }

    fn tell(&self, owned: MutexGuard<'_, Owned<P>>) {
        drop(owned);
        self.changed.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Owned<P>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
