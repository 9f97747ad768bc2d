//! The loop over the consumer groups of a link: their positions at the source become positions on the target.
//!
//! Owns: which positions are written for whom, the tag that tells our positions from others', what is told of each
//! group, and the stored record by which every daemon can tell it.
//! Promises: never a position past what the target has acknowledged; never over a position that is not ours; never
//! for a group that has members on the target; a rewind at the source is followed only over our own position. A sick
//! coordinator holds up the groups that it coordinates and no others.
//! Does not know: where maps come from, who asks.
//!
//! # One round, about a second
//! 1. Each source broker is asked for the groups that it coordinates, and for the offsets of those that are selected.
//! 2. Each position is translated. That is cheap, so all of them are, and nothing has to be guessed about which maps
//!    have moved.
//! 3. Groups whose position on the target would change, and every group now and then, are looked at on the target:
//!    members, offsets, then the commit, back to back. Kafka has no compare-and-swap here. Its coordinators refuse us
//!    for a group with members; what remains is a consumer without membership (manual assignment) that commits between
//!    our look and our commit: its position is overwritten once, and left alone after its next commit.
//!
//! A commit carries no lease either. So what was seen is acted on within three seconds and under a lease that is held,
//! or not at all: a daemon that was frozen in between, long enough to have a successor, looks again and finds that the
//! groups are no longer its own. What its broker is slow to read may still arrive late; the successor looks at every
//! group every ten seconds and puts its own position back.
//!
//! Questions to different brokers run side by side, and a round does not wait for the slow ones for long: what comes
//! late is taken in by a later round.
//!
//! # What a position means
//! A committed offset N is "read N next". It becomes the target offset of the first mirrored record at or after N. A
//! group that has read further than the copy has come gets the end of the copy, and moves on with it.
//!
//! # Whose position it is
//! Ours carry `causeway/1 <cluster id of the source>` in front of the consumer's own metadata. A position at the source
//! that carries our target's id came from there by a link in the other direction, and is not sent back.
//!
//! Share groups and Streams groups of their own protocols are told and not touched: what a share group has read is not
//! one offset, and a Streams group's offsets are worth nothing without the state that belongs to them.

mod decide;
mod lanes;
mod memory;
mod positions;
mod read;
mod record;
mod rehearsal;
mod report;
mod round;
mod tag;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use rehearsal::Rehearsal;
pub use report::{GroupPosition, GroupReport, GroupsSummary};

use crate::cluster::{Cluster, GroupDesk};
use crate::selection::GroupSelection;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::types::{BrokerId, LinkName, SourceOffset, TargetOffset, TopicPartition, Translation};
use memory::Memory;

/// Where a source offset lies on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// The map's answer.
    pub translation: Translation<TargetOffset>,
    /// The end of what the target has acknowledged.
    pub target_end: TargetOffset,
}

/// The offset maps of a link, whoever owns its partitions.
pub trait Maps: Send + Sync + 'static {
    /// Where a source offset lies on the target; `None` while that partition's map is not known.
    fn locate(&self, partition: &TopicPartition, offset: SourceOffset) -> Option<Mapped>;

    /// Where a target offset lies at the source; `None` while that partition's map is not known. `partition` is the
    /// source's.
    fn locate_reverse(&self, partition: &TopicPartition, offset: TargetOffset) -> Option<Translation<SourceOffset>>;
}

/// What the loop needs to be told.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// The link.
    pub link: LinkName,
    /// From the beginning of a round to the next one.
    pub interval: Duration,
    /// Which groups; none = the loop has nothing to do.
    pub selection: GroupSelection,
}

/// What the loop works with.
#[derive(Clone)]
pub struct GroupParts {
    /// Groups are read here.
    pub source: Cluster,
    /// And written here.
    pub target: Cluster,
    /// What every daemon must be able to tell is stored here.
    pub store: Store,
    /// The offset maps.
    pub maps: Arc<dyn Maps>,
    /// Where things are counted.
    pub metrics: Metrics,
}

/// A side of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Source,
    Target,
}

/// Where brokers are asked about their groups.
type Desks = BTreeMap<(Side, BrokerId), Arc<GroupDesk>>;

/// The control loop over the groups of one link. Runs where the link's shard is owned.
pub struct GroupSync {
    settings: GroupSettings,
    parts: GroupParts,
    memory: Mutex<Memory>,
    desks: Mutex<Desks>,
}

impl GroupSync {
    /// Puts it together; nothing is asked yet.
    #[must_use]
    pub fn new(settings: GroupSettings, parts: GroupParts) -> Self {
        Self { settings, parts, memory: Mutex::default(), desks: Mutex::default() }
    }

    /// Whether any group could be synchronised.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.settings.selection.entries().is_empty()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::Source => &self.parts.source,
            Side::Target => &self.parts.target,
        }
    }

    fn desks(&self) -> MutexGuard<'_, Desks> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place to ask a broker about its groups; the same one as long as the broker is there.
    fn desk(&self, side: Side, broker: BrokerId) -> Arc<GroupDesk> {
        let mut desks = self.desks();
        let desk = desks.entry((side, broker)).or_insert_with(|| Arc::new(self.cluster(side).group_desk(broker)));
        Arc::clone(desk)
    }
}

#[cfg(test)]
mod tests;
