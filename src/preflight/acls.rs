//! The least rights of a link, and the commands that give them. Pure.

use super::{ClusterPlan, LinkPlan, Plan};
use crate::cluster::Operation;
use crate::selection::{Naming, Rule, Which};

/// What a right is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Topic(Pattern),
    Group(Pattern),
    TransactionalId(Pattern),
    Cluster,
}

/// Names that a right is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    Literal(String),
    /// All that begin so; the empty one: all.
    Prefixed(String),
}

/// Some operations on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) resource: Resource,
    pub(super) operations: Vec<Operation>,
}

/// `Describe` comes with `Read`.
pub(super) const SOURCE_TOPIC: &[Operation] = &[Operation::Read, Operation::DescribeConfigs];
/// The state of links that write into the source, read to recognise what came from our own target.
pub(super) const SOURCE_STATE: &[Operation] = &[Operation::Read];
/// `Describe` comes with each, `DescribeConfigs` with `AlterConfigs`.
pub(super) const TARGET_TOPIC: &[Operation] =
    &[Operation::Create, Operation::Read, Operation::Write, Operation::Alter, Operation::AlterConfigs];
pub(super) const STATE_TOPIC: &[Operation] =
    &[Operation::Create, Operation::Read, Operation::Write, Operation::DescribeConfigs];
/// What MirrorMaker's clients read; `Describe` comes with `Write`.
pub(super) const MIRRORMAKER_TOPIC: &[Operation] = &[Operation::Create, Operation::Write];
/// Seeing ACLs, and changing them, are rights on the cluster.
pub(super) const SEE_ACLS: &[Operation] = &[Operation::Describe];
pub(super) const CHANGE_ACLS: &[Operation] = &[Operation::Describe, Operation::Alter];
/// Consumer groups whose positions are read; what is listed is what we may see.
pub(super) const SOURCE_GROUP: &[Operation] = &[Operation::Describe];
/// Consumer groups whose positions are written, and the daemons' own; `Describe` comes with it.
pub(super) const GROUP: &[Operation] = &[Operation::Read];
pub(super) const TRANSACTIONAL_ID: &[Operation] = &[Operation::Write];

/// All topics that keep the state of any daemon group.
pub(super) const STATE_TOPICS: &str = "__causeway.";

/// `kafka-acls` commands that give what the links need and nothing else, as far as Kafka's patterns can say it. For
/// the principal given; else for the user that the configuration names; else for a placeholder.
#[must_use]
pub fn acls(plan: &Plan, principal: Option<&str>) -> Vec<String> {
    let mut commands = Vec::new();
    for link in &plan.links {
        for (cluster, rights) in [(&link.source, source_rights(link)), (&link.target, target_rights(link))] {
            for right in rights {
                let command = command(cluster, principal, &right);
                if !commands.contains(&command) {
                    commands.push(command);
                }
            }
        }
    }
    commands
}

/// What the link needs on its source.
pub(super) fn source_rights(link: &LinkPlan) -> Vec<Right> {
    let topic = |pattern| Right { resource: Resource::Topic(pattern), operations: SOURCE_TOPIC.to_vec() };
    let mut rights: Vec<Right> = patterns(link).into_iter().map(|(source, _)| topic(source)).collect();
    let state = Resource::Topic(Pattern::Prefixed(STATE_TOPICS.to_owned()));
    rights.push(Right { resource: state, operations: SOURCE_STATE.to_vec() });
    let group = |pattern| Right { resource: Resource::Group(pattern), operations: SOURCE_GROUP.to_vec() };
    rights.extend(group_patterns(link).into_iter().map(|(source, _)| group(source)));
    if link.extras.is_copying_acls {
        rights.push(Right { resource: Resource::Cluster, operations: SEE_ACLS.to_vec() });
    }
    rights
}

/// What the link needs on its target.
pub(super) fn target_rights(link: &LinkPlan) -> Vec<Right> {
    let mut of_topic = TARGET_TOPIC.to_vec();
    // Filler is deleted again.
    of_topic.extend(link.are_offsets_preserved.then_some(Operation::Delete));
    let topic = |pattern| Right { resource: Resource::Topic(pattern), operations: of_topic.clone() };
    let mut rights: Vec<Right> = patterns(link).into_iter().map(|(_, target)| topic(target)).collect();
    let state = Resource::Topic(Pattern::Literal(link.state_topic.to_string()));
    rights.push(Right { resource: state, operations: STATE_TOPIC.to_vec() });
    let group = |pattern| Right { resource: Resource::Group(pattern), operations: GROUP.to_vec() };
    rights.push(group(Pattern::Literal(link.group.clone())));
    rights.extend(group_patterns(link).into_iter().map(|(_, target)| group(target)));
    let ids = Resource::TransactionalId(Pattern::Prefixed(link.transactional_id_prefix()));
    rights.push(Right { resource: ids, operations: TRANSACTIONAL_ID.to_vec() });
    for topic in &link.extras.mirrormaker_topics {
        let resource = Resource::Topic(Pattern::Literal(topic.to_string()));
        rights.push(Right { resource, operations: MIRRORMAKER_TOPIC.to_vec() });
    }
    if link.extras.is_copying_acls || link.extras.is_protecting {
        rights.push(Right { resource: Resource::Cluster, operations: CHANGE_ACLS.to_vec() });
    }
    rights
}

/// The source topics that a link's entries are about.
pub(super) fn source_topics(link: &LinkPlan) -> Vec<Pattern> {
    patterns(link).into_iter().map(|(source, _)| source).collect()
}

/// The names on the source and on the target, entry by entry. Kafka knows no regular expressions, so an expression
/// becomes the text that it begins with.
fn patterns(link: &LinkPlan) -> Vec<(Pattern, Pattern)> {
    patterns_of(link.selection.entries().iter().map(|entry| &entry.rule))
}

/// The same of its consumer groups.
pub(super) fn group_patterns(link: &LinkPlan) -> Vec<(Pattern, Pattern)> {
    patterns_of(link.groups.entries())
}

fn patterns_of<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Vec<(Pattern, Pattern)> {
    let mut patterns = Vec::new();
    for rule in rules {
        let source = match &rule.which {
            Which::Name(name) => Pattern::Literal(name.clone()),
            Which::Match(expression) => Pattern::Prefixed(literal_beginning(expression)),
        };
        let target = match (&rule.naming, &source) {
            (Naming::Same, _) => source.clone(),
            (Naming::Prefix(prefix), Pattern::Literal(name)) => Pattern::Literal(format!("{prefix}{name}")),
            (Naming::Prefix(prefix), Pattern::Prefixed(beginning)) => Pattern::Prefixed(format!("{prefix}{beginning}")),
            (Naming::Rename(template), _) => renamed(template, &source),
        };
        if !patterns.contains(&(source.clone(), target.clone())) {
            patterns.push((source, target));
        }
    }
    patterns
}

/// What a template makes of names: all of it where it uses no capture, else what stands before the first one.
fn renamed(template: &str, source: &Pattern) -> Pattern {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let Some(unescaped) = after.strip_prefix('$') else {
            let is_whole_name = after.starts_with("{0}");
            return match source {
                Pattern::Literal(name) if is_whole_name && after == "{0}" => Pattern::Literal(format!("{text}{name}")),
                Pattern::Literal(beginning) | Pattern::Prefixed(beginning) if is_whole_name => {
                    Pattern::Prefixed(format!("{text}{beginning}"))
                }
                Pattern::Literal(_) | Pattern::Prefixed(_) => Pattern::Prefixed(text),
            };
        };
        text.push('$');
        rest = unescaped;
    }
    text.push_str(rest);
    Pattern::Literal(text)
}

/// The plain text that every match of an expression begins with, as far as that is easily seen.
fn literal_beginning(expression: &str) -> String {
    if has_alternative_on_top(expression) {
        return String::new();
    }
    let mut beginning = String::new();
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '\\' => match letters.next() {
                Some(escaped) if !escaped.is_ascii_alphanumeric() => escaped,
                Some(_) | None => break,
            },
            '.' | '[' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '|' | '^' | '$' => break,
            other => other,
        };
        // A letter that may be left out, or that a count follows, is not sure to be there.
        if matches!(letters.peek(), Some('*' | '?' | '{')) {
            break;
        }
        beginning.push(literal);
    }
    beginning
}

/// Whether an expression is several, side by side: `a|b`.
fn has_alternative_on_top(expression: &str) -> bool {
    let mut depth = 0_usize;
    let mut is_escaped = false;
    for letter in expression.chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// The command that gives a right.
pub(super) fn command(cluster: &ClusterPlan, principal: Option<&str>, right: &Right) -> String {
    let bootstrap = cluster.settings.bootstrap.join(",");
    let principal =
        principal.map(str::to_owned).or_else(|| cluster.principal()).unwrap_or_else(|| "User:CAUSEWAY".to_owned());
    let operations: Vec<String> =
        right.operations.iter().map(|operation| format!("--operation {}", operation.name())).collect();
    let resource = match &right.resource {
        Resource::Topic(pattern) => named("--topic", pattern),
        Resource::Group(pattern) => named("--group", pattern),
        Resource::TransactionalId(pattern) => named("--transactional-id", pattern),
        Resource::Cluster => "--cluster".to_owned(),
    };
    format!(
        "kafka-acls --bootstrap-server {} --command-config admin.properties --add --allow-principal {} {} {resource}",
        quoted(&bootstrap),
        quoted(&principal),
        operations.join(" "),
    )
}

fn named(option: &str, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Literal(name) => format!("{option} {}", quoted(name)),
        Pattern::Prefixed(beginning) if beginning.is_empty() => format!("{option} '*'"),
        Pattern::Prefixed(beginning) => format!("{option} {} --resource-pattern-type prefixed", quoted(beginning)),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:/@=".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
