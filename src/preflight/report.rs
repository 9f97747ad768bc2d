//! Findings, and the verdict that they add up to.

use std::fmt;

use serde::Serialize;

use crate::types::TopicName;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Warn,
    /// The link, or a part of it, won't work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is about, such as `cluster aws` or `link onprem-to-aws`.
    pub about: String,
    /// What was found.
    pub sentence: String,
    /// What to do about it; always there where the level is not `Ok`.
    pub remedy: Option<String>,
}

/// All findings, in the order in which things were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst of all findings.
    #[must_use]
    pub fn verdict(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// What the process should exit with: 1 when anything fails.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.verdict() {
            Level::Ok | Level::Warn => 0,
            Level::Fail => 1,
        }
    }

    /// Notes what is in order.
    pub fn ok(&mut self, about: &str, sentence: impl Into<String>) {
        let (about, sentence) = (about.to_owned(), sentence.into());
        self.findings.push(Finding { level: Level::Ok, about, sentence, remedy: None });
    }

    /// Notes what works, but should be looked at.
    pub fn warn(&mut self, about: &str, sentence: impl Into<String>, remedy: impl Into<String>) {
        self.push(Level::Warn, about, sentence.into(), remedy.into());
    }

    /// Notes what would not work.
    pub fn fail(&mut self, about: &str, sentence: impl Into<String>, remedy: impl Into<String>) {
        self.push(Level::Fail, about, sentence.into(), remedy.into());
    }

    pub(super) fn push(&mut self, level: Level, about: &str, sentence: String, remedy: String) {
        self.findings.push(Finding { level, about: about.to_owned(), sentence, remedy: Some(remedy) });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut about = None;
        for finding in &self.findings {
            if about != Some(&finding.about) {
                writeln!(f, "{}", finding.about)?;
                about = Some(&finding.about);
            }
            let mark = match finding.level {
                Level::Ok => "  ok    ",
                Level::Warn => "  warn  ",
                Level::Fail => "  FAIL  ",
            };
            writeln!(f, "{mark}{}", finding.sentence)?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "          -> {remedy}")?;
            }
        }
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let (fails, warnings) = (count(Level::Fail), count(Level::Warn));
        match self.verdict() {
            Level::Ok => write!(f, "everything is in order"),
            Level::Warn => write!(f, "it works; {warnings} to look at"),
            Level::Fail => write!(f, "it won't work: {fails} to mend, {warnings} to look at"),
        }
    }
}

/// `topic a`, or `topics a, b and 7 more`.
pub(super) fn list<'t>(topics: impl ExactSizeIterator<Item = &'t TopicName>) -> String {
    const SHOWN: usize = 5;
    let count = topics.len();
    let shown: Vec<&str> = topics.take(SHOWN).map(TopicName::as_str).collect();
    match (count, count.saturating_sub(SHOWN)) {
        (1, _) => format!("topic {}", shown.join("")),
        (_, 0) => format!("topics {}", shown.join(", ")),
        (_, more) => format!("topics {} and {more} more", shown.join(", ")),
    }
}
