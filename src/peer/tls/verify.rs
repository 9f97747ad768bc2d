//! Whether a certificate is that of a peer on our list.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible, RootCertStore,
    SignatureScheme,
};

use crate::peer::certificate::validity;
use crate::peer::identity::{Identity, KeyDigest};
use crate::types::PeerName;

/// Which end the certificate belongs to: authorities may allow a certificate for one of the roles only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Dialler,
    Listener,
}

/// The peers that are let in.
#[derive(Clone)]
pub(super) struct Rules {
    allowed: Arc<Vec<(PeerName, Identity)>>,
    roots: Option<Arc<RootCertStore>>,
    of_diallers: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rules").field(&self.allowed).finish()
    }
}

/// The certificate is nobody's on the list.
#[derive(Debug)]
struct NotAllowed {
    key: KeyDigest,
    expected: Vec<String>,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.expected.join(" or ");
        write!(f, "the certificate that was shown has the key {}, and does not show {expected}", self.key)
    }
}

impl std::error::Error for NotAllowed {}

/// The digest of a certificate's key.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Result<KeyDigest, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(KeyDigest::of(&parsed.subject_public_key_info()))
}

impl Rules {
    pub(super) fn new(
        allowed: Arc<Vec<(PeerName, Identity)>>,
        roots: Option<Arc<RootCertStore>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let of_diallers = match &roots {
            None => None,
            Some(roots) => {
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
                Some(builder.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { allowed, roots, of_diallers, algorithms: provider.signature_verification_algorithms })
    }

    /// The rules for one peer alone.
    pub(super) fn of(&self, peer: &PeerName) -> Self {
        let allowed = self.allowed.iter().filter(|(name, _)| name == peer).cloned().collect();
        Self { allowed: Arc::new(allowed), ..self.clone() }
    }

    pub(super) fn first_identity(&self) -> Option<&Identity> {
        self.allowed.first().map(|(_, identity)| identity)
    }

    /// Which peer's certificate it is. Whether the other side has its key is not said by this.
    pub(super) fn judge(
        &self,
        role: Role,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerName, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key = KeyDigest::of(&parsed.subject_public_key_info());
        let by_key = self.allowed.iter().find(|(_, identity)| *identity == Identity::Key(key));
        if let Some((peer, _)) = by_key {
            return in_time(certificate, now).map(|()| peer.clone());
        }
        let by_name = self.allowed.iter().find(|(_, identity)| match identity {
            Identity::Name(name) => verify_server_name(&parsed, name).is_ok(),
            Identity::Key(_) => false,
        });
        let Some((peer, _)) = by_name else {
            let expected = self.allowed.iter().map(|(peer, identity)| format!("{identity} ({peer})")).collect();
            let reason = OtherError(Arc::new(NotAllowed { key, expected }));
            return Err(Error::InvalidCertificate(CertificateError::Other(reason)));
        };
        // A name is only worth what the authority is that signed it.
        let (Some(roots), Some(of_diallers)) = (&self.roots, &self.of_diallers) else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match role {
            Role::Dialler => of_diallers.verify_client_cert(certificate, intermediates, now).map(|_| ())?,
            Role::Listener => {
                let algorithms = self.algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
            }
        }
        Ok(peer.clone())
    }
}

fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = validity(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before {
        Err(Error::InvalidCertificate(CertificateError::NotValidYet))
    } else if now > validity.not_after {
        Err(Error::InvalidCertificate(CertificateError::Expired))
    } else {
        Ok(())
    }
}

/// The rules as rustls asks for them.
#[derive(Debug)]
pub(super) struct Verifier {
    rules: Rules,
    role: Role,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Judges certificates of that role.
    pub(super) fn new(rules: Rules, role: Role, provider: &CryptoProvider) -> Self {
        Self { rules, role, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.rules.judge(self.role, end_entity, intermediates, now).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    // Naming the authorities would tell strangers whom we trust.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.rules.judge(self.role, end_entity, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
