//! `causeway pause`, `resume` and `resolve`.

use super::arguments::{OrderOptions, OutputForm, ResolveOptions, TopicOptions};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::output::Output;
use super::show::line;
use crate::api::json::{OrderBody, OrderDone, TopicSelection};
use crate::types::PartitionIndex;

/// Stops copying.
pub(super) fn pause(options: &OrderOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    order("pause", options, &body(options), output)
}

/// Goes on.
pub(super) fn resume(options: &OrderOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    order("resume", options, &body(options), output)
}

/// Deals with stopped partitions.
pub(super) fn resolve(options: &ResolveOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let body = OrderBody {
        partition: options.partition.map(PartitionIndex),
        with: Some(options.with.into()),
        ..body(&options.order)
    };
    order("resolve", &options.order, &body, output)
}

fn body(options: &OrderOptions) -> OrderBody {
    let topics = match &options.topics {
        TopicOptions { all: true, .. } => TopicSelection::All,
        TopicOptions { topics, .. } => TopicSelection::These(topics.clone()),
    };
    OrderBody {
        topics,
        partition: None,
        with: None,
        dry_run: options.dry_run,
        who: Some(who()),
        why: options.why.clone(),
    }
}

fn order(verb: &str, options: &OrderOptions, body: &OrderBody, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?;
    let link = client.link(options.link.as_ref())?;
    let answer = client.post(&format!("/v1/links/{}/{verb}", encode(link.as_str())), body)?;
    if options.output.output == OutputForm::Json {
        return output.json(&answer);
    }
    let done: OrderDone = parse(&answer)?;
    let mut text = String::new();
    match (done.dry_run, done.request) {
        _ if done.affected.is_empty() => line(&mut text, format_args!("nothing to {verb}")),
        (true, _) => line(&mut text, format_args!("{verb} on link {link} would do this:")),
        (false, Some(request)) => line(&mut text, format_args!("{verb} on link {link} is ordered ({request}):")),
        (false, None) => line(&mut text, format_args!("{verb} on link {link}: nothing had to be done")),
    }
    for affected in &done.affected {
        let partition = affected.partition.map(|partition| format!("-{partition}")).unwrap_or_default();
        line(&mut text, format_args!("  {}{partition}: {}", affected.topic, affected.effect));
    }
    output.text(&text)
}

/// The person at this terminal, as far as the environment says.
fn who() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or("someone".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let who = match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    };
    who.chars().filter(|c| !c.is_control()).take(200).collect()
}
