//! Each rule on snippets that break it, and on ones that look alike and don't.

use crate::rules::{self, File};
use crate::text::{code_of, parts};

fn run(rule: impl Fn(&File<'_>) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
    rule(&File::new(path, text))
}

#[test]
fn comments_and_literals_are_no_code() {
    let code = code_of("a /* b /* c */ d */ e // f\n\"g\\\"h\" 'i' '\\'' r#\"j\"k\"# br\"l\" &'m str n");
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "e", "&'m", "str", "n"]);
}

#[test]
fn identifiers_fall_into_parts() {
    assert_eq!(parts("SrcOffset"), ["src", "offset"]);
    assert_eq!(parts("upstream_offset2"), ["upstream", "offset2"]);
    assert_eq!(parts("SRC"), ["src"]);
}

#[test]
fn a_neighbour_or_a_higher_floor_is_refused() {
    for bad in [
        "use crate::mirror::Pipeline;",
        "use crate::{types::Run, sync::Loop};",
        "fn f() { crate::api::serve(); }",
        "use crate::{\n    types::{Run, SourceOffset},\n    link,\n};",
        "use super::super::link::Link;",
    ] {
        assert_eq!(run(rules::floors, "src/preflight/check.rs", bad).len(), 1, "{bad}");
    }
    let found = run(rules::floors, "src/wire/client.rs", "//! x\nuse crate::tasks;\nuse crate::store::Store;");
    assert_eq!(found, ["src/wire/client.rs:3: `wire` (floor 2) must not use `store` (floor 4)"]);
}

#[test]
fn lower_floors_the_own_module_and_comments_are_fine() {
    for good in [
        "use crate::preflight::Verdict; use crate::wire::Client; use crate::{types::Run, store};",
        "use super::super::preflight::Verdict; use super::link_state;",
        "// crate::api has more\nlet s = \"crate::api\";",
        "use tokio::sync::mpsc; use crate::cluster::sync;",
    ] {
        assert_eq!(run(rules::floors, "src/preflight/check.rs", good), [""; 0], "{good}");
    }
    assert_eq!(run(rules::floors, "src/batch/tests.rs", "use crate::emulator::Emulator;"), [""; 0]);
    assert_eq!(run(rules::floors, "src/config.rs", "use crate::api::Settings;"), [""; 0]);
}

#[test]
fn a_module_without_a_floor_is_refused() {
    assert_eq!(run(rules::floors, "src/helpers.rs", "").len(), 1);
}

#[test]
fn long_files_are_found() {
    let text = "//! x\n".repeat(501);
    assert_eq!(run(rules::file_length, "src/a.rs", &text).len(), 1);
    assert_eq!(run(rules::file_length, "src/a/tests.rs", &text), [""; 0]);
    assert_eq!(run(rules::file_length, "src/a.rs", &"x\n".repeat(500)), [""; 0]);
}

#[test]
fn long_functions_are_found() {
    let of =
        |lines: usize| format!("impl A {{\n    fn f(a: [u8; 2]) -> B {{\n{}    }}\n}}\n", "        x;\n".repeat(lines));
    assert_eq!(run(rules::function_lengths, "src/a.rs", &of(68)), [""; 0]);
    let found = run(rules::function_lengths, "src/a.rs", &of(69));
    assert_eq!(found, ["src/a.rs:2: `f` has 71 lines, more than 70"]);
    let generic = of(69).replace("fn f(a: [u8; 2]) -> B", "fn f<A, B>(a: A) -> [u8; 2] where A: C, B: D");
    assert_eq!(run(rules::function_lengths, "src/a.rs", &generic).len(), 1);
    let declared = format!("trait T {{\n fn f(&self);\n{} }}", " // y\n".repeat(80));
    assert_eq!(run(rules::function_lengths, "src/a.rs", &declared), [""; 0]);
}

#[test]
fn a_missing_head_is_found() {
    assert_eq!(run(rules::head, "src/a.rs", "use b;\n//! late").len(), 1);
    assert_eq!(run(rules::head, "src/a.rs", "\n//! Owns: a."), [""; 0]);
    assert_eq!(run(rules::head, "src/a/tests.rs", "use super::*;"), [""; 0]);
}

#[test]
fn words_that_are_not_ours_are_found() {
    for bad in ["let src = 1;", "struct DstOffset;", "fn upstream_lag() {}", "// goes downstream"] {
        assert_eq!(run(rules::words, "src/a.rs", bad).len(), 1, "{bad}");
    }
    for good in ["// see src/lib.rs", "let source = \"src\";", "let srcs = 1;"] {
        assert_eq!(run(rules::words, "src/a.rs", good), [""; 0], "{good}");
    }
    assert_eq!(run(rules::words, "src/sync/mirrormaker/checkpoint.rs", "let upstream_offset = 1;"), [""; 0]);
}

#[test]
fn leftovers_are_found() {
    for bad in
        [concat!("to", "do!()"), concat!("db", "g!(x)"), concat!("// FIX", "ME: later"), concat!("// TO", "DO x")]
    {
        assert_eq!(run(rules::leftovers, "src/a.rs", bad).len(), 1, "{bad}");
    }
    assert_eq!(run(rules::leftovers, "src/a.rs", "// what todo! does\nlet todo = 1;"), [""; 0]);
}

#[test]
fn unbounded_queues_are_found() {
    for bad in ["let (a, b) = mpsc::unbounded_channel();", "use tokio::sync::mpsc::unbounded_channel;"] {
        assert_eq!(run(rules::unbounded_queues, "src/a.rs", bad).len(), 1, "{bad}");
    }
}

#[test]
fn long_lines_are_found() {
    assert_eq!(run(rules::line_lengths, "src/a.rs", &format!("ok\n// {}", "é".repeat(118))).len(), 1);
    assert_eq!(run(rules::line_lengths, "src/a.rs", &format!("// {}", "é".repeat(117))), [""; 0]);
    assert_eq!(run(rules::line_lengths, "src/a/tests.rs", &"x".repeat(200)), [""; 0]);
    assert_eq!(run(rules::line_lengths, "tests/tidy/tests.rs", &"x".repeat(200)).len(), 1);
}

#[test]
fn paths_of_a_machine_are_found() {
    for bad in [concat!("cd /wo", "rk/x"), concat!("\"/ro", "ot/.cache\""), concat!("path = /ho", "me/me/x")] {
        assert_eq!(run(rules::machine_paths, "README.md", bad).len(), 1, "{bad}");
    }
    for good in ["https://a.b/x", concat!("net", "/wo", "rk/"), concat!("$HOME", "/ho", "me/")] {
        assert_eq!(run(rules::machine_paths, "README.md", good), [""; 0], "{good}");
    }
}
