//! From a byte stream to a connection: tasks, version exchange, authentication and its renewal.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::shared::{Limits, Shared};
use super::{Connection, Handle, Line, frames};
use crate::types::BrokerId;
use crate::wire::versions::{Ceilings, Versions};
use crate::wire::{SaslSettings, Settings, WireError, sasl};

/// Requests that may wait to be written. Whoever comes then waits for a place.
const QUEUE_REQUESTS_MAX: usize = 64;

/// A session is renewed when this part of its lifetime has passed.
const RENEW_AT_PART: f64 = 0.85;
/// The least time between two renewals: a broker closes connections that renew twice within a second.
const RENEW_DISTANCE: Duration = Duration::from_millis(1_100);

/// Ends the tasks of a connection when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Which broker a byte stream leads to.
pub(in crate::wire) struct End<'a> {
    pub(in crate::wire) address: &'a str,
    pub(in crate::wire) broker: Option<BrokerId>,
    pub(in crate::wire) ceilings: Ceilings,
    /// Whether responses are judged by their form before they are decoded.
    pub(in crate::wire) is_judged: bool,
}

/// See [`Connection::establish`].
pub(in crate::wire) async fn establish<R, W>(
    reader: R,
    writer: W,
    end: End<'_>,
    settings: &Settings,
) -> Result<Connection, WireError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let limits = Limits {
        request_timeout: settings.request_timeout,
        frame_bytes_max: settings.frame_bytes_max,
        has_sasl: settings.sasl.is_some(),
        has_tls: settings.tls.is_some(),
        is_judged: end.is_judged,
    };
    let shared = Arc::new(Shared::new(end.address.to_owned(), settings.client_id.clone(), limits));
    let guard = Guard(Arc::clone(&shared));
    let (queue, requests) = mpsc::channel(QUEUE_REQUESTS_MAX);
    let tasks = &shared.tasks;
    tasks.spawn_until_stopped("read frames", frames::read_frames(reader, Arc::clone(&shared)));
    tasks.spawn_until_stopped("write frames", frames::write_frames(writer, requests, Arc::clone(&shared)));
    let watched = Arc::clone(&shared);
    tasks.spawn_until_stopped("watch deadlines", async move { watched.watch_deadlines().await });
    let line = Line::new(Arc::clone(&shared), queue);
    let introduced = introduce(&line, end.ceilings, settings).await;
    let versions = introduced.map_err(|error| match (error, shared.cause()) {
        // What a request is told of a loss is less than what is known of it.
        (WireError::Closed { .. }, Some(cause @ (WireError::Tls { .. } | WireError::FrameTooLarge { .. }))) => cause,
        (error, _) => error,
    })?;
    Ok(Connection { handle: Arc::new(Handle { line, broker: end.broker, versions, _guard: guard }) })
}

/// Exchanges versions and authenticates, and sees to it that the authentication is renewed in time.
async fn introduce(line: &Line, ceilings: Ceilings, settings: &Settings) -> Result<Arc<Versions>, WireError> {
    let versions = Arc::new(Versions::ask(line, ceilings).await?);
    if let Some(sasl) = &settings.sasl
        && let Some(lifetime) = sasl::authenticate(line, &versions, sasl).await?
    {
        let renewal = keep_authenticated(line.clone(), Arc::clone(&versions), sasl.clone(), lifetime);
        line.shared.tasks.spawn_until_stopped("keep authenticated", renewal);
    }
    Ok(versions)
}

/// Authenticates again before each session's end (KIP-368).
async fn keep_authenticated(line: Line, versions: Arc<Versions>, sasl: SaslSettings, mut lifetime: Duration) {
    loop {
        tokio::time::sleep(lifetime.mul_f64(RENEW_AT_PART).max(RENEW_DISTANCE)).await;
        let renewed = match line.exclusive().await {
            Ok(exclusive) => sasl::authenticate(&exclusive, &versions, &sasl).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(Some(next)) => lifetime = next,
            Ok(None) => return,
            // The broker would close the connection at the session's end, in the middle of anything.
            Err(error) => return line.shared.lose(&error, None),
        }
    }
}
