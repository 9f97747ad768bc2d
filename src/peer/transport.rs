//! A connection to a peer that TLS has let through, before the first word on it.

use std::time::Duration;

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite};

use super::hello::Binding;
use crate::types::PeerName;

pub(super) type BoxReader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type BoxWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// See the module. Tests make one of a pipe in memory.
pub(super) struct Transport {
    pub(super) reader: BoxReader,
    pub(super) writer: BoxWriter,
    /// The socket below them; none below a pipe.
    pub(super) socket: Option<Socket>,
    /// Who the certificate says is at the other end.
    pub(super) peer: PeerName,
    /// For people.
    pub(super) address: String,
    pub(super) binding: Binding,
    /// How long the peer's certificate is valid.
    pub(super) valid_for: Option<Duration>,
}
