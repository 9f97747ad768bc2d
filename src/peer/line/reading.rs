//! The reading task of a connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::time::{Instant, timeout};

use super::{Loss, Shared};
use crate::peer::frame::{Farewell, Frame, HEAD_BYTES, Head, Violation};
use crate::peer::squeeze::restore;
use crate::peer::stream::Stream;
use crate::peer::streams::Event;
use crate::peer::transport::BoxReader;
use crate::peer::{Caller, Handler};

/// Heads and small frames are read together.
const BUFFER_BYTES: usize = 16 << 10;

/// Why reading ended.
enum End {
    Io(io::Error),
    Violation(Violation),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Reads until the connection ends or is dropped.
pub(super) async fn run(reader: BoxReader, shared: Arc<Shared>, handler: Arc<dyn Handler>, caller: Caller) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    loop {
        // A whole frame within the time: dripping bytes don't keep a connection alive.
        let frame = match timeout(shared.limits.silence_max, next(&mut reader)).await {
            Ok(Ok((frame, bytes))) => {
                shared.bytes_received.fetch_add(bytes, Ordering::Relaxed);
                frame
            }
            Ok(Err(End::Io(error))) => {
                let reason = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "the peer closed it".to_owned(),
                    _ => error.to_string(),
                };
                return shared.leave(Loss::Io(reason), None);
            }
            Ok(Err(End::Violation(violation))) => return break_off(&shared, violation),
            Err(_) => return shared.leave(Loss::Silence(shared.limits.silence_max), None),
        };
        match shared.with(|streams| streams.receive(frame, Instant::now())) {
            Ok(Event::None) => {}
            Ok(Event::Opened(id, class, purpose)) => {
                let stream = Stream::new(Arc::clone(&shared), id, class, purpose);
                let served = handler.serve(caller.clone(), stream);
                shared.tasks.spawn_until_stopped("serve a peer", served);
            }
            Ok(Event::Goodbye(farewell)) => return shared.leave(Loss::Farewell(farewell), None),
            Err(violation) => return break_off(&shared, violation),
        }
        // Answers, credits and pongs wait for it.
        shared.wake_writer();
    }
}

fn break_off(shared: &Shared, violation: Violation) {
    shared.leave(Loss::Violation(violation), Some(Farewell::Violation));
}

/// The next frame and its size on the line.
async fn next<R: AsyncRead + Unpin>(reader: &mut R) -> Result<(Frame, u64), End> {
    let mut head = [0; HEAD_BYTES];
    reader.read_exact(&mut head).await?;
    let head = Head::decode(&head)?;
    let length = head.payload_bytes();
    let mut payload = Vec::with_capacity(length);
    let mut rest = reader.take(length as u64);
    while payload.len() < length {
        if rest.read_buf(&mut payload).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    let frame = match head.with(Bytes::from(payload))? {
        Frame::Data { stream, payload, is_last, is_compressed: true } => {
            Frame::Data { stream, payload: restore(payload)?, is_last, is_compressed: false }
        }
        frame => frame,
    };
    Ok((frame, (HEAD_BYTES + length) as u64))
}
