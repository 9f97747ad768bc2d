//! What a client needs to know before it can reach a cluster.

use std::path::PathBuf;
use std::time::Duration;

use crate::secrets::SecretSource;
use crate::types::Secret;

/// How to reach one cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of some brokers; each is tried until one answers.
    pub bootstrap: Vec<String>,
    /// Sent with every request; shows up in the brokers' logs and quotas.
    pub client_id: String,
    /// TLS, where the listener has it.
    pub tls: Option<TlsSettings>,
    /// SASL, where the listener has it.
    pub sasl: Option<SaslSettings>,
    /// Limit for one TCP connect, TLS handshake, version exchange and authentication together.
    pub connect_timeout: Duration,
    /// Limit for one request, from its start to its response.
    pub request_timeout: Duration,
    /// Largest response frame that is accepted, in bytes.
    pub frame_bytes_max: usize,
    /// Leaders are looked up again after this time even when nothing failed.
    pub metadata_age_max: Duration,
}

impl Settings {
    /// Plain-text settings with the defaults.
    #[must_use]
    pub fn plain(bootstrap: Vec<String>, client_id: &str) -> Self {
        Self {
            bootstrap,
            client_id: client_id.to_owned(),
            tls: None,
            sasl: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            frame_bytes_max: 128 << 20,
            metadata_age_max: Duration::from_mins(1),
        }
    }
}

/// A PEM text: in a file, or in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PemSource {
    /// Read again for each new connection, so a renewed certificate needs no restart.
    File(PathBuf),
    /// The text itself.
    Inline(Secret),
}

/// TLS towards a cluster's brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates to trust; the system's when there is none.
    pub ca: Option<PemSource>,
    /// Our certificate chain, for mutual TLS.
    pub certificate: Option<PemSource>,
    /// Its private key (PKCS#8, PKCS#1 or SEC1).
    pub key: Option<PemSource>,
    /// Whether the broker's certificate must carry the name we dialled.
    pub is_hostname_checked: bool,
}

/// SASL towards a cluster's brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslSettings {
    /// RFC 4616.
    Plain {
        /// The user.
        username: String,
        /// Its password.
        password: SecretSource,
    },
    /// RFC 5802 with SHA-256.
    ScramSha256 {
        /// The user.
        username: String,
        /// Its password.
        password: SecretSource,
    },
    /// RFC 5802 with SHA-512.
    ScramSha512 {
        /// The user.
        username: String,
        /// Its password.
        password: SecretSource,
    },
    /// RFC 7628 (KIP-255, extensions by KIP-342).
    OAuthBearer {
        /// Where the token is; read anew at each authentication.
        token: SecretSource,
        /// SASL extensions, such as `logicalCluster`.
        extensions: Vec<(String, String)>,
    },
}
