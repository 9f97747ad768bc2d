//! What sessions need to know before there can be any.

use std::fmt;
use std::time::Duration;

use super::identity::Identity;
use crate::types::{PeerName, Secret};
use crate::wire::PemSource;

/// How many connections a session has unless told otherwise.
pub const CONNECTIONS: usize = 8;
/// More connections than this a session never has.
pub const CONNECTIONS_MAX: usize = 64;

/// A daemon among those behind one address: its `[daemon] id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// 1 to 255 bytes of printable text without spaces; `None` for anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_fine = (1..=255).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        is_fine.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host:port`; the host is a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// `None` when the text is not `host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let is_fine = !host.is_empty()
            && host.len() <= 255
            && host.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '[' | ']'))
            && (bare.is_some() || !host.contains(':'));
        is_fine.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// An HTTP proxy that connections go through on the way out (the method CONNECT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub address: Address,
    /// User and password, for basic authentication.
    pub login: Option<(String, Secret)>,
}

/// All sessions of a daemon.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are among the daemons of our side.
    pub instance: InstanceId,
    /// Our certificate chain. Read again for each handshake.
    pub certificate: PemSource,
    /// Its private key.
    pub key: PemSource,
    /// Authorities for peers that are known by name; the system's when there is none. Pinned keys need none.
    pub ca: Option<PemSource>,
    /// `address:port` to listen on; `None`: we only dial.
    pub listen: Option<String>,
    /// Who may have a session with us.
    pub peers: Vec<PeerSettings>,
    /// Limits and pauses.
    pub limits: SessionLimits,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// Our name for it.
    pub name: PeerName,
    /// What its certificate must carry.
    pub identity: Identity,
    /// Where to dial; every address of every name is dialled. Empty: it dials us.
    pub connect: Vec<Address>,
    /// On the way out.
    pub proxy: Option<Proxy>,
    /// Parallel connections to each of its daemons, 1 to [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// The most we send, in bytes a second; control is never held back.
    pub bytes_per_second: Option<u64>,
    /// Whether what we send is compressed, frame by frame.
    pub is_compressed: bool,
}

/// Limits of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// A handshake takes no longer, all parts of it together.
    pub handshake_max: Duration,
    /// A heartbeat goes out so often on each connection.
    pub heartbeat: Duration,
    /// A connection on which nothing was heard for so long is lost.
    pub silence_max: Duration,
    /// The largest credit of one stream, in bytes; at least twice bandwidth x round trip of one connection.
    pub stream_credit_bytes: usize,
    /// The credit of all streams of a session beyond the first 64 KiB of each, in bytes.
    pub session_credit_bytes: u32,
    /// Names are looked up again, and addresses without news probed, so often.
    pub probe_every: Duration,
    /// Handshakes of others under way at the same time.
    pub half_open_max: usize,
    /// The same from one address.
    pub half_open_per_address_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            handshake_max: Duration::from_secs(10),
            heartbeat: Duration::from_secs(4),
            silence_max: Duration::from_secs(15),
            stream_credit_bytes: 16 << 20,
            session_credit_bytes: 128 << 20,
            probe_every: Duration::from_secs(30),
            half_open_max: 256,
            half_open_per_address_max: 64,
        }
    }
}
