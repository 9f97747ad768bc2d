//! Listening, and keeping callers within their limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::{Extension, Router};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::access::Access;
use super::backend::Backend;
use super::routes::{self, Caller};
use super::settings::{ApiStartError, Limits, Settings, TlsFiles};
use super::tls;
use crate::secrets::SecretSource;
use crate::tasks::TaskGroup;

/// A token that can be guessed is worth a warning.
const TOKEN_CHARS_MIN: usize = 16;

/// What each connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    limits: Limits,
    tasks: TaskGroup,
}

/// Starts the API. Returns the address it listens on; it ends with `tasks`.
pub async fn serve(
    settings: Settings,
    backend: Arc<dyn Backend>,
    tasks: &TaskGroup,
) -> Result<SocketAddr, ApiStartError> {
    let bind = |error| ApiStartError::Bind { listen: settings.listen.clone(), error };
    let listener = TcpListener::bind(&settings.listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let is_loopback = address.ip().is_loopback();
    if let Some(token) = &settings.api_token {
        check_token(token)?;
        if !is_loopback && settings.tls.is_none() {
            return Err(ApiStartError::TokenWithoutTls { listen: settings.listen });
        }
    }
    let tls = match settings.tls {
        Some(files) => Some(watched_tls(files, settings.limits.certificate_interval, tasks)?),
        None => None,
    };
    let own_name = settings.listen.rsplit_once(':').map_or(settings.listen.as_str(), |(host, _)| host);
    let access = Access {
        loopback_host: is_loopback.then(|| own_name.trim_matches(['[', ']']).to_owned()),
        api_token: settings.api_token,
    };
    info!(%address, tls = tls.is_some(), can_change_state = access.api_token.is_some(), "API listens");
    let router = routes::router(backend, access, &settings.limits);
    let server = Server { router, tls, limits: settings.limits, tasks: tasks.clone() };
    tasks.spawn("api", accept(listener, server));
    Ok(address)
}

fn check_token(token: &SecretSource) -> Result<(), ApiStartError> {
    let token = token.read()?;
    match token.reveal().chars().count() {
        0 => return Err(ApiStartError::EmptyToken),
        chars if chars < TOKEN_CHARS_MIN => {
            warn!("daemon.api_token has less than {TOKEN_CHARS_MIN} characters and may be guessed");
        }
        _ => {}
    }
    Ok(())
}

/// The TLS set-up, read anew every now and then. A change that can't be used is logged, and the old one goes on.
fn watched_tls(
    files: TlsFiles,
    interval: Duration,
    tasks: &TaskGroup,
) -> Result<Arc<ArcSwap<ServerConfig>>, ApiStartError> {
    let current = Arc::new(ArcSwap::new(tls::load(&files)?));
    let watched = Arc::clone(&current);
    tasks.spawn_until_stopped("api certificate", async move {
        loop {
            tokio::time::sleep(interval).await;
            let files = files.clone();
            match tokio::task::spawn_blocking(move || tls::load(&files)).await {
                Ok(Ok(config)) => watched.store(config),
                Ok(Err(error)) => warn!(%error, "the API goes on with the certificate it has"),
                Err(error) => warn!(%error, "the API's certificate was not read"),
            }
        }
    });
    Ok(current)
}

async fn accept(listener: TcpListener, server: Server) {
    let connections = Arc::new(Semaphore::new(server.limits.connections_max));
    let stop = server.tasks.token();
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        match stop.run_until_cancelled(next).await {
            None => return,
            Some((Ok(permit), Ok((stream, caller)))) => {
                server.tasks.spawn("api connection", connection(server.clone(), stream, caller, permit));
            }
            Some((_, accepted)) => {
                // Mostly "too many open files": trying again at once would only burn the processor.
                debug!(error = ?accepted.err(), "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(server: Server, stream: TcpStream, caller: SocketAddr, permit: OwnedSemaphorePermit) {
    // A caller that reads no further would keep its place for ever; the system ends it after this time.
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(server.limits.answer_time)) {
        debug!(%error, "no time limit for unread answers");
    }
    if let Err(error) = SockRef::from(&stream).set_tcp_nodelay(true) {
        debug!(%error, "answers may be delayed");
    }
    match server.tls.as_ref().map(|tls| TlsAcceptor::from(tls.load_full())) {
        None => answer(&server, TokioIo::new(stream), caller).await,
        Some(acceptor) => match tokio::time::timeout(server.limits.header_time, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answer(&server, TokioIo::new(stream), caller).await,
            Ok(Err(error)) => debug!(%caller, %error, "TLS handshake failed"),
            Err(_) => debug!(%caller, "TLS handshake took too long"),
        },
    }
    drop(permit);
}

async fn answer<S>(server: &Server, stream: S, caller: SocketAddr)
where
    S: Read + Write + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(server.router.clone().layer(Extension(Caller(caller))));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.limits.header_time)
        .max_buf_size(server.limits.header_bytes_max)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = server.tasks.stopped() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(server.limits.drain_time, connection).await {
                Ok(ended) => ended,
                Err(_) => return debug!(%caller, "connection closed before its answer was read"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(%caller, %error, "connection ended");
    }
}
