use std::io::{self, Write};

use clap::{CommandFactory, Parser};

use super::command;
use crate::cli::arguments::{Arguments, Command, OutputForm, With};
use crate::cli::execute;

fn parse(line: &str) -> Arguments {
    Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn commands_are_read_as_they_are_meant() {
    let Command::Resolve(resolve) =
        parse("causeway resolve --topic a --topic b.c --partition 3 --with accept-gap --dry-run --output json").command
    else {
        panic!("not resolve")
    };
    assert_eq!((resolve.with, resolve.partition, resolve.order.dry_run), (With::AcceptGap, Some(3), true));
    assert_eq!(resolve.order.topics.topics.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b.c"]);
    assert_eq!(resolve.order.output.output, OutputForm::Json);
    let Command::Pause(pause) = parse("causeway pause --all --link l").command else { panic!("not pause") };
    assert!(pause.topics.all && pause.link.is_some());
    let Command::Check(check) = parse("causeway check --acls --config x.toml").command else { panic!("not check") };
    assert!(check.acls && check.config.config.is_some());
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for line in [
        "frobnicate",
        "pause",
        "pause --all --topic a",
        "pause --topic a/b",
        "resolve --all",
        "resolve --all --with ignore",
        "resolve --all --with retry --partition -1",
        "translate --topic a --partition 0",
        "translate --topic a --partition 0 --offset -1",
        "topics a b",
        "status --output xml",
        "status --link a.b",
        "status --api nonsense",
        "status --api ftp://localhost",
        "status --api https://localhost --ca /nowhere/ca.pem",
        "pause --all --link l --token-file /nowhere/token",
        "pause --all --link l --api http://kafka.example:8480 --token-file /nowhere/token",
        "completions dos",
    ] {
        let done = command(&line.split(' ').collect::<Vec<_>>());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{line}: {}", done.stderr);
        assert!(done.stderr.starts_with("error: "), "{}", done.stderr);
    }
}

#[test]
fn without_a_command_help_is_shown_as_an_error() {
    let done = command(&[]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("Usage: causeway <COMMAND>"), "{}", done.stderr);
}

#[test]
fn help_and_version_are_results() {
    let done = command(&["--version"]);
    assert_eq!((done.code, done.stdout), (0, format!("causeway {}\n", env!("CARGO_PKG_VERSION"))));
    for subcommand in Arguments::command().get_subcommands() {
        let done = command(&[subcommand.get_name(), "--help"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        assert!(done.stdout.contains("Usage: causeway"), "{}", done.stdout);
    }
}

#[test]
fn no_verb_of_a_later_time_is_shown() {
    let help = command(&["--help"]).stdout;
    for verb in ["promote", "failover", "failback", "groups", "await", "drill", "verify", "import-mm2"] {
        assert!(!help.contains(verb), "{verb}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_arguments() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = command(&["completions", shell]);
        assert!(done.code == 0 && done.stdout.contains("resolve"), "{shell}");
    }
    assert!(command(&["man"]).stdout.contains(".SH NAME\ncauseway"));
    let folder = tempfile::tempdir().unwrap();
    let done = command(&["man", "--folder", folder.path().join("pages").to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let page = std::fs::read_to_string(folder.path().join("pages/causeway-resolve.1")).unwrap();
    assert!(page.contains("accept\\-gap"), "{page}");
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut stderr = Vec::new();
    let code = execute(["causeway", "completions", "bash"].map(Into::into), &mut Closed, &mut stderr);
    assert_eq!((code, stderr.len()), (0, 0));
}

#[test]
fn a_daemon_that_is_not_there_is_a_failure_that_names_the_address() {
    let done = command(&["status", "--api", "http://127.0.0.1:1"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.starts_with("error: no answer from the daemon at http://127.0.0.1:1: "), "{}", done.stderr);
    assert!(done.stderr.contains("\nhelp: is the daemon running there?"), "{}", done.stderr);
}
