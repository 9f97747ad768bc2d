//! A line between daemons that a test can cut, freeze and make flap. It carries bytes, whatever they are. With several
//! ends it is a load balancer.
//!
//! Owns: one listening port, a pair of threads per connection.
//! Promises: without an order every byte passes unchanged; a frozen connection stays open and passes nothing.
//! Does not know: what goes over it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::process::listen;

/// What a slow line takes at a time. The system keeps little beside it, as a line does that has no large queue.
const SLOW_PIECE_BYTES: usize = 8 << 10;

/// A running line. Dropping it closes everything.
pub struct Line {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    is_frozen: AtomicBool,
    is_refusing: AtomicBool,
    is_closed: AtomicBool,
    bytes: AtomicU64,
    /// Bytes a second of all connections and both directions together; 0 for as many as there are.
    rate: u64,
    free_at: Mutex<Option<Instant>>,
}

struct Connection {
    ends: [TcpStream; 2],
    is_frozen: Arc<AtomicBool>,
}

impl Line {
    /// Listens on a free port and leads to one of `ends` in turn, those left out where nobody listens at the moment.
    /// It carries `rate` bytes a second, or as many as there are with 0.
    pub fn start(ends: &[u16], rate: u64) -> Self {
        let ends = ends.to_vec();
        let (listener, port) = listen();
        let shared = Arc::new(Shared { rate, ..Shared::default() });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (turn, near) in listener.incoming().flatten().enumerate() {
                if own.is_closed.load(Ordering::Relaxed) {
                    return;
                }
                if own.is_refusing.load(Ordering::Relaxed) {
                    continue;
                }
                let mut from_here = ends.iter().cycle().skip(turn % ends.len()).take(ends.len());
                if let Some(far) = from_here.find_map(|port| TcpStream::connect(("127.0.0.1", *port)).ok()) {
                    own.join(near, far);
                }
            }
        });
        Self { port, shared }
    }

    /// Where to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections; new ones are accepted.
    pub fn cut(&self) {
        for connection in self.shared.connections().drain(..) {
            connection.close();
        }
    }

    /// Passes nothing while connections stay open, as a dead network does; or goes on.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.is_frozen.store(is_frozen, Ordering::Relaxed);
    }

    /// Freezes one of the connections that are up, for good.
    pub fn freeze_one(&self, number: usize) {
        let connections = self.shared.connections();
        if let Some(connection) = connections.get(number % connections.len().max(1)) {
            connection.is_frozen.store(true, Ordering::Relaxed);
        }
    }

    /// Refuses new connections, or accepts them again.
    pub fn refuse(&self, is_refusing: bool) {
        self.shared.is_refusing.store(is_refusing, Ordering::Relaxed);
    }

    /// Bytes that have passed.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        self.freeze(false);
        self.cut();
        // The listening thread wakes up, and sees that it is over.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        let is_frozen = Arc::new(AtomicBool::new(false));
        if self.rate > 0 {
            for end in [&near, &far] {
                let _ = SockRef::from(end).set_recv_buffer_size(2 * SLOW_PIECE_BYTES);
                let _ = SockRef::from(end).set_send_buffer_size(2 * SLOW_PIECE_BYTES);
            }
        }
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let (shared, is_frozen) = (Arc::clone(self), Arc::clone(&is_frozen));
            std::thread::spawn(move || shared.carry(from, to, &is_frozen));
        }
        self.connections().push(Connection { ends: [near, far], is_frozen });
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_frozen: &AtomicBool) {
        let mut buffer = vec![0; if self.rate > 0 { SLOW_PIECE_BYTES } else { 64 << 10 }];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            while is_frozen.load(Ordering::Relaxed) || self.is_frozen.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                if self.is_closed.load(Ordering::Relaxed) {
                    return;
                }
            }
            self.keep_to_the_rate(count);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Waits until the line has carried what came before, and this.
    fn keep_to_the_rate(&self, bytes: usize) {
        if self.rate == 0 {
            return;
        }
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begin = free_at.map_or(now, |at| at.max(now));
            *free_at.insert(begin + Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.rate))
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

impl Connection {
    fn close(self) {
        self.is_frozen.store(false, Ordering::Relaxed);
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
