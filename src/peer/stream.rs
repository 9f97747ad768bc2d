//! A stream between two daemons, as its users hold it.
//!
//! Owns: the two halves, as tokio's reader and writer, and whole messages over them.
//! Promises: a half that is dropped early tells the other side; large bytes go through without being copied.
//! Does not know: what is sent.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::frame::{Class, ResetReason, StreamId};
use super::line::Shared;
use super::streams::StreamEnd;

/// One stream: bytes in both directions, in order.
#[derive(Debug)]
pub struct Stream {
    purpose: Bytes,
    class: Class,
    reader: StreamReader,
    writer: StreamWriter,
}

/// The half that bytes come out of.
#[derive(Debug)]
pub struct StreamReader {
    shared: Arc<Shared>,
    id: StreamId,
}

/// The half that bytes go into. Dropping it before [`StreamWriter::finish`] ends the stream with an error.
#[derive(Debug)]
pub struct StreamWriter {
    shared: Arc<Shared>,
    id: StreamId,
}

/// No whole message came.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The stream ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It announced more than allowed.
    #[error("a message of {bytes} bytes, more than the {bytes_max} allowed")]
    TooLong {
        /// What was announced.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, id: StreamId, class: Class, purpose: Bytes) -> Self {
        let reader = StreamReader { shared: Arc::clone(&shared), id };
        Self { purpose, class, reader, writer: StreamWriter { shared, id } }
    }

    /// What the side that opened it said it is for.
    #[must_use]
    pub fn purpose(&self) -> &Bytes {
        &self.purpose
    }

    /// Whether it carries much.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Ends it with a reason that the other side is told.
    pub fn reset(self, reason: ResetReason) {
        self.writer.shared.with(|streams| streams.reset(self.writer.id, reason));
    }

    /// The halves.
    #[must_use]
    pub fn into_split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }

    /// Sends one message: its length in four bytes, then the message.
    pub async fn send_message(&mut self, message: Bytes) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.writer.send(Bytes::copy_from_slice(&length.to_be_bytes())).await?;
        self.writer.send(message).await
    }

    /// Waits for one message of at most so many bytes. Memory follows what arrives.
    pub async fn message(&mut self, bytes_max: usize) -> Result<Bytes, MessageError> {
        let bytes = usize::try_from(self.reader.read_u32().await?).unwrap_or(usize::MAX);
        if bytes > bytes_max {
            return Err(MessageError::TooLong { bytes, bytes_max });
        }
        let mut message = BytesMut::new();
        while message.len() < bytes {
            match self.reader.chunk(bytes - message.len()).await? {
                Some(chunk) => message.put(chunk),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            }
        }
        Ok(message.freeze())
    }
}

impl StreamReader {
    /// The next bytes as they came, at most so many; `None` at the stream's end.
    pub async fn chunk(&mut self, bytes_max: usize) -> io::Result<Option<Bytes>> {
        poll_fn(|context| self.poll_chunk(bytes_max, context)).await
    }

    fn poll_chunk(&mut self, bytes_max: usize, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let read = self.shared.with(|streams| streams.poll_read(self.id, bytes_max, context));
        // Credit that goes back is sent by the writer.
        if read.is_ready() {
            self.shared.wake_writer();
        }
        read.map_err(|end| self.shared.stream_error(end))
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = ready!(self.poll_chunk(buffer.remaining(), context))? {
            buffer.put_slice(&chunk);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.shared.with(|streams| streams.drop_reader(self.id));
        self.shared.wake_writer();
    }
}

impl StreamWriter {
    /// Sends bytes without copying them. Waits while too much is queued.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        let room = poll_fn(|context| self.shared.with(|streams| streams.poll_room(self.id, context))).await;
        room.map_err(|end| self.shared.stream_error(end))?;
        self.put(bytes);
        Ok(())
    }

    /// Nothing more will be sent; what was queued still goes out, after this half is gone too.
    pub fn finish(self) {
        self.shared.with(|streams| streams.finish(self.id));
        self.shared.wake_writer();
    }

    fn put(&self, bytes: Bytes) {
        self.shared.with(|streams| streams.put(self.id, bytes));
        self.shared.wake_writer();
    }
}

impl AsyncWrite for StreamWriter {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.shared.with(|streams| streams.poll_room(self.id, context)));
        let room = room.map_err(|end| self.shared.stream_error(end))?;
        let mut together = BytesMut::new();
        for slice in slices {
            let part = slice.get(..slice.len().min(room - together.len())).unwrap_or_default();
            together.put_slice(part);
        }
        let written = together.len();
        self.put(together.freeze());
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's writer sends on its own accord.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|streams| streams.finish(self.id));
        self.shared.wake_writer();
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.shared.with(|streams| streams.drop_writer(self.id));
        self.shared.wake_writer();
    }
}

impl From<StreamEnd> for io::Error {
    fn from(end: StreamEnd) -> Self {
        let kind = match end {
            StreamEnd::Lost | StreamEnd::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamEnd::TooMany => io::ErrorKind::WouldBlock,
        };
        Self::new(kind, end)
    }
}
