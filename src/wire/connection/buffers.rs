//! The memory of large frames, used again.
//!
//! Owns: a few buffers of one connection that nobody reads any more.
//! Promises: no more than [`IDLE_MAX`] large buffers, [`IDLE_SMALL_BYTES_MAX`] of small ones and [`IDLE_BYTES_MAX`] of
//! all lie idle, and those not for long.
//! Does not know: what a frame is.
//!
//! A new buffer of megabytes is new pages, and the kernel clears each of them when it is first written to. That was
//! more than half of what the daemon did at 100 MB/s.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// Smaller frames come and go within memory that the allocator keeps.
const LARGE_BYTES: usize = 128 << 10;
/// Memory set aside before the bytes of a frame have arrived, and the step in which it grows.
const FIRST_RESERVE_BYTES: usize = 256 << 10;
/// One is being filled while another one is still read.
const IDLE_MAX: usize = 2;
/// Of a response that is handed on, several parts are under way.
const IDLE_SMALL_BYTES_MAX: usize = 1 << 20;
const IDLE_BYTES_MAX: usize = 16 << 20;
/// How long buffers wait for another large frame.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(5);

type Idle = Mutex<Vec<Vec<u8>>>;

/// The buffers of one connection.
#[derive(Debug)]
pub(super) struct Buffers {
    idle: Arc<Idle>,
    used_at: Instant,
}

/// A frame whose buffer goes home when the last slice of it is dropped.
struct Borrowed {
    buffer: Vec<u8>,
    home: Weak<Idle>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { idle: Arc::default(), used_at: Instant::now() }
    }

    /// An empty buffer for a frame of so many bytes.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        if length >= LARGE_BYTES {
            self.used_at = Instant::now();
            if let Some(buffer) = lock(&self.idle).pop() {
                return buffer;
            }
        } else if self.used_at.elapsed() > KEPT_FOR {
            self.drop_idle();
        }
        Vec::with_capacity(length.min(FIRST_RESERVE_BYTES))
    }

    /// An empty buffer for a part of a frame, with room for so many bytes.
    pub(super) fn take_part(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.take(bytes);
        buffer.reserve_exact(bytes);
        buffer
    }

    /// Makes room in a full buffer for more of a frame. Memory follows what arrives, so that an announced size alone
    /// costs nothing.
    pub(super) fn grow(buffer: &mut Vec<u8>, length: usize) {
        let more = length.saturating_sub(buffer.len()).min(buffer.len());
        let is_large = length >= LARGE_BYTES;
        buffer.reserve_exact(if is_large { more.next_multiple_of(FIRST_RESERVE_BYTES) } else { more });
    }

    /// The frame that a buffer was filled with.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < LARGE_BYTES {
            return Bytes::from(buffer);
        }
        Bytes::from_owner(Borrowed { buffer, home: Arc::downgrade(&self.idle) })
    }

    /// Whether anything lies idle.
    pub(super) fn has_idle(&self) -> bool {
        !lock(&self.idle).is_empty()
    }

    /// Gives idle memory up.
    pub(super) fn drop_idle(&self) {
        lock(&self.idle).clear();
    }
}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // The connection is gone: so is what it would have been used for.
        let Some(home) = self.home.upgrade() else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut idle = lock(&home);
        let bytes = idle.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity();
        if bytes <= IDLE_SMALL_BYTES_MAX || (idle.len() < IDLE_MAX && bytes <= IDLE_BYTES_MAX) {
            idle.push(buffer);
        }
    }
}

/// A list of buffers is whole whoever panicked.
fn lock(idle: &Idle) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
