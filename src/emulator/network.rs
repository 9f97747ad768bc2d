//! The network between clients and brokers in memory.
//!
//! Owns: pipes, and what is said of lines.
//! Promises: bytes keep their order within a connection; a line's state counts for connections that exist already.
//! Does not know: what is sent.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::tasks::TaskGroup;

const PIPE_BYTES: usize = 256 << 10;
const CHUNK_BYTES: usize = 64 << 10;
/// How many chunks can be under way in one direction.
const CHUNKS_UNDER_WAY: usize = 64;

/// What a line does to the bytes of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// How long a byte takes, each way.
    pub delay: Duration,
    /// Connections break, and none can be made.
    pub is_cut: bool,
    /// What the client sends vanishes, and the client does not notice.
    pub is_deaf: bool,
    /// What the broker sends vanishes, and the broker does not notice.
    pub is_mute: bool,
}

type Key = (Option<String>, Option<i32>);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Network {
    lines: Arc<Mutex<BTreeMap<Key, Line>>>,
    changes: watch::Sender<u64>,
}

/// One connection's view of its line.
#[derive(Clone)]
struct Ends {
    client: String,
    broker: i32,
    lines: Arc<Mutex<BTreeMap<Key, Line>>>,
    changes: watch::Receiver<u64>,
}

impl Ends {
    /// The most special line that was set.
    fn line(&self) -> Line {
        let lines = super::lock(&self.lines);
        let named = Some(self.client.clone());
        let keys = [(named.clone(), Some(self.broker)), (named, None), (None, Some(self.broker)), (None, None)];
        keys.iter().find_map(|key| lines.get(key)).copied().unwrap_or_default()
    }

    async fn cut(mut self) {
        while !self.line().is_cut {
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Network {
    pub(crate) fn set(&self, client: Option<&str>, broker: Option<i32>, line: Line) {
        super::lock(&self.lines).insert((client.map(str::to_owned), broker), line);
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// The two ends of a new connection.
    pub(crate) fn connect(
        &self,
        client: &str,
        broker: i32,
        tasks: &TaskGroup,
    ) -> io::Result<(DuplexStream, DuplexStream)> {
        let changes = self.changes.subscribe();
        let ends = Ends { client: client.to_owned(), broker, lines: Arc::clone(&self.lines), changes };
        if ends.line().is_cut {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, near) = tokio::io::duplex(PIPE_BYTES);
        let (far, theirs) = tokio::io::duplex(PIPE_BYTES);
        tasks.spawn_until_stopped("a line in memory", async move {
            let (near_reader, near_writer) = tokio::io::split(near);
            let (far_reader, far_writer) = tokio::io::split(far);
            let there = carry(near_reader, far_writer, ends.clone(), |line| line.is_deaf);
            let back = carry(far_reader, near_writer, ends.clone(), |line| line.is_mute);
            tokio::select! {
                _ = async { tokio::join!(there, back) } => {}
                () = ends.clone().cut() => {}
            }
        });
        Ok((ours, theirs))
    }
}

/// Takes bytes from one end to the other, each chunk as late as the line says, and at last the end of them.
async fn carry(
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    ends: Ends,
    is_lost: impl Fn(Line) -> bool,
) {
    let (sender, receiver) = mpsc::channel(CHUNKS_UNDER_WAY);
    tokio::join!(take(reader, sender, ends, is_lost), give(writer, receiver));
}

async fn take(
    mut reader: ReadHalf<DuplexStream>,
    sender: mpsc::Sender<(Instant, Bytes)>,
    ends: Ends,
    is_lost: impl Fn(Line) -> bool,
) {
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        if !matches!(reader.read_buf(&mut chunk).await, Ok(1..)) {
            return;
        }
        let line = ends.line();
        if !is_lost(line) && sender.send((Instant::now() + line.delay, chunk.freeze())).await.is_err() {
            return;
        }
    }
}

async fn give(mut writer: WriteHalf<DuplexStream>, mut receiver: mpsc::Receiver<(Instant, Bytes)>) {
    while let Some((due, chunk)) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        if writer.write_all(&chunk).await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}
