//! Handing things from one task to another without waiting.
//!
//! Owns: a queue and its wake-up.
//! Promises: nobody who posts ever waits, so two tasks that post to each other can't block one another.
//! Does not know: what is posted. Whoever posts bounds the queue: a partition is in one place at a time, and a
//! partition is nudged at most twice (drained, closed) before it is looked at.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A queue with one reader.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    queue: Mutex<VecDeque<T>>,
    arrived: Notify,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self { queue: Mutex::new(VecDeque::new()), arrived: Notify::new() }
    }

    /// Puts something in.
    pub(super) fn post(&self, item: T) {
        locked(&self.queue).push_back(item);
        self.arrived.notify_one();
    }

    /// Takes everything out, in the order in which it was posted.
    pub(super) fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut *locked(&self.queue))
    }

    /// Waits until there is something. May return early.
    pub(super) async fn arrival(&self) {
        self.arrived.notified().await;
    }
}

/// A lock that a panicking task left behind still holds whole values: none is changed in more than one step.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
