//! The commands.
//!
//! Owns: arguments, what is printed, exit codes.
//! Promises: 0 done, 1 refused or failed, 2 usage or configuration; results go to stdout, all else to stderr; a reader
//! that goes away (`causeway topics | head`) is not an error.
//! Does not know: how a daemon works; all commands but `demo`, `run`, `check` and `keys` talk to its API.

mod arguments;
mod check;
mod client;
mod config_path;
mod demo;
mod error;
mod groups;
mod human;
mod keys;
mod manual;
mod orders;
mod output;
mod peers;
mod run;
mod show;
mod status;
mod table;
mod topics;
mod translate;
mod waiting;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
pub use error::CliError;
use output::Output;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let code = execute(std::env::args_os(), &mut std::io::stdout().lock(), &mut std::io::stderr());
    ExitCode::from(code)
}

/// Runs the command of these arguments; the first one is the program's name.
pub(crate) fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error, stdout, stderr),
    };
    match dispatch(arguments.command, &mut Output::new(stdout)) {
        Ok(()) => 0,
        Err(error) => {
            // Nobody is left to tell when even this fails.
            let _ = error.print(stderr);
            error.exit_code()
        }
    }
}

fn dispatch(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Demo(options) => demo::demo(&options, output),
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options, output),
        Command::Keys(options) => keys::keys(&options, output),
        Command::Status(options) => status::status(&options, output),
        Command::Topics(options) => topics::topics(&options, output),
        Command::Translate(options) => translate::translate(&options, output),
        Command::Groups(options) => groups::groups(&options, output),
        Command::Await(options) => waiting::wait(&options, output),
        Command::Pause(options) => orders::pause(&options, output),
        Command::Resume(options) => orders::resume(&options, output),
        Command::Resolve(options) => orders::resolve(&options, output),
        Command::Completions(options) => manual::completions(&options, output),
        Command::Man(options) => manual::man(&options, output),
    }
}

/// What clap has to say: help and version are results, the rest are usage errors.
fn explain(error: &clap::Error, stdout: &mut dyn Write, stderr: &mut dyn Write) -> u8 {
    let is_result = !error.use_stderr();
    let text = error.render();
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    let text = if is_result && is_terminal { text.ansi().to_string() } else { text.to_string() };
    let _ = if is_result { stdout.write_all(text.as_bytes()) } else { stderr.write_all(text.as_bytes()) };
    u8::try_from(error.exit_code()).unwrap_or(2)
}

#[cfg(test)]
mod tests;
