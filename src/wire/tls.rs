//! TLS towards brokers, by rustls with the ring provider.
//!
//! PEM files are read for each new connection, so that renewed certificates need no restart; the expensive part is
//! only made anew when their content has changed.

mod explain;
mod verify;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert};
use sha2::{Digest, Sha256};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) use explain::{explain, tls_error};

use self::verify::ChainVerifier;
use super::{PemSource, TlsSettings, lock};

/// What one system call receives: the TLS library alone asks for 4 KiB at a time.
const RECEIVED_TOGETHER_BYTES: usize = 64 << 10;

/// Makes TLS connections to one cluster's brokers.
#[derive(Debug)]
pub(super) struct Tls {
    settings: TlsSettings,
    current: Mutex<Option<Current>>,
}

/// What the files were made into, and which content that was.
#[derive(Debug, Clone)]
struct Current {
    fingerprint: [u8; 32],
    config: Arc<ClientConfig>,
}

/// The PEM texts as they are now.
struct Texts {
    ca: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Tls {
    pub(super) fn new(settings: TlsSettings) -> Self {
        Self { settings, current: Mutex::default() }
    }

    /// Shakes hands. On failure says why.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<BufReader<TcpStream>>, String> {
        let config = self.config().await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is not a host name"))?;
        let stream = BufReader::with_capacity(RECEIVED_TOGETHER_BYTES, stream);
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "the broker closed the connection during the handshake: is this a plain-text listener?".to_owned()
            }
            _ => explain(&error),
        })
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let texts = Texts {
            ca: read(self.settings.ca.as_ref()).await?,
            certificate: read(self.settings.certificate.as_ref()).await?,
            key: read(self.settings.key.as_ref()).await?,
        };
        let fingerprint = texts.fingerprint();
        let current = lock(&self.current).clone();
        if let Some(current) = current.filter(|current| current.fingerprint == fingerprint) {
            return Ok(current.config);
        }
        let is_hostname_checked = self.settings.is_hostname_checked;
        // The system's certificates are many files, and parsing keys takes time.
        let built = tokio::task::spawn_blocking(move || build(&texts, is_hostname_checked)).await;
        let config = Arc::new(built.unwrap_or_else(|error| Err(error.to_string()))?);
        *lock(&self.current) = Some(Current { fingerprint, config: Arc::clone(&config) });
        Ok(config)
    }
}

impl Texts {
    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in [&self.ca, &self.certificate, &self.key] {
            // The hash of each text has a fixed length, so that no two triples look alike.
            hash.update(text.as_ref().map_or([0; 32], |text| Sha256::digest(text).into()));
        }
        hash.finalize().into()
    }
}

async fn read(source: Option<&PemSource>) -> Result<Option<Vec<u8>>, String> {
    match source {
        None => Ok(None),
        Some(PemSource::Inline(text)) => Ok(Some(text.reveal().as_bytes().to_vec())),
        Some(PemSource::File(path)) => {
            let text = tokio::fs::read(path).await;
            text.map(Some).map_err(|error| cant_read(path, &error))
        }
    }
}

fn cant_read(path: &Path, error: &io::Error) -> String {
    format!("can't read {}: {error}", path.display())
}

fn build(texts: &Texts, is_hostname_checked: bool) -> Result<ClientConfig, String> {
    // Named here and not installed for the process: which provider is used must not depend on who comes first.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let roots = Arc::new(match &texts.ca {
        Some(text) => roots_of(text)?,
        None => system_roots()?,
    });
    let builder = with_verifier(builder, roots, provider, is_hostname_checked)?;
    match (&texts.certificate, &texts.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "our certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("our private key: {error}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("our certificate and key: {error}"))
        }
        (Some(_), None) => Err("our certificate is given without its private key".to_owned()),
        (None, Some(_)) => Err("our private key is given without its certificate".to_owned()),
    }
}

fn with_verifier(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    is_hostname_checked: bool,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    if is_hostname_checked {
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(builder.with_webpki_verifier(verifier.map_err(|error| error.to_string())?))
    } else {
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(ChainVerifier::new(roots, &provider))))
    }
}

fn roots_of(text: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text, "the trusted certificates")? {
        roots.add(certificate).map_err(|error| format!("the trusted certificates: {error}"))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
        return Err(format!("the system has no trusted certificates {}", reasons.join(", ")));
    }
    Ok(roots)
}

fn certificates(text: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = parsed.map_err(|error| format!("{what}: {error}"))?;
    if certificates.is_empty() { Err(format!("{what}: no PEM certificate in it")) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests;
