//! Whether a cluster's secrets and certificates are others than before.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

/// What librdkafka would be started with at some moment: every property, and the content of every file that a
/// property names. It only tells whether two moments differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

/// A certificate or key that a property names could not be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}: {error}", .path.display())]
pub(super) struct UnreadableFile {
    path: PathBuf,
    #[source]
    error: std::io::Error,
}

impl Fingerprint {
    /// Reads the files as they are now. May block.
    pub(super) fn of(properties: &[(String, String)]) -> Result<Self, UnreadableFile> {
        let mut hash = Sha256::new();
        // Each part is hashed first, so that no two lists of parts look alike.
        let mut add = |part: &[u8]| hash.update(Sha256::digest(part));
        for (name, value) in properties {
            add(name.as_bytes());
            add(value.as_bytes());
            if is_file(name, value) {
                let content = std::fs::read(value).map_err(|error| UnreadableFile { path: value.into(), error })?;
                add(&content);
            }
        }
        Ok(Self(hash.finalize().into()))
    }
}

/// `probe` stands for wherever the system keeps the certificates that it trusts.
fn is_file(name: &str, value: &str) -> bool {
    name.starts_with("ssl.") && name.ends_with(".location") && value != "probe"
}

#[cfg(test)]
mod tests;
