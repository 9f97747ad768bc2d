//! Looking at the target's ends, so that a foreign write is noticed without waiting for our own next append.
//!
//! Owns: one look a second over the partitions of a link, some at a time where there are many.
//! Promises: no false alarm: what we sent is read after the high watermark was.
//! Does not know: what a partition does when it is alarmed.

use std::sync::Arc;
use std::time::Duration;

use super::live::{Live, Registry};
use crate::cluster::{Cluster, OffsetQuery};
use crate::store::PartitionState;
use crate::types::{LinkName, TargetOffset, TopicPartition};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Partitions of one look: with more of them each is looked at less often.
const PARTITIONS_MAX: usize = 2_000;

/// Looks until dropped.
pub(super) async fn watch(link: LinkName, target: Cluster, registry: Registry) {
    let mut start = 0;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let all = registry.of_link(&link);
        let some: Vec<_> = all.iter().cycle().skip(start).take(PARTITIONS_MAX.min(all.len())).collect();
        start = if all.is_empty() { 0 } else { (start + some.len()) % all.len() };
        look(&target, &some).await;
    }
}

async fn look(target: &Cluster, live: &[&(TopicPartition, Arc<Live>)]) {
    let mirrored: Vec<(TopicPartition, &Arc<Live>)> = live
        .iter()
        .filter(|(_, live)| live.lock().state == PartitionState::Mirroring)
        .filter_map(|(_, live)| Some((live.lock().target.clone()?, live)))
        .collect();
    let partitions: Vec<TopicPartition> = mirrored.iter().map(|(partition, _)| partition.clone()).collect();
    if partitions.is_empty() {
        return;
    }
    // A cluster that can't be asked is noticed by those who append.
    let Ok(listed) = target.list_offsets(&partitions, OffsetQuery::HighWatermark).await else { return };
    for (partition, live) in mirrored {
        let Some(Ok(end)) = listed.get(&partition) else { continue };
        let Some(Ok(end)) = end.offset.map(TargetOffset::new) else { continue };
        let sent_to = live.lock().sent_to;
        if sent_to.is_some_and(|sent_to| end > sent_to) {
            tracing::warn!(%partition, %end, ?sent_to, "the target has more than this link has sent");
            live.alarm();
        }
    }
}
