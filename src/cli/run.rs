//! `causeway run`: the daemon in the foreground.

use std::path::Path;

use super::arguments::RunOptions;
use super::config_path::config_path;
use super::error::CliError;
use crate::config::Config;
use crate::telemetry::logs;

/// Runs the daemon until it is told to stop.
pub(super) fn run(options: &RunOptions) -> Result<(), CliError> {
    let path = config_path(&options.config)?;
    logs::set_up().map_err(|error| CliError::Usage { message: error.to_string(), help: None })?;
    daemon(&path)
}

/// The daemon over the configuration in this file.
fn daemon(path: &Path) -> Result<(), CliError> {
    let config = load(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::plain(format!("threads can't be started: {error}")))?;
    let ran = runtime.block_on(crate::daemon::run(config));
    // A thread may sit in a call to a silent cluster, which nothing interrupts: it must not hold up the end.
    runtime.shutdown_background();
    ran.map_err(|error| {
        if error.is_configuration() {
            CliError::Usage { message: error.to_string(), help: None }
        } else {
            CliError::plain(error.to_string())
        }
    })
}

/// Reads a configuration; what is wrong with it is told whole.
pub(super) fn load(path: &Path) -> Result<Config, CliError> {
    Config::load(Some(path)).map_err(|error| CliError::Usage { message: error.to_string(), help: None })
}
