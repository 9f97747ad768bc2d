//! A cluster that a peer exposes to us.
//!
//! Owns: the way of a client's connections through sessions with the peer.
//! Promises: each connection is one stream of a session; the peer is asked for a broker by its number, never for an
//! address; when a session is lost its connections are, and the client makes new ones over any that is up.
//! Does not know: what the peer allows; it refuses by itself.
//!
//! What goes over a stream are Kafka's own requests and responses, so everything above works on such a cluster as on
//! one next door. The serving side (`serve`) reads each request, and answers only those that it exposes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;

use super::Cluster;
use crate::peer::{Class, Peers};
use crate::types::{BrokerId, ClusterName, PeerName};
use crate::wire::{ByteStream, Client, Reach, Settings, WireError};

/// What a stream to a broker begins with, before the broker's number.
pub(super) const PURPOSE: &[u8] = b"kafka 1 ";
/// The number that stands for any broker.
pub(super) const ANY: i32 = -1;
/// A session that is being made anew is waited for so long, before the cluster counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct ThroughPeer {
    peers: Peers,
    peer: PeerName,
}

/// The cluster that this peer exposes.
#[must_use]
pub fn via(name: ClusterName, peers: Peers, peer: PeerName, client_id: &str) -> Cluster {
    // Not an address: the peer alone knows those. It names the way in messages.
    let settings = Settings::plain(vec![format!("{peer}:1")], client_id);
    Cluster::new(name, Client::over(settings, Arc::new(ThroughPeer { peers, peer })))
}

impl Reach for ThroughPeer {
    fn reach(&self, broker: Option<BrokerId>) -> BoxFuture<'_, Result<ByteStream, WireError>> {
        Box::pin(async move {
            let failed = |error: crate::peer::PeerError| WireError::Connect {
                address: format!("peer {}", self.peer),
                reason: error.to_string(),
            };
            drop(tokio::time::timeout(PATIENCE, self.peers.wait_for(&self.peer)).await);
            let stream = self.peers.open(&self.peer, Class::Bulk, &purpose(broker)).map_err(failed)?;
            let (reader, writer) = stream.into_split();
            Ok(ByteStream { reader: Box::new(reader), writer: Box::new(writer) })
        })
    }
}

fn purpose(broker: Option<BrokerId>) -> Bytes {
    let mut text = BytesMut::from(PURPOSE);
    text.put_i32(broker.map_or(ANY, |broker| broker.0));
    text.freeze()
}
