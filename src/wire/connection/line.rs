//! A way into a connection's queue: the one that all requests share, or one that nothing comes between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::Request;
use tokio::sync::{mpsc, oneshot};

use super::frames::Outgoing;
use super::shared::{Answer, Patience, Shared};
use crate::wire::encode::{decode_response, encode_request, wait_asked_for};
use crate::wire::{WireError, api_name};

/// Requests put in here reach the broker in the order in which they were put.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Line {
    pub(super) shared: Arc<Shared>,
    lane: Lane,
}

#[derive(Debug, Clone)]
enum Lane {
    Common(mpsc::Sender<Outgoing>),
    Exclusive(mpsc::Sender<Vec<Bytes>>),
}

impl Line {
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Sender<Outgoing>) -> Self {
        Self { shared, lane: Lane::Common(queue) }
    }

    /// Queues a request at one version; its limit is the connection's unless there is another one.
    pub(super) async fn put<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Option<Duration>,
    ) -> Result<oneshot::Receiver<Answer>, WireError> {
        self.put_with(request, version, limit, None).await
    }

    /// The same for a response that is handed on while it arrives: its beginning is the answer, what follows goes into
    /// `rest`.
    pub(super) async fn put_in_parts<R: Request>(
        &self,
        request: &R,
        version: i16,
        rest: mpsc::Sender<Bytes>,
    ) -> Result<oneshot::Receiver<Answer>, WireError> {
        self.put_with(request, version, None, Some(rest)).await
    }

    async fn put_with<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Option<Duration>,
        rest: Option<mpsc::Sender<Bytes>>,
    ) -> Result<oneshot::Receiver<Answer>, WireError> {
        let correlation_id = self.shared.next_correlation_id();
        let client_id = &self.shared.client_id;
        let frame = encode_request(request, version, correlation_id, client_id)?;
        let patience = match limit {
            Some(limit) => Patience { limit, own_wait: Duration::ZERO },
            None => Patience {
                limit: self.shared.limits.request_timeout,
                own_wait: wait_asked_for::<R>(version, &frame, client_id),
            },
        };
        self.put_frame(vec![frame], correlation_id, api_name::<R>(), patience, rest).await
    }

    /// Queues a request that is encoded already.
    pub(super) async fn put_frame(
        &self,
        frame: Vec<Bytes>,
        correlation_id: i32,
        api: &'static str,
        patience: Patience,
        rest: Option<mpsc::Sender<Bytes>>,
    ) -> Result<oneshot::Receiver<Answer>, WireError> {
        let is_gone = |_| self.shared.loss_or_closed();
        // Between the place in the queue and its use nothing is awaited, so a caller that gives up leaves no trace.
        match &self.lane {
            Lane::Common(queue) => {
                let place = queue.reserve().await.map_err(is_gone)?;
                let answer = self.shared.expect(correlation_id, api, patience, rest)?;
                place.send(Outgoing::Request(frame));
                Ok(answer)
            }
            Lane::Exclusive(queue) => {
                let place = queue.reserve().await.map_err(is_gone)?;
                let answer = self.shared.expect(correlation_id, api, patience, rest)?;
                place.send(frame);
                Ok(answer)
            }
        }
    }

    /// Sends a request and waits for the bytes of its response.
    pub(in crate::wire) async fn exchange<R: Request>(&self, request: &R, version: i16) -> Result<Bytes, WireError> {
        let answer = self.put(request, version, None).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.loss_or_closed()))
    }

    /// Sends a request and waits for its response.
    pub(in crate::wire) async fn call<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, WireError> {
        let frame = self.exchange(request, version).await?;
        let decoded = decode_response::<R>(frame, version);
        decoded.map(|decoded| decoded.response).map_err(|reason| self.malformed(api_name::<R>(), &reason))
    }

    /// Everything put into the returned line goes out after what is queued now and before whatever comes later.
    pub(in crate::wire) async fn exclusive(&self) -> Result<Self, WireError> {
        let (sender, receiver) = mpsc::channel(1);
        if let Lane::Common(queue) = &self.lane {
            queue.send(Outgoing::Exclusive(receiver)).await.map_err(|_| self.shared.loss_or_closed())?;
        }
        Ok(Self { shared: Arc::clone(&self.shared), lane: Lane::Exclusive(sender) })
    }

    pub(in crate::wire) fn malformed(&self, api: &'static str, reason: &str) -> WireError {
        self.shared.malformed(api, reason)
    }

    /// Whether responses are judged before they are decoded.
    pub(in crate::wire) fn is_judged(&self) -> bool {
        self.shared.limits.is_judged
    }

    /// `host:port` of the other end.
    pub(in crate::wire) fn address(&self) -> &str {
        &self.shared.address
    }
}
