//! Making a key, and what proves to others whose it is.
//!
//! Owns: what kind of key and certificate a daemon gets when nobody wants another.
//! Promises: keys come from the system's randomness; the digest that is told is the one that is compared later.
//! Does not know: files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PublicKeyData};

use super::identity::{Identity, InvalidIdentity, KeyDigest};
use crate::types::Secret;

/// Clocks that are this much behind ours still take the certificate.
const VALID_BEFORE_NOW: Duration = Duration::from_hours(24);

/// What shall prove whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A certificate that the key signed itself, for so many days. It is worth what its digest is, where that is known.
    SelfSigned {
        /// 1 to 36,500.
        days: u32,
    },
    /// A request for an authority that others trust.
    Request,
}

/// A new key.
#[derive(Debug)]
pub struct Issued {
    /// The private key, as PEM (PKCS#8).
    pub key: Secret,
    /// The certificate or the request, as PEM.
    pub proof: String,
    /// The digest of the public key.
    pub digest: KeyDigest,
    /// When the certificate expires, in seconds since 1970; `None` for a request.
    pub expires_at: Option<i64>,
}

/// Makes a key for a daemon of this DNS name. The error is that the text is no DNS name.
pub fn issue(name: &str, proof: Proof) -> Result<Issued, InvalidIdentity> {
    let invalid = || InvalidIdentity::of(name);
    if !matches!(name.parse(), Ok(Identity::Name(_))) {
        return Err(invalid());
    }
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(|_| invalid())?;
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    // Who dials may change, so it is good for both ends.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(|_| invalid())?;
    let digest = KeyDigest::of(&key.subject_public_key_info());
    let (proof, expires_at) = match proof {
        Proof::SelfSigned { days } => {
            let epoch = rcgen::date_time_ymd(1970, 1, 1);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let end = now + Duration::from_hours(24 * u64::from(days.min(36_500)));
            params.not_before = epoch + now.saturating_sub(VALID_BEFORE_NOW);
            params.not_after = epoch + end;
            let certificate = params.self_signed(&key).map_err(|_| invalid())?;
            (certificate.pem(), i64::try_from(end.as_secs()).ok())
        }
        Proof::Request => {
            let request = params.serialize_request(&key).map_err(|_| invalid())?;
            (request.pem().map_err(|_| invalid())?, None)
        }
    };
    Ok(Issued { key: Secret::new(key.serialize_pem()), proof, digest, expires_at })
}
