//! One connection to one broker.
//!
//! A task reads, a task writes, a task watches deadlines; they share one state and end when the last handle is
//! dropped or the connection is lost. Responses are decoded by whoever waits for them.

mod buffers;
mod establish;
mod frames;
mod line;
mod parts;
mod shared;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::protocol::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub(super) use self::establish::{End, establish};
pub(super) use self::line::Line;
pub use self::parts::Parts;

use self::establish::Guard;

use super::encode::{Decoded, beginning, decode_judged, decode_response};
use super::produce::decode_produce;
use super::versions::{Ceilings, Versions};
use super::{ProduceRequest, Settings, WireError, api_name};
use crate::types::BrokerId;

/// A connection: authenticated, with the broker's versions known. Clones share it.
/// It never reconnects: once lost, every request on it fails with [`WireError::Closed`].
#[derive(Debug, Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// What ends with the last clone.
#[derive(Debug)]
struct Handle {
    line: Line,
    broker: Option<BrokerId>,
    versions: Arc<Versions>,
    _guard: Guard,
}

/// A response under way. Dropping it does not disturb the connection.
#[must_use = "the broker's answer is in it"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<Bytes, WireError>>,
    handle: Arc<Handle>,
    decode: fn(Bytes, i16) -> Result<Decoded<T>, String>,
    api: &'static str,
    api_key: i16,
    version: i16,
}

impl Connection {
    /// Makes a connection out of a byte stream to a broker: exchanges versions, authenticates where that is configured.
    pub async fn establish<R, W>(
        reader: R,
        writer: W,
        address: &str,
        broker: Option<BrokerId>,
        settings: &Settings,
    ) -> Result<Self, WireError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let end = End { address, broker, ceilings: Ceilings::default(), is_judged: false };
        establish(reader, writer, end, settings).await
    }

    /// The broker at the other end; `None` for a bootstrap connection.
    #[must_use]
    pub fn broker(&self) -> Option<BrokerId> {
        self.handle.broker
    }

    /// `host:port` of the other end, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        self.handle.line.address()
    }

    /// The newest version of this API that both sides speak.
    pub fn version<R: Request>(&self) -> Result<i16, WireError> {
        self.version_at_most::<R>(i16::MAX)
    }

    /// The newest version of this API that both sides speak, at most `version_max`.
    pub fn version_at_most<R: Request>(&self, version_max: i16) -> Result<i16, WireError> {
        let unsupported = || WireError::Unsupported { address: self.address().to_owned(), api: api_name::<R>() };
        self.handle.versions.newest::<R>(version_max).ok_or_else(unsupported)
    }

    /// Queues a request. Returns when it has its place in the line: requests reach the broker in the order in
    /// which this returned. `version` must be one that the broker offers. The response is due within the
    /// request timeout, plus what a fetch (and those queued before it) may wait for data; while a response arrives, the
    /// time counts anew with each 64 KiB of it.
    pub async fn start<R: Request>(&self, request: &R, version: i16) -> Result<Pending<R::Response>, WireError> {
        let receiver = self.handle.line.put(request, version, None).await?;
        Ok(self.pending::<R>(receiver, version))
    }

    /// The same for a response that is handed on, not looked into, while it still arrives. Responses behind it wait
    /// until it is taken.
    pub async fn start_in_parts<R: Request>(&self, request: &R, version: i16) -> Result<Parts, WireError> {
        let (sender, rest) = mpsc::channel(parts::WAITING_MAX);
        let receiver = self.handle.line.put_in_parts(request, version, sender).await?;
        let Pending { receiver, handle, api, api_key, version, .. } = self.pending::<R>(receiver, version);
        Ok(Parts::new(Pending { receiver, handle, decode: beginning::<R>, api, api_key, version }, rest))
    }

    /// The oldest and the newest version of this API that both sides speak.
    #[must_use]
    pub fn common_versions<R: Request>(&self) -> Option<(i16, i16)> {
        self.handle.versions.common::<R>()
    }

    /// The same with a limit of its own instead of the request timeout, for requests that a broker may take long over.
    pub async fn start_with_deadline<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<Pending<R::Response>, WireError> {
        let receiver = self.handle.line.put(request, version, Some(limit)).await?;
        Ok(self.pending::<R>(receiver, version))
    }

    /// The same for Produce, at the newest common version (12 at most while a topic has no id). Record bytes are
    /// not copied. The response is due within the request timeout plus the request's own timeout.
    pub async fn start_produce(&self, request: &ProduceRequest) -> Result<Pending<ProduceResponse>, WireError> {
        type Produce = kafka_protocol::messages::ProduceRequest;
        let version = self.version_at_most::<Produce>(request.version_max())?;
        let shared = &self.handle.line.shared;
        let correlation_id = shared.next_correlation_id();
        let frame = request.encode(version, correlation_id, &shared.client_id)?;
        let patience = shared::Patience { limit: shared.limits.request_timeout, own_wait: request.timeout };
        let receiver = self.handle.line.put_frame(frame, correlation_id, api_name::<Produce>(), patience, None).await?;
        Ok(Pending { decode: decode_produce, ..self.pending::<Produce>(receiver, version) })
    }

    /// Sends a request at the newest common version and waits for its response.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        let version = self.version::<R>()?;
        self.start(request, version).await?.await
    }

    /// Until when the broker wants this client to keep quiet; `None` when it does not mind.
    #[must_use]
    pub fn throttled_until(&self) -> Option<Instant> {
        self.handle.line.shared.throttled_until()
    }

    /// Whether the connection is lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.line.shared.tasks.is_stopping()
    }

    /// Waits until the connection is lost.
    pub async fn closed(&self) {
        self.handle.line.shared.tasks.stopped().await;
    }

    /// How long ago the last request was queued.
    pub(super) fn idle_time(&self) -> Duration {
        self.handle.line.shared.idle_time()
    }

    fn pending<R: Request>(
        &self,
        receiver: oneshot::Receiver<Result<Bytes, WireError>>,
        version: i16,
    ) -> Pending<R::Response> {
        let is_judged = self.handle.line.shared.limits.is_judged;
        Pending {
            receiver,
            handle: Arc::clone(&self.handle),
            decode: if is_judged { decode_judged::<R> } else { decode_response::<R> },
            api: api_name::<R>(),
            api_key: R::KEY,
            version,
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, WireError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        let shared = &self.handle.line.shared;
        let frame = answer.unwrap_or_else(|_| Err(shared.loss_or_closed()))?;
        Poll::Ready(match (self.decode)(frame, self.version) {
            Ok(decoded) => {
                shared.throttle(decoded.throttle);
                Ok(decoded.response)
            }
            Err(reason) => {
                self.handle.versions.note_unreadable(self.api_key, self.version, &reason);
                let error = shared.malformed(self.api, &reason);
                shared.lose(&shared.closed(&error.to_string()), None);
                Err(error)
            }
        })
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("api", &self.api).field("version", &self.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
