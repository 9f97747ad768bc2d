//! What the API needs to be told, and why it may refuse to start.

use std::path::PathBuf;
use std::time::Duration;

use crate::secrets::{SecretError, SecretSource};

/// How the API is to be served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host and port; port 0 takes any free one.
    pub listen: String,
    /// What callers must show to change anything; read anew at each such call. `None`: nothing can be changed.
    pub api_token: Option<SecretSource>,
    /// Certificate and key; `None`: plain HTTP. Needed when there is a token and `listen` is not loopback.
    pub tls: Option<TlsFiles>,
    /// What a caller may use up.
    pub limits: Limits,
}

/// The server's certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// A PEM file with the certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: SecretSource,
}

/// What a caller may use up.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub connections_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Bytes of all headers of a request.
    pub header_bytes_max: usize,
    /// How long a request's headers, a TLS handshake, or an idle connection may take.
    pub header_time: Duration,
    /// How long an answer may take.
    pub answer_time: Duration,
    /// How often certificate and key are read anew.
    pub certificate_interval: Duration,
    /// How long answers under way may take after the order to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            body_bytes_max: 256 * 1024,
            header_bytes_max: 32 * 1024,
            header_time: Duration::from_secs(15),
            answer_time: Duration::from_secs(30),
            certificate_interval: Duration::from_secs(30),
            drain_time: Duration::from_secs(3),
        }
    }
}

/// The API could not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiStartError {
    /// The address can't be used.
    #[error("can't listen on {listen}: {error}")]
    Bind {
        /// What was asked for.
        listen: String,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// A token would travel in the clear.
    #[error(
        "daemon.listen = `{listen}` is not loopback, so daemon.api_token would travel unencrypted: set a certificate \
         and key for the API, listen on 127.0.0.1, or remove api_token"
    )]
    TokenWithoutTls {
        /// What was asked for.
        listen: String,
    },
    /// The token can't be read.
    #[error("daemon.api_token: {0}")]
    Token(#[from] SecretError),
    /// The token has no text.
    #[error("daemon.api_token is empty")]
    EmptyToken,
    /// Certificate or key can't be used.
    #[error("the API's TLS certificate: {0}")]
    Tls(String),
}

impl ApiStartError {
    /// Whether the configuration must be changed; otherwise the same configuration may work later.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::TokenWithoutTls { .. } | Self::Token(_) | Self::EmptyToken | Self::Tls(_) => true,
            Self::Bind { .. } => false,
        }
    }
}
