//! A cluster as a client sees it.

mod connections;
mod coordinators;
mod leaders;
mod view;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::Request;

use self::connections::Connections;
use self::leaders::Refresh;
use self::view::View;
use super::dial::{Dial, TcpDialer};
use super::reach::{Reach, Reacher};
use super::{Connection, Leader, Metadata, ResponseError, Settings, WireError, lock, metadata};
use crate::tasks::{Backoff, TaskGroup};
use crate::types::{BrokerId, TopicName, TopicPartition};

/// Pauses between attempts: a leader election takes some hundred milliseconds.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// Metadata can be asked of any broker, so a lost connection is worth another try.
const METADATA_ATTEMPTS: usize = 3;

/// Which broker a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route {
    /// Any broker.
    Any,
    /// The controller.
    Controller,
    /// This broker.
    Broker(BrokerId),
    /// The coordinator of a consumer group.
    Group(String),
    /// The coordinator of a transactional id.
    Transaction(String),
}

/// A client of one cluster. Clones share its connections and what it knows of leaders.
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Ends the client's tasks with its last clone.
#[derive(Debug)]
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.tasks.stop();
    }
}

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    dialer: Arc<dyn Dial>,
    tasks: TaskGroup,
    view: Mutex<View>,
    connections: Mutex<Connections>,
    refresh: Mutex<Refresh>,
}

impl Client {
    /// Makes a client; connects at the first request. Must be used within a tokio runtime.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let dialer = Arc::new(TcpDialer::new(Arc::clone(&settings)));
        Self::with_dialer(settings, dialer)
    }

    /// A client whose way to the brokers is somebody else's. The bootstrap list only names it in messages.
    #[must_use]
    pub fn over(settings: Settings, reach: Arc<dyn Reach>) -> Self {
        let settings = Arc::new(settings);
        let dialer = Arc::new(Reacher::new(Arc::clone(&settings), reach));
        Self::with_dialer(settings, dialer)
    }

    fn with_dialer(settings: Arc<Settings>, dialer: Arc<dyn Dial>) -> Self {
        let inner = Inner {
            settings,
            dialer,
            tasks: TaskGroup::new(),
            view: Mutex::default(),
            connections: Mutex::default(),
            refresh: Mutex::default(),
        };
        Self { handle: Arc::new(Handle(Arc::new(inner))) }
    }

    /// Sends a request over the shared connection to that broker, at the newest common version.
    pub async fn call<R: Request>(&self, route: Route, request: &R) -> Result<R::Response, WireError> {
        self.call_at_most(route, request, i16::MAX).await
    }

    /// The same, at no version above `version_max`, for requests that are built differently from some version on.
    pub async fn call_at_most<R: Request>(
        &self,
        route: Route,
        request: &R,
        version_max: i16,
    ) -> Result<R::Response, WireError> {
        let answer = self.inner().call(&route, request, version_max).await;
        if answer.is_err() {
            self.forget_coordinator(&route);
        }
        answer
    }

    /// The newest version of an API that this broker and we speak.
    pub async fn version<R: Request>(&self, route: Route) -> Result<i16, WireError> {
        self.inner().shared_connection(&route).await?.version::<R>()
    }

    /// Asks for metadata of these topics (`None`: all), and remembers the leaders in it.
    pub async fn metadata(&self, topics: Option<&[TopicName]>) -> Result<Metadata, WireError> {
        self.inner().metadata(topics).await
    }

    /// The leader of a partition, from memory where it is young enough. Asks again, within the request timeout,
    /// while there is no leader yet.
    pub async fn leader(&self, partition: &TopicPartition) -> Result<Leader, WireError> {
        leaders::leader(self.inner(), partition).await
    }

    /// Forgets a leader that turned out to be wrong; the next look-up asks. Look-ups of many partitions are put
    /// into one request, and asking too often is slowed down.
    pub fn forget_leader(&self, partition: &TopicPartition) {
        lock(&self.inner().view).forget_leader(partition);
    }

    /// Forgets who coordinates a group or transactional id, or who is the controller, when a response says that it
    /// is another one; the next request asks. Other routes are never remembered.
    pub fn forget_coordinator(&self, route: &Route) {
        lock(&self.inner().view).forget_route(route);
    }

    /// Who coordinates each of these groups: from memory, or asked for many at a time. One attempt: each group that was
    /// asked for has an answer or its error.
    pub async fn group_coordinators(
        &self,
        groups: &[String],
    ) -> Result<std::collections::BTreeMap<String, Result<BrokerId, WireError>>, WireError> {
        coordinators::find_many(self.inner(), groups).await
    }

    /// Opens a connection of one's own to a broker: for fetching, for producing.
    pub async fn connect(&self, broker: BrokerId) -> Result<Connection, WireError> {
        let inner = self.inner();
        let address = inner.address_of(broker).await?;
        let connected = inner.dialer.dial(&address, Some(broker)).await;
        if connected.is_err() {
            lock(&inner.view).doubt_brokers();
        }
        connected
    }

    /// Where the brokers are, as the last metadata response had it.
    #[must_use]
    pub fn brokers(&self) -> std::collections::BTreeMap<BrokerId, super::BrokerAddress> {
        lock(&self.inner().view).brokers().clone()
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.handle.0
    }
}

impl Inner {
    async fn call<R: Request>(
        self: &Arc<Self>,
        route: &Route,
        request: &R,
        version_max: i16,
    ) -> Result<R::Response, WireError> {
        let connection = self.shared_connection(route).await?;
        send(&connection, request, version_max).await
    }

    async fn metadata(self: &Arc<Self>, topics: Option<&[TopicName]>) -> Result<Metadata, WireError> {
        let request = metadata::request(topics);
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut attempt = 1;
        loop {
            match self.metadata_once(&request).await {
                Err(WireError::Closed { .. } | WireError::Timeout { .. }) if attempt < METADATA_ATTEMPTS => {
                    attempt += 1;
                    backoff.pause().await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn metadata_once(self: &Arc<Self>, request: &MetadataRequest) -> Result<Metadata, WireError> {
        let connection = self.any_connection().await?;
        let response = send(&connection, request, i16::MAX).await?;
        if let Some(error) = ResponseError::try_from_code(response.error_code) {
            // The brokers that we know are of no use to us any more (KIP-1102): start from the bootstrap list.
            self.start_over();
            return Err(WireError::NotAvailable { what: "metadata".to_owned(), reason: error.to_string() });
        }
        let metadata = Metadata::from(response);
        let moved = lock(&self.view).learn(&metadata);
        lock(&self.connections).drop_moved(&moved);
        Ok(metadata)
    }

    fn start_over(&self) {
        lock(&self.view).forget_brokers();
        lock(&self.connections).drop_all();
    }
}

/// Sends a request when the broker wants to hear from us again.
async fn send<R: Request>(connection: &Connection, request: &R, version_max: i16) -> Result<R::Response, WireError> {
    if let Some(until) = connection.throttled_until() {
        tokio::time::sleep_until(until).await;
    }
    let version = connection.version_at_most::<R>(version_max)?;
    connection.start(request, version).await?.await
}

#[cfg(test)]
mod tests;
