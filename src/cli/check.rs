//! `causeway check`: will this configuration work?

use std::path::Path;

use super::arguments::{CheckOptions, OutputForm};
use super::config_path::config_path;
use super::error::CliError;
use super::output::Output;
use super::run::load;
use crate::preflight::Level;
use crate::{daemon, preflight};

/// Checks a configuration against its clusters.
pub(super) fn check(options: &CheckOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let path = config_path(&options.config)?;
    preflight(&path, options.acls, options.output.output, output)
}

/// The verdict on the configuration in this file, with fixes; with `acls` the commands that give the least rights.
fn preflight(path: &Path, acls: bool, form: OutputForm, output: &mut Output<'_>) -> Result<(), CliError> {
    let config = load(path)?;
    let plan = daemon::preflight(&config).map_err(|error| CliError::plain(error.to_string()))?;
    if acls {
        let commands = preflight::acls(&plan, None);
        return match form {
            OutputForm::Table => output.text(&format!("{}\n", commands.join("\n"))),
            OutputForm::Json => output.json(&commands),
        };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::plain(format!("threads can't be started: {error}")))?;
    let report = runtime.block_on(async {
        let mut report = preflight::check(&plan).await;
        daemon::check_peers(&config, &mut report).await;
        report
    });
    match form {
        OutputForm::Table => output.text(&format!("{report}\n"))?,
        OutputForm::Json => output.json(&report)?,
    }
    match report.verdict() {
        Level::Ok | Level::Warn => Ok(()),
        Level::Fail => Err(CliError::plain("this configuration would not work as it is")),
    }
}
