//! Ways to brokers other than TCP: whoever has a byte stream that leads to one can be a client's way.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::connection::{End, establish};
use super::dial::Dial;
use super::versions::Ceilings;
use super::{BrokerAddress, Connection, Settings, WireError};
use crate::types::BrokerId;

/// A byte stream that leads to a broker.
pub struct ByteStream {
    /// What the broker says.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What it is told.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Makes byte streams to the brokers of one cluster.
pub trait Reach: std::fmt::Debug + Send + Sync {
    /// A byte stream to this broker (`None`: any). It is authenticated already.
    fn reach(&self, broker: Option<BrokerId>) -> BoxFuture<'_, Result<ByteStream, WireError>>;

    /// Whether a configured broker is at the other end, and nobody between. Otherwise only what is known to be read is
    /// spoken, and what comes is judged by its form before it is decoded.
    fn is_brokers_own(&self) -> bool {
        false
    }
}

/// Dials by asking for a byte stream.
#[derive(Debug)]
pub(super) struct Reacher {
    settings: Arc<Settings>,
    reach: Arc<dyn Reach>,
    ceilings: Ceilings,
}

impl Reacher {
    pub(super) fn new(settings: Arc<Settings>, reach: Arc<dyn Reach>) -> Self {
        Self { settings, reach, ceilings: Ceilings::default() }
    }

    async fn connect(&self, address: &BrokerAddress, broker: Option<BrokerId>) -> Result<Connection, WireError> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let name = address.to_string();
        let slow = |_| WireError::Connect {
            address: name.clone(),
            reason: format!("not finished within {:?}", self.settings.connect_timeout),
        };
        let stream = timeout_at(deadline, self.reach.reach(broker)).await.map_err(slow)??;
        let end =
            End { address: &name, broker, ceilings: self.ceilings.clone(), is_judged: !self.reach.is_brokers_own() };
        let established = timeout_at(deadline, establish(stream.reader, stream.writer, end, &self.settings)).await;
        established.map_err(slow)?
    }
}

impl Dial for Reacher {
    fn dial<'a>(
        &'a self,
        address: &'a BrokerAddress,
        broker: Option<BrokerId>,
    ) -> BoxFuture<'a, Result<Connection, WireError>> {
        Box::pin(self.connect(address, broker))
    }
}
