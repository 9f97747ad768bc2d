//! `causeway status`: the daemon and its links at a glance.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::{OutputForm, StatusOptions};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::human::{ago, count, known, span, words};
use super::output::Output;
use super::show::{self, line};
use super::table::{Align, Table};
use crate::api::json::{Daemon, Link, LinkState, Links, Peer, Peers, Readiness, Topic, Topics};

const EVERY: Duration = Duration::from_secs(2);

/// What the daemon says of itself, and as it said it.
struct Status {
    daemon: Daemon,
    readiness: Readiness,
    links: Vec<(Link, Vec<Topic>)>,
    peers: Vec<Peer>,
    raw: Value,
}

/// Shows it once, or again and again.
pub(super) fn status(options: &StatusOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?;
    let mut status = ask(&client, options)?;
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let text = text(&status, crate::tasks::wall_clock_ms());
        match options.output.output {
            OutputForm::Json if options.watch => output.json_line(&status.raw)?,
            OutputForm::Json => output.json(&status.raw)?,
            OutputForm::Table if options.watch && is_terminal => frame(output, &text)?,
            OutputForm::Table => output.text(&text)?,
        }
        if !options.watch {
            return Ok(());
        }
        status = again(&client, options, output, is_terminal)?;
    }
}

/// The next status; while the daemon does not answer, that is said and it is tried again.
fn again(
    client: &Client,
    options: &StatusOptions,
    output: &mut Output<'_>,
    is_terminal: bool,
) -> Result<Status, CliError> {
    loop {
        std::thread::sleep(EVERY);
        match ask(client, options) {
            Ok(status) => return Ok(status),
            Err(error) if is_terminal => frame(output, &format!("{error}\ntrying again ...\n"))?,
            Err(error) => return Err(error),
        }
    }
}

fn ask(client: &Client, options: &StatusOptions) -> Result<Status, CliError> {
    let daemon = client.get("/v1/daemon")?;
    let readiness = client.get("/readyz")?;
    let raw_links = match &options.link {
        Some(link) => json!({"links": [client.get(&format!("/v1/links/{}", encode(link.as_str())))?]}),
        None => client.get("/v1/links")?,
    };
    let mut links = Vec::new();
    for link in parse::<Links>(&raw_links)?.links {
        // Only where something is stopped are the topics worth the asking.
        let topics = if link.partitions_stopped > 0 || link.state == LinkState::Stopped {
            parse::<Topics>(&client.get(&format!("/v1/links/{}/topics", encode(link.name.as_str())))?)?.topics
        } else {
            Vec::new()
        };
        links.push((link, topics));
    }
    let (parsed_daemon, parsed_readiness) = (parse(&daemon)?, parse(&readiness)?);
    let raw_peers = client.get("/v1/peers")?;
    let peers = parse::<Peers>(&raw_peers)?.peers;
    let (links_told, peers_told) = (raw_links.get("links"), raw_peers.get("peers"));
    let raw = json!({"daemon": daemon, "readiness": readiness, "links": links_told, "peers": peers_told});
    Ok(Status { daemon: parsed_daemon, readiness: parsed_readiness, links, peers, raw })
}

fn text(status: &Status, now_ms: i64) -> String {
    let mut text = String::new();
    let daemon = &status.daemon;
    let members = match daemon.members.len() {
        0 | 1 => String::new(),
        members => format!(", {members} daemons in the group"),
    };
    line(
        &mut text,
        format_args!(
            "{} of group {}, version {}, up {}, {} of {} shards{members}: {}",
            daemon.id,
            daemon.group,
            daemon.version,
            span(daemon.uptime_ms),
            daemon.shards_owned,
            daemon.shards,
            if status.readiness.ready { "ready" } else { "not ready" }
        ),
    );
    for reason in &status.readiness.reasons {
        line(&mut text, format_args!("  {reason}"));
    }
    text.push('\n');
    text.push_str(&links(status.links.iter().map(|(link, _)| link)).to_string());
    text.push_str(&super::peers::table(&status.peers, now_ms));
    for (link, _) in &status.links {
        super::groups::summary(&mut text, link);
    }
    let mut troubles = String::new();
    super::peers::troubles(&mut troubles, &status.peers, now_ms);
    for (link, topics) in &status.links {
        problems(&mut troubles, link, now_ms);
        for topic in topics {
            show::stops(&mut troubles, &link.name, topic, now_ms);
        }
    }
    if !troubles.is_empty() {
        text.push('\n');
        text.push_str(&troubles);
    }
    text
}

fn links<'a>(links: impl Iterator<Item = &'a Link>) -> Table {
    let mut table = Table::new(&[
        ("LINK", Align::Left),
        ("STATE", Align::Left),
        ("SOURCE", Align::Left),
        ("TARGET", Align::Left),
        ("TOPICS", Align::Right),
        ("PARTITIONS", Align::Right),
        ("STOPPED", Align::Right),
        ("LAG", Align::Right),
        ("LAG TIME", Align::Right),
        ("SOURCE SEEN", Align::Right),
    ]);
    for link in links {
        let state = words(link.state.name());
        table.row(vec![
            link.name.to_string(),
            if link.served_here { state } else { format!("{state}, served elsewhere") },
            link.source.to_string(),
            link.target.to_string(),
            count(link.topics),
            count(link.partitions),
            count(link.partitions_stopped),
            known(link.lag_records, count),
            known(link.lag_ms, span),
            known(link.source_contact_age_ms, |ms| format!("{} ago", span(ms))),
        ]);
    }
    table
}

fn problems(text: &mut String, link: &Link, now_ms: i64) {
    if let Some(key) = &link.config_mismatch {
        line(
            text,
            format_args!("{}: this daemon's file differs from the settings the link works by: {key}", link.name),
        );
    }
    for problem in &link.problems {
        let since = problem.since_ms.map(|since| format!(" since {}", ago(since, now_ms))).unwrap_or_default();
        line(text, format_args!("{}: {}{since}", link.name, words(&problem.kind)));
        line(text, format_args!("  {}", problem.message));
    }
}

/// Draws over what is on the terminal, in one write, so that nothing flickers. What does not fit is left out.
fn frame(output: &mut Output<'_>, text: &str) -> Result<(), CliError> {
    let size = terminal_size::terminal_size().map(|(width, height)| (usize::from(width.0), usize::from(height.0)));
    let (columns, rows) = size.unwrap_or((80, 24));
    let text = super::human::clean(text);
    let lines: Vec<&str> = text.lines().collect();
    let shown = how_many_fit(&lines, columns, rows);
    let mut drawing = "\x1b[H".to_owned();
    for line in lines.iter().take(shown) {
        // Clear the rest of each line, then what is below the last one.
        drawing.extend([line, "\x1b[K\r\n"]);
    }
    if shown < lines.len() {
        line(&mut drawing, format_args!("... {} more lines\x1b[K", lines.len() - shown));
    }
    drawing.push_str("\x1b[J");
    output.raw(drawing.as_bytes())
}

/// How many of the lines fit, each of which may need several rows. One row stays free for the cursor, and one for the
/// note that something is left out.
fn how_many_fit(lines: &[&str], columns: usize, rows: usize) -> usize {
    let needed = |line: &&str| line.chars().count().div_ceil(columns.max(1)).max(1);
    let fits = |free: usize| {
        let sums = lines.iter().map(needed).scan(0, |sum, rows| {
            *sum += rows;
            Some(*sum)
        });
        sums.take_while(|sum| sum + free <= rows).count()
    };
    if fits(1) == lines.len() { lines.len() } else { fits(2) }
}

#[cfg(test)]
mod tests;
