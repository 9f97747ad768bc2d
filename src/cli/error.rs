//! Why a command did not do what it was asked.

use std::io::{self, Write};

/// A command that was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Arguments, environment or configuration must be changed.
    #[error("{message}")]
    Usage {
        /// A sentence; may have several lines, as configuration errors do.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// It was refused, or failed.
    #[error("{message}")]
    Failed {
        /// A sentence.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The result could not be written.
    #[error("can't write the result: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// An error of usage or configuration.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// A refusal or failure.
    pub(crate) fn failed(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: Some(help.into()) }
    }

    /// A refusal or failure that says itself what to do.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: None }
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            // The reader has seen enough, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Failed { .. } | Self::Output(_) => 1,
        }
    }

    /// Tells a person.
    pub(crate) fn print(&self, stderr: &mut dyn Write) -> io::Result<()> {
        let help = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Self::Usage { help, .. } | Self::Failed { help, .. } => help.as_deref(),
            Self::Output(_) => None,
        };
        let message = self.to_string();
        // The problems of a configuration come drawn, each with this word in front of it.
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        writeln!(stderr, "error: {}", super::human::clean(message))?;
        match help {
            Some(help) => writeln!(stderr, "help: {}", super::human::clean(help)),
            None => Ok(()),
        }
    }
}
