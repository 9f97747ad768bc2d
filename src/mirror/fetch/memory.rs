//! Memory for responses: set aside before a request is sent, shared out when the response is there.
//!
//! Owns: how much the next request may bring, and the permits of its parts.
//! Promises: nothing is asked for that has no room; a connection that brings little sets little aside.
//! Does not know: what the bytes are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::inbox::HeldMemory;
use crate::tasks::{ByteBudget, BytePermit};

/// The smallest response that is asked for. With less free a request waits: smaller ones cost more than they bring.
const BYTES_FLOOR: usize = 64 << 10;
/// More than this only makes a response cheaper where the way to the broker is long: nearby it costs memory, which is
/// cold by the time it is read.
const BYTES_PLENTY: usize = 4 << 20;
/// An exchange of that much is a long one.
const LONG_EXCHANGE: Duration = Duration::from_millis(40);
/// A response that takes so long is large enough for its line, whatever the line is.
const LONG_ENOUGH: Duration = Duration::from_secs(2);
/// On a line as slow as this what breaks off would cost too much, and other partitions would wait too long.
const TOO_LONG: Duration = Duration::from_secs(8);

/// Connections without records set aside this part of the budget together, so that one with records can have more.
const IDLE_SHARE: usize = 8;

/// How much one connection asks for.
#[derive(Debug)]
pub(super) struct Appetite {
    budget: ByteBudget,
    table: Arc<Table>,
    /// Whether its last response brought records.
    is_fed: bool,
    response_bytes_max: usize,
    /// What the next request asks for, before limits.
    wanted: usize,
    /// A batch that must fit, whatever the limits say.
    needed: usize,
}

impl Appetite {
    pub(super) fn new(budget: ByteBudget, table: Arc<Table>, response_bytes_max: usize) -> Self {
        table.seated.fetch_add(1, Ordering::Relaxed);
        let (wanted, needed) = (BYTES_FLOOR * 4, BYTES_FLOOR);
        Self { budget, table, is_fed: false, response_bytes_max, wanted, needed }
    }

    /// Waits for room for the next response.
    pub(super) async fn reserve(&self, at_once: Option<usize>) -> Purse {
        let share = self.table.share(self.budget.bytes_max(), self.is_fed);
        let most = self.response_bytes_max.min(share).min(at_once.unwrap_or(usize::MAX)).max(BYTES_FLOOR);
        let wanted = self.wanted.min(most);
        let wanted = wanted.min(self.budget.bytes_free()).max(self.needed);
        Purse { permit: self.budget.acquire(wanted).await, budget: self.budget.clone() }
    }

    /// A batch of so many bytes did not fit. Stays until the next response is read.
    pub(super) fn need(&mut self, bytes: usize) {
        self.needed = self.needed.max(bytes);
    }

    /// Doubles after a response that filled half of its room, halves after one that left three quarters unused. What
    /// is plenty grows only if the exchange took long, and a slow line is not asked for more than it brings in time.
    pub(super) fn note(&mut self, used: usize, reserved: usize, took: Duration) {
        self.needed = BYTES_FLOOR;
        self.set_fed(used > 0);
        if used >= reserved / 2 {
            if took >= TOO_LONG {
                self.wanted = (reserved / 2).max(BYTES_FLOOR);
                return;
            }
            if took >= LONG_ENOUGH || (self.wanted >= BYTES_PLENTY && took < LONG_EXCHANGE) {
                return;
            }
            self.wanted = self.wanted.saturating_mul(2).max(used).min(self.response_bytes_max.max(BYTES_FLOOR));
        } else if used < reserved / 4 {
            self.wanted = (self.wanted / 2).max(BYTES_FLOOR * 4);
        }
    }

    /// The connection was lost, and what was on its way with it: a slow line is asked for less of it.
    pub(super) fn lost(&mut self) {
        self.wanted = BYTES_FLOOR;
        self.set_fed(false);
    }

    /// It asks for nothing for a while.
    pub(super) fn rest(&mut self) {
        self.set_fed(false);
    }

    fn set_fed(&mut self, is_fed: bool) {
        match (self.is_fed, is_fed) {
            (false, true) => self.table.fed.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.table.fed.fetch_sub(1, Ordering::Relaxed),
            (false, false) | (true, true) => return,
        };
        self.is_fed = is_fed;
    }
}

impl Drop for Appetite {
    fn drop(&mut self) {
        self.set_fed(false);
        self.table.seated.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory set aside for one response. What is not taken out of it goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Purse {
    permit: BytePermit,
    budget: ByteBudget,
}

impl Purse {
    pub(super) fn bytes(&self) -> usize {
        self.permit.bytes()
    }

    /// A permit for so many bytes. A batch can be larger than what was asked for (Kafka sends the first one whole):
    /// then the rest is taken from the budget if it is there, and otherwise goes uncounted, once, because the
    /// bytes are in memory already.
    pub(super) fn pay(&mut self, bytes: usize) -> BytePermit {
        if bytes > self.permit.bytes()
            && let Some(permit) = self.budget.try_acquire(bytes)
        {
            return permit;
        }
        self.permit.split(bytes)
    }
}

/// The memory of one frame, shared by the partitions whose bytes are slices of it.
#[derive(Debug)]
pub(super) struct FrameMemory {
    bytes: usize,
    permit: Option<Arc<BytePermit>>,
}

impl FrameMemory {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, permit: None }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory of a slice: the whole frame, counted once for all slices.
    pub(super) fn slice(&mut self, purse: &mut Purse) -> HeldMemory {
        let permit = self.permit.get_or_insert_with(|| Arc::new(purse.pay(self.bytes)));
        HeldMemory::Frame { _permit: Arc::clone(permit) }
    }
}

/// The connections that share a budget.
#[derive(Debug, Default)]
pub(super) struct Table {
    seated: AtomicUsize,
    fed: AtomicUsize,
}

impl Table {
    /// What one connection may set aside. All together have half of the budget at most, so that long polls without an
    /// answer leave the other half to what is being produced. Those without records have little of it: over a long way
    /// the last partition of a catch-up is as fast as one response is large.
    fn share(&self, budget: usize, is_fed: bool) -> usize {
        let seated = self.seated.load(Ordering::Relaxed).max(1);
        let fed = self.fed.load(Ordering::Relaxed).clamp(usize::from(is_fed), seated);
        let of_idle = budget / (IDLE_SHARE * seated);
        if is_fed { (budget / 2).saturating_sub(of_idle * (seated - fed)) / fed } else { of_idle }
    }
}
