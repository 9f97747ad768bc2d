//! How much a connection is given at a time.
//!
//! Owns: the measured speed of one connection.
//! Promises: what was given and is not on the line yet is about [`WORTH`] of what the line carries, within limits:
//! control does not wait long behind bulk on a slow line, and a fast one costs few system calls.
//! Does not know: what is sent.

use std::time::Duration;

use socket2::Socket;

use crate::peer::tcp;

/// What may wait below us, as time on the line.
const WORTH: Duration = Duration::from_millis(20);
/// One record of TLS.
const TOGETHER_BYTES_MIN: usize = 16 << 10;
const TOGETHER_BYTES_FIRST: usize = 32 << 10;
const TOGETHER_BYTES_MAX: usize = 256 << 10;
/// The speed is looked at after so much time of writing, or so many bytes.
const MEASURED_FOR: Duration = Duration::from_millis(200);
const MEASURED_BYTES: usize = 4 << 20;

/// See the module.
pub(super) struct Flow {
    /// Tells the system how much may wait in it. Tests' pipes have none.
    socket: Option<Socket>,
    together: usize,
    bytes: usize,
    writing: Duration,
}

impl Flow {
    pub(super) fn new(socket: Option<Socket>) -> Self {
        let flow = Self { socket, together: TOGETHER_BYTES_FIRST, bytes: 0, writing: Duration::ZERO };
        flow.tell();
        flow
    }

    /// What is written together. Control that comes meanwhile waits for it.
    pub(super) fn together(&self) -> usize {
        self.together
    }

    /// So many bytes took so long to get away. On a line that is not full that is no time at all.
    pub(super) fn note(&mut self, bytes: usize, took: Duration) {
        self.bytes += bytes;
        self.writing += took;
        if self.writing < MEASURED_FOR && self.bytes < MEASURED_BYTES {
            return;
        }
        let writing = std::mem::take(&mut self.writing).as_nanos().max(1);
        let worth = std::mem::take(&mut self.bytes) as u128 * WORTH.as_nanos() / writing;
        let worth = usize::try_from(worth).unwrap_or(usize::MAX).min(TOGETHER_BYTES_MAX).next_power_of_two();
        let together = worth.max(TOGETHER_BYTES_MIN);
        if together != self.together {
            self.together = together;
            self.tell();
        }
    }

    fn tell(&self) {
        if let Some(socket) = &self.socket
            && let Err(error) = tcp::set_not_sent_max(socket, self.together)
        {
            tracing::debug!(%error, "the system does not let us say how much may wait in it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_follows_the_line() {
        let mut flow = Flow::new(None);
        // Three megabytes a second take their time.
        for _ in 0..100 {
            flow.note(flow.together(), Duration::from_secs(1) * u32::try_from(flow.together()).unwrap() / 3_000_000);
        }
        assert_eq!(flow.together(), 64 << 10);
        // Ten kilobytes a second: no less than is worth a record.
        flow.note(flow.together(), Duration::from_secs(3));
        assert_eq!(flow.together(), TOGETHER_BYTES_MIN);
        // The line takes everything at once.
        for _ in 0..MEASURED_BYTES / TOGETHER_BYTES_MIN {
            flow.note(TOGETHER_BYTES_MIN, Duration::from_micros(10));
        }
        assert_eq!(flow.together(), TOGETHER_BYTES_MAX);
    }
}
