//! One connection to one broker.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::protocol::Request;

use super::{ProduceRequest, WireError};
use crate::types::BrokerId;

/// A connection: authenticated, with the broker's versions known. Clones share it.
/// It never reconnects: once lost, every request on it fails with [`WireError::Closed`].
#[derive(Debug, Clone)]
pub struct Connection {}

/// A response under way. Dropping it does not disturb the connection.
#[derive(Debug)]
pub struct Pending<T> {
    marker: PhantomData<T>,
}

impl<T> Future for Pending<T> {
    type Output = Result<T, WireError>;
    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}

impl Connection {
    /// The broker at the other end; `None` for a bootstrap connection.
    #[must_use]
    pub fn broker(&self) -> Option<BrokerId> {
        todo!()
    }

    /// The newest version of this API that both sides speak.
    pub fn version<R: Request>(&self) -> Result<i16, WireError> {
        todo!()
    }

    /// Queues a request. Returns when it has its place in the line: requests reach the broker in the order in
    /// which this returned. `version` must be one that the broker offers.
    pub async fn start<R: Request>(&self, _request: &R, _version: i16) -> Result<Pending<R::Response>, WireError> {
        todo!()
    }

    /// The same for Produce.
    pub async fn start_produce(&self, _request: &ProduceRequest) -> Result<Pending<ProduceResponse>, WireError> {
        todo!()
    }

    /// Sends a request at the newest common version and waits for its response.
    pub async fn call<R: Request>(&self, _request: &R) -> Result<R::Response, WireError> {
        todo!()
    }

    /// Whether the connection is lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        todo!()
    }

    /// Waits until the connection is lost.
    pub async fn closed(&self) {
        todo!()
    }
}
