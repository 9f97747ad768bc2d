//! Frames: the unit in which anything goes over a connection between two daemons.
//!
//! Owns: their layout. Ten bytes of head (payload length, kind, flags, stream), then the payload, big-endian.
//! Promises: a head is judged before memory is set aside for its payload; whatever bytes come, decoding gives a
//! frame or a [`Violation`], never a panic, and never allocates more than the payload's own size.
//! Does not know: streams' states, credits, sockets.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The head of each frame in bytes.
pub(super) const HEAD_BYTES: usize = 10;
/// The largest payload in bytes. Small, so that a control request never waits long behind bulk.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// What each frame costs of a stream's credit beside its payload: many tiny frames take memory too.
pub(super) const FRAME_CHARGE: usize = 64;
/// The longest statement of what a stream is for, in bytes.
pub(super) const PURPOSE_BYTES_MAX: usize = 4096;

const OPEN: u8 = 1;
const DATA: u8 = 2;
const CREDIT: u8 = 3;
const RESET: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const GOODBYE: u8 = 7;

const IS_LAST: u8 = 1;
const IS_COMPRESSED: u8 = 2;
const IS_BULK: u8 = 4;

/// The number of a stream on its connection: odd ones were opened by the side that dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamId(pub(super) u32);

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Short questions and answers: goes ahead of bulk.
    Control,
    /// Much data.
    Bulk,
}

/// Why a side wants no more of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// Whoever used it is gone.
    Abandoned,
    /// The other side serves no such thing.
    Refused,
    /// Something failed while serving it.
    Failed,
}

/// Why a side closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It is shutting down.
    Stopping,
    /// A newer session of the same daemon takes the place of this one.
    Fenced,
    /// The other side broke the protocol.
    Violation,
    /// The certificate that the connection was allowed by has expired.
    Expired,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A new stream; `window` is what may be sent to its opener at once.
    Open { stream: StreamId, class: Class, window: u32, purpose: Bytes },
    /// Bytes of a stream. `charge` is what they cost of its credit.
    Data { stream: StreamId, payload: Bytes, is_last: bool, is_compressed: bool },
    /// More may be sent on a stream.
    Credit { stream: StreamId, bytes: u32 },
    /// No more of this stream, in either direction.
    Reset { stream: StreamId, reason: ResetReason },
    /// Are you there?
    Ping { number: u64 },
    /// The answer.
    Pong { number: u64 },
    /// The connection is closed after this.
    Goodbye { farewell: Farewell },
}

/// A rule of the protocol that the other side broke. The connection can't be trusted any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A payload longer than allowed.
    #[error("a frame of {bytes} bytes, more than the {bytes_max} allowed")]
    TooLong {
        /// What was announced.
        bytes: u64,
        /// What is allowed.
        bytes_max: usize,
    },
    /// A kind that does not exist.
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    /// Flags or a stream number that this kind of frame can't have, or a payload of the wrong form.
    #[error("a malformed {0} frame")]
    Malformed(&'static str),
    /// A compressed payload that does not restore to what it says.
    #[error("a compressed payload that can't be restored")]
    Compression,
    /// More than the credit allowed.
    #[error("more data than the credit that was given")]
    CreditOverrun,
    /// Credit beyond any window.
    #[error("more credit than a window can have")]
    CreditOverflow,
    /// A stream number that is not the other side's to choose, or that was used before.
    #[error("a stream opened with a number that is not free")]
    StreamNumber,
    /// Too many streams at once.
    #[error("more than {0} streams at once")]
    TooManyStreams(usize),
    /// A frame for a stream that never was.
    #[error("a frame for a stream that was never opened")]
    UnknownStream,
    /// Data after the stream's end.
    #[error("data after the end of a stream")]
    AfterEnd,
    /// A pong for which there was no ping.
    #[error("an answer to a ping that was never sent")]
    UnaskedPong,
    /// A hello that can't be read.
    #[error("a hello that can't be read: {0}")]
    Hello(&'static str),
}

/// A frame's head, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    kind: u8,
    flags: u8,
    stream: StreamId,
    length: usize,
}

impl Head {
    /// Judges a head. The payload's length is within limits afterwards.
    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Self, Violation> {
        let head: &mut &[u8] = &mut bytes.as_slice();
        let (length, kind, flags, stream) = (head.get_u32(), head.get_u8(), head.get_u8(), head.get_u32());
        let (name, bytes_max, flags_allowed, has_stream) = match kind {
            OPEN => ("open", PURPOSE_BYTES_MAX + 4, IS_BULK, true),
            DATA => ("data", PAYLOAD_BYTES_MAX, IS_LAST | IS_COMPRESSED, true),
            CREDIT => ("credit", 4, 0, true),
            RESET => ("reset", 1, 0, true),
            PING => ("ping", 8, 0, false),
            PONG => ("pong", 8, 0, false),
            GOODBYE => ("goodbye", 1, 0, false),
            other => return Err(Violation::Kind(other)),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > bytes_max {
            return Err(Violation::TooLong { bytes: length as u64, bytes_max });
        }
        if flags & !flags_allowed != 0 || has_stream != (stream != 0) {
            return Err(Violation::Malformed(name));
        }
        Ok(Self { kind, flags, stream: StreamId(stream), length })
    }

    /// The payload's length in bytes.
    pub(super) fn payload_bytes(self) -> usize {
        self.length
    }

    /// Makes the frame of its payload, which has the announced length.
    pub(super) fn with(self, mut payload: Bytes) -> Result<Frame, Violation> {
        let stream = self.stream;
        let exactly = |name: &'static str, bytes: usize| {
            if self.length == bytes && payload.len() == bytes { Ok(()) } else { Err(Violation::Malformed(name)) }
        };
        match self.kind {
            OPEN => {
                let class = if self.flags & IS_BULK == 0 { Class::Control } else { Class::Bulk };
                if payload.len() < 4 {
                    return Err(Violation::Malformed("open"));
                }
                let window = payload.get_u32();
                Ok(Frame::Open { stream, class, window, purpose: payload })
            }
            DATA => {
                let is_last = self.flags & IS_LAST != 0;
                let is_compressed = self.flags & IS_COMPRESSED != 0;
                Ok(Frame::Data { stream, payload, is_last, is_compressed })
            }
            CREDIT => exactly("credit", 4).map(|()| Frame::Credit { stream, bytes: payload.get_u32() }),
            RESET => {
                exactly("reset", 1)?;
                let reason = reason_of(payload.get_u8()).ok_or(Violation::Malformed("reset"))?;
                Ok(Frame::Reset { stream, reason })
            }
            PING => exactly("ping", 8).map(|()| Frame::Ping { number: payload.get_u64() }),
            PONG => exactly("pong", 8).map(|()| Frame::Pong { number: payload.get_u64() }),
            GOODBYE => {
                exactly("goodbye", 1)?;
                let farewell = farewell_of(payload.get_u8()).ok_or(Violation::Malformed("goodbye"))?;
                Ok(Frame::Goodbye { farewell })
            }
            other => Err(Violation::Kind(other)),
        }
    }
}

impl Frame {
    /// The frame's bytes: head and small payloads in one part, larger payloads untouched in a second.
    pub(super) fn encode(self) -> (Bytes, Bytes) {
        match self {
            Self::Open { stream, class, window, purpose } => {
                let flags = if class == Class::Bulk { IS_BULK } else { 0 };
                let mut head = head(OPEN, flags, stream, purpose.len() + 4);
                head.put_u32(window);
                (head.freeze(), purpose)
            }
            Self::Data { stream, payload, is_last, is_compressed } => {
                let flags = if is_last { IS_LAST } else { 0 } | if is_compressed { IS_COMPRESSED } else { 0 };
                (head(DATA, flags, stream, payload.len()).freeze(), payload)
            }
            Self::Credit { stream, bytes } => {
                let mut head = head(CREDIT, 0, stream, 4);
                head.put_u32(bytes);
                (head.freeze(), Bytes::new())
            }
            Self::Reset { stream, reason } => {
                let mut head = head(RESET, 0, stream, 1);
                head.put_u8(match reason {
                    ResetReason::Abandoned => 1,
                    ResetReason::Refused => 2,
                    ResetReason::Failed => 3,
                });
                (head.freeze(), Bytes::new())
            }
            Self::Ping { number } => (numbered(PING, number), Bytes::new()),
            Self::Pong { number } => (numbered(PONG, number), Bytes::new()),
            Self::Goodbye { farewell } => {
                let mut head = head(GOODBYE, 0, StreamId(0), 1);
                head.put_u8(match farewell {
                    Farewell::Stopping => 1,
                    Farewell::Fenced => 2,
                    Farewell::Violation => 3,
                    Farewell::Expired => 4,
                });
                (head.freeze(), Bytes::new())
            }
        }
    }
}

fn head(kind: u8, flags: u8, stream: StreamId, payload_bytes: usize) -> BytesMut {
    let mut head = BytesMut::with_capacity(HEAD_BYTES + 8);
    // Whoever builds a frame keeps to the limits; a longer payload would be refused by the other side.
    head.put_u32(u32::try_from(payload_bytes).unwrap_or(u32::MAX));
    head.put_u8(kind);
    head.put_u8(flags);
    head.put_u32(stream.0);
    head
}

fn numbered(kind: u8, number: u64) -> Bytes {
    let mut head = head(kind, 0, StreamId(0), 8);
    head.put_u64(number);
    head.freeze()
}

fn reason_of(code: u8) -> Option<ResetReason> {
    match code {
        1 => Some(ResetReason::Abandoned),
        2 => Some(ResetReason::Refused),
        3 => Some(ResetReason::Failed),
        _ => None,
    }
}

fn farewell_of(code: u8) -> Option<Farewell> {
    match code {
        1 => Some(Farewell::Stopping),
        2 => Some(Farewell::Fenced),
        3 => Some(Farewell::Violation),
        4 => Some(Farewell::Expired),
        _ => None,
    }
}
