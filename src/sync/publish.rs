//! Writing topic records so that nobody's change is lost: one writer at a time, each of whom waits until the view
//! shows what was written.

use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::SyncError;
use super::topics::TopicSync;
use crate::store::{Key, Lease, Store, StoreError, TopicRecord, Value, View, Write};
use crate::types::TopicName;

/// How long the state topic may take to bring back what was written to it. Longer means that something is wrong.
const READ_BACK_LIMIT: Duration = Duration::from_secs(30);

impl TopicSync {
    /// Changes topic records for a person: pause, resume, resolve. `change` gets each record of the link and answers
    /// with the new one, or with nothing where it is to stay. No round is made meanwhile, so neither side undoes the
    /// other's change. `others` are written in the same transaction, records or none. Answers with the topics that
    /// changed, once the view shows it; the next round begins at once.
    pub async fn change_records(
        &self,
        lease: &Lease,
        change: impl Fn(&TopicName, &TopicRecord) -> Option<TopicRecord> + Send + Sync,
        others: Vec<Write>,
    ) -> Result<Vec<TopicName>, SyncError> {
        let _turn = self.turn().await;
        let mut changed = Vec::new();
        let mut writes = others;
        for (topic, record) in self.store.view().topics(&self.settings.link) {
            if let Some(new) = change(&topic, &record).filter(|new| *new != record) {
                let key = Key::Topic { link: self.settings.link.clone(), topic: topic.clone() };
                writes.push(Write::Put(key, Value::Topic(new)));
                changed.push(topic);
            }
        }
        self.publish(lease, writes).await?;
        self.wake();
        Ok(changed)
    }

    /// Waits until nobody else reads records in order to write them.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always a permit in the end.
        self.turn.acquire().await.ok()
    }

    /// Writes, and waits until the view shows it: the next writer builds on it.
    pub(super) async fn publish(&self, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError> {
        publish(&self.store, lease, writes).await
    }
}

/// Writes, and waits until the view shows it.
pub(super) async fn publish(store: &Store, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut changes = store.view().changes();
    store.write(lease, writes.clone()).await?;
    let read_back = async {
        while !is_shown(store.view(), &writes) {
            if changes.changed().await.is_err() {
                break;
            }
        }
    };
    let late = || StoreError::Unavailable(format!("what was written was not read back within {READ_BACK_LIMIT:?}"));
    tokio::time::timeout(READ_BACK_LIMIT, read_back).await.map_err(|_| late())
}

fn is_shown(view: &View, writes: &[Write]) -> bool {
    writes.iter().all(|write| match write {
        Write::Put(key, value) => view.get(key).is_some_and(|shown| *shown == *value),
        Write::Remove(key) => view.get(key).is_none(),
    })
}
