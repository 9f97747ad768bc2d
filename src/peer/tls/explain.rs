//! What a TLS error between daemons means to an operator.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The cause in words. Errors that are not TLS's own keep theirs.
pub(super) fn explain(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => explain_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the other side closed the connection during the handshake".to_owned()
        }
        None => error.to_string(),
    }
}

fn explain_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the peer's certificate has expired (or our clock is wrong)".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the peer's certificate is not valid yet (or our clock is wrong)".to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the peer's certificate was issued by an authority that we don't trust; set `ca` in [peers], or pin its \
             key as `identity = \"sha256:...\"`"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
        Error::InvalidCertificate(other) => format!("the peer's certificate: {other}"),
        Error::NoCertificatesPresented => "the other side showed no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the other side says that our certificate has expired".to_owned()
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the other side is no peers' port of causeway".to_owned()
        }
        Error::AlertReceived(alert) => format!("the other side refused us or our certificate: alert {alert:?}"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "the other side does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}
