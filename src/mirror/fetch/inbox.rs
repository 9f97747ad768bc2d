//! The inbox of a partition: between the fetcher that fills it and the pipeline that empties it.
//!
//! Owns: the events that wait, the count of bytes handed over and not yet released, and the wake-up of the fetcher
//! when enough was released.
//! Promises: filling never waits; of watermarks and outages only the newest waits; memory stays counted until the
//! last [`Held`] of it is dropped.
//! Does not know: brokers, sessions, what a batch is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::mailbox::{Mailbox, locked};
use super::slot::{Mail, SlotId};
use super::{FetchEvent, FetchStop, Watermarks};
use crate::tasks::{ByteBudget, BytePermit};

/// Responses that may be held by one partition: bounds the queue where batches are tiny.
const HELD_COUNT_MAX: usize = 64;

/// A partition holds at most a quarter of what is free at the moment. So many partitions that can't move on share
/// the budget among themselves and still leave something for the others.
const FREE_SHARE: usize = 4;

/// What one partition may hold.
#[derive(Debug, Clone)]
pub(super) struct InboxLimits {
    /// Bytes, whatever is free.
    pub(super) bytes_max: usize,
    /// The budget of the link.
    pub(super) budget: ByteBudget,
}

/// Memory that a partition holds. Dropping it gives it back, and lets the partition be fetched again when it had
/// been left out because it held too much.
#[derive(Debug)]
pub struct Held {
    memory: Option<HeldMemory>,
    bytes: usize,
    shared: Arc<Shared>,
}

/// What the bytes are part of.
#[derive(Debug)]
pub(super) enum HeldMemory {
    /// A copy, or a frame with nothing else in it.
    Own { _permit: BytePermit },
    /// A slice of a frame whose memory is free only when the last slice of it is gone.
    Frame { _permit: Arc<BytePermit> },
}

impl Held {
    /// The bytes handed over with it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The memory goes back first, so that the question whether there is room sees it.
        drop(self.memory.take());
        self.shared.held_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.shared.held_count.fetch_sub(1, Ordering::SeqCst);
        self.shared.unpark_if_drained();
    }
}

/// The receiving end of a partition's inbox. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
}

impl Inbox {
    /// The next event; `None` when the fetcher was closed or nothing follows. Cancel-safe.
    pub async fn recv(&mut self) -> Option<FetchEvent> {
        loop {
            {
                let mut waiting = locked(&self.shared.waiting);
                if let Some(event) = waiting.queue.pop_front() {
                    return Some(event);
                }
                if waiting.is_ended {
                    return None;
                }
            }
            self.shared.arrived.notified().await;
        }
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<FetchEvent> {
        locked(&self.shared.waiting).queue.pop_front()
    }

    /// When the source last told something about this partition; also when that was "nothing new", for which no
    /// event is sent. `None`: never yet. While the inbox is full the source is asked about once a second.
    #[must_use]
    pub fn last_contact(&self) -> Option<Instant> {
        locked(&self.shared.place).contact.last()
    }

    /// What tells of [`Inbox::last_contact`] to somebody who does not hold the inbox.
    #[must_use]
    pub fn contact(&self) -> ContactWatch {
        ContactWatch(Arc::downgrade(&self.shared))
    }

    /// Bytes handed over and not yet released.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.shared.held_bytes.load(Ordering::SeqCst)
    }
}

/// When the source was last heard of, as long as the inbox lives.
#[derive(Debug, Clone)]
pub struct ContactWatch(Weak<Shared>);

impl ContactWatch {
    /// See [`Inbox::last_contact`]; `None` as well when the inbox is gone.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        locked(&self.0.upgrade()?.place).contact.last()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The filling end of a partition's inbox. Dropping it ends the inbox, after what still waits in it.
#[derive(Debug)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
}

/// A partition's inbox, to be closed from elsewhere.
#[derive(Debug, Clone)]
pub(super) struct InboxRef(Weak<Shared>);

impl InboxRef {
    /// Ends the subscription as if its inbox had been dropped.
    pub(super) fn close(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.close();
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// For waiting until nobody reads an inbox any more. One waits at a time.
#[derive(Debug)]
pub(super) struct Closing(Arc<Shared>);

impl Closing {
    pub(super) async fn closed(&self) {
        while !self.0.is_closed.load(Ordering::SeqCst) {
            self.0.closing.notified().await;
        }
    }
}

/// Makes both ends.
pub(super) fn inbox(limits: InboxLimits) -> (Outlet, Inbox) {
    let shared = Arc::new(Shared {
        waiting: Mutex::new(Waiting { queue: VecDeque::new(), is_ended: false }),
        arrived: Notify::new(),
        closing: Notify::new(),
        is_closed: AtomicBool::new(false),
        is_parked: AtomicBool::new(false),
        held_bytes: AtomicUsize::new(0),
        held_count: AtomicUsize::new(0),
        limits,
        place: Mutex::new(Place { fetcher: None, contact: LastContact::Never }),
    });
    (Outlet { shared: Arc::clone(&shared) }, Inbox { shared })
}

impl Outlet {
    /// Counts memory as held by this partition.
    pub(super) fn hold(&self, memory: HeldMemory, bytes: usize) -> Held {
        self.shared.held_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.shared.held_count.fetch_add(1, Ordering::SeqCst);
        Held { memory: Some(memory), bytes, shared: Arc::clone(&self.shared) }
    }

    /// Hands over an event.
    pub(super) fn send(&self, event: FetchEvent) {
        if self.is_closed() {
            return;
        }
        let mut waiting = locked(&self.shared.waiting);
        match &event {
            FetchEvent::Batches { .. } | FetchEvent::Stopped(_) => {}
            FetchEvent::Watermarks(_) => waiting.queue.retain(|old| !matches!(old, FetchEvent::Watermarks(_))),
            FetchEvent::Unreachable { .. } => {
                waiting.queue.retain(|old| !matches!(old, FetchEvent::Unreachable { .. }));
            }
        }
        waiting.queue.push_back(event);
        drop(waiting);
        self.shared.arrived.notify_one();
    }

    /// Hands over offsets.
    pub(super) fn tell(&self, watermarks: Watermarks) {
        self.send(FetchEvent::Watermarks(watermarks));
    }

    /// Hands over the last event and ends the inbox.
    pub(super) fn stop(self, stop: FetchStop) {
        self.send(FetchEvent::Stopped(stop));
    }

    /// Whether it holds so much that it should be left out.
    pub(super) fn is_full(&self) -> bool {
        self.shared.is_full()
    }

    /// Arranges for [`Mail::Drained`] when there is room again. `false`: there is room already.
    pub(super) fn park(&self) -> bool {
        self.shared.is_parked.store(true, Ordering::SeqCst);
        // What was released between the look and the mark would wake nobody, so look again.
        if self.shared.has_room() && self.shared.is_parked.swap(false, Ordering::SeqCst) {
            return false;
        }
        true
    }

    /// Whether nobody reads it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::SeqCst)
    }

    /// For waiting until nobody reads it any more.
    pub(super) fn closing(&self) -> Closing {
        Closing(Arc::clone(&self.shared))
    }

    /// Says which fetcher has the partition now.
    pub(super) fn settle_at(&self, fetcher: &Arc<Mailbox<Mail>>, id: SlotId) {
        locked(&self.shared.place).fetcher = Some((Arc::downgrade(fetcher), id));
    }

    /// Says that no fetcher has the partition now.
    pub(super) fn leave(&self) {
        self.shared.is_parked.store(false, Ordering::SeqCst);
        let mut place = locked(&self.shared.place);
        place.fetcher = None;
        place.contact = place.contact.frozen();
    }

    /// From now on each answer of the fetcher is a sign of life of this partition too.
    pub(super) fn follow(&self, contact: &Arc<Contact>) {
        locked(&self.shared.place).contact = LastContact::Of(Arc::clone(contact));
    }

    /// From now on it is not.
    pub(super) fn unfollow(&self) {
        let mut place = locked(&self.shared.place);
        place.contact = place.contact.frozen();
    }

    /// The source was heard of just now, by another way.
    pub(super) fn touch(&self) {
        locked(&self.shared.place).contact = LastContact::At(Instant::now());
    }

    pub(super) fn reference(&self) -> InboxRef {
        InboxRef(Arc::downgrade(&self.shared))
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        locked(&self.shared.waiting).is_ended = true;
        self.shared.arrived.notify_one();
    }
}

/// What both ends share.
#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    closing: Notify,
    is_closed: AtomicBool,
    is_parked: AtomicBool,
    held_bytes: AtomicUsize,
    held_count: AtomicUsize,
    limits: InboxLimits,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Waiting {
    queue: VecDeque<FetchEvent>,
    is_ended: bool,
}

/// Who fetches the partition, and when it was last heard of. The mailbox is held weakly: it can contain this very
/// partition.
#[derive(Debug)]
struct Place {
    fetcher: Option<(Weak<Mailbox<Mail>>, SlotId)>,
    contact: LastContact,
}

impl Shared {
    fn may_hold(&self) -> usize {
        self.limits.bytes_max.min(self.limits.budget.bytes_free() / FREE_SHARE)
    }

    fn is_full(&self) -> bool {
        let bytes = self.held_bytes.load(Ordering::SeqCst);
        let count = self.held_count.load(Ordering::SeqCst);
        count >= HELD_COUNT_MAX || (bytes > 0 && bytes >= self.may_hold())
    }

    /// Half of what it may hold: parking and unparking cost a line in a request each.
    fn has_room(&self) -> bool {
        let bytes = self.held_bytes.load(Ordering::SeqCst);
        let count = self.held_count.load(Ordering::SeqCst);
        count <= HELD_COUNT_MAX / 2 && (bytes == 0 || bytes <= self.may_hold() / 2)
    }

    fn unpark_if_drained(&self) {
        let is_parked = self.is_parked.load(Ordering::SeqCst);
        if is_parked && self.has_room() && self.is_parked.swap(false, Ordering::SeqCst) {
            self.nudge(Mail::Drained);
        }
    }

    fn close(&self) {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let events = {
            let mut waiting = locked(&self.waiting);
            waiting.is_ended = true;
            std::mem::take(&mut waiting.queue)
        };
        // Dropped outside of the lock: the memory in them wakes others.
        drop(events);
        self.arrived.notify_one();
        self.closing.notify_one();
        self.nudge(Mail::Closed);
    }

    fn nudge(&self, mail: fn(SlotId) -> Mail) {
        let fetcher = locked(&self.place).fetcher.clone();
        if let Some((mailbox, id)) = fetcher
            && let Some(mailbox) = mailbox.upgrade()
        {
            mailbox.post(mail(id));
        }
    }
}

/// When a broker last answered one of its fetchers.
#[derive(Debug)]
pub(super) struct Contact {
    base: Instant,
    /// Milliseconds after `base`.
    last_ms: AtomicU64,
}

impl Contact {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    pub(super) fn touch(&self) {
        let passed = self.base.elapsed().as_millis();
        self.last_ms.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.base + std::time::Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
enum LastContact {
    Never,
    At(Instant),
    Of(Arc<Contact>),
}

impl LastContact {
    fn last(&self) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(*at),
            Self::Of(contact) => Some(contact.last()),
        }
    }

    fn frozen(&self) -> Self {
        self.last().map_or(Self::Never, Self::At)
    }
}
