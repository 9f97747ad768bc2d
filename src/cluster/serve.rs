//! Answering for the cluster next to us what a peer may know of it.
//!
//! Owns: the list of what is exposed, the list of requests that are answered, their checking.
//! Promises: nothing is ever written; topics and groups that are not exposed are neither read nor listed; addresses of
//! brokers are not told, and none is taken from the other side; a request is judged by its form before anything is
//! made of it; fetched batches go through byte by byte, with the broker's own CRC.
//! Does not know: who the peer is beyond its name; sessions have seen to that.

mod admit;
mod exposure;
mod form;
mod relay;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Buf;
use futures::future::BoxFuture;

pub use exposure::{Exposure, UnusablePattern};

use super::Cluster;
use super::remote::{ANY, PURPOSE};
use crate::peer::{Caller, Handler, ResetReason, Stream};
use crate::tasks::ByteBudget;
use crate::types::{BrokerId, PeerName};

/// Responses held for one peer at a time, in bytes.
const HELD_BYTES_MAX: u32 = 64 << 20;

/// What one peer may read.
#[derive(Debug, Clone)]
pub struct Exposed {
    pub(super) cluster: Cluster,
    pub(super) exposure: Arc<Exposure>,
    pub(super) held: ByteBudget,
}

impl Exposed {
    /// Exposes this much of a cluster.
    #[must_use]
    pub fn new(cluster: Cluster, exposure: Exposure) -> Self {
        Self { cluster, exposure: Arc::new(exposure), held: ByteBudget::new(HELD_BYTES_MAX) }
    }
}

/// Serves peers, each what is exposed to it.
#[derive(Debug, Default)]
pub struct Server {
    exposed: ArcSwap<BTreeMap<PeerName, Exposed>>,
}

impl Server {
    /// A peer that is not in the list is refused everything.
    #[must_use]
    pub fn new(exposed: BTreeMap<PeerName, Exposed>) -> Self {
        Self { exposed: ArcSwap::from_pointee(exposed) }
    }

    /// Exposes this from now on. Streams that are open go on with what was exposed when they were opened: cut the
    /// sessions of those whose list became shorter.
    pub fn expose(&self, exposed: BTreeMap<PeerName, Exposed>) {
        self.exposed.store(Arc::new(exposed));
    }
}

impl Handler for Server {
    fn serve(&self, caller: Caller, stream: Stream) -> BoxFuture<'static, ()> {
        let exposed = self.exposed.load().get(&caller.peer).cloned();
        Box::pin(async move {
            let wanted = wanted(stream.purpose());
            match (exposed, wanted) {
                (Some(exposed), Some(wanted)) => relay::serve(&exposed, wanted, &caller, stream).await,
                _ => stream.reset(ResetReason::Refused),
            }
        })
    }
}

/// Which broker a stream is to lead to.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Any,
    Broker(BrokerId),
}

/// What a stream's purpose asks for; `None` when it is something else than a broker.
fn wanted(purpose: &[u8]) -> Option<Wanted> {
    let mut number = purpose.strip_prefix(PURPOSE)?;
    let broker = number.try_get_i32().ok().filter(|_| number.is_empty())?;
    Some(if broker == ANY { Wanted::Any } else { Wanted::Broker(BrokerId(broker)) })
}

#[cfg(test)]
mod tests;
