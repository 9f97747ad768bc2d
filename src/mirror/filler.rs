//! Writing markers for many partitions: one writer per target broker, whose requests carry what waits.
//!
//! Owns: a connection per target broker, one request in flight on it.
//! Promises: each ask gets exactly one answer; nothing is ever sent twice by itself.
//! Does not know: why a gap is filled, what an answer is worth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::cluster::{Cluster, ClusterError, Markers};
use crate::tasks::TaskGroup;
use crate::types::BrokerId;
use crate::wire::{Connection, WireError};

/// Partitions in one request.
const TOGETHER_MAX: usize = 256;
/// Asks that may wait for one broker.
const WAITING_MAX: usize = 1_024;

/// The writers of markers of one link on this daemon. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Fillers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Cluster,
    tasks: TaskGroup,
    by_broker: Mutex<HashMap<BrokerId, mpsc::Sender<Ask>>>,
}

#[derive(Debug)]
struct Ask {
    markers: Markers,
    answer: oneshot::Sender<Result<(), ClusterError>>,
}

impl Fillers {
    pub(super) fn new(target: Cluster, tasks: &TaskGroup) -> Self {
        Self { shared: Arc::new(Shared { target, tasks: tasks.clone(), by_broker: Mutex::default() }) }
    }

    /// Has markers written by a broker. Good or not, only the log tells what came of it.
    pub(super) async fn write(&self, broker: BrokerId, markers: Markers) -> Result<(), ClusterError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue_of(broker);
        // A closed queue means that the daemon stops: nobody will wait for what follows.
        let _ = queue.send(Ask { markers, answer }).await;
        answered.await.unwrap_or_else(|_| Err(self.stopping()))
    }

    fn stopping(&self) -> ClusterError {
        let error = WireError::NotAvailable { what: "markers".to_owned(), reason: "the daemon stops".to_owned() };
        ClusterError::Wire { cluster: self.shared.target.name().clone(), error }
    }

    fn queue_of(&self, broker: BrokerId) -> mpsc::Sender<Ask> {
        let mut by_broker = self.shared.by_broker.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = by_broker.entry(broker).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let writer = Writer { broker, target: self.shared.target.clone(), queue: receiver, connection: None };
            self.shared.tasks.spawn_until_stopped("markers", writer.run());
            sender
        });
        queue.clone()
    }
}

struct Writer {
    broker: BrokerId,
    target: Cluster,
    queue: mpsc::Receiver<Ask>,
    connection: Option<Connection>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut asks = vec![first];
            while asks.len() < TOGETHER_MAX
                && let Ok(ask) = self.queue.try_recv()
            {
                asks.push(ask);
            }
            let markers: Vec<Markers> = asks.iter().map(|ask| ask.markers.clone()).collect();
            let answers = self.write(&markers).await;
            if answers.is_err() {
                self.connection = None;
            }
            for (number, ask) in asks.into_iter().enumerate() {
                let answer = match &answers {
                    Ok(answers) => answers.get(number).cloned().unwrap_or(Ok(())),
                    Err(error) => Err(error.clone()),
                };
                // Whoever asked may have been dropped since.
                let _ = ask.answer.send(answer);
            }
        }
    }

    async fn write(&mut self, markers: &[Markers]) -> Result<Vec<Result<(), ClusterError>>, ClusterError> {
        let open = self.connection.take().filter(|connection| !connection.is_closed());
        let connection = if let Some(connection) = open {
            connection
        } else {
            let connected = self.target.client().connect(self.broker).await;
            connected.map_err(|error| ClusterError::Wire { cluster: self.target.name().clone(), error })?
        };
        let answers = self.target.write_markers(&connection, markers).await;
        self.connection = Some(connection);
        answers
    }
}
