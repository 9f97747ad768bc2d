//! Waiting until a source offset is on the target.
//!
//! Where the partition runs here, whoever waits is told by the data path itself; otherwise the checkpoints of its owner
//! are looked at, which come at least once a second.

use std::time::Duration;

use tokio::time::Instant;

use super::Daemon;
use crate::api::ApiError;
use crate::api::json;
use crate::store::{Key, Store, Value};
use crate::types::{LinkName, SourceOffset, TopicPartition};

/// How often the state is looked at for partitions that run elsewhere. Many may wait at once, and a look is cheap.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A partition may move to another daemon while somebody waits.
const OWNER_INTERVAL: Duration = Duration::from_secs(1);

impl Daemon {
    /// Waits until everything up to this source offset is acknowledged by the target, at most so long.
    pub(super) async fn wait_for(
        &self,
        link: &str,
        partition: &TopicPartition,
        offset: SourceOffset,
        limit: Duration,
    ) -> Result<json::Awaited, ApiError> {
        let unavailable = || ApiError::Unavailable("the state is not read yet".to_owned());
        let (config, side) = self.find(link).ok_or_else(unavailable)?;
        let begin = Instant::now();
        let deadline = begin + limit;
        loop {
            let store = side.store().ok_or_else(unavailable)?;
            let position = self.position(&store, &config.name, partition);
            let is_reached = position.is_some_and(|position| position > offset);
            if is_reached || Instant::now() >= deadline {
                let target = self.shown(link, |shown| shown.translate(partition, offset)).flatten();
                return Ok(json::Awaited {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    source_offset: offset,
                    reached: is_reached,
                    source_position: position,
                    missing: position.map(|position| offset.plus(1).distance_from(position)),
                    target_offset: target.filter(|_| is_reached).and_then(|target| target.offset()),
                    waited_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
                });
            }
            match self.registry.get(&config.name, partition) {
                Some(live) => {
                    let until = deadline.min(Instant::now() + OWNER_INTERVAL);
                    // Whichever it was, the position is looked at next.
                    drop(tokio::time::timeout_at(until, live.reach(offset)).await);
                }
                None => tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_INTERVAL)).await,
            }
        }
    }

    /// The next source offset to copy, as far as it is known here.
    fn position(&self, store: &Store, link: &LinkName, partition: &TopicPartition) -> Option<SourceOffset> {
        let live = self.registry.get(link, partition).and_then(|live| live.source_position());
        live.or_else(|| {
            let (topic, index) = (partition.topic.clone(), partition.partition);
            let value = store.view().get(&Key::Position { link: link.clone(), topic, partition: index })?;
            match value.as_ref() {
                Value::Position(record) => Some(record.source_position),
                _ => None,
            }
        })
    }
}
