//! Two daemons in one process, over pipes in memory or over TCP and TLS on loopback.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;

use super::dialler::Target;
use super::hello::Binding;
use super::transport::Transport;
use super::*;
use crate::tasks::TaskGroup;
use crate::types::{PeerName, Secret};
use crate::wire::PemSource;

mod frames;
mod hostile;
mod mutations;
mod sessions;
mod speed;
mod streams;
mod tls;

pub(super) fn peer_name(text: &str) -> PeerName {
    PeerName::new(text).unwrap()
}

/// Answers every message with itself; `count N` with that many bytes.
#[derive(Debug)]
pub(super) struct Echo;

impl Handler for Echo {
    fn serve(&self, caller: Caller, mut stream: Stream) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            match stream.purpose().as_ref() {
                b"echo" => {
                    while let Ok(message) = stream.message(1 << 20).await {
                        if stream.send_message(message).await.is_err() {
                            return;
                        }
                    }
                }
                b"who" => {
                    let text = format!("{} {}", caller.peer, caller.instance);
                    stream.send_message(text.into()).await.ok();
                    stream.into_split().1.finish();
                }
                // Endless numbered bytes.
                b"pour" => {
                    let (_reader, mut writer) = stream.into_split();
                    for turn in 0_u64.. {
                        let block = vec![u8::try_from(turn % 251).unwrap(); 100_000];
                        if writer.send(block.into()).await.is_err() {
                            return;
                        }
                    }
                }
                b"sink" => {
                    let (mut reader, writer) = stream.into_split();
                    while let Ok(Some(_)) = reader.chunk(1 << 20).await {}
                    writer.finish();
                }
                // Takes and never reads.
                b"hang" => std::future::pending().await,
                _ => stream.reset(ResetReason::Refused),
            }
        })
    }
}

pub(super) fn pem(text: &str) -> PemSource {
    PemSource::Inline(Secret::new(text.to_owned()))
}

pub(super) fn of_peer(name: &str, connect: &[&str]) -> PeerSettings {
    PeerSettings {
        name: peer_name(name),
        identity: "peer.example".parse().unwrap(),
        connect: connect.iter().map(|text| Address::parse(text).unwrap()).collect(),
        proxy: None,
        connections: 4,
        bytes_per_second: None,
        is_compressed: false,
    }
}

pub(super) fn settings(instance: &str, peer: PeerSettings) -> Settings {
    Settings {
        instance: InstanceId::new(instance).unwrap(),
        certificate: pem(""),
        key: pem(""),
        ca: None,
        listen: None,
        peers: vec![peer],
        limits: SessionLimits::default(),
    }
}

/// A daemon whose lines are pipes.
pub(super) fn piped(settings: &Settings) -> Peers {
    Peers { directory: Arc::new(Directory::new(settings, Arc::new(Echo))), tls: None }
}

/// Dials by making a pipe to one of the listeners: the first of the list for the port 1, and so on; port 99 is a load
/// balancer that leads to each in turn. What the listener calls the dialler is `onprem`.
#[derive(Default)]
pub(super) struct Pipes {
    pub(super) listeners: Mutex<Vec<Option<Peers>>>,
    pub(super) turns: std::sync::atomic::AtomicUsize,
    /// Stopping it cuts all lines that were made before.
    pub(super) cut: Mutex<TaskGroup>,
    pub(super) binding_of_dialler: Option<Binding>,
}

impl Connect for Pipes {
    fn resolve<'a>(
        &'a self,
        _peer: &'a PeerSettings,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Vec<Target>, PeerError>> {
        Box::pin(async { Ok(vec![Target { address: address.clone(), at: None }]) })
    }

    fn connect<'a>(
        &'a self,
        peer: &'a PeerSettings,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Transport, PeerError>> {
        let turn = self.turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let listener = {
            let listeners = lock(&self.listeners);
            let index = match target.address.port {
                99 => turn % listeners.len(),
                port => usize::from(port) - 1,
            };
            listeners.get(index).cloned().flatten()
        };
        Box::pin(async move {
            let refused = || PeerError::Connect { address: target.to_string(), reason: "nobody listens".to_owned() };
            let listener = listener.ok_or_else(refused)?;
            let (near, far) = tokio::io::duplex(256 << 10);
            let binding: Binding = rand::random();
            let cut = lock(&self.cut).clone();
            let (near, far) = (Cut::transport(near, &cut, peer, binding), Cut::transport(far, &cut, peer, binding));
            let far = Transport { peer: peer_name("onprem"), ..far };
            let directory = Arc::clone(&listener.directory);
            listener.directory.tasks.spawn_until_stopped("test hello", async move {
                listener::hello(&directory, far).await.ok();
            });
            Ok(Transport { binding: self.binding_of_dialler.unwrap_or(binding), ..near })
        })
    }
}

/// One direction of a pipe that can be made to hang.
struct Cut;

impl Cut {
    fn transport(pipe: tokio::io::DuplexStream, cut: &TaskGroup, peer: &PeerSettings, binding: Binding) -> Transport {
        // Between pipe and user: bytes are carried until the cut, and held back from then on without an end.
        let (user, inner) = tokio::io::duplex(64 << 10);
        let (mut pipe_reader, mut pipe_writer) = tokio::io::split(pipe);
        let (mut inner_reader, mut inner_writer) = tokio::io::split(inner);
        let token = cut.token();
        tokio::spawn(async move {
            let inward = async {
                tokio::io::copy(&mut pipe_reader, &mut inner_writer).await.ok();
                tokio::io::AsyncWriteExt::shutdown(&mut inner_writer).await.ok();
            };
            let outward = async {
                tokio::io::copy(&mut inner_reader, &mut pipe_writer).await.ok();
                tokio::io::AsyncWriteExt::shutdown(&mut pipe_writer).await.ok();
            };
            let both = async { tokio::join!(inward, outward) };
            if token.run_until_cancelled(both).await.is_none() {
                std::future::pending::<()>().await;
            }
        });
        let (reader, writer) = tokio::io::split(user);
        Transport {
            reader: Box::new(reader),
            writer: Box::new(writer),
            socket: None,
            peer: peer.name.clone(),
            address: "pipe".to_owned(),
            binding,
            valid_for: None,
        }
    }
}

/// A dialler and so many listeners behind it.
pub(super) struct Pair {
    pub(super) dialler: Peers,
    pub(super) pipes: Arc<Pipes>,
}

impl Pair {
    pub(super) fn new(connect: &[&str], listeners: usize) -> Self {
        Self::with(&settings("d", of_peer("cloud", connect)), listeners)
    }

    pub(super) fn with(settings_of_dialler: &Settings, listeners: usize) -> Self {
        let pipes = Arc::new(Pipes::default());
        for index in 0..listeners {
            let listener = piped(&settings(&format!("l{index}"), of_peer("onprem", &[])));
            lock(&pipes.listeners).push(Some(listener));
        }
        let dialler = piped(settings_of_dialler);
        Peers::dial_all(&dialler.directory, &pipes);
        Self { dialler, pipes }
    }

    pub(super) fn listener(&self, index: usize) -> Peers {
        lock(&self.pipes.listeners)[index].clone().unwrap()
    }

    /// Cuts every line that is up. Neither side is told.
    pub(super) fn cut(&self) {
        std::mem::take(&mut *lock(&self.pipes.cut)).stop();
    }

    pub(super) fn open(&self, purpose: &'static str) -> Result<Stream, PeerError> {
        self.dialler.open(&peer_name("cloud"), Class::Control, &Bytes::from_static(purpose.as_bytes()))
    }

    pub(super) async fn until_up(&self, connections: usize) {
        until(|| up(&self.dialler) == connections).await;
    }
}

/// Connections that are up, of all sessions.
pub(super) fn up(peers: &Peers) -> usize {
    peers.status().iter().flat_map(|peer| &peer.sessions).map(|session| session.connections.0).sum()
}

pub(super) async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), waiting).await.expect("it came true in time");
}

pub(super) async fn echo(stream: &mut Stream, text: &'static str) -> Result<Bytes, MessageError> {
    stream.send_message(Bytes::from_static(text.as_bytes())).await?;
    stream.message(1 << 20).await
}

/// For the tests of those above: two daemons with a session over TLS on loopback. The second one dials, and serves
/// with the handler; the first one calls it `onprem`.
pub(crate) async fn connected(handler: Arc<dyn Handler>) -> (Peers, Peers) {
    let (cloud, onprem) = (tls::self_signed(), tls::self_signed());
    let address = tls::free_address().await.to_string();
    let listening = tls::secured("c", &cloud, "onprem", &onprem.pin);
    let mut dialling = tls::secured("o", &onprem, "cloud", &cloud.pin);
    dialling.peers[0].connect = vec![Address::parse(&address).unwrap()];
    let listening = Settings { listen: Some(address), ..listening };
    let cloud = Peers::start(listening, Arc::new(ServeNothing)).await.unwrap();
    let onprem = Peers::start(dialling, handler).await.unwrap();
    until(|| up(&cloud) == 4).await;
    (cloud, onprem)
}
