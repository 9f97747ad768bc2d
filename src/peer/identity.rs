//! Who a peer is: what its certificate carries, and nothing that it says.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};

/// What a peer's certificate must carry.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// A DNS name among its alternative names, in a certificate that a trusted authority signed.
    Name(ServerName<'static>),
    /// This public key (SHA-256 of its `SubjectPublicKeyInfo`), whoever signed it.
    Key(KeyDigest),
}

/// SHA-256 of a public key's `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

/// A text that is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no identity: give a DNS name of the peer's certificate, or sha256: and 64 hex digits")]
pub struct InvalidIdentity(String);

impl InvalidIdentity {
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl KeyDigest {
    /// The digest of a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn of(info: &[u8]) -> Self {
        Self(Sha256::digest(info).into())
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let invalid = || InvalidIdentity(text.to_owned());
        let Some(hex) = text.strip_prefix("sha256:") else {
            let name = ServerName::try_from(text.to_owned()).map_err(|_| invalid())?;
            return match name {
                ServerName::DnsName(_) => Ok(Self::Name(name)),
                _ => Err(invalid()),
            };
        };
        // OpenSSL separates the digits with colons.
        let digits: Option<Vec<u32>> = hex.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(invalid)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let value = pair.iter().fold(0, |value, digit| value * 16 + digit);
            *byte = u8::try_from(value).map_err(|_| invalid())?;
        }
        Ok(Self::Key(KeyDigest(digest)))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.to_str()),
            Self::Key(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
