//! `causeway groups`: all groups, or the positions of one.

use serde_json::{Value, json};

use super::arguments::{GroupsOptions, OutputForm};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::human::{UNKNOWN, count, known, span, words};
use super::output::Output;
use super::show::line;
use super::table::{Align, Table};
use crate::api::json::{Group, Groups, Link, Links};
use crate::types::LinkName;

/// Lists groups, or shows one.
pub(super) fn groups(options: &GroupsOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?;
    let links = match &options.link {
        Some(link) => vec![link.clone()],
        None => parse::<Links>(&client.get("/v1/links")?)?.links.into_iter().map(|link| link.name).collect(),
    };
    let found = match &options.group {
        Some(group) => one_group(&client, links, group)?,
        None => all_groups(&client, links)?,
    };
    if options.output.output == OutputForm::Json {
        let links: Vec<Value> = found.iter().map(|(link, groups)| json!({"link": link, "groups": groups})).collect();
        return output.json(&json!({ "links": links }));
    }
    let mut text = String::new();
    for (link, groups) in found {
        let groups = parse::<Groups>(&json!({ "groups": groups }))?.groups;
        if options.group.is_some() {
            for group in &groups {
                details(&mut text, &link, group);
            }
        } else {
            list(&mut text, &link, &groups);
        }
    }
    output.text(&text)
}

type Found = Vec<(LinkName, Value)>;

fn all_groups(client: &Client, links: Vec<LinkName>) -> Result<Found, CliError> {
    let mut found = Vec::new();
    for link in links {
        let mut answer = client.get(&format!("/v1/links/{}/groups", encode(link.as_str())))?;
        found.push((link, answer.get_mut("groups").map(Value::take).unwrap_or_default()));
    }
    Ok(found)
}

/// The group on every link that has it.
fn one_group(client: &Client, links: Vec<LinkName>, group: &str) -> Result<Found, CliError> {
    let mut found = Vec::new();
    let mut refusal = CliError::plain("the daemon has no links");
    for link in links {
        match client.get(&format!("/v1/links/{}/groups/{}", encode(link.as_str()), encode(group))) {
            Ok(answer) => found.push((link, json!([answer]))),
            Err(error) => refusal = error,
        }
    }
    if found.is_empty() { Err(refusal) } else { Ok(found) }
}

fn list(text: &mut String, link: &LinkName, groups: &[Group]) {
    if groups.is_empty() {
        return line(text, format_args!("{link}: no groups with positions in mirrored topics"));
    }
    let mut table = Table::new(&[
        ("LINK", Align::Left),
        ("GROUP", Align::Left),
        ("ON TARGET", Align::Left),
        ("KIND", Align::Left),
        ("POSITIONS", Align::Right),
        ("STATE", Align::Left),
        ("NOTE", Align::Left),
    ]);
    for group in groups {
        table.row(vec![
            link.to_string(),
            group.group.to_string(),
            group.target_group.to_string(),
            group.kind.name().to_owned(),
            count(group.offsets.len() as u64),
            known(group.state, |state| words(state.name())),
            group.message.clone().unwrap_or_default(),
        ]);
    }
    text.push_str(&table.to_string());
}

fn details(text: &mut String, link: &LinkName, group: &Group) {
    let (name, there, kind) = (&group.group, &group.target_group, group.kind.name());
    line(text, format_args!("{name} of {link}: {kind} group, {there} on the target"));
    if let Some(message) = &group.message {
        line(text, format_args!("  {message}"));
    }
    let mut table = Table::new(&[
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("SOURCE OFFSET", Align::Right),
        ("TARGET OFFSET", Align::Right),
        ("TRANSLATION", Align::Left),
        ("COMMITTED THERE", Align::Right),
        ("STATE", Align::Left),
    ]);
    for offset in &group.offsets {
        // Offsets are copied into other commands, so they have no thousands separators.
        table.row(vec![
            offset.topic.to_string(),
            offset.partition.to_string(),
            offset.source_offset.to_string(),
            known(offset.target_offset, |offset| offset.to_string()),
            offset.translation.map_or_else(|| UNKNOWN.to_owned(), |translation| words(translation.name())),
            known(offset.committed_on_target, |offset| offset.to_string()),
            words(offset.state.name()),
        ]);
    }
    text.push_str(&table.to_string());
}

/// One line about the groups of a link, for `causeway status`.
pub(super) fn summary(text: &mut String, link: &Link) {
    let Some(groups) = link.groups.as_ref().filter(|groups| groups.groups > 0) else { return };
    let states = [
        ("synced", groups.synced),
        ("ahead of data", groups.ahead_of_data),
        ("pending", groups.pending),
        ("active on target", groups.active_on_target),
        ("in conflict", groups.conflict),
        ("below map", groups.below_map),
        ("from target", groups.from_target),
        ("failed", groups.failed),
    ];
    let some = states.iter().filter(|(_, positions)| *positions > 0);
    let states: Vec<String> = some.map(|(state, positions)| format!("{} {state}", count(*positions))).collect();
    let age = groups.complete_age_ms.map(|age| format!(", complete {} ago", span(age))).unwrap_or_default();
    let rehearsal = groups.rehearsal.as_ref().map_or_else(String::new, |rehearsal| {
        let checked = span(rehearsal.age_ms);
        match (rehearsal.mismatching, rehearsal.not_compared) {
            (0, 0) => format!("; all positions match, checked {checked} ago"),
            (0, skipped) => format!("; no mismatch, {} not compared, checked {checked} ago", count(skipped)),
            (wrong, _) => format!("; {} POSITIONS DO NOT MATCH, checked {checked} ago", count(wrong)),
        }
    });
    let (name, groups, positions) = (&link.name, count(groups.groups), count(groups.positions));
    let states = states.join(", ");
    line(text, format_args!("\n{name}: {groups} groups, {positions} positions: {states}{age}{rehearsal}"));
}
