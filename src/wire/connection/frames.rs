//! Frames on a byte stream: reading them bounded, writing them without copying record bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::buffers::{Buffers, KEPT_FOR};
use super::parts::{Begun, hand_on};
use super::shared::Shared;
use crate::wire::WireError;

/// Small responses are read with one system call; larger reads go past this buffer.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Waiting requests are written together up to this size.
const WRITE_TOGETHER_BYTES: usize = 256 << 10;
/// With so many bytes more of a response, everything that is waited for may take its time anew: a slow line is no dead
/// one.
const PROGRESS_BYTES: usize = 64 << 10;
/// Parts handed to one system call.
const PARTS_MAX: usize = 64;

/// What goes into a connection's queue.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// One request.
    Request(Vec<Bytes>),
    /// Only requests from here until its senders are gone: an authentication that nothing may come between.
    Exclusive(mpsc::Receiver<Vec<Bytes>>),
}

/// Reads frames and hands them to their waiters until the connection is lost.
pub(super) async fn read_frames<R: AsyncRead + Unpin>(reader: R, shared: Arc<Shared>) {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
    let mut buffers = Buffers::new();
    let mut responses = 0;
    loop {
        // A connection that falls silent gives up what lies idle.
        if buffers.has_idle() {
            match tokio::time::timeout(KEPT_FOR, reader.fill_buf()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return shared.lose_by_io(&error, Some(responses)),
                Err(_) => buffers.drop_idle(),
            }
        }
        match read_response(&mut reader, &mut buffers, &shared, responses == 0).await {
            Ok(true) => responses += 1,
            Ok(false) => return,
            Err(Lost::Io(error)) => return shared.lose_by_io(&error, Some(responses)),
            Err(Lost::Frame { correlation_id, error }) => return shared.lose(&error, correlation_id),
        }
    }
}

pub(super) enum Lost {
    Io(io::Error),
    Frame { correlation_id: Option<i32>, error: WireError },
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a response and hands it to its waiter. False when the connection is lost.
async fn read_response<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    buffers: &mut Buffers,
    shared: &Shared,
    is_first: bool,
) -> Result<bool, Lost> {
    let mut prefix = [0; 8];
    reader.read_exact(&mut prefix).await?;
    let mut fields = prefix.as_slice();
    let (length, correlation_id) = (fields.get_u32(), fields.get_i32());
    // A TLS alert: record type 21, version 3.x. A listener with TLS answers so to a client without.
    if is_first && prefix.starts_with(&[21, 3]) {
        let error = shared.tls_failed("this listener speaks TLS, but TLS is not configured for it".to_owned());
        return Err(Lost::Frame { correlation_id: None, error });
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > shared.limits.frame_bytes_max {
        let error = shared.frame_too_large(length);
        return Err(Lost::Frame { correlation_id: Some(correlation_id), error });
    }
    let Some(rest_bytes) = length.checked_sub(4) else {
        let error = shared.malformed("a request", &format!("a frame of {length} bytes is too short"));
        return Err(Lost::Frame { correlation_id: None, error });
    };
    if let Some((rest, api)) = shared.rest_of(correlation_id) {
        return hand_on(reader, buffers, shared, Begun { prefix, correlation_id, bytes_left: rest_bytes, api }, rest)
            .await;
    }
    // The frame keeps the correlation id, because the codec counts it to the response header.
    let mut frame = buffers.take(length);
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    let mut reader = reader.take(rest_bytes as u64);
    let mut progress_at = PROGRESS_BYTES;
    while frame.len() < length {
        if frame.len() >= progress_at {
            progress_at = frame.len() + PROGRESS_BYTES;
            shared.extend_deadlines();
        }
        if frame.len() == frame.capacity() {
            Buffers::grow(&mut frame, length);
        }
        if reader.read_buf(&mut frame).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    if length > PROGRESS_BYTES {
        // Those behind it could not come before.
        shared.extend_deadlines();
    }
    Ok(shared.deliver(correlation_id, buffers.lend(frame)))
}

/// Writes queued requests until the queue ends or writing fails.
pub(super) async fn write_frames<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut queue: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
) {
    if let Err(error) = write_queue(&mut writer, &mut queue).await {
        shared.lose_by_io(&error, None);
    }
}

async fn write_queue<W: AsyncWrite + Unpin>(writer: &mut W, queue: &mut mpsc::Receiver<Outgoing>) -> io::Result<()> {
    let mut parts = VecDeque::new();
    let mut next = queue.recv().await;
    while let Some(outgoing) = next.take() {
        match outgoing {
            Outgoing::Request(request) => {
                let mut bytes = push(&mut parts, request);
                while bytes < WRITE_TOGETHER_BYTES {
                    match queue.try_recv() {
                        Ok(Outgoing::Request(request)) => bytes += push(&mut parts, request),
                        Ok(exclusive) => {
                            next = Some(exclusive);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                write_parts(writer, &mut parts).await?;
            }
            Outgoing::Exclusive(mut line) => {
                while let Some(request) = line.recv().await {
                    push(&mut parts, request);
                    write_parts(writer, &mut parts).await?;
                }
            }
        }
        if next.is_none() {
            next = queue.recv().await;
        }
    }
    Ok(())
}

fn push(parts: &mut VecDeque<Bytes>, request: Vec<Bytes>) -> usize {
    let bytes = request.iter().map(Bytes::len).sum();
    parts.extend(request.into_iter().filter(|part| !part.is_empty()));
    bytes
}

async fn write_parts<W: AsyncWrite + Unpin>(writer: &mut W, parts: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !parts.is_empty() {
        let mut slices = [io::IoSlice::new(&[]); PARTS_MAX];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.iter()) {
            *slice = io::IoSlice::new(part);
            count += 1;
        }
        let written = writer.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        take(parts, written);
    }
    writer.flush().await
}

fn take(parts: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(part) = parts.front_mut() {
        if written < part.len() {
            part.advance(written);
            return;
        }
        written -= part.len();
        parts.pop_front();
    }
}
