//! `causeway demo`: everything in one process.

use super::arguments::DemoOptions;
use super::error::CliError;
use super::output::Output;
use crate::demo::{self, Settings};
use crate::telemetry::logs;

/// Runs it until Ctrl-C.
pub(super) fn demo(options: &DemoOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    // What goes on is told on stdout; stderr is for what goes wrong.
    logs::set_up_with("warn").map_err(|error| CliError::Usage { message: error.to_string(), help: None })?;
    let settings = Settings { port: options.port, rate: options.rate, topics: options.topics, seed: options.seed };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::plain(format!("threads can't be started: {error}")))?;
    let mut told = Ok(());
    let ran = runtime.block_on(demo::run(settings, &mut |text| {
        // A reader that went away is told of at the end; the demo ends by a signal.
        if told.is_ok() {
            told = output.text(&text);
        }
    }));
    runtime.shutdown_background();
    ran.map_err(|error| CliError::plain(error.to_string()))?;
    told
}
