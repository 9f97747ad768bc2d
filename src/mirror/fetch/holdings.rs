//! The partitions of one fetcher, and what a response means to each.
//!
//! Owns: the partitions, their session, who is left out and why.
//! Promises: a partition is in the session exactly when its inbox has room and its priority may go; what a response
//! says about a partition reaches its inbox or takes the partition back to the supervisor.
//! Does not know: connections, when requests are sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{LeaderIdAndEpoch, PartitionData};
use tokio::time::Instant;
use uuid::Uuid;

use super::codes::partition_trouble;
use super::inbox::{Contact, HeldMemory};
use super::memory::{FrameMemory, Purse};
use super::parked::{LOOK_AT_MAX, Seen};
use super::reading::{Misread, Reading, is_copied, read, watermarks};
use super::request::TOPIC_IDS_FROM;
use super::session::Session;
use super::slot::{PartitionKey, Slot, SlotId, Trouble};
use super::supervisor::Common;
use super::{FetchEvent, FetchPosition, FetchStop, Watermarks};
use crate::types::{BrokerId, LeaderEpoch, TopicName, TopicPartition};
use crate::wire::Leader;

/// Who goes first is decided no more often than this: each change puts partitions into or out of the session.
const FLOOR_HOLDS_FOR: Duration = Duration::from_millis(200);

/// What a response brought.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Bytes of records.
    pub(super) bytes: usize,
    /// A batch of this size did not fit.
    pub(super) needed: Option<usize>,
}

pub(super) struct Holdings {
    common: Arc<Common>,
    slots: HashMap<SlotId, Box<Slot>>,
    by_topic: HashMap<TopicName, HashMap<i32, SlotId>>,
    names: HashMap<Uuid, TopicName>,
    without_id: usize,
    session: Session<PartitionKey>,
    /// The version that the session was begun with, as far as it matters: whether topics go by id.
    goes_by_ids: bool,
    contact: Arc<Contact>,
    /// When a partition last came, was left out, or was let in again.
    changed_at: Option<Instant>,
    parked: HashSet<SlotId>,
    held_back: usize,
    /// Partitions below this priority are held back.
    floor: Option<i32>,
    floor_since: Instant,
}

impl Holdings {
    pub(super) fn new(common: Arc<Common>) -> Self {
        Self {
            common,
            slots: HashMap::new(),
            by_topic: HashMap::new(),
            names: HashMap::new(),
            without_id: 0,
            session: Session::new(),
            goes_by_ids: true,
            contact: Arc::new(Contact::new()),
            changed_at: None,
            parked: HashSet::new(),
            held_back: 0,
            floor: None,
            floor_since: Instant::now(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn session(&mut self) -> &mut Session<PartitionKey> {
        &mut self.session
    }

    pub(super) fn has_held_back(&self) -> bool {
        self.held_back > 0
    }

    pub(super) fn all_have_ids(&self) -> bool {
        self.without_id == 0
    }

    pub(super) fn changed_within(&self, time: Duration) -> bool {
        self.changed_at.is_some_and(|at| at.elapsed() < time)
    }

    /// A session goes by ids or by names, not by both.
    pub(super) fn use_version(&mut self, version: i16) {
        let goes_by_ids = version >= TOPIC_IDS_FROM;
        if self.goes_by_ids == goes_by_ids {
            return;
        }
        self.goes_by_ids = goes_by_ids;
        self.session.clear();
        for (id, slot) in &self.slots {
            if !slot.is_held_back && !self.parked.contains(id) {
                self.session.want(slot.key(goes_by_ids), slot.ask());
            }
        }
    }

    /// Takes a partition in.
    pub(super) fn add(&mut self, mut slot: Box<Slot>) {
        let topic = &slot.partition.topic;
        self.by_topic.entry(topic.clone()).or_default().insert(slot.partition.partition.0, slot.id);
        match slot.topic_id {
            Some(id) => {
                self.names.insert(id.0, topic.clone());
            }
            None => self.without_id += 1,
        }
        slot.is_proven = false;
        slot.is_held_back = self.floor.is_some_and(|floor| slot.priority < floor);
        self.held_back += usize::from(slot.is_held_back);
        self.changed_at = Some(Instant::now());
        let id = slot.id;
        self.slots.insert(id, slot);
        self.refresh(id, true);
    }

    /// Lets go of a partition that nobody reads any more.
    pub(super) fn remove(&mut self, id: SlotId) {
        drop(self.take_out(id));
    }

    /// Gives a partition back to the supervisor.
    fn give_back(&mut self, id: SlotId, trouble: Trouble) {
        if let Some(slot) = self.take_out(id) {
            self.common.returned.post((slot, trouble));
        }
    }

    /// Gives all partitions back to the supervisor.
    pub(super) fn give_back_all(&mut self, trouble: &Trouble) {
        let ids: Vec<_> = self.slots.keys().copied().collect();
        for id in ids {
            self.give_back(id, trouble.clone());
        }
    }

    fn take_out(&mut self, id: SlotId) -> Option<Box<Slot>> {
        let mut slot = self.slots.remove(&id)?;
        self.session.leave_out(&slot.key(self.goes_by_ids));
        set_backlog(&self.common, &mut slot, false);
        slot.outlet.leave();
        self.parked.remove(&id);
        self.held_back -= usize::from(slot.is_held_back);
        let topic = &slot.partition.topic;
        if let Some(partitions) = self.by_topic.get_mut(topic) {
            partitions.remove(&slot.partition.partition.0);
            if partitions.is_empty() {
                self.by_topic.remove(topic);
                if let Some(topic_id) = slot.topic_id {
                    self.names.remove(&topic_id.0);
                }
            }
        }
        self.without_id -= usize::from(slot.topic_id.is_none());
        Some(slot)
    }

    /// The inbox of a partition has room again.
    pub(super) fn unpark(&mut self, id: SlotId) {
        if self.parked.remove(&id) {
            self.changed_at = Some(Instant::now());
            self.refresh(id, true);
        }
    }

    /// Puts a partition into the session, or out of it, as its flags say.
    fn refresh(&mut self, id: SlotId, has_backlog: bool) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let is_asked = !slot.is_held_back && !self.parked.contains(&id);
        set_backlog(&self.common, slot, has_backlog && is_asked);
        if is_asked {
            self.session.want(slot.key(self.goes_by_ids), slot.ask());
            if slot.is_proven {
                slot.outlet.follow(&self.contact);
            }
        } else {
            self.session.leave_out(&slot.key(self.goes_by_ids));
            slot.outlet.unfollow();
        }
    }

    /// Some of the partitions that are left out because their inboxes are full.
    pub(super) fn some_parked(&self) -> Vec<(SlotId, TopicPartition)> {
        let named = |id: &SlotId| self.slots.get(id).map(|slot| (*id, slot.partition.clone()));
        self.parked.iter().filter_map(named).take(LOOK_AT_MAX).collect()
    }

    /// Takes in where the logs of such partitions are.
    pub(super) fn observe_parked(&mut self, all_seen: Vec<Seen>) {
        for seen in all_seen {
            let Some(slot) = self.slots.get_mut(&seen.id) else { continue };
            // Fetched again meanwhile, which tells more.
            if !self.parked.contains(&seen.id) {
                continue;
            }
            let Some(known) = slot.watermarks else { continue };
            let Seen { id: _, log_start, high_watermark } = seen;
            slot.heard(Watermarks { log_start, high_watermark, ..known }, false);
            slot.outlet.touch();
        }
    }

    /// Under the rate limit, holds back or lets go by priority.
    pub(super) fn let_first_ones_go_first(&mut self) {
        let floor = self.common.pace.priority_floor();
        if floor == self.floor || self.floor_since.elapsed() < FLOOR_HOLDS_FOR {
            return;
        }
        self.floor = floor;
        self.floor_since = Instant::now();
        let ids: Vec<_> = self.slots.keys().copied().collect();
        for id in ids {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            let is_held_back = floor.is_some_and(|floor| slot.priority < floor);
            if slot.is_held_back != is_held_back {
                slot.is_held_back = is_held_back;
                if is_held_back {
                    self.held_back += 1;
                } else {
                    self.held_back -= 1;
                }
                self.refresh(id, true);
            }
        }
    }

    /// Hands a response out to the inboxes.
    pub(super) fn hand_out(&mut self, response: FetchResponse, purse: &mut Purse) -> Intake {
        self.contact.touch();
        let all_parts = response.responses.iter().flat_map(|topic| &topic.partitions);
        let frame_bytes = all_parts.map(|part| part.records.as_ref().map_or(0, bytes::Bytes::len)).sum();
        let mut frame = FrameMemory::new(frame_bytes);
        let mut intake = Intake { bytes: frame_bytes, needed: None };
        for topic in response.responses {
            let by_id = self.names.get(&topic.topic_id).cloned();
            let Some(name) = by_id.or_else(|| TopicName::new(topic.topic.as_str()).ok()) else { continue };
            for part in topic.partitions {
                let id = self.by_topic.get(&name).and_then(|partitions| partitions.get(&part.partition_index));
                // Not ours any more: the broker answered an earlier request.
                let Some(id) = id.copied() else { continue };
                match self.hand_over(id, part, &mut frame, purse) {
                    Handed::Done => {}
                    Handed::TooSmall(needed) => intake.needed = intake.needed.max(Some(needed)),
                    Handed::Trouble(trouble) => self.give_back(id, trouble),
                    Handed::Over(stop) => {
                        if let Some(slot) = self.take_out(id) {
                            slot.outlet.stop(stop);
                        }
                    }
                }
            }
        }
        intake
    }

    fn hand_over(&mut self, id: SlotId, mut part: PartitionData, frame: &mut FrameMemory, purse: &mut Purse) -> Handed {
        let Some(slot) = self.slots.get_mut(&id) else { return Handed::Done };
        if let Some(trouble) = partition_trouble(part.error_code, leader_hint(&part.current_leader)) {
            return Handed::Trouble(trouble);
        }
        if part.diverging_epoch.end_offset >= 0 {
            let diverging = &part.diverging_epoch;
            return Handed::Trouble(Trouble::Diverging { epoch: diverging.epoch, end_offset: diverging.end_offset });
        }
        let bytes = part.records.as_ref().map_or(0, bytes::Bytes::len);
        let is_copied = is_copied(bytes, frame.bytes());
        let at = FetchPosition { offset: slot.position, last_epoch: slot.last_epoch };
        let reading = match read(at, &mut part, is_copied) {
            Ok(reading) => reading,
            Err(Misread::TooSmall { needed }) => {
                slot.bytes_max = slot.bytes_max.max(i32::try_from(needed).unwrap_or(i32::MAX));
                self.refresh(id, true);
                return Handed::TooSmall(needed);
            }
            Err(Misread::Batch(error)) => return Handed::Over(FetchStop::Batch(error)),
        };
        let watermarks = watermarks(&part, slot.watermarks);
        slot.is_proven = true;
        slot.heard(watermarks, !reading.batches.is_empty());
        if !reading.batches.is_empty() {
            slot.position = reading.next.offset;
            slot.last_epoch = reading.next.last_epoch;
            let memory = memory_of(&reading, is_copied, frame, purse);
            let permit = slot.outlet.hold(memory, reading.bytes);
            slot.outlet.send(FetchEvent::Batches { batches: reading.batches, permit, watermarks });
        }
        let has_backlog = slot.position < watermarks.last_stable;
        if slot.outlet.is_full() && slot.outlet.park() {
            self.parked.insert(id);
            self.changed_at = Some(Instant::now());
        }
        self.refresh(id, has_backlog);
        Handed::Done
    }
}

/// What became of a partition's part of a response.
enum Handed {
    Done,
    TooSmall(usize),
    Trouble(Trouble),
    Over(FetchStop),
}

fn memory_of(reading: &Reading, is_copied: bool, frame: &mut FrameMemory, purse: &mut Purse) -> HeldMemory {
    if is_copied { HeldMemory::Own { _permit: purse.pay(reading.bytes) } } else { frame.slice(purse) }
}

fn leader_hint(leader: &LeaderIdAndEpoch) -> Option<Leader> {
    let is_known = leader.leader_id.0 >= 0 && leader.leader_epoch >= 0;
    is_known.then_some(Leader { broker: BrokerId(leader.leader_id.0), epoch: LeaderEpoch(leader.leader_epoch) })
}

/// Notes for the rate limit whether a partition has data that could be fetched.
fn set_backlog(common: &Common, slot: &mut Slot, has_backlog: bool) {
    if slot.has_backlog != has_backlog {
        slot.has_backlog = has_backlog;
        common.pace.note_backlog(slot.priority, has_backlog);
    }
}
