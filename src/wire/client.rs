//! A cluster as a client sees it.

use kafka_protocol::protocol::Request;

use super::{Connection, Leader, Metadata, Settings, WireError};
use crate::types::{BrokerId, TopicName, TopicPartition};

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
pub struct Client {}

impl Client {
    /// Makes a client; connects at the first request.
    #[must_use]
    pub fn new(_settings: Settings) -> Self {
        todo!()
    }

    /// Sends a request over the shared connection to that broker, at the newest common version.
    pub async fn call<R: Request>(&self, _route: Route, _request: &R) -> Result<R::Response, WireError> {
        todo!()
    }

    /// The same, at no version above `version_max`, for requests that are built differently from some version on.
    pub async fn call_at_most<R: Request>(
        &self,
        _route: Route,
        _request: &R,
        _version_max: i16,
    ) -> Result<R::Response, WireError> {
        todo!()
    }

    /// The newest version of an API that this broker and we speak.
    pub async fn version<R: Request>(&self, _route: Route) -> Result<i16, WireError> {
        todo!()
    }

    /// Asks for metadata of these topics (`None`: all), and remembers the leaders in it.
    pub async fn metadata(&self, _topics: Option<&[TopicName]>) -> Result<Metadata, WireError> {
        todo!()
    }

    /// The leader of a partition, from memory where it is young enough.
    pub async fn leader(&self, _partition: &TopicPartition) -> Result<Leader, WireError> {
        todo!()
    }

    /// Forgets a leader that turned out to be wrong; the next look-up asks. Look-ups of many partitions are put
    /// into one request, and asking too often is slowed down.
    pub fn forget_leader(&self, _partition: &TopicPartition) {
        todo!()
    }

    /// Opens a connection of one's own to a broker: for fetching, for producing.
    pub async fn connect(&self, _broker: BrokerId) -> Result<Connection, WireError> {
        todo!()
    }
}
