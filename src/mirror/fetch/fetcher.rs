//! One fetcher: one connection to one source broker, one session, the partitions that are read over it.
//!
//! Owns: the connection, the loop "take mail, reserve memory, ask, hand out", the partitions it was given.
//! Promises: work per response is in proportion to what changed; a partition that can't be read here goes back to the
//! supervisor; one whose inbox is full is left out of the session until it drains.
//! Does not know: how a partition's place is found.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::FetchResponse;
use tokio::time::Instant;

use super::codes::{SessionVerdict, code_name, session_verdict};
use super::holdings::Holdings;
use super::mailbox::Mailbox;
use super::memory::{Appetite, Purse};
use super::parked::ParkedLook;
use super::request::{SESSIONS_FROM, Shape, TOPIC_IDS_FROM, fetch_request};
use super::slot::{Mail, Trouble};
use super::source::{Line, Source};
use super::supervisor::{Common, FetchMetrics};
use crate::tasks::Backoff;
use crate::types::BrokerId;
use crate::wire::WireError;

/// How long a broker may hold a request while partitions come and go: those that are not in the request wait for it.
const WAIT_IN_HURRY: Duration = Duration::from_millis(10);
/// For how long after a change.
const HURRY_FOR: Duration = Duration::from_secs(2);
/// How often to look whether partitions held back by the rate limit may go on.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A response with fewer bytes than this is a trickle.
const TRICKLE_BYTES: usize = 64 << 10;
/// The least time between two requests of a trickle: a thousand small requests a second would cost either broker
/// more than the records do. A record that comes alone does not wait, for its request was sent long before.
const TRICKLE_PACE: Duration = Duration::from_millis(4);
/// A connection without partitions is kept so long.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Sending a last request over an idle connection takes no longer.
const CLOSE_MAX: Duration = Duration::from_secs(1);

pub(super) struct Fetcher<S: Source> {
    broker: BrokerId,
    source: S,
    common: Arc<Common>,
    mailbox: Arc<Mailbox<Mail>>,
    holdings: Holdings,
    parked: ParkedLook<S>,
    appetite: Appetite,
    metrics: FetchMetrics,
    line: Option<S::Line>,
    version: i16,
    /// Requests that failed since the last response, and the pause until the next connection is tried.
    failures: u32,
    backoff: Backoff,
    down: Option<Down>,
    muted_until: Instant,
}

/// The broker could not be reached.
struct Down {
    until: Instant,
    reason: String,
}

impl<S: Source> Fetcher<S> {
    pub(super) fn new(broker: BrokerId, source: S, common: Arc<Common>, mailbox: Arc<Mailbox<Mail>>) -> Self {
        let response_bytes_max = usize::try_from(common.settings.response_bytes_max).unwrap_or(usize::MAX);
        Self {
            appetite: Appetite::new(common.budget.clone(), Arc::clone(&common.table), response_bytes_max),
            metrics: FetchMetrics::new(&common.metrics, &source.name(), broker),
            holdings: Holdings::new(Arc::clone(&common)),
            parked: ParkedLook::new(source.clone()),
            broker,
            source,
            common,
            mailbox,
            line: None,
            version: 0,
            failures: 0,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            down: None,
            muted_until: Instant::now(),
        }
    }

    /// Works until it is dropped. Its session is then left to the broker, which drops it when it needs the room.
    pub(super) async fn run(mut self) {
        loop {
            self.take_mail();
            if self.holdings.is_empty() {
                self.idle().await;
                continue;
            }
            if !self.connect().await {
                continue;
            }
            self.holdings.let_first_ones_go_first();
            if self.holdings.session().is_empty() {
                self.wait_for_something_to_ask().await;
                continue;
            }
            tokio::time::sleep_until(self.muted_until).await;
            self.common.pace.turn().await;
            let purse = self.appetite.reserve(self.common.pace.bytes_at_once()).await;
            // While waiting, partitions may have come or gone.
            self.take_mail();
            if !self.holdings.session().is_empty() {
                self.ask(purse).await;
            }
        }
    }

    fn take_mail(&mut self) {
        for mail in self.mailbox.take() {
            match mail {
                Mail::Add(slot) => {
                    slot.outlet.settle_at(&self.mailbox, slot.id);
                    // Closed before it could be told to this fetcher.
                    if !slot.outlet.is_closed() {
                        self.holdings.add(slot);
                    }
                }
                Mail::Drained(id) => self.holdings.unpark(id),
                Mail::Closed(id) => self.holdings.remove(id),
            }
        }
    }

    async fn idle(&mut self) {
        self.appetite.rest();
        if self.line.is_none() {
            return self.mailbox.arrival().await;
        }
        if tokio::time::timeout(IDLE_MAX, self.mailbox.arrival()).await.is_ok() {
            return;
        }
        let Some(line) = self.line.take() else { return };
        if self.version >= SESSIONS_FROM
            && let Some(turn) = self.holdings.session().close()
        {
            let shape = Shape { version: self.version, wait: Duration::ZERO, bytes_max: 1 };
            let farewell = fetch_request(turn, &shape);
            // Manners only: a broker drops a session that nobody uses, when it needs the room.
            tokio::time::timeout(CLOSE_MAX, line.fetch(&farewell, self.version)).await.ok();
        }
    }

    async fn wait_for_something_to_ask(&mut self) {
        let has_held_back = self.holdings.has_held_back();
        let holdings = &self.holdings;
        tokio::select! {
            () = self.mailbox.arrival() => {}
            () = tokio::time::sleep(LOOK_AGAIN), if has_held_back => {}
            seen = self.parked.next(|| holdings.some_parked()) => self.holdings.observe_parked(seen),
        }
    }

    /// Makes sure that there is a connection. Without one all partitions go back, with the reason.
    async fn connect(&mut self) -> bool {
        if self.line.is_some() {
            return true;
        }
        if let Some(down) = self.down.as_ref().filter(|down| down.until > Instant::now()) {
            let reason = down.reason.clone();
            self.holdings.give_back_all(&Trouble::Lost { reason });
            return false;
        }
        let connected = match self.source.connect(self.broker).await {
            Ok(line) => line.fetch_version().map(|version| (line, version)),
            Err(error) => Err(error),
        };
        match connected {
            Ok((line, version)) => {
                self.line = Some(line);
                self.version = version;
                self.down = None;
                self.holdings.session().lost();
                true
            }
            Err(error) => {
                self.go_down(&error);
                false
            }
        }
    }

    fn go_down(&mut self, error: &WireError) {
        let reason = format!("cluster {}, broker {}: {error}", self.source.name(), self.broker);
        tracing::debug!(reason, partitions = self.holdings.len(), "giving partitions back");
        self.line = None;
        self.holdings.session().lost();
        self.holdings.give_back_all(&Trouble::Lost { reason: reason.clone() });
        self.down = Some(Down { until: Instant::now() + self.backoff.next_pause(), reason });
    }

    async fn ask(&mut self, purse: Purse) {
        let Some(line) = &self.line else { return };
        let version = if self.holdings.all_have_ids() { self.version } else { self.version.min(TOPIC_IDS_FROM - 1) };
        self.holdings.use_version(version);
        let settings = &self.common.settings;
        let is_hurried = self.holdings.changed_within(HURRY_FOR) || self.holdings.has_held_back();
        let wait = if is_hurried { WAIT_IN_HURRY.min(settings.wait_max) } else { settings.wait_max };
        let shape = Shape { version, wait, bytes_max: purse.bytes() };
        let request = fetch_request(self.holdings.session().next_turn(), &shape);
        let began = Instant::now();
        let outcome = {
            let mut fetching = std::pin::pin!(line.fetch(&request, version));
            loop {
                let holdings = &self.holdings;
                tokio::select! {
                    outcome = &mut fetching => break outcome,
                    seen = self.parked.next(|| holdings.some_parked()) => self.holdings.observe_parked(seen),
                }
            }
        };
        match outcome {
            Ok(response) => self.answered(response, purse, began),
            Err(error) => self.lost(&error),
        }
    }

    fn lost(&mut self, error: &WireError) {
        self.metrics.failed.increment(1);
        self.failures += 1;
        self.line = None;
        self.appetite.lost();
        self.holdings.session().lost();
        // Brokers close idle connections, and restart: once, a new connection is tried before anything is said.
        // Old brokers don't compare logs at each fetch, so there each partition must be checked first.
        let is_checked_by_broker = self.version >= super::request::LAST_EPOCH_FROM;
        if self.failures > 1 || !is_checked_by_broker {
            self.go_down(error);
        }
    }

    fn answered(&mut self, response: FetchResponse, mut purse: Purse, began: Instant) {
        if let Ok(throttle_ms) = u64::try_from(response.throttle_time_ms) {
            self.muted_until = Instant::now() + Duration::from_millis(throttle_ms);
        }
        match session_verdict(response.error_code) {
            SessionVerdict::Fine => {}
            SessionVerdict::Forgotten => {
                self.metrics.refused.increment(1);
                return self.holdings.session().refused();
            }
            SessionVerdict::OutOfStep => {
                self.metrics.refused.increment(1);
                self.failures += 1;
                self.holdings.session().lost();
                // Once is a misunderstanding, often is a fault: then not in a tight loop.
                if self.failures > 1 {
                    self.muted_until = Instant::now() + self.backoff.next_pause();
                }
                return;
            }
            SessionVerdict::Failed => return self.refused(response.error_code),
        }
        self.metrics.answered.increment(1);
        self.failures = 0;
        self.backoff.reset();
        self.holdings.session().accepted(if self.version >= SESSIONS_FROM { response.session_id } else { 0 });
        let (reserved, took) = (purse.bytes(), began.elapsed());
        let intake = self.holdings.hand_out(response, &mut purse);
        self.appetite.note(intake.bytes, reserved, took);
        if let Some(needed) = intake.needed {
            self.appetite.need(needed);
        }
        if intake.bytes > 0 {
            self.metrics.seconds.record(took.as_secs_f64());
            self.metrics.bytes.increment(u64::try_from(intake.bytes).unwrap_or(u64::MAX));
            self.common.pace.spend(intake.bytes);
            if intake.bytes < TRICKLE_BYTES {
                self.muted_until = self.muted_until.max(began + TRICKLE_PACE);
            }
        }
    }

    fn refused(&mut self, code: i16) {
        self.metrics.refused.increment(1);
        let name = code_name(code);
        let reason = format!("cluster {}, broker {}: Fetch was refused with {name}", self.source.name(), self.broker);
        self.holdings.session().lost();
        self.holdings.give_back_all(&Trouble::Lost { reason: reason.clone() });
        self.down = Some(Down { until: Instant::now() + self.backoff.next_pause(), reason });
    }
}
