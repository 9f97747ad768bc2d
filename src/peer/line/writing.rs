//! The writing task of a connection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::Socket;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::flow::Flow;
use super::{Loss, Shared};
use crate::peer::frame::Frame;
use crate::peer::pace::Pace;
use crate::peer::squeeze::Squeezer;
use crate::peer::transport::BoxWriter;

/// Parts that one system call takes.
const PARTS_MAX: usize = 64;
/// A last word may take so long.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);

/// Writes until the connection is over.
pub(super) async fn run(mut writer: BoxWriter, socket: Option<Socket>, shared: Arc<Shared>, pace: Arc<Pace>) {
    let leaving = shared.is_leaving.clone();
    let stopping = shared.tasks.token();
    let ended = tokio::select! {
        biased;
        () = leaving.cancelled() => None,
        // The daemon stops, and its sessions with it.
        () = stopping.cancelled() => None,
        loss = write_all(&mut writer, Flow::new(socket), &shared, &pace) => Some(loss),
    };
    if let Some(loss) = ended {
        return shared.leave(loss, None);
    }
    let mut frames = Vec::new();
    shared.with(|streams| streams.next_frames(1, false, Instant::now(), &mut frames));
    let mut parts = encode(frames, None).0;
    // Half a frame may be on its way; then this word is not understood, and the end says enough.
    let word = async {
        write(&mut writer, &mut parts).await?;
        writer.shutdown().await
    };
    timeout(LAST_WORD_MAX, word).await.ok();
    shared.leave(Loss::Closed, None);
}

async fn write_all(writer: &mut BoxWriter, mut flow: Flow, shared: &Shared, pace: &Pace) -> Loss {
    let mut squeezer = shared.limits.is_compressed.then(Squeezer::default);
    let mut frames = Vec::new();
    loop {
        let now = Instant::now();
        let held_until = pace.held_until(now);
        let is_bulk_held =
            shared.with(|streams| streams.next_frames(flow.together(), held_until.is_none(), now, &mut frames));
        if frames.is_empty() {
            match held_until.filter(|_| is_bulk_held) {
                Some(until) => {
                    timeout(until - now, shared.writer_wake.notified()).await.ok();
                }
                None => shared.writer_wake.notified().await,
            }
            continue;
        }
        let (mut parts, bytes) = encode(std::mem::take(&mut frames), squeezer.as_mut());
        pace.sent(bytes, now);
        shared.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        let began = Instant::now();
        match timeout(shared.limits.silence_max, write(writer, &mut parts)).await {
            Ok(Ok(())) => flow.note(bytes, began.elapsed()),
            Ok(Err(error)) => return Loss::Io(error.to_string()),
            Err(_) => return Loss::Silence(shared.limits.silence_max),
        }
    }
}

fn encode(frames: Vec<Frame>, mut squeezer: Option<&mut Squeezer>) -> (VecDeque<Bytes>, usize) {
    let mut parts = VecDeque::with_capacity(frames.len() * 2);
    let mut bytes = 0;
    for mut frame in frames {
        if let (Some(squeezer), Frame::Data { payload, is_compressed, .. }) = (squeezer.as_deref_mut(), &mut frame)
            && let Some(squeezed) = squeezer.squeeze(payload)
        {
            *payload = squeezed;
            *is_compressed = true;
        }
        let (head, payload) = frame.encode();
        bytes += head.len() + payload.len();
        parts.push_back(head);
        if !payload.is_empty() {
            parts.push_back(payload);
        }
    }
    (parts, bytes)
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, parts: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !parts.is_empty() {
        let mut slices = [io::IoSlice::new(&[]); PARTS_MAX];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.iter()) {
            *slice = io::IoSlice::new(part);
            count += 1;
        }
        let mut written = writer.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(part) = parts.front_mut() {
            if written < part.len() {
                part.advance(written);
                break;
            }
            written -= part.len();
            parts.pop_front();
        }
    }
    writer.flush().await
}
