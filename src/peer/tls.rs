//! TLS between daemons: version 1.3 only, certificates on both sides, nothing resumed.
//!
//! Owns: handshakes, and what our PEM files are made into.
//! Promises: files are read anew for each handshake; a peer is who its certificate shows and is on our list, on both
//! ends; no session is resumed, so each connection's certificates are judged when it is made.
//! Does not know: what is said afterwards.

mod explain;
mod verify;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::explain::explain;
use self::verify::{Role, Rules, Verifier};
use super::error::PeerError;
use super::hello::Binding;
use super::identity::Identity;
use super::transport::Transport;
use super::{certificate, lock};
use crate::types::PeerName;
use crate::wire::PemSource;

/// What both sides must name as the protocol inside.
const PROTOCOL: &[u8] = b"causeway-peer";
const BINDING_LABEL: &[u8] = b"EXPORTER-causeway-peer";
/// What one system call receives: the TLS library alone asks for 4 KiB at a time.
const RECEIVED_TOGETHER_BYTES: usize = 64 << 10;
/// What it takes before it has to be sent, in bytes: as much as is written together, and its heads.
const SENT_TOGETHER_BYTES: usize = 256 << 10;
/// Certificates that live longer are looked at again after this time: timers can't wait much longer.
const VALID_FOR_MAX: Duration = Duration::from_hours(24 * 365);

/// Our side of all handshakes.
#[derive(Debug)]
pub(super) struct Tls {
    certificate: PemSource,
    key: PemSource,
    ca: Option<PemSource>,
    rules: ArcSwap<Vec<(PeerName, Identity)>>,
    current: Mutex<Option<Current>>,
}

/// What the files were made into, and which content that was.
#[derive(Debug, Clone)]
struct Current {
    fingerprint: [u8; 32],
    rules: Rules,
    listener: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// A certificate of ours, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// What the other side can write as our `identity`.
    pub identity: String,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
}

impl Tls {
    pub(super) fn new(
        certificate: PemSource,
        key: PemSource,
        ca: Option<PemSource>,
        rules: Vec<(PeerName, Identity)>,
    ) -> Self {
        Self { certificate, key, ca, rules: ArcSwap::from_pointee(rules), current: Mutex::default() }
    }

    /// Who is on the list.
    pub(super) fn allowed(&self) -> Arc<Vec<(PeerName, Identity)>> {
        self.rules.load_full()
    }

    /// From now on these are on the list.
    pub(super) fn allow(&self, rules: Vec<(PeerName, Identity)>) {
        self.rules.store(Arc::new(rules));
    }

    /// Shakes hands as the dialler with a peer that must be this one.
    pub(super) async fn connect<S>(&self, peer: &PeerName, address: &str, stream: S) -> Result<Transport, PeerError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let current = self.current().await.map_err(PeerError::Own)?;
        let rules = current.rules.of(peer);
        let name = match rules.first_identity() {
            Some(Identity::Name(name)) => name.clone(),
            // It is not looked at: the key decides.
            Some(Identity::Key(_)) | None => server_name(address),
        };
        let config = client_config(&current, rules.clone()).map_err(PeerError::Own)?;
        let refuse = |error: io::Error| PeerError::Tls { address: address.to_owned(), reason: explain(&error) };
        let stream = BufReader::with_capacity(RECEIVED_TOGETHER_BYTES, stream);
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(refuse)?;
        let (_, session) = stream.get_mut();
        session.set_buffer_limit(Some(SENT_TOGETHER_BYTES));
        let shown = session.peer_certificates().unwrap_or_default();
        let binding = session.export_keying_material([0; 32], BINDING_LABEL, None);
        let (peer, binding, valid_for) = judge(&rules, Role::Listener, shown, binding, address)?;
        let (reader, writer) = tokio::io::split(stream);
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Ok(Transport { reader, writer, socket: None, peer, address: address.to_owned(), binding, valid_for })
    }

    /// Shakes hands as the listener; tells which of the peers it is.
    pub(super) async fn accept<S>(&self, address: &str, stream: S) -> Result<Transport, PeerError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let current = self.current().await.map_err(PeerError::Own)?;
        let refuse = |error: io::Error| PeerError::Tls { address: address.to_owned(), reason: explain(&error) };
        let stream = BufReader::with_capacity(RECEIVED_TOGETHER_BYTES, stream);
        let mut stream = TlsAcceptor::from(Arc::clone(&current.listener)).accept(stream).await.map_err(refuse)?;
        let (_, session) = stream.get_mut();
        session.set_buffer_limit(Some(SENT_TOGETHER_BYTES));
        let shown = session.peer_certificates().unwrap_or_default();
        let binding = session.export_keying_material([0; 32], BINDING_LABEL, None);
        let (peer, binding, valid_for) = judge(&current.rules, Role::Dialler, shown, binding, address)?;
        let (reader, writer) = tokio::io::split(stream);
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Ok(Transport { reader, writer, socket: None, peer, address: address.to_owned(), binding, valid_for })
    }

    /// Our certificate as it is now.
    pub(super) async fn own(&self) -> Result<OwnCertificate, PeerError> {
        let current = self.current().await.map_err(PeerError::Own)?;
        let unreadable = || PeerError::Own("the certificate can't be read".to_owned());
        let leaf = current.chain.first().ok_or_else(unreadable)?;
        let identity = verify::key_of(leaf).map_err(|error| PeerError::Own(error.to_string()))?.to_string();
        let expires_at = certificate::validity(leaf).ok_or_else(unreadable)?.not_after;
        Ok(OwnCertificate { identity, expires_at })
    }

    async fn current(&self) -> Result<Current, String> {
        let mut texts = Vec::new();
        for source in [Some(&self.certificate), Some(&self.key), self.ca.as_ref()] {
            texts.push(read(source).await?);
        }
        let mut hash = Sha256::new();
        for text in &texts {
            hash.update(text.as_ref().map_or([0; 32], |text| Sha256::digest(text).into()));
        }
        let rules = self.allowed();
        hash.update(format!("{rules:?}"));
        let fingerprint: [u8; 32] = hash.finalize().into();
        let known = lock(&self.current).clone();
        if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
            return Ok(known);
        }
        let built = tokio::task::spawn_blocking(move || build(fingerprint, &texts, rules)).await;
        let built = built.unwrap_or_else(|error| Err(error.to_string()))?;
        *lock(&self.current) = Some(built.clone());
        Ok(built)
    }
}

/// Decides who it is, from the certificates that were shown.
fn judge(
    rules: &Rules,
    role: Role,
    shown: &[CertificateDer<'_>],
    binding: Result<Binding, rustls::Error>,
    address: &str,
) -> Result<(PeerName, Binding, Option<Duration>), PeerError> {
    let refuse = |reason: String| PeerError::Tls { address: address.to_owned(), reason };
    let (leaf, intermediates) = shown.split_first().ok_or_else(|| refuse("no certificate was shown".to_owned()))?;
    let now = UnixTime::now();
    let judged = rules.judge(role, leaf, intermediates, now);
    let peer = judged.map_err(|error| refuse(explain(&io::Error::other(error))))?;
    let seconds = shown.iter().filter_map(|shown| certificate::validity(shown)).map(|valid| valid.not_after).min();
    let left = seconds.and_then(|end| u64::try_from(end).ok()).map(|end| end.saturating_sub(now.as_secs()));
    let valid_for = left.map(|left| Duration::from_secs(left).min(VALID_FOR_MAX));
    let binding = binding.map_err(|error| refuse(error.to_string()))?;
    Ok((peer, binding, valid_for))
}

/// What an error on a finished handshake's connection means: in TLS 1.3 the dialler learns only then that its own
/// certificate was refused.
pub(super) fn explain_late(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the other side closed the connection after the handshake: look at its log for why".to_owned()
        }
        _ => explain(error),
    }
}

/// A name for the handshake where the identity is none.
fn server_name(address: &str) -> ServerName<'static> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let fallback = || ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| fallback())
}

async fn read(source: Option<&PemSource>) -> Result<Option<Vec<u8>>, String> {
    match source {
        None => Ok(None),
        Some(PemSource::Inline(text)) => Ok(Some(text.reveal().as_bytes().to_vec())),
        Some(PemSource::File(path)) => {
            let text = tokio::fs::read(path).await;
            text.map(Some).map_err(|error| format!("can't read {}: {error}", path.display()))
        }
    }
}

fn build(
    fingerprint: [u8; 32],
    texts: &[Option<Vec<u8>>],
    rules: Arc<Vec<(PeerName, Identity)>>,
) -> Result<Current, String> {
    let text = |index: usize| texts.get(index).and_then(Option::as_deref);
    let provider = provider();
    let chain = certificates(text(0).unwrap_or_default(), "our certificate")?;
    let key = PrivateKeyDer::from_pem_slice(text(1).unwrap_or_default());
    let key = key.map_err(|error| format!("our private key: {error}"))?;
    let roots = if rules.iter().any(|(_, identity)| matches!(identity, Identity::Name(_))) {
        Some(Arc::new(match text(2) {
            Some(text) => roots_of(text)?,
            None => system_roots()?,
        }))
    } else {
        None
    };
    let rules = Rules::new(rules, roots, &provider)?;
    let verifier = Arc::new(Verifier::new(rules.clone(), Role::Dialler, &provider));
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let builder = builder.map_err(|error| error.to_string())?.with_client_cert_verifier(verifier);
    let listener = builder.with_single_cert(chain.clone(), key.clone_key());
    let mut listener = listener.map_err(|error| format!("our certificate and key: {error}"))?;
    listener.alpn_protocols = vec![PROTOCOL.to_vec()];
    listener.send_tls13_tickets = 0;
    Ok(Current { fingerprint, rules, listener: Arc::new(listener), chain, key: Arc::new(key) })
}

fn client_config(current: &Current, rules: Rules) -> Result<ClientConfig, String> {
    let provider = provider();
    let verifier = Arc::new(Verifier::new(rules, Role::Listener, &provider));
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = builder.with_client_auth_cert(current.chain.clone(), current.key.clone_key());
    let mut config = config.map_err(|error| format!("our certificate and key: {error}"))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Named here and not installed for the process: which provider is used must not depend on who comes first.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(text: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = parsed.map_err(|error| format!("{what}: {error}"))?;
    if certificates.is_empty() { Err(format!("{what}: no PEM certificate in it")) } else { Ok(certificates) }
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
        return Err("a peer is known by name, `ca` is not given, and the system trusts no authority".to_owned());
    }
    Ok(roots)
}
