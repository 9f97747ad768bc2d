//! A relay before a broker that understands Kafka's frames just enough to do harm on purpose.
//!
//! Owns: one listening port, a pair of threads per connection, the faults that a test ordered, counters.
//! Promises: without an order every byte passes unchanged; a fault hits whole frames only.
//! Does not know: TLS (a secured listener can't be relayed), bodies beyond a Produce request's first field.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::listen;

use crate::frame::{self, Seen};

/// Kafka's API key of Produce.
pub const PRODUCE: i16 = 0;
/// Kafka's API key of Fetch.
pub const FETCH: i16 = 1;
/// Kafka's API key of OffsetCommit.
pub const OFFSET_COMMIT: i16 = 8;

/// A running relay. Dropping it closes everything.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    open: Mutex<Vec<TcpStream>>,
    is_stalled: AtomicBool,
    is_refusing: AtomicBool,
    is_closed: AtomicBool,
    data_produces: AtomicU64,
    data_answers: AtomicU64,
    dropped: AtomicU64,
    corrupted: AtomicU64,
}

/// What has been ordered. Counts go down as requests pass.
#[derive(Default)]
struct Faults {
    /// Data Produce requests from now on whose responses are swallowed: 1 is the next.
    drop_data_answers: Vec<u64>,
    /// Of every so many data Produce requests, one response is swallowed.
    drop_one_in: Option<u64>,
    delays: HashMap<i16, Duration>,
    corrupt_next: Option<i16>,
    is_refusing_after_drop: bool,
}

impl Relay {
    /// Listens on a free port and forwards to `broker`.
    pub fn start(broker: SocketAddr) -> Self {
        let (listener, port) = listen();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.is_closed.load(Ordering::Relaxed) {
                    return;
                }
                if !own.is_refusing.load(Ordering::Relaxed) {
                    // A broker that is down shows itself to the client as a closed connection.
                    let _ = forward(&own, &client, broker);
                }
            }
        });
        Self { port, shared }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Swallows the responses of the data Produce requests with these numbers (1 = the next one), after the broker
    /// has appended, and closes their connections.
    pub fn drop_data_answers(&self, numbers: &[u64]) {
        self.shared.faults().drop_data_answers.extend_from_slice(numbers);
    }

    /// Swallows the next data Produce request's response, and refuses all connections from then on, so that nothing is
    /// tried again before [`Relay::refuse`] ends it.
    pub fn drop_next_data_answer_and_refuse(&self) {
        let mut faults = self.shared.faults();
        faults.drop_data_answers.push(1);
        faults.is_refusing_after_drop = true;
    }

    /// Swallows the response of one of every `n` data Produce requests; `None` ends it.
    pub fn drop_one_data_answer_in(&self, n: Option<u64>) {
        self.shared.faults().drop_one_in = n;
    }

    /// Holds every request of this API for so long before the broker sees it. Zero ends it.
    pub fn delay(&self, api: i16, by: Duration) {
        self.shared.faults().delays.insert(api, by);
    }

    /// Flips one bit in the middle of the next large response of this API.
    pub fn corrupt_next(&self, api: i16) {
        self.shared.faults().corrupt_next = Some(api);
    }

    /// Closes all connections; new ones are accepted.
    pub fn cut(&self) {
        self.shared.close_all();
    }

    /// Refuses new connections, or accepts them again.
    pub fn refuse(&self, is_refusing: bool) {
        self.shared.is_refusing.store(is_refusing, Ordering::Relaxed);
    }

    /// Forwards nothing in either direction while connections stay open, as a dead network does.
    pub fn stall(&self, is_stalled: bool) {
        self.shared.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Ends all faults; counters stay.
    pub fn heal(&self) {
        *self.shared.faults() = Faults::default();
        self.refuse(false);
        self.stall(false);
    }

    /// How many responses were swallowed.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How many responses were corrupted.
    pub fn corrupted(&self) -> u64 {
        self.shared.corrupted.load(Ordering::Relaxed)
    }

    /// Data Produce requests that have passed.
    pub fn data_produces(&self) -> u64 {
        self.shared.data_produces.load(Ordering::Relaxed)
    }

    /// Data Produce requests that are on their way: sent, and neither answered nor swallowed.
    pub fn data_in_flight(&self) -> u64 {
        let answered = self.shared.data_answers.load(Ordering::Relaxed);
        self.data_produces().saturating_sub(answered)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        self.shared.close_all();
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_all(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait_while_stalled(&self) {
        while self.is_stalled.load(Ordering::Relaxed) && !self.is_closed.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

type Pending = Arc<Mutex<HashMap<i32, Pended>>>;

#[derive(Clone, Copy)]
struct Pended {
    seen: Seen,
    is_to_be_dropped: bool,
}

fn forward(shared: &Arc<Shared>, client: &TcpStream, broker: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(broker)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    shared.open.lock().unwrap_or_else(PoisonError::into_inner).extend([client.try_clone()?, server.try_clone()?]);
    let pending = Pending::default();
    let (up, down) = ((client.try_clone()?, server.try_clone()?), (server, client.try_clone()?));
    let (shared_up, shared_down) = (Arc::clone(shared), Arc::clone(shared));
    let pending_up = Arc::clone(&pending);
    let requests = std::thread::spawn(move || {
        let _ = pump_requests(&shared_up, &up.0, &up.1, &pending_up);
        close(&up.0, &up.1);
    });
    std::thread::spawn(move || {
        let _ = pump_answers(&shared_down, &down.0, &down.1, &pending);
        close(&down.0, &down.1);
        // Only when no more requests come is it certain how many will never be answered.
        let _ = requests.join();
        let unanswered = locked(&pending).values().filter(|p| p.seen.is_data_produce).count();
        shared_down.data_answers.fetch_add(unanswered as u64, Ordering::Relaxed);
    });
    Ok(())
}

fn pump_requests(shared: &Shared, mut client: &TcpStream, mut server: &TcpStream, pending: &Pending) -> io::Result<()> {
    loop {
        let bytes = frame::read(&mut client)?;
        let seen = frame::look(&bytes);
        let delay = shared.faults().delays.get(&seen.api).copied().unwrap_or_default();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        shared.wait_while_stalled();
        let is_to_be_dropped = seen.is_data_produce && count_data_produce(shared);
        locked(pending).insert(seen.correlation, Pended { seen, is_to_be_dropped });
        server.write_all(&bytes)?;
    }
}

/// Counts one more data Produce request, and says whether its response is to be swallowed.
fn count_data_produce(shared: &Shared) -> bool {
    let number = shared.data_produces.fetch_add(1, Ordering::Relaxed) + 1;
    let mut faults = shared.faults();
    faults.drop_data_answers.iter_mut().for_each(|n| *n = n.saturating_sub(1));
    let is_next = faults.drop_data_answers.contains(&0);
    faults.drop_data_answers.retain(|n| *n > 0);
    is_next || faults.drop_one_in.is_some_and(|n| number.is_multiple_of(n))
}

fn pump_answers(shared: &Shared, mut server: &TcpStream, mut client: &TcpStream, pending: &Pending) -> io::Result<()> {
    loop {
        let mut bytes = frame::read(&mut server)?;
        shared.wait_while_stalled();
        let pended = locked(pending).remove(&frame::correlation_of_answer(&bytes));
        if let Some(Pended { seen, is_to_be_dropped }) = pended {
            if seen.is_data_produce {
                shared.data_answers.fetch_add(1, Ordering::Relaxed);
            }
            if is_to_be_dropped {
                if std::mem::take(&mut shared.faults().is_refusing_after_drop) {
                    shared.is_refusing.store(true, Ordering::Relaxed);
                    shared.close_all();
                }
                shared.dropped.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            let mut faults = shared.faults();
            if faults.corrupt_next == Some(seen.api) && bytes.len() > 1_000 {
                faults.corrupt_next = None;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
                shared.corrupted.fetch_add(1, Ordering::Relaxed);
            }
        }
        client.write_all(&bytes)?;
    }
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

fn locked(pending: &Pending) -> MutexGuard<'_, HashMap<i32, Pended>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
