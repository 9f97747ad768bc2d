//! Keeps the rules of the source tree that no compiler checks: floors, sizes, heads, words.
//!
//! A file's path decides its floor; `FLOORS` is the table. Each rule has a test on a bad snippet in `tidy/tests.rs`.
#![expect(clippy::indexing_slicing, reason = "a test that meets the unexpected has to fail at once")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/text.rs"]
mod text;

#[cfg(test)]
#[path = "tidy/tests.rs"]
mod tests;

/// Every `.rs` file below a folder of the package, with its path relative to the package and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push((name, fs::read_to_string(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// The files that belong to the project: what git tracks or would track.
fn tracked() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root).output();
    let names = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        // An unpacked archive has no git: the sources alone are looked at then.
        _ => return ["src", "tests"].iter().flat_map(|f| sources(f)).collect(),
    };
    let read = |name: &str| -> Option<(String, String)> {
        let path: PathBuf = root.join(name);
        Some((name.to_owned(), String::from_utf8(fs::read(path).ok()?).ok()?))
    };
    names.lines().filter_map(read).collect()
}

/// Fails with all findings at once, one `file:line: what` a line.
fn assert_tidy(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn findings(files: &[(String, String)], rule: impl Fn(&rules::File<'_>) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(|(path, text)| rule(&rules::File::new(path, text))).collect()
}

#[test]
fn modules_use_lower_floors_only() {
    assert_tidy(&findings(&sources("src"), rules::floors));
}

#[test]
fn files_and_functions_stay_small() {
    assert_tidy(&findings(&sources("src"), rules::file_length));
    assert_tidy(&findings(&sources("src"), rules::function_lengths));
    assert_tidy(&findings(&sources("tests"), rules::function_lengths));
}

#[test]
fn every_file_says_what_it_is() {
    assert_tidy(&findings(&sources("src"), rules::head));
}

#[test]
fn our_words_are_used() {
    assert_tidy(&findings(&sources("src"), rules::words));
}

#[test]
fn nothing_is_left_over() {
    assert_tidy(&findings(&sources("src"), rules::leftovers));
    assert_tidy(&findings(&sources("src"), rules::unbounded_queues));
}

#[test]
fn lines_fit() {
    assert_tidy(&findings(&sources("src"), rules::line_lengths));
    assert_tidy(&findings(&sources("tests"), rules::line_lengths));
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    assert_tidy(&findings(&tracked(), rules::machine_paths));
}
