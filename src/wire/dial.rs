//! From an address to a connection: name look-up, TCP, TLS, version exchange, authentication, under one deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::connection::{End, establish};
use super::tls::Tls;
use super::versions::Ceilings;
use super::{BrokerAddress, Connection, Settings, WireError};
use crate::types::BrokerId;

/// Probing an idle connection starts after this time.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);

/// What makes connections. Tests have one over pipes in memory.
pub(super) trait Dial: std::fmt::Debug + Send + Sync {
    /// Connects, within the connect timeout.
    fn dial<'a>(
        &'a self,
        address: &'a BrokerAddress,
        broker: Option<BrokerId>,
    ) -> BoxFuture<'a, Result<Connection, WireError>>;
}

/// Connects by TCP.
#[derive(Debug)]
pub(super) struct TcpDialer {
    settings: Arc<Settings>,
    tls: Option<Tls>,
    ceilings: Ceilings,
}

impl Dial for TcpDialer {
    fn dial<'a>(
        &'a self,
        address: &'a BrokerAddress,
        broker: Option<BrokerId>,
    ) -> BoxFuture<'a, Result<Connection, WireError>> {
        Box::pin(self.connect(address, broker))
    }
}

impl TcpDialer {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let tls = settings.tls.clone().map(Tls::new);
        Self { settings, tls, ceilings: Ceilings::default() }
    }

    async fn connect(&self, address: &BrokerAddress, broker: Option<BrokerId>) -> Result<Connection, WireError> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let name = address.to_string();
        let stream = self.tcp(address, &name, deadline).await?;
        let end = End { address: &name, broker, ceilings: self.ceilings.clone(), is_judged: false };
        let established = match &self.tls {
            None => {
                let (reader, writer) = stream.into_split();
                timeout_at(deadline, establish(reader, writer, end, &self.settings)).await
            }
            Some(tls) => {
                let handshake = timeout_at(deadline, tls.connect(&address.host, stream)).await;
                let handshake = handshake.map_err(|_| self.too_slow(&name, "TLS handshake"))?;
                let stream = handshake.map_err(|reason| WireError::Tls { address: name.clone(), reason })?;
                let (reader, writer) = tokio::io::split(stream);
                timeout_at(deadline, establish(reader, writer, end, &self.settings)).await
            }
        };
        let connection = established.map_err(|_| self.too_slow(&name, "version exchange and authentication"))??;
        tracing::debug!(address = %name, broker = ?broker, "connected");
        Ok(connection)
    }

    /// Tries each address that the name has now; a later one gets its share of the time even if an earlier one hangs.
    async fn tcp(&self, address: &BrokerAddress, name: &str, deadline: Instant) -> Result<TcpStream, WireError> {
        let refuse = |reason: String| WireError::Connect { address: name.to_owned(), reason };
        let lookup = timeout_at(deadline, tokio::net::lookup_host((address.host.as_str(), address.port))).await;
        let lookup = lookup.map_err(|_| self.too_slow(name, "name look-up"))?;
        let mut left: Vec<SocketAddr> = lookup.map_err(|error| refuse(error.to_string()))?.collect();
        left.reverse();
        let mut failure = refuse("the name has no address".to_owned());
        while let Some(socket_address) = left.pop() {
            let tries = u32::try_from(left.len() + 1).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / tries;
            match tokio::time::timeout(share, TcpStream::connect(socket_address)).await {
                Ok(Ok(stream)) => {
                    self.set_options(&stream).map_err(|error| refuse(format!("socket options: {error}")))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = refuse(format!("{socket_address}: {error}")),
                Err(_) => failure = refuse(format!("{socket_address}: no answer within {share:?}")),
            }
        }
        Err(failure)
    }

    fn set_options(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_AFTER / 3))?;
        // A request must not reach the broker long after we stopped waiting for its answer.
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.settings.request_timeout))?;
        Ok(())
    }

    fn too_slow(&self, address: &str, stage: &str) -> WireError {
        let reason = format!("{stage} not finished within {:?}", self.settings.connect_timeout);
        WireError::Connect { address: address.to_owned(), reason }
    }
}
