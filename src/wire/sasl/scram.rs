//! SCRAM (RFC 5802, RFC 7677) as Kafka speaks it: no channel binding, and names and passwords as they are, without
//! `SASLprep`. No I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::types::Secret;

/// Fewer would make a stolen exchange cheap to guess from; Kafka refuses to store fewer.
const ITERATIONS_MIN: u32 = 4_096;
/// More would let a broker keep our processor busy for seconds.
const ITERATIONS_MAX: u32 = 1_000_000;

/// The hash of a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// Why an exchange ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("its SCRAM message has no valid `{0}`")]
    Unreadable(char),
    #[error("it demands a SCRAM extension that we don't know")]
    UnknownExtension,
    #[error("its SCRAM nonce does not begin with ours")]
    Nonce,
    #[error("it wants {0} iterations, which is less than {ITERATIONS_MIN}")]
    TooFewIterations(u32),
    #[error("it wants {0} iterations, which is more than {ITERATIONS_MAX}")]
    TooManyIterations(u32),
    #[error("{0}")]
    Refused(String),
    #[error("it could not prove that it knows the password: its signature is wrong")]
    Signature,
}

/// The client's side before the server has answered.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    username: String,
    password: Secret,
    nonce: String,
}

/// What the server's last message must prove.
pub(super) struct Expected {
    hash: Hash,
    server_key: Vec<u8>,
    auth_message: String,
}

impl Scram {
    pub(super) fn new(hash: Hash, username: &str, password: Secret, nonce: &[u8]) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, username, password, nonce: STANDARD.encode(nonce) }
    }

    /// The client's first message.
    pub(super) fn first_message(&self) -> String {
        format!("n,,{}", self.first_message_bare())
    }

    fn first_message_bare(&self) -> String {
        format!("n={},r={}", self.username, self.nonce)
    }

    /// The client's last message, and what the server's must prove. Takes processor time.
    pub(super) fn answer(&self, server_first: &str) -> Result<(String, Expected), ScramError> {
        if server_first.starts_with("m=") {
            return Err(ScramError::UnknownExtension);
        }
        let nonce = field(server_first, 'r')?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        let salt = decode(server_first, 's')?;
        let iterations = field(server_first, 'i')?.parse().map_err(|_| ScramError::Unreadable('i'))?;
        if iterations < ITERATIONS_MIN {
            return Err(ScramError::TooFewIterations(iterations));
        }
        if iterations > ITERATIONS_MAX {
            return Err(ScramError::TooManyIterations(iterations));
        }
        // `biws` is the base64 form of `n,,`: no channel binding.
        let without_proof = format!("c=biws,r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_message_bare());
        let password = self.password.reveal().as_bytes();
        let (proof, server_key) = match self.hash {
            Hash::Sha256 => prove::<Sha256>(password, &salt, iterations, &auth_message),
            Hash::Sha512 => prove::<Sha512>(password, &salt, iterations, &auth_message),
        };
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((message, Expected { hash: self.hash, server_key, auth_message }))
    }
}

impl Expected {
    /// Whether the server knows the password, too.
    pub(super) fn check(&self, server_final: &str) -> Result<(), ScramError> {
        if let Ok(reason) = field(server_final, 'e') {
            return Err(ScramError::Refused(reason.to_owned()));
        }
        let signature = decode(server_final, 'v')?;
        let is_right = match self.hash {
            Hash::Sha256 => is_signature::<Sha256>(&self.server_key, &self.auth_message, &signature),
            Hash::Sha512 => is_signature::<Sha512>(&self.server_key, &self.auth_message, &signature),
        };
        if is_right { Ok(()) } else { Err(ScramError::Signature) }
    }
}

fn field(message: &str, name: char) -> Result<&str, ScramError> {
    let value = |part: &'_ str| part.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::len);
    let found = message.split(',').find(|part| value(part).is_some());
    found.and_then(|part| part.get(2..)).ok_or(ScramError::Unreadable(name))
}

fn decode(message: &str, name: char) -> Result<Vec<u8>, ScramError> {
    STANDARD.decode(field(message, name)?).map_err(|_| ScramError::Unreadable(name))
}

/// The client's proof, and the server's key.
fn prove<D: EagerHash + Digest>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    auth_message: &str,
) -> (Vec<u8>, Vec<u8>) {
    let mut salted = vec![0; <D as Digest>::output_size()];
    pbkdf2::pbkdf2_hmac::<D>(password, salt, iterations, &mut salted);
    let client_key = sign::<D>(&salted, b"Client Key").finalize().into_bytes();
    let server_key = sign::<D>(&salted, b"Server Key").finalize().into_bytes();
    let stored_key = D::digest(&client_key);
    let signature = sign::<D>(&stored_key, auth_message.as_bytes()).finalize().into_bytes();
    let proof = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
    (proof, server_key.to_vec())
}

/// Takes the same time wherever the first difference is.
fn is_signature<D: EagerHash>(server_key: &[u8], auth_message: &str, signature: &[u8]) -> bool {
    sign::<D>(server_key, auth_message.as_bytes()).verify_slice(signature).is_ok()
}

fn sign<D: EagerHash>(key: &[u8], message: &[u8]) -> Hmac<D> {
    match <Hmac<D> as KeyInit>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(message),
        Err(_) => unreachable!("an HMAC takes keys of any length"),
    }
}

#[cfg(test)]
mod tests;
