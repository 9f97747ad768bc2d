//! Values that come from the environment or from files, and are read anew when they are needed.
//!
//! Owns: [`SecretSource`].
//! Promises: a changed file is seen by the next reader; errors name the variable or file, never its content.
//! Does not know: what a value is for.

use std::path::PathBuf;

use crate::types::Secret;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration itself.
    Literal(Secret),
    /// An environment variable.
    Env(String),
    /// A file; trailing line ends are cut.
    File(PathBuf),
}

/// A secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set or not UTF-8.
    #[error("environment variable {0} is not set")]
    Env(String),
    /// The file can't be read.
    #[error("can't read {}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
}

impl SecretSource {
    /// Reads the secret as it is now.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::Env(name) => std::env::var(name).map(Secret::new).map_err(|_| SecretError::Env(name.clone())),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => Err(SecretError::File { path: path.clone(), error }),
            },
        }
    }
}

#[cfg(test)]
mod tests;
