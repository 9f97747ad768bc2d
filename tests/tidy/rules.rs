//! The rules. Each takes a file and returns its findings as `file:line: what`.

use crate::text::{code_of, identifiers, is_word, parts};

/// A module uses only modules on lower floors. `lib`, `main` and test files stand above all.
pub(crate) const FLOORS: [(&str, u32); 25] = [
    ("types", 0),
    ("tasks", 1),
    ("telemetry", 1),
    ("secrets", 1),
    ("batch", 2),
    ("offset_map", 2),
    ("selection", 2),
    ("lifecycle", 2),
    ("wire", 2),
    ("emulator", 3),
    ("peer", 3),
    ("shards", 3),
    ("store", 4),
    ("cluster", 5),
    ("mirror", 6),
    ("sync", 6),
    ("audit", 6),
    ("preflight", 6),
    ("link", 7),
    ("api", 8),
    // It builds each module's settings from the file, so it stands above all that have settings but the daemon.
    ("config", 9),
    ("daemon", 10),
    ("demo", 11),
    ("cli", 12),
    ("main", 13),
];

/// Words that the project's vocabulary replaces. The first kind is found in comments too; the second are names of
/// Rust's source folder and common abbreviations, so only identifiers count.
const WORDS_ANYWHERE: [(&str, &str); 2] = [("upstream", "source"), ("downstream", "target")];
const WORDS_IN_CODE: [(&str, &str); 2] = [("src", "source"), ("dst", "target")];
/// Where Kafka itself uses such a word: (beginning of the path, word, why).
const WORDS_ALLOWED: [(&str, &str, &str); 2] = [
    ("src/sync/mirrormaker", "upstream", "the field names of MirrorMaker's records"),
    ("src/sync/mirrormaker", "downstream", "the field names of MirrorMaker's records"),
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 120;

/// A file, and its text with comments and literals blanked.
pub(crate) struct File<'a> {
    path: &'a str,
    text: &'a str,
    code: String,
}

impl<'a> File<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, code: code_of(text) }
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests.rs" || part == "tests")
    }

    /// The path below `src`, without the extension, in parts.
    fn module_path(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(self.path);
        let mut all: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        if all.last().is_some_and(|last| *last == "mod") {
            all.pop();
        }
        all
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

fn floor_of(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// A module uses modules below its own floor only: never a neighbour, never up.
pub(crate) fn floors(file: &File<'_>) -> Vec<String> {
    let path = file.module_path();
    if path == ["lib"] || file.is_test() {
        return Vec::new();
    }
    let own = path[0];
    let Some(own_floor) = floor_of(own) else {
        return vec![file.finding(1, &format!("`{own}` has no floor: add it to FLOORS in tests/tidy/rules.rs"))];
    };
    let judge = |(at, used): (usize, &str)| {
        let floor = floor_of(used)?;
        let is_wrong = used != own && floor >= own_floor;
        is_wrong.then(|| {
            let what = format!("`{own}` (floor {own_floor}) must not use `{used}` (floor {floor})");
            file.finding(file.line_of(at), &what)
        })
    };
    used_modules(&file.code, path.len()).into_iter().filter_map(judge).collect()
}

/// The top-level modules that the code names, and where: after `crate::` (also in braces), after `causeway::` (the
/// binary), and after so many `super::` that they lead to the top.
fn used_modules(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", "causeway::", supers.as_str()] {
        for (at, _) in code.match_indices(root) {
            let begins_word = code[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':');
            if begins_word {
                heads(code, at + root.len(), &mut found);
            }
        }
    }
    found
}

/// The identifier at `at`, or the first identifier of each branch of a brace group.
fn heads<'a>(code: &'a str, at: usize, found: &mut Vec<(usize, &'a str)>) {
    let rest = &code[at..];
    let Some(group) = rest.strip_prefix('{') else {
        found.push((at, word_at(rest)));
        return;
    };
    let mut depth = 0;
    let mut is_head = true;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => is_head = true,
            c if is_head && is_word(c) => {
                found.push((at + 1 + i, word_at(&group[i..])));
                is_head = false;
            }
            _ => {}
        }
    }
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Files stop at 500 lines.
pub(crate) fn file_length(file: &File<'_>) -> Vec<String> {
    let lines = file.text.lines().count();
    let is_long = lines > FILE_LINES_MAX && !file.is_test();
    is_long.then(|| file.finding(lines, &format!("{lines} lines, more than {FILE_LINES_MAX}"))).into_iter().collect()
}

/// Functions stop at 70 lines, from the line of `fn` to the closing brace.
pub(crate) fn function_lengths(file: &File<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in file.code.match_indices("fn ") {
        let begins_word = file.code[..at].chars().next_back().is_none_or(|c| !is_word(c));
        let Some(end) = begins_word.then(|| body_end(&file.code[at..])).flatten() else { continue };
        let lines = file.code[at..at + end].matches('\n').count() + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = word_at(&file.code[at + 3..]);
            let what = format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}");
            found.push(file.finding(file.line_of(at), &what));
        }
    }
    found
}

/// Where the body of the function that begins here ends; `None` for a declaration.
fn body_end(code: &str) -> Option<usize> {
    let mut braces = 0;
    let mut brackets = 0;
    for (i, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces <= 1 => return Some(i + 1),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

/// Every file opens with `//!`; test modules need not.
pub(crate) fn head(file: &File<'_>) -> Vec<String> {
    let first = file.text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let is_missing = !file.is_test() && !first.starts_with("//!");
    is_missing.then(|| file.finding(1, "opens without //! (Owns, Promises, Does not know)")).into_iter().collect()
}

/// The project's vocabulary.
pub(crate) fn words(file: &File<'_>) -> Vec<String> {
    let check = |text: &str, words: &[(&str, &str)]| -> Vec<String> {
        let judge = |(line, identifier): (usize, &str)| {
            let of = parts(identifier);
            let (bad, good) = words.iter().find(|(bad, _)| of.iter().any(|p| p == bad))?;
            let is_allowed = WORDS_ALLOWED.iter().any(|(path, word, _)| file.path.starts_with(path) && word == bad);
            (!is_allowed).then(|| file.finding(line, &format!("`{identifier}`: we say {good}, not {bad}")))
        };
        identifiers(text).filter_map(judge).collect()
    };
    let mut found = check(file.text, &WORDS_ANYWHERE);
    found.extend(check(&file.code, &WORDS_IN_CODE));
    found
}

/// Nothing that was meant to be finished later.
pub(crate) fn leftovers(file: &File<'_>) -> Vec<String> {
    let in_code = ["todo!", "unimplemented!", "dbg!"];
    let anywhere = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut found = Vec::new();
    for (i, (code, text)) in file.code.lines().zip(file.text.lines()).enumerate() {
        let in_code = in_code.iter().filter(|mark| code.contains(**mark));
        let anywhere = anywhere.iter().filter(|mark| identifiers(text).any(|(_, word)| word == **mark));
        found.extend(in_code.chain(anywhere).map(|mark| file.finding(i + 1, &format!("{mark} is left"))));
    }
    found
}

/// Every queue is bounded.
pub(crate) fn unbounded_queues(file: &File<'_>) -> Vec<String> {
    let lines = identifiers(&file.code).filter(|(_, word)| word.starts_with("unbounded"));
    lines.map(|(line, word)| file.finding(line, &format!("`{word}`: every queue is bounded"))).collect()
}

/// rustfmt leaves comments and strings alone; this doesn't. The tests of a module may quote long texts.
pub(crate) fn line_lengths(file: &File<'_>) -> Vec<String> {
    if file.is_test() && file.path.starts_with("src/") {
        return Vec::new();
    }
    let long = file.text.lines().enumerate().filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX);
    long.map(|(i, _)| file.finding(i + 1, &format!("longer than {LINE_CHARS_MAX} characters"))).collect()
}

/// A path of one machine has no meaning on another.
pub(crate) fn machine_paths(file: &File<'_>) -> Vec<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut found = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        for path in paths {
            let is_begin =
                |(at, _): (usize, &str)| line[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != '}');
            if line.match_indices(path).any(is_begin) {
                found.push(file.finding(i + 1, &format!("{path}: a path of one machine")));
            }
        }
    }
    found
}
