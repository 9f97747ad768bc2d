//! The engine that topics and groups share: ordered rules, of which the first that matches decides.

use super::error::{EntryFault, EntryField, FaultReason, SelectionError};
use super::pattern::Pattern;
use super::template::Template;

/// What an entry selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// A regular expression for the whole name.
    Match(String),
    /// The exact name.
    Name(String),
}

/// How an entry names things on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// As on the source.
    Same,
    /// By a template: `${0}` is the whole name, `${1}` or `${word}` a capture, `$$` a dollar sign.
    Rename(String),
    /// A text put before the name.
    Prefix(String),
}

/// What an entry selects, leaves out, and how it names the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it selects.
    pub which: Which,
    /// Regular expressions for whole names that are left out. Their names are decided too: no later entry sees them.
    pub exclude: Vec<String>,
    /// The name on the target.
    pub naming: Naming,
}

#[derive(Debug, Clone)]
struct Compiled {
    which: CompiledWhich,
    exclude: Vec<Pattern>,
    naming: CompiledNaming,
}

#[derive(Debug, Clone)]
enum CompiledWhich {
    Match(Pattern),
    Name(String),
}

#[derive(Debug, Clone)]
enum CompiledNaming {
    Same,
    Rename(Template),
    Prefix(String),
}

/// Compiled rules, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Vec<Compiled>);

/// What the rules say of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No rule matches.
    NoEntry,
    /// The deciding rule leaves the name out.
    Excluded { entry: usize },
    /// The deciding rule gives this name. Not checked yet.
    Target { entry: usize, target: String },
}

impl Rules {
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Rule>) -> Result<Self, SelectionError> {
        let mut faults = Vec::new();
        let mut compiled = Vec::new();
        for (entry, rule) in rules.enumerate() {
            match compile(rule) {
                Ok(rule) => compiled.push(rule),
                Err(found) => {
                    faults.extend(found.into_iter().map(|(field, reason)| EntryFault { entry, field, reason }));
                }
            }
        }
        if faults.is_empty() { Ok(Self(compiled)) } else { Err(SelectionError { faults }) }
    }

    /// Decides on a name. With `is_only_by_name`, rules with `match` don't see it.
    pub(super) fn decide(&self, name: &str, is_only_by_name: bool) -> Verdict {
        let deciding = self.0.iter().enumerate().find(|(_, rule)| match &rule.which {
            CompiledWhich::Match(pattern) => !is_only_by_name && pattern.matches(name),
            CompiledWhich::Name(exact) => exact == name,
        });
        let Some((entry, rule)) = deciding else { return Verdict::NoEntry };
        if rule.exclude.iter().any(|pattern| pattern.matches(name)) {
            return Verdict::Excluded { entry };
        }
        let pattern = match &rule.which {
            CompiledWhich::Match(pattern) => Some(pattern),
            CompiledWhich::Name(_) => None,
        };
        let target = match &rule.naming {
            CompiledNaming::Same => name.to_owned(),
            CompiledNaming::Rename(template) => template.fill(name, pattern),
            CompiledNaming::Prefix(prefix) => format!("{prefix}{name}"),
        };
        Verdict::Target { entry, target }
    }
}

/// Compiles one rule, or finds all its faults.
fn compile(rule: &Rule) -> Result<Compiled, Vec<(EntryField, FaultReason)>> {
    let mut faults = Vec::new();
    let which = match &rule.which {
        Which::Name(name) => Some(CompiledWhich::Name(name.clone())),
        Which::Match(text) => match Pattern::new(text) {
            Ok(pattern) => Some(CompiledWhich::Match(pattern)),
            Err(reason) => {
                faults.push((EntryField::Match, reason));
                None
            }
        },
    };
    if matches!(rule.which, Which::Name(_)) && !rule.exclude.is_empty() {
        faults.push((EntryField::Exclude(0), FaultReason::ExcludeWithName));
    }
    let mut exclude = Vec::new();
    for (index, text) in rule.exclude.iter().enumerate() {
        match Pattern::new(text) {
            Ok(pattern) => exclude.push(pattern),
            Err(reason) => faults.push((EntryField::Exclude(index), reason)),
        }
    }
    // The captures of a rename are judged only where the regular expression is known.
    let Some(which) = which else { return Err(faults) };
    let pattern = match &which {
        CompiledWhich::Match(pattern) => Some(pattern),
        CompiledWhich::Name(_) => None,
    };
    let naming = match &rule.naming {
        Naming::Same => CompiledNaming::Same,
        Naming::Prefix(prefix) => CompiledNaming::Prefix(prefix.clone()),
        Naming::Rename(text) => match Template::new(text, pattern) {
            Ok(template) => CompiledNaming::Rename(template),
            Err(reason) => {
                faults.push((EntryField::Rename, reason));
                return Err(faults);
            }
        },
    };
    if faults.is_empty() { Ok(Compiled { which, exclude, naming }) } else { Err(faults) }
}
