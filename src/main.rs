//! The program `causeway`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    causeway::cli::main()
}
