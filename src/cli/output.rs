//! Where results go.

use std::io::Write;

use serde::Serialize;

use super::error::CliError;
use super::human;

/// Standard output, or what stands for it in a test.
pub(super) struct Output<'a> {
    writer: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    pub(super) fn new(writer: &'a mut dyn Write) -> Self {
        Self { writer }
    }

    /// Text for people.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.raw(human::clean(text).as_bytes())
    }

    /// An indented JSON document.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        self.raw(format!("{text}\n").as_bytes())
    }

    /// A JSON document in one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.writer.write_all(bytes)?;
        Ok(self.writer.flush()?)
    }
}
