//! Looking at ends that nobody else looks at: the target's, so that a foreign write is noticed without waiting for our
//! own next append; and the source's of paused partitions, so that their lag is told.
//!
//! Owns: one look a second over the partitions of a link, some at a time where there are many.
//! Promises: no false alarm: what we sent is read after the high watermark was.
//! Does not know: what a partition does when it is alarmed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fast_forward::hide_filler;
use super::fetch::Watermarks;
use super::live::{Live, Registry};
use crate::cluster::{Cluster, OffsetQuery};
use crate::store::PartitionState;
use crate::types::{LinkName, SourceOffset, TargetOffset, TopicPartition};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Partitions of one look: with more of them each is looked at less often.
const PARTITIONS_MAX: usize = 1_000;

/// Looks until dropped.
pub(super) async fn watch(link: LinkName, source: Cluster, target: Cluster, registry: Registry) {
    let mut waiting = Vec::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        if waiting.is_empty() {
            waiting = registry.of_link(&link).into_iter().map(|(partition, _)| partition).collect();
        }
        let turn = waiting.split_off(waiting.len().saturating_sub(PARTITIONS_MAX));
        let still_here = |partition| registry.get(&link, &partition).map(|live| (partition, live));
        let some: Vec<(TopicPartition, Arc<Live>)> = turn.into_iter().filter_map(still_here).collect();
        look(&target, &some).await;
        hide(&target, &some).await;
        look_at_paused(&link, &source, &registry, &some).await;
    }
}

/// Paused partitions have no fetcher. Those whose lease is lost are another daemon's to show.
async fn look_at_paused(link: &LinkName, source: &Cluster, registry: &Registry, live: &[(TopicPartition, Arc<Live>)]) {
    let mut held: Vec<(TopicPartition, &Arc<Live>)> = Vec::new();
    for (partition, live) in live {
        let lease = live.lock().paused_under.clone();
        match lease {
            Some(lease) if lease.is_held() => held.push((partition.clone(), live)),
            Some(_) => registry.remove(link, partition, live),
            None => {}
        }
    }
    let partitions: Vec<TopicPartition> = held.iter().map(|(partition, _)| partition.clone()).collect();
    if partitions.is_empty() {
        return;
    }
    let Ok(listed) = source.list_offsets(&partitions, OffsetQuery::HighWatermark).await else { return };
    for (partition, live) in held {
        let Some(Ok(end)) = listed.get(&partition) else { continue };
        let Some(Ok(high_watermark)) = end.offset.map(SourceOffset::new) else { continue };
        let mut live = live.lock();
        if let Some(marks) = live.watermarks {
            live.observe(Watermarks { high_watermark, ..marks });
        }
    }
}

/// A broker that died before it noted a deletion shows filler again. Where the first record of a copy lies beyond
/// offset 0, the log must not start before it.
async fn hide(target: &Cluster, live: &[(TopicPartition, Arc<Live>)]) {
    let mut begun: BTreeMap<TopicPartition, TargetOffset> = BTreeMap::new();
    for (_, live) in live {
        let live = live.lock();
        let account = live.position.as_ref().and_then(|position| position.relation().account());
        if let Some((partition, begins_at)) = live.target.clone().zip(account.and_then(|account| account.begins_at)) {
            begun.insert(partition, begins_at);
        }
    }
    let partitions: Vec<TopicPartition> = begun.keys().cloned().collect();
    if partitions.is_empty() {
        return;
    }
    let Ok(listed) = target.list_offsets(&partitions, OffsetQuery::LogStart).await else { return };
    for (partition, begins_at) in begun {
        let start = listed.get(&partition).and_then(|start| start.as_ref().ok()?.offset);
        if start.is_some_and(|start| start < begins_at.get()) {
            let hidden = hide_filler(target, &partition, begins_at).await;
            tracing::warn!(%partition, ?start, %begins_at, ?hidden, "filler could be read again; deleted it again");
        }
    }
}

async fn look(target: &Cluster, live: &[(TopicPartition, Arc<Live>)]) {
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
