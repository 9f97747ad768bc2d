//! `causeway check`: will this configuration work?

use std::path::Path;

use super::arguments::{CheckOptions, OutputForm};
use super::config_path::config_path;
use super::error::CliError;
use super::output::Output;

/// Checks a configuration against its clusters.
pub(super) fn check(options: &CheckOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let path = config_path(&options.config)?;
    preflight(&path, options.acls, options.output.output, output)
}

/// The verdict on the configuration in this file, with fixes; with `acls` the commands that give the least rights.
fn preflight(config: &Path, _acls: bool, _form: OutputForm, _output: &mut Output<'_>) -> Result<(), CliError> {
    Err(CliError::plain(format!("the checks are not wired to this command, so {} was not checked", config.display())))
}
