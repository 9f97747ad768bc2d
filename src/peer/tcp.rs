//! TCP towards peers: names, proxies, socket options.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::TcpStream;

use super::dialler::{Connect, Target};
use super::error::PeerError;
use super::proxy;
use super::settings::{Address, PeerSettings};
use super::tls::Tls;
use super::transport::Transport;

/// Connects by TCP and TLS.
pub(super) struct TcpConnect {
    pub(super) tls: Arc<Tls>,
    pub(super) silence_max: Duration,
}

impl Connect for TcpConnect {
    fn resolve<'a>(
        &'a self,
        peer: &'a PeerSettings,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Vec<Target>, PeerError>> {
        Box::pin(async move {
            if peer.proxy.is_some() {
                return Ok(vec![Target { address: address.clone(), at: None }]);
            }
            let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
            let found = found.map_err(|error| refuse(address, &error))?;
            let targets: Vec<_> = found.map(|at| Target { address: address.clone(), at: Some(at) }).collect();
            if targets.is_empty() {
                return Err(refuse(address, &std::io::Error::other("the name has no address")));
            }
            Ok(targets)
        })
    }

    fn connect<'a>(
        &'a self,
        peer: &'a PeerSettings,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Transport, PeerError>> {
        Box::pin(async move {
            let failed = |error: std::io::Error| refuse(&target.address, &error);
            let mut stream = match (&peer.proxy, target.at) {
                (Some(proxy), _) => TcpStream::connect((proxy.address.host.as_str(), proxy.address.port)).await,
                (None, Some(at)) => TcpStream::connect(at).await,
                (None, None) => TcpStream::connect((target.address.host.as_str(), target.address.port)).await,
            }
            .map_err(failed)?;
            let socket = set_options(&stream, self.silence_max).map_err(failed)?;
            if let Some(proxy) = &peer.proxy {
                proxy::ask(&mut stream, proxy, &target.address).await?;
            }
            let transport = self.tls.connect(&peer.name, &target.address.to_string(), stream).await?;
            Ok(Transport { socket: Some(socket), ..transport })
        })
    }
}

fn refuse(address: &Address, error: &std::io::Error) -> PeerError {
    PeerError::Connect { address: address.to_string(), reason: error.to_string() }
}

/// Options of every connection between daemons. Returns the socket, for what follows the line later.
pub(super) fn set_options(stream: &TcpStream, silence_max: Duration) -> std::io::Result<Socket> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(silence_max).with_interval(silence_max / 3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(silence_max))?;
        // It keeps its rate where packets are lost. The system may not have it or not allow it: then its default stays.
        if let Err(error) = socket.set_tcp_congestion(b"bbr") {
            tracing::debug!(%error, "no bbr for this connection");
        }
    }
    socket.try_clone()
}

/// What the system may hold of bytes that it has not sent yet. Little, so that control overtakes bulk in our own queue
/// and does not wait behind it in the system's.
pub(super) fn set_not_sent_max(socket: &Socket, bytes: usize) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(u32::try_from(bytes).unwrap_or(u32::MAX))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, bytes);
    Ok(())
}
