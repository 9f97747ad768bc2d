//! `causeway run`: the daemon in the foreground.

use std::path::Path;

use super::arguments::RunOptions;
use super::config_path::config_path;
use super::error::CliError;
use crate::telemetry::logs;

/// Runs the daemon until it is told to stop.
pub(super) fn run(options: &RunOptions) -> Result<(), CliError> {
    let path = config_path(&options.config)?;
    logs::set_up().map_err(|error| CliError::Usage { message: error.to_string(), help: None })?;
    daemon(&path)
}

/// The daemon over the configuration in this file.
fn daemon(config: &Path) -> Result<(), CliError> {
    Err(CliError::plain(format!("the daemon is not wired to this command, so {} was not run", config.display())))
}
