//! What is wrong with a configuration, and how it is shown.

use std::fmt;
use std::path::{Path, PathBuf};

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// None of the usual files exists.
    #[error("there is no configuration file: looked for {}", list(.tried))]
    NotFound {
        /// The files that were looked for, in order.
        tried: Vec<PathBuf>,
    },
    /// The file can't be read.
    #[error("can't read the configuration {}: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The file says something wrong.
    #[error("{}", draw(.file, .problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// At least one problem, in the order of the file.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "name the file with --config FILE or CAUSEWAY_CONFIG",
            Self::Unreadable { .. } => "check the path and that the user of this process may read it",
            Self::Invalid { .. } => "correct the file; docs/configuration.md lists every key",
        }
    }
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn draw(file: &Path, problems: &[Problem]) -> String {
    let mut drawn: Vec<String> = problems.iter().map(|problem| Drawn { file, problem }.to_string()).collect();
    let count = problems.len();
    if count > 1 {
        drawn.push(format!("{} has {count} errors", file.display()));
    }
    drawn.join("\n\n")
}

/// One thing that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The key concerned with its whole path, such as `link.a-to-b.topics[0].match`; empty for mistakes in the syntax.
    pub key: String,
    /// What is wrong.
    pub sentence: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The line of the file, without what could be a secret.
    pub(super) excerpt: String,
    /// How many characters are marked.
    pub(super) width: usize,
}

/// A problem, drawn as compilers do.
struct Drawn<'p> {
    file: &'p Path,
    problem: &'p Problem,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = self.problem;
        let line = problem.line.to_string();
        let gutter = " ".repeat(line.len());
        // Tabs are kept, so that the mark stands under its text whatever their width.
        let before: String = problem
            .excerpt
            .chars()
            .take(problem.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "error: {}", problem.sentence)?;
        writeln!(f, "{gutter}--> {}:{line}:{}", self.file.display(), problem.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {}", problem.excerpt)?;
        write!(f, "{gutter} | {before}{}", "^".repeat(problem.width))?;
        if !problem.key.is_empty() {
            write!(f, "\n{gutter} = key: {}", problem.key)?;
        }
        if let Some(help) = &problem.help {
            write!(f, "\n{gutter} = help: {help}")?;
        }
        Ok(())
    }
}
