//! The server's side of TLS, with certificates that may change while it runs.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::settings::{ApiStartError, TlsFiles};

/// Reads certificate and key as they are now. Blocks on files.
pub(super) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, ApiStartError> {
    let path = files.certificate.display();
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| ApiStartError::Tls(format!("can't read {path}: {error}")))?;
    if chain.is_empty() {
        return Err(ApiStartError::Tls(format!("{path} holds no certificate in PEM form")));
    }
    let key = files.key.read().map_err(|error| ApiStartError::Tls(format!("the key: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
        .map_err(|error| ApiStartError::Tls(format!("the key is not a private key in PEM form: {error}")))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ApiStartError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| ApiStartError::Tls(format!("{path} and its key can't be used: {error}")))?;
    Ok(Arc::new(config))
}
