//! Responses that are handed on while they still arrive.
//!
//! Owns: the way of such a response from the socket to whoever hands it on.
//! Promises: at most [`WAITING_MAX`] parts and the one that is being read are held; bytes stay as they came; a response
//! that breaks off is an error, never a short response; whoever hands on slowly makes no request behind it late.
//! Does not know: what is in a response.
//!
//! A response that is kept until it is whole is written to memory that no cache has, and is read from there again.
//! Receiving it so was 28 % of what a serving daemon did on a fast line; in parts that caches hold it is 7 %, and the
//! daemon takes 35 MB in place of 80.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, Take};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Pending;
use super::buffers::Buffers;
use super::frames::Lost;
use super::shared::Shared;
use crate::wire::WireError;

/// Of the number that ties a response to its request.
const CORRELATION_ID_BYTES: usize = 4;
/// Parts that wait to be taken.
pub(super) const WAITING_MAX: usize = 1;
/// The largest part in bytes.
const PART_BYTES_MAX: usize = 128 << 10;
/// A part is full enough with so many bytes: one read brings what is there, if there is room for it.
const PART_BYTES_ENOUGH: usize = 64 << 10;

/// A response that is handed on while it arrives. Dropping it does not disturb the connection.
#[derive(Debug)]
#[must_use = "responses behind it wait until it is taken"]
pub struct Parts {
    beginning: Pending<Bytes>,
    rest: mpsc::Receiver<Bytes>,
    first: Bytes,
    bytes_left: usize,
}

impl Parts {
    pub(super) fn new(beginning: Pending<Bytes>, rest: mpsc::Receiver<Bytes>) -> Self {
        Self { beginning, rest, first: Bytes::new(), bytes_left: 0 }
    }

    /// Waits until the response begins, once. Tells how many bytes follow its correlation id.
    pub async fn begin(&mut self) -> Result<usize, WireError> {
        let mut first = (&mut self.beginning).await?;
        // The length counts the correlation id; neither would mean anything to whoever asked.
        let length = first.try_get_u32().ok().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        first.advance(CORRELATION_ID_BYTES.min(first.len()));
        self.bytes_left = length.saturating_sub(CORRELATION_ID_BYTES);
        self.first = first;
        Ok(self.bytes_left)
    }

    /// The next bytes; `None` when all of them were taken.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        if self.bytes_left == 0 {
            return Ok(None);
        }
        let part = match std::mem::take(&mut self.first) {
            first if first.is_empty() => self.rest.recv().await,
            first => Some(first),
        };
        let part = part.ok_or_else(|| self.beginning.handle.line.shared.loss_or_closed())?;
        self.bytes_left = self.bytes_left.saturating_sub(part.len());
        Ok(Some(part))
    }
}

/// A response of which the first bytes were read.
pub(super) struct Begun {
    /// Its length and the correlation id.
    pub(super) prefix: [u8; 8],
    pub(super) correlation_id: i32,
    /// What follows the prefix.
    pub(super) bytes_left: usize,
    pub(super) api: &'static str,
}

/// Hands a response on: prefix and first part as the answer, then part by part. False when the connection is lost.
pub(super) async fn hand_on<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    buffers: &mut Buffers,
    shared: &Shared,
    begun: Begun,
    rest: mpsc::Sender<Bytes>,
) -> Result<bool, Lost> {
    let Begun { prefix, correlation_id, bytes_left, api } = begun;
    let mut reader = reader.take(bytes_left as u64);
    let mut first = buffers.take_part(PART_BYTES_MAX.min(prefix.len() + bytes_left));
    first.extend_from_slice(&prefix);
    fill(&mut reader, &mut first).await?;
    if !shared.deliver(correlation_id, buffers.lend(first)) {
        return Ok(false);
    }
    if reader.limit() == 0 {
        return Ok(true);
    }
    shared.hold_deadlines();
    while let Some(bytes_left) = usize::try_from(reader.limit()).ok().filter(|bytes| *bytes > 0) {
        let mut part = buffers.take_part(PART_BYTES_MAX.min(bytes_left));
        match timeout(shared.limits.request_timeout, fill(&mut reader, &mut part)).await {
            Ok(filled) => filled?,
            Err(_) => return Err(Lost::Frame { correlation_id: None, error: shared.timed_out(api) }),
        }
        // Where nobody wants it any more it is read all the same: the next response is behind it.
        rest.send(buffers.lend(part)).await.ok();
    }
    shared.release_deadlines();
    Ok(true)
}

/// Fills a part as far as is worth while.
async fn fill<R: AsyncRead + Unpin>(reader: &mut Take<&mut BufReader<R>>, part: &mut Vec<u8>) -> io::Result<()> {
    while reader.limit() > 0 && part.len() < PART_BYTES_ENOUGH {
        let room = PART_BYTES_MAX - part.len();
        if reader.read_buf(&mut part.limit(room)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
