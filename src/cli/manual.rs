//! `causeway completions` and `causeway man`: made from the arguments themselves.

use clap::CommandFactory;

use super::arguments::{Arguments, CompletionsOptions, ManOptions};
use super::error::CliError;
use super::output::Output;

/// Prints a completion script.
pub(super) fn completions(options: &CompletionsOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "causeway", &mut script);
    output.raw(&script)
}

/// Prints the manual page, or writes the pages of all commands.
pub(super) fn man(options: &ManOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    if let Some(folder) = &options.folder {
        let failed = |error| CliError::plain(format!("can't write to {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
        return clap_mangen::generate_to(Arguments::command(), folder).map_err(failed);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    output.raw(&page)
}
