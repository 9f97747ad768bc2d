//! Emulated clusters, and ways to them that lead through their network in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use causeway::cluster::Cluster;
use causeway::emulator::{self, Clock, Listen};
use causeway::types::{BrokerId, ClusterName};
use causeway::wire::{ByteStream, Client, Reach, Settings, WireError};
use futures::future::BoxFuture;

/// How many brokers a cluster has.
pub const BROKERS: i32 = 3;

/// A cluster of [`BROKERS`] brokers.
pub async fn start(name: &str, seed: u64, replication_delay: Duration, clock: Clock) -> emulator::Cluster {
    let settings = emulator::Settings {
        brokers: u16::try_from(BROKERS).unwrap(),
        listen: Listen::Memory,
        clock,
        seed,
        replication_delay,
        broker_settings: ["offsets.topic.num.partitions", "default.replication.factor"]
            .map(|name| (name.to_owned(), "3".to_owned()))
            .into(),
        ..emulator::Settings::new(name)
    };
    emulator::Cluster::start(settings).await.unwrap()
}

/// A way for one client.
#[derive(Debug, Clone)]
struct Way {
    cluster: emulator::Cluster,
    client: String,
    turn: Arc<AtomicI32>,
}

impl Way {
    fn dial(&self, broker: Option<BrokerId>) -> Result<ByteStream, WireError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let brokers: Vec<i32> = match broker {
            Some(broker) => vec![broker.0],
            None => (0..BROKERS).map(|index| (turn + index) % BROKERS + 1).collect(),
        };
        let mut reason = String::new();
        for broker in brokers {
            match self.cluster.dial(&self.client, broker) {
                Ok(stream) => {
                    let (reader, writer) = tokio::io::split(stream);
                    return Ok(ByteStream { reader: Box::new(reader), writer: Box::new(writer) });
                }
                Err(error) => reason = format!("broker {broker}: {error}"),
            }
        }
        Err(WireError::Connect { address: self.cluster.bootstrap(), reason })
    }
}

impl Reach for Way {
    fn is_brokers_own(&self) -> bool {
        true
    }

    fn reach(&self, broker: Option<BrokerId>) -> BoxFuture<'_, Result<ByteStream, WireError>> {
        // What is on the line when its daemon dies is on its way all the same: the line must not be a part of its life,
        // and tasks that are started in this way are not.
        let way = self.clone();
        Box::pin(async move { tokio::spawn(async move { way.dial(broker) }).await.unwrap() })
    }
}

/// A client of this name.
pub fn client(cluster: &emulator::Cluster, name: &str, settings: Settings) -> Client {
    let way = Way { cluster: cluster.clone(), client: name.to_owned(), turn: Arc::new(AtomicI32::new(0)) };
    Client::over(settings, Arc::new(way))
}

/// The same, as the rest of the daemon sees a cluster.
pub fn cluster(of: &emulator::Cluster, name: &ClusterName, client_name: &str, settings: Settings) -> Cluster {
    Cluster::new(name.clone(), client(of, client_name, settings))
}
