//! From a grant to a lease: taking shards over, and telling of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::handle::encode;
use super::{Key, Lease, ShardEvent, TakeoverRecord, Value, View, Write};
use crate::shards::{Grant, Holdings, JobError, WriterHandle};
use crate::tasks::{Backoff, TaskGroup};

/// After this a takeover record that was committed is written again.
const READ_BACK_MAX: Duration = Duration::from_mins(1);

/// Turns what the ownership says into shard events.
pub(super) struct Keeper {
    pub(super) daemon_id: String,
    pub(super) view: View,
    pub(super) writer: WriterHandle,
    pub(super) events: mpsc::Sender<ShardEvent>,
    pub(super) tasks: TaskGroup,
}

struct Known {
    grant: Grant,
    was_announced: bool,
}

impl Keeper {
    /// Runs until the tasks are stopped; then tells of the last losses as far as somebody listens.
    pub(super) async fn run(self, ownership: &dyn Holdings) {
        let mut changes = ownership.changes();
        let (announcer, mut read_back) = mpsc::channel::<Grant>(64);
        let mut known: BTreeMap<i32, Known> = BTreeMap::new();
        loop {
            changes.mark_unchanged();
            self.tell_of_losses(&mut known, ownership).await;
            self.take_over_new(&mut known, ownership, &announcer);
            tokio::select! {
                told = changes.changed() => if told.is_err() { return },
                Some(grant) = read_back.recv() => self.announce(&mut known, grant).await,
                () = self.tasks.stopped() => break,
            }
        }
        for (shard, known) in known {
            if known.was_announced {
                // Whoever listens stops with us; a full queue is not waited for.
                drop(self.events.try_send(ShardEvent::Lost(shard)));
            }
        }
    }

    async fn tell_of_losses(&self, known: &mut BTreeMap<i32, Known>, ownership: &dyn Holdings) {
        let owned: BTreeMap<i32, u64> =
            ownership.grants().iter().map(|grant| (grant.shard(), grant.number())).collect();
        let is_lost = |shard: i32, known: &Known| owned.get(&shard) != Some(&known.grant.number());
        let lost: Vec<i32> =
            known.iter().filter(|(shard, known)| is_lost(**shard, known)).map(|(shard, _)| *shard).collect();
        for shard in lost {
            let was_announced = known.remove(&shard).is_some_and(|known| known.was_announced);
            if was_announced {
                tracing::debug!(shard, "shard lost");
                self.send(ShardEvent::Lost(shard)).await;
            }
        }
    }

    fn take_over_new(&self, known: &mut BTreeMap<i32, Known>, ownership: &dyn Holdings, taken: &mpsc::Sender<Grant>) {
        let new: Vec<Grant> =
            ownership.grants().into_iter().filter(|grant| !known.contains_key(&grant.shard())).collect();
        if new.is_empty() {
            return;
        }
        for grant in &new {
            known.insert(grant.shard(), Known { grant: grant.clone(), was_announced: false });
        }
        let (view, writer, daemon_id) = (self.view.clone(), self.writer.clone(), self.daemon_id.clone());
        let taken = taken.clone();
        self.tasks.spawn_until_stopped("take over shards", async move {
            take_over(new, &view, &writer, &daemon_id, &taken).await;
        });
    }

    async fn announce(&self, known: &mut BTreeMap<i32, Known>, grant: Grant) {
        let shard = grant.shard();
        let Some(found) = known.get_mut(&shard).filter(|known| known.grant.number() == grant.number()) else { return };
        if !found.was_announced && grant.is_held() {
            found.was_announced = true;
            tracing::debug!(shard, "shard taken over");
            self.send(ShardEvent::Acquired(Lease::new(grant))).await;
        }
    }

    async fn send(&self, event: ShardEvent) {
        // A listener that is gone has stopped all its work.
        drop(self.tasks.token().run_until_cancelled(self.events.send(event)).await);
    }
}

/// Writes takeover records, all in one go, and waits until each has been read back: then everything that the former
/// owner committed has been read too, because its records lie before ours, and an open transaction of its own holds
/// back our reading until it is decided.
async fn take_over(
    grants: Vec<Grant>,
    view: &View,
    writer: &WriterHandle,
    daemon_id: &str,
    taken: &mpsc::Sender<Grant>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let mut untaken: Vec<(Grant, Uuid)> = grants.into_iter().map(|grant| (grant, Uuid::new_v4())).collect();
    let mut reading = Vec::new();
    while !untaken.is_empty() {
        let parts = untaken.iter().filter_map(|(grant, nonce)| takeover_part(grant, *nonce, daemon_id)).collect();
        let results = writer.write_together(parts).await;
        let mut again = Vec::new();
        for ((grant, nonce), result) in untaken.into_iter().zip(results) {
            match result {
                Ok(()) => reading.push((grant, nonce)),
                Err(JobError::Lost) => {}
                Err(JobError::Unavailable(reason)) => {
                    tracing::warn!(shard = grant.shard(), reason, "shard can't be taken over yet");
                    again.push((grant, nonce));
                }
            }
        }
        untaken = again;
        if !untaken.is_empty() {
            backoff.pause().await;
        }
    }
    join_all(reading.into_iter().map(|(grant, nonce)| async move {
        tokio::select! {
            () = read_back(view, &grant, nonce, writer, daemon_id) => drop(taken.send(grant).await),
            () = grant.lost() => {}
        }
    }))
    .await;
}

/// Waits for the takeover record. One that does not come is written again: its transaction may have hung, and have been
/// ended as one that was nobody's.
async fn read_back(view: &View, grant: &Grant, nonce: Uuid, writer: &WriterHandle, daemon_id: &str) {
    let shard = grant.shard();
    while tokio::time::timeout(READ_BACK_MAX, read_to_takeover(view, shard, nonce)).await.is_err() {
        tracing::warn!(shard, "the takeover of a shard can't be read back: something holds back its readers");
        if let Some((grant, records)) = takeover_part(grant, nonce, daemon_id)
            && let Err(JobError::Unavailable(reason)) = writer.write(grant, records).await
        {
            tracing::warn!(shard, reason, "the takeover of a shard can't be written again yet");
        }
    }
}

fn takeover_part(grant: &Grant, nonce: Uuid, daemon_id: &str) -> Option<(Grant, Vec<crate::shards::Record>)> {
    let shard = grant.shard();
    let record = TakeoverRecord { daemon: daemon_id.to_owned(), nonce };
    // The key is the shard's own, so this can't fail; if it did, the shard would stay unclaimed.
    let record = encode(&Write::Put(Key::Takeover { shard }, Value::Takeover(record)), shard).ok()?;
    Some((grant.clone(), vec![record]))
}

/// Waits until the view holds our takeover record and nothing in the shard is unreadable.
async fn read_to_takeover(view: &View, shard: i32, nonce: Uuid) {
    let mut changes = view.changes();
    loop {
        changes.mark_unchanged();
        let is_read = view.takeover(shard).is_some_and(|takeover| takeover.nonce == nonce);
        if is_read && view.obstacle(shard).is_none() {
            return;
        }
        // A removed obstacle doesn't show as a change.
        let longest = if is_read { Duration::from_secs(1) } else { Duration::from_mins(1) };
        drop(tokio::time::timeout(longest, changes.changed()).await);
    }
}
