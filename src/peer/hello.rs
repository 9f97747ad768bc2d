//! The first words on a connection, inside TLS: the listener tells who it is, the dialler says which session the
//! connection belongs to, the listener takes it or refuses.
//!
//! Owns: the three messages, version negotiation, the binding to the TLS session.
//! Promises: messages are bounded and self-contained; a message recorded on another TLS session is refused.
//! Does not know: who may have a session (TLS has decided that), what the session is for.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::Violation;
use super::settings::{CONNECTIONS_MAX, InstanceId};

/// Versions of the protocol that we speak.
pub(super) const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

const MAGIC: &[u8; 8] = b"causeway";
const HELLO_BYTES_MAX: usize = 1024;

/// A range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u16,
    /// The newest.
    pub newest: u16,
}

impl Versions {
    /// The newest that both speak.
    pub(super) fn common(self, other: Self) -> Option<u16> {
        let version = self.newest.min(other.newest);
        (version >= self.oldest && version >= other.oldest).then_some(version)
    }
}

/// What ties a message to one TLS session (RFC 9266's idea, by TLS's exporter).
pub(super) type Binding = [u8; 32];

/// The number of a session, chosen by the dialler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionId(pub(super) [u8; 16]);

/// The order of a dialler's sessions with one listener: the newer one has the larger epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionEpoch(pub u64);

/// The listener's first word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) versions: Versions,
    pub(super) instance: InstanceId,
    pub(super) clock_ms: i64,
    pub(super) binding: Binding,
}

/// The dialler's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) versions: Versions,
    pub(super) instance: InstanceId,
    pub(super) session: SessionId,
    pub(super) epoch: SessionEpoch,
    /// Which of the session's connections this is, and how many there are to be.
    pub(super) slot: usize,
    pub(super) slots: usize,
    pub(super) clock_ms: i64,
    pub(super) binding: Binding,
}

/// Why a listener takes no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No protocol version in common.
    #[error("it speaks other versions of the protocol")]
    Version,
    /// A newer session of the same daemon exists.
    #[error("it has a newer session of a daemon with our id")]
    Stale(SessionEpoch),
    /// More daemons or connections than it takes.
    #[error("it has too many sessions already")]
    TooMany,
    /// It is shutting down.
    #[error("it is shutting down")]
    Stopping,
}

impl Refusal {
    pub(super) fn advice(self) -> Option<&'static str> {
        match self {
            Self::Version => Some("bring both daemons to neighbouring versions"),
            Self::Stale(_) => Some("does another daemon run with the same [daemon] id?"),
            Self::TooMany => {
                Some("are there more daemons than meant, or more connections configured than the peer takes?")
            }
            Self::Stopping => None,
        }
    }
}

impl Announcement {
    pub(super) fn encode(&self) -> Bytes {
        let mut text = opening(self.versions);
        put_instance(&mut text, &self.instance);
        text.put_i64(self.clock_ms);
        text.put_slice(&self.binding);
        text.freeze()
    }

    pub(super) fn decode(mut text: Bytes) -> Result<Self, Violation> {
        let versions = take_opening(&mut text)?;
        let instance = take_instance(&mut text)?;
        need(&text, 8 + 32)?;
        let clock_ms = text.get_i64();
        // What a newer version adds comes after this, and is skipped.
        Ok(Self { versions, instance, clock_ms, binding: take_array(&mut text)? })
    }
}

impl Claim {
    pub(super) fn encode(&self) -> Bytes {
        let mut text = opening(self.versions);
        put_instance(&mut text, &self.instance);
        text.put_slice(&self.session.0);
        text.put_u64(self.epoch.0);
        text.put_u8(u8::try_from(self.slot).unwrap_or(u8::MAX));
        text.put_u8(u8::try_from(self.slots).unwrap_or(u8::MAX));
        text.put_i64(self.clock_ms);
        text.put_slice(&self.binding);
        text.freeze()
    }

    pub(super) fn decode(mut text: Bytes) -> Result<Self, Violation> {
        let versions = take_opening(&mut text)?;
        let instance = take_instance(&mut text)?;
        let session = SessionId(take_array(&mut text)?);
        need(&text, 8 + 1 + 1 + 8)?;
        let epoch = SessionEpoch(text.get_u64());
        let (slot, slots) = (usize::from(text.get_u8()), usize::from(text.get_u8()));
        let clock_ms = text.get_i64();
        if !(1..=CONNECTIONS_MAX).contains(&slots) || slot >= slots {
            return Err(Violation::Hello("a connection's number that is out of range"));
        }
        Ok(Self { versions, instance, session, epoch, slot, slots, clock_ms, binding: take_array(&mut text)? })
    }
}

/// The listener's verdict.
pub(super) fn encode_verdict(verdict: Result<(), Refusal>) -> Bytes {
    let (code, epoch) = match verdict {
        Ok(()) => (0, 0),
        Err(Refusal::Version) => (1, 0),
        Err(Refusal::Stale(epoch)) => (2, epoch.0),
        Err(Refusal::TooMany) => (3, 0),
        Err(Refusal::Stopping) => (4, 0),
    };
    let mut text = BytesMut::new();
    text.put_u8(code);
    text.put_u64(epoch);
    text.freeze()
}

pub(super) fn decode_verdict(mut text: Bytes) -> Result<Result<(), Refusal>, Violation> {
    need(&text, 9)?;
    let (code, epoch) = (text.get_u8(), text.get_u64());
    match code {
        0 => Ok(Ok(())),
        1 => Ok(Err(Refusal::Version)),
        2 => Ok(Err(Refusal::Stale(SessionEpoch(epoch)))),
        3 => Ok(Err(Refusal::TooMany)),
        4 => Ok(Err(Refusal::Stopping)),
        _ => Err(Violation::Hello("an unknown verdict")),
    }
}

/// Why no message could be read.
#[derive(Debug)]
pub(super) enum HelloError {
    Io(std::io::Error),
    Violation(Violation),
}

impl From<std::io::Error> for HelloError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Violation> for HelloError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

pub(super) async fn write_hello<W: AsyncWrite + Unpin>(writer: &mut W, text: &Bytes) -> std::io::Result<()> {
    let mut whole = BytesMut::with_capacity(text.len() + 2);
    whole.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    whole.put_slice(text);
    writer.write_all(&whole).await?;
    writer.flush().await
}

pub(super) async fn read_hello<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Bytes, HelloError> {
    let length = usize::from(reader.read_u16().await?);
    if length > HELLO_BYTES_MAX {
        return Err(Violation::Hello("it is too long").into());
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).await?;
    Ok(text.into())
}

fn opening(versions: Versions) -> BytesMut {
    let mut text = BytesMut::new();
    text.put_slice(MAGIC);
    text.put_u16(versions.oldest);
    text.put_u16(versions.newest);
    text
}

fn take_opening(text: &mut Bytes) -> Result<Versions, Violation> {
    if take_array::<8>(text)? != *MAGIC {
        return Err(Violation::Hello("it is not causeway's"));
    }
    need(text, 4)?;
    let versions = Versions { oldest: text.get_u16(), newest: text.get_u16() };
    if versions.oldest > versions.newest { Err(Violation::Hello("versions that make no range")) } else { Ok(versions) }
}

fn put_instance(text: &mut BytesMut, instance: &InstanceId) {
    text.put_u8(u8::try_from(instance.as_str().len()).unwrap_or(u8::MAX));
    text.put_slice(instance.as_str().as_bytes());
}

fn take_instance(text: &mut Bytes) -> Result<InstanceId, Violation> {
    need(text, 1)?;
    let length = usize::from(text.get_u8());
    need(text, length)?;
    let id = text.split_to(length);
    let id = std::str::from_utf8(&id).ok().and_then(InstanceId::new);
    id.ok_or(Violation::Hello("an instance id that is none"))
}

fn take_array<const N: usize>(text: &mut Bytes) -> Result<[u8; N], Violation> {
    need(text, N)?;
    let mut array = [0; N];
    text.copy_to_slice(&mut array);
    Ok(array)
}

fn need(text: &Bytes, bytes: usize) -> Result<(), Violation> {
    if text.len() < bytes { Err(Violation::Hello("it is too short")) } else { Ok(()) }
}
