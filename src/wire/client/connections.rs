//! The connections that all of a client's users share: one per broker, opened when needed, by one task at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Inner, PAUSE_FIRST, PAUSE_LONGEST, Route, coordinators, leaders};
use crate::tasks::Backoff;
use crate::types::BrokerId;
use crate::wire::{BrokerAddress, Connection, WireError, lock};

/// Brokers close connections that were idle for ten minutes (`connections.max.idle.ms`). A request sent at that
/// moment would be lost, so we don't use one that comes near.
const IDLE_MAX: Duration = Duration::from_mins(8);
/// Brokers tried before the bootstrap list is.
const BROKERS_TRIED: usize = 3;

/// What a shared connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    /// Whoever of the bootstrap list answers.
    Bootstrap,
    Broker(BrokerId),
}

/// The shared connections of a client.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: HashMap<End, Slot>,
    /// Where in the bootstrap list to begin: with the one that answered last.
    bootstrap_first: usize,
}

#[derive(Debug)]
struct Slot {
    state: State,
    backoff: Backoff,
    /// After a failure the next attempt waits until then.
    not_before: Option<Instant>,
}

type Outcome = Option<Result<Connection, WireError>>;

#[derive(Debug)]
enum State {
    Idle,
    Opening(watch::Receiver<Outcome>),
    Open(Connection),
}

impl Connections {
    /// Drops the connections to brokers that are gone or elsewhere. Requests under way on them still end.
    pub(super) fn drop_moved(&mut self, moved: &[BrokerId]) {
        for broker in moved {
            self.slots.remove(&End::Broker(*broker));
        }
    }

    pub(super) fn drop_all(&mut self) {
        self.slots.clear();
    }

    /// Whether the last attempt to reach this broker failed.
    fn has_failed(&self, broker: BrokerId) -> bool {
        self.slots.get(&End::Broker(broker)).is_some_and(|slot| slot.not_before.is_some())
    }

    fn any_open(&self) -> Option<Connection> {
        self.slots.values().find_map(Slot::usable).cloned()
    }
}

impl Slot {
    fn new() -> Self {
        Self { state: State::Idle, backoff: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST), not_before: None }
    }

    fn usable(&self) -> Option<&Connection> {
        match &self.state {
            State::Open(connection) if !connection.is_closed() && connection.idle_time() < IDLE_MAX => Some(connection),
            State::Open(_) | State::Opening(_) | State::Idle => None,
        }
    }
}

impl Inner {
    /// The shared connection that a route leads to.
    pub(super) async fn shared_connection(self: &Arc<Self>, route: &Route) -> Result<Connection, WireError> {
        match route {
            Route::Any => self.any_connection().await,
            Route::Broker(broker) => self.connection_to(*broker).await,
            Route::Controller => {
                let known = lock(&self.view).controller();
                let controller = match known {
                    Some(controller) => controller,
                    None => leaders::refresh_brokers(self).await?.ok_or_else(no_controller)?,
                };
                self.connection_to(controller).await
            }
            Route::Group(_) | Route::Transaction(_) => {
                let known = lock(&self.view).coordinator(route);
                let coordinator = match known {
                    Some(coordinator) => coordinator,
                    None => coordinators::find(self, route).await?,
                };
                self.connection_to(coordinator).await
            }
        }
    }

    /// Where a broker is. Asks the cluster when that is not known, or has turned out to be wrong.
    pub(super) async fn address_of(self: &Arc<Self>, broker: BrokerId) -> Result<BrokerAddress, WireError> {
        let known = lock(&self.view).address_of(broker).cloned();
        if let Some(address) = known {
            return Ok(address);
        }
        leaders::refresh_brokers(self).await?;
        let known = lock(&self.view).brokers().get(&broker).cloned();
        known.ok_or_else(|| WireError::NotAvailable {
            what: format!("broker {broker}"),
            reason: "it is not among the cluster's live brokers".to_owned(),
        })
    }

    async fn connection_to(self: &Arc<Self>, broker: BrokerId) -> Result<Connection, WireError> {
        let usable = lock(&self.connections).slots.get(&End::Broker(broker)).and_then(Slot::usable).cloned();
        if let Some(connection) = usable {
            return Ok(connection);
        }
        let address = self.address_of(broker).await?;
        self.open(End::Broker(broker), vec![address]).await
    }

    /// An open connection, or one to a broker that we know, or one from the bootstrap list.
    pub(super) async fn any_connection(self: &Arc<Self>) -> Result<Connection, WireError> {
        let open = lock(&self.connections).any_open();
        if let Some(connection) = open {
            return Ok(connection);
        }
        let mut known: Vec<_> = lock(&self.view).brokers().iter().map(|(id, at)| (*id, at.clone())).collect();
        known.shuffle(&mut rand::rng());
        known.sort_by_key(|(broker, _)| lock(&self.connections).has_failed(*broker));
        for (broker, address) in known.into_iter().take(BROKERS_TRIED) {
            match self.open(End::Broker(broker), vec![address]).await {
                Ok(connection) => return Ok(connection),
                Err(error) => tracing::debug!(%broker, %error, "broker not usable, trying another one"),
            }
        }
        let list = self.settings.bootstrap.iter().filter_map(|text| BrokerAddress::parse(text)).collect();
        self.open(End::Bootstrap, list).await
    }

    /// Waits for the one task that opens this connection; starts it if there is none.
    async fn open(self: &Arc<Self>, end: End, addresses: Vec<BrokerAddress>) -> Result<Connection, WireError> {
        let mut outcome = {
            let mut connections = lock(&self.connections);
            let slot = connections.slots.entry(end).or_insert_with(Slot::new);
            if let Some(connection) = slot.usable() {
                return Ok(connection.clone());
            }
            match &slot.state {
                State::Opening(outcome) => outcome.clone(),
                State::Open(_) | State::Idle => {
                    let (sender, outcome) = watch::channel(None);
                    slot.state = State::Opening(outcome.clone());
                    let opening = Arc::clone(self).open_task(end, addresses, slot.not_before, sender);
                    self.tasks.spawn_until_stopped("open a connection", opening);
                    outcome
                }
            }
        };
        let outcome = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| {
            let reason = "the client is gone".to_owned();
            Err(WireError::NotAvailable { what: "a connection".to_owned(), reason })
        })
    }

    async fn open_task(
        self: Arc<Self>,
        end: End,
        addresses: Vec<BrokerAddress>,
        not_before: Option<Instant>,
        outcome: watch::Sender<Outcome>,
    ) {
        if let Some(not_before) = not_before {
            tokio::time::sleep_until(not_before).await;
        }
        let opened = self.dial_in_turn(end, &addresses).await;
        {
            let mut connections = lock(&self.connections);
            let slot = connections.slots.entry(end).or_insert_with(Slot::new);
            if let Ok(connection) = &opened {
                *slot = Slot { state: State::Open(connection.clone()), ..Slot::new() };
            } else {
                slot.state = State::Idle;
                slot.not_before = Some(Instant::now() + slot.backoff.next_pause());
            }
        }
        if opened.is_err() && end != End::Bootstrap {
            lock(&self.view).doubt_brokers();
        }
        outcome.send_replace(Some(opened));
    }

    async fn dial_in_turn(&self, end: End, addresses: &[BrokerAddress]) -> Result<Connection, WireError> {
        let broker = match end {
            End::Bootstrap => None,
            End::Broker(broker) => Some(broker),
        };
        let first = lock(&self.connections).bootstrap_first;
        let mut failure = None;
        for turn in 0..addresses.len() {
            let index = (first + turn) % addresses.len();
            let Some(address) = addresses.get(index) else { continue };
            match self.dialer.dial(address, broker).await {
                Ok(connection) => {
                    if end == End::Bootstrap {
                        lock(&self.connections).bootstrap_first = index;
                    }
                    return Ok(connection);
                }
                // A refusal says more than an address where nobody listens.
                Err(error) => match &failure {
                    Some(told) if !matches!(told, WireError::Connect { .. }) => {}
                    _ => failure = Some(error),
                },
            }
        }
        Err(failure.unwrap_or_else(|| WireError::Connect {
            address: self.settings.bootstrap.join(","),
            reason: "no bootstrap server is given as host:port".to_owned(),
        }))
    }
}

fn no_controller() -> WireError {
    WireError::NotAvailable { what: "the controller".to_owned(), reason: "there is none at the moment".to_owned() }
}
