//! What the tasks and the handles of one connection share: who waits for what, and why it was lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::tasks::TaskGroup;
use crate::wire::tls::{explain, tls_error};
use crate::wire::{WireError, lock};

/// No request is waited for longer; beyond, time can't be counted.
const WAIT_MAX: Duration = Duration::from_hours(24 * 365);

/// What a response is waited for with.
pub(super) type Answer = Result<Bytes, WireError>;

/// What a connection was set up with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) request_timeout: Duration,
    pub(super) frame_bytes_max: usize,
    pub(super) has_sasl: bool,
    pub(super) has_tls: bool,
    /// Whoever answers is not trusted further than needed: responses are judged by their form before they are decoded.
    pub(super) is_judged: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: String,
    pub(super) client_id: String,
    pub(super) limits: Limits,
    pub(super) tasks: TaskGroup,
    waiting: Mutex<Waiting>,
    activity: Mutex<Activity>,
    deadline_moved: Notify,
    last_correlation_id: AtomicI32,
}

#[derive(Debug)]
enum Waiting {
    Open(Waiters),
    Lost {
        /// What went wrong.
        cause: WireError,
        /// What later requests are answered with.
        closed: WireError,
    },
}

#[derive(Debug, Default)]
struct Waiters {
    by_id: BTreeMap<i32, Waiter>,
    /// A broker answers one request after the other, so a request also waits for the long polls before it.
    own_waits: Duration,
    /// When the watcher of deadlines wakes up by itself.
    wakes_at: Option<Instant>,
    /// Since when a response is handed on as fast as somebody takes it: what is behind it can't arrive meanwhile.
    held_since: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    answer: oneshot::Sender<Answer>,
    /// Where what follows the beginning of the response goes, if it is to be handed on while it arrives.
    rest: Option<mpsc::Sender<Bytes>>,
    api: &'static str,
    own_wait: Duration,
    limit: Duration,
    deadline: Instant,
}

#[derive(Debug)]
struct Activity {
    last_used: Instant,
    throttled_until: Option<Instant>,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The limit for a broker that does its work at once.
    pub(super) limit: Duration,
    /// What the request itself allows the broker to wait.
    pub(super) own_wait: Duration,
}

impl Shared {
    pub(super) fn new(address: String, client_id: String, limits: Limits) -> Self {
        Self {
            address,
            client_id,
            limits,
            tasks: TaskGroup::new(),
            waiting: Mutex::new(Waiting::Open(Waiters::default())),
            activity: Mutex::new(Activity { last_used: Instant::now(), throttled_until: None }),
            deadline_moved: Notify::new(),
            last_correlation_id: AtomicI32::new(0),
        }
    }

    /// Ends the tasks, and so the socket.
    pub(super) fn stop(&self) {
        self.tasks.stop();
    }

    /// A number no waiting request has.
    pub(super) fn next_correlation_id(&self) -> i32 {
        self.last_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    /// Registers a request that is about to be queued. With `rest`, its response is handed on while it arrives.
    pub(super) fn expect(
        &self,
        correlation_id: i32,
        api: &'static str,
        patience: Patience,
        rest: Option<mpsc::Sender<Bytes>>,
    ) -> Result<oneshot::Receiver<Answer>, WireError> {
        let now = Instant::now();
        lock(&self.activity).last_used = now;
        let (answer, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        let waiters = match &mut *waiting {
            Waiting::Open(waiters) => waiters,
            Waiting::Lost { closed, .. } => return Err(closed.clone()),
        };
        waiters.own_waits = waiters.own_waits.saturating_add(patience.own_wait);
        let whole_wait = patience.limit.saturating_add(waiters.own_waits).min(WAIT_MAX);
        let deadline = now + whole_wait;
        let (limit, own_wait) = (patience.limit, patience.own_wait);
        waiters.by_id.insert(correlation_id, Waiter { answer, rest, api, own_wait, limit, deadline });
        if waiters.wakes_at.is_none_or(|wakes_at| deadline < wakes_at) {
            self.deadline_moved.notify_one();
        }
        Ok(receiver)
    }

    /// Where the rest of a response goes that is to be handed on while it arrives, and which API it answers.
    pub(super) fn rest_of(&self, correlation_id: i32) -> Option<(mpsc::Sender<Bytes>, &'static str)> {
        match &mut *lock(&self.waiting) {
            Waiting::Lost { .. } => None,
            Waiting::Open(waiters) => {
                let waiter = waiters.by_id.get_mut(&correlation_id)?;
                waiter.rest.take().map(|rest| (rest, waiter.api))
            }
        }
    }

    /// A response arrives, slowly: nothing is late while it does.
    pub(super) fn extend_deadlines(&self) {
        let earliest = Instant::now() + self.limits.request_timeout;
        if let Waiting::Open(waiters) = &mut *lock(&self.waiting) {
            for waiter in waiters.by_id.values_mut() {
                waiter.deadline = waiter.deadline.max(earliest);
            }
        }
    }

    /// From now on a response is handed on: deadlines stand still.
    pub(super) fn hold_deadlines(&self) {
        if let Waiting::Open(waiters) = &mut *lock(&self.waiting) {
            waiters.held_since = Some(Instant::now());
        }
        self.deadline_moved.notify_one();
    }

    /// It is handed on. Whoever waits gets the time back.
    pub(super) fn release_deadlines(&self) {
        if let Waiting::Open(waiters) = &mut *lock(&self.waiting) {
            let held = waiters.held_since.take().map_or(Duration::ZERO, |since| since.elapsed());
            for waiter in waiters.by_id.values_mut() {
                waiter.deadline += held;
            }
        }
        self.deadline_moved.notify_one();
    }

    /// Hands a frame to its waiter. False when the connection is lost.
    pub(super) fn deliver(&self, correlation_id: i32, frame: Bytes) -> bool {
        let waiter = match &mut *lock(&self.waiting) {
            Waiting::Lost { .. } => return false,
            Waiting::Open(waiters) => waiters.by_id.remove(&correlation_id).inspect(|waiter| {
                waiters.own_waits = waiters.own_waits.saturating_sub(waiter.own_wait);
            }),
        };
        let Some(waiter) = waiter else {
            let reason = format!("no request has correlation id {correlation_id}");
            self.lose(&self.malformed("a request", &reason), None);
            return false;
        };
        // Whoever asked may have lost interest.
        drop(waiter.answer.send(Ok(frame)));
        true
    }

    /// The connection can't be used any more: tells every waiter, ends the tasks. The first call decides.
    /// The culprit, where there is one, is told the error itself.
    pub(super) fn lose(&self, cause: &WireError, culprit: Option<i32>) {
        let closed = match cause {
            WireError::Closed { .. } => cause.clone(),
            other => self.closed(&other.to_string()),
        };
        let mut waiting = lock(&self.waiting);
        let waiters = match &mut *waiting {
            Waiting::Lost { .. } => return,
            Waiting::Open(waiters) => std::mem::take(waiters),
        };
        *waiting = Waiting::Lost { cause: cause.clone(), closed: closed.clone() };
        drop(waiting);
        tracing::debug!(address = %self.address, error = %cause, "connection lost");
        // Whatever it was that happened to the connection, these requests may have been carried out.
        let is_for_all = culprit.is_none() && cause.is_outcome_unknown();
        for (id, waiter) in waiters.by_id {
            let is_told_all = is_for_all || culprit == Some(id);
            drop(waiter.answer.send(Err(if is_told_all { cause.clone() } else { closed.clone() })));
        }
        self.tasks.stop();
    }

    /// The stream failed after so many responses, where that is known.
    pub(super) fn lose_by_io(&self, error: &io::Error, responses: Option<u64>) {
        let Limits { has_sasl, has_tls, .. } = self.limits;
        let cause = match error.kind() {
            // What a listener with other settings than ours does with our first or second request.
            io::ErrorKind::UnexpectedEof if responses == Some(0) && !has_tls => {
                self.closed("the broker closed it before its first response: does this listener want TLS?")
            }
            io::ErrorKind::UnexpectedEof if responses == Some(1) && !has_sasl => {
                self.closed("the broker closed it at the first request: does this listener want SASL?")
            }
            io::ErrorKind::UnexpectedEof => self.closed("the broker closed it"),
            _ if tls_error(error).is_some() => self.tls_failed(explain(error)),
            _ => self.closed(&error.to_string()),
        };
        self.lose(&cause, None);
    }

    /// What went wrong; `None` while nothing has.
    pub(super) fn cause(&self) -> Option<WireError> {
        match &*lock(&self.waiting) {
            Waiting::Open(_) => None,
            Waiting::Lost { cause, .. } => Some(cause.clone()),
        }
    }

    /// What requests are answered with once the connection is lost; `None` while it is not.
    fn loss(&self) -> Option<WireError> {
        match &*lock(&self.waiting) {
            Waiting::Open(_) => None,
            Waiting::Lost { closed, .. } => Some(closed.clone()),
        }
    }

    /// The loss, for places that were told of it by a channel's end.
    pub(super) fn loss_or_closed(&self) -> WireError {
        self.loss().unwrap_or_else(|| self.closed("it was given up"))
    }

    /// Loses the connection when a request's deadline passes: its later answer could not be told apart from others.
    pub(super) async fn watch_deadlines(&self) {
        loop {
            let wakes_at = match &mut *lock(&self.waiting) {
                Waiting::Lost { .. } => return,
                Waiting::Open(waiters) => {
                    let first = waiters.by_id.values().map(|waiter| waiter.deadline).min();
                    waiters.wakes_at = first.filter(|_| waiters.held_since.is_none());
                    waiters.wakes_at
                }
            };
            match wakes_at {
                None => self.deadline_moved.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => self.expire(),
                    () = self.deadline_moved.notified() => {}
                },
            }
        }
    }

    fn expire(&self) {
        let now = Instant::now();
        let late = match &*lock(&self.waiting) {
            Waiting::Lost { .. } => None,
            // It began to be handed on while we woke up.
            Waiting::Open(waiters) if waiters.held_since.is_some() => None,
            Waiting::Open(waiters) => waiters
                .by_id
                .iter()
                .filter(|(_, waiter)| waiter.deadline <= now)
                .min_by_key(|(_, waiter)| waiter.deadline)
                .map(|(id, waiter)| (*id, waiter.api, waiter.limit + waiter.own_wait)),
        };
        if let Some((id, api, limit)) = late {
            self.lose(&WireError::Timeout { address: self.address.clone(), api, limit }, Some(id));
        }
    }

    /// Notes that the broker wants us to keep quiet for a while.
    pub(super) fn throttle(&self, pause: Duration) {
        if !pause.is_zero() {
            let until = Instant::now() + pause;
            let mut activity = lock(&self.activity);
            activity.throttled_until = activity.throttled_until.max(Some(until));
        }
    }

    pub(super) fn throttled_until(&self) -> Option<Instant> {
        lock(&self.activity).throttled_until.filter(|until| *until > Instant::now())
    }

    pub(super) fn idle_time(&self) -> Duration {
        lock(&self.activity).last_used.elapsed()
    }

    pub(super) fn closed(&self, reason: &str) -> WireError {
        WireError::Closed { address: self.address.clone(), reason: reason.to_owned() }
    }

    pub(super) fn malformed(&self, api: &'static str, reason: &str) -> WireError {
        WireError::Malformed { address: self.address.clone(), api, reason: reason.to_owned() }
    }

    pub(super) fn timed_out(&self, api: &'static str) -> WireError {
        WireError::Timeout { address: self.address.clone(), api, limit: self.limits.request_timeout }
    }

    pub(super) fn frame_too_large(&self, bytes: usize) -> WireError {
        let bytes_max = self.limits.frame_bytes_max;
        WireError::FrameTooLarge { address: self.address.clone(), bytes: bytes as u64, bytes_max }
    }

    pub(super) fn tls_failed(&self, reason: String) -> WireError {
        WireError::Tls { address: self.address.clone(), reason }
    }
}
