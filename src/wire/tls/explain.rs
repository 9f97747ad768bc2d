//! What a TLS error means to an operator.

use std::io;

use rustls::{CertificateError, Error, InvalidMessage};

/// The cause in words. Errors that are not TLS's own keep theirs.
pub(in crate::wire) fn explain(error: &io::Error) -> String {
    tls_error(error).map_or_else(|| error.to_string(), explain_tls)
}

/// The TLS error inside an I/O error.
pub(in crate::wire) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

fn explain_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::AlertReceived(alert) => format!("the broker refused us or our certificate: alert {alert:?}"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the answer is not TLS: is this a plain-text listener?".to_owned()
        }
        other => other.to_string(),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the broker's certificate was issued by an unknown authority, none of those we trust".to_owned()
        }
        CertificateError::NotValidForName => "the broker's certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            format!("the broker's certificate is for another name: for {}, not for {expected}", presented.join(", "))
        }
        other => format!("the broker's certificate: {other}"),
    }
}
