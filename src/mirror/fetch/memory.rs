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

/// How much one connection asks for.
#[derive(Debug)]
pub(super) struct Appetite {
    budget: ByteBudget,
    response_bytes_max: usize,
    /// What the next request asks for, before limits.
    wanted: usize,
    /// A batch that must fit, whatever the limits say.
    needed: usize,
}

impl Appetite {
    pub(super) fn new(budget: ByteBudget, response_bytes_max: usize) -> Self {
        Self { budget, response_bytes_max, wanted: BYTES_FLOOR * 4, needed: BYTES_FLOOR }
    }

    /// Waits for room for the next response. All connections together set aside half of the budget at most, so that
    /// long polls without an answer leave the other half to those with data. `busy` is the number of connections.
    pub(super) async fn reserve(&self, busy: usize, at_once: Option<usize>) -> Purse {
        let share = self.budget.bytes_max() / (2 * busy.max(1));
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
    /// is plenty grows only if the exchange took long.
    pub(super) fn note(&mut self, used: usize, reserved: usize, took: Duration) {
        self.needed = BYTES_FLOOR;
        if used >= reserved / 2 {
            if self.wanted >= BYTES_PLENTY && took < LONG_EXCHANGE {
                return;
            }
            self.wanted = self.wanted.saturating_mul(2).max(used).min(self.response_bytes_max.max(BYTES_FLOOR));
        } else if used < reserved / 4 {
            self.wanted = (self.wanted / 2).max(BYTES_FLOOR * 4);
        }
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

/// Counts the connections that have partitions.
#[derive(Debug, Default)]
pub(super) struct BusyCount(AtomicUsize);

impl BusyCount {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn change(&self, is_busy: bool) {
        if is_busy {
            self.0.fetch_add(1, Ordering::Relaxed);
        } else {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
