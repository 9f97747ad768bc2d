//! `causeway topics`: all mirror topics, or the partitions of one.

use serde_json::{Value, json};

use super::arguments::{OutputForm, TopicsOptions};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::human::{count, known, span, words};
use super::output::Output;
use super::show::{self, line};
use super::table::{Align, Table};
use crate::api::json::{Links, PartitionState, Topic, Topics};
use crate::types::{LinkName, TopicName};

/// Lists topics, or shows one.
pub(super) fn topics(options: &TopicsOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?;
    let links = match &options.link {
        Some(link) => vec![link.clone()],
        None => parse::<Links>(&client.get("/v1/links")?)?.links.into_iter().map(|link| link.name).collect(),
    };
    let found = match &options.topic {
        Some(topic) => one_topic(&client, links, topic)?,
        None => all_topics(&client, links)?,
    };
    if options.output.output == OutputForm::Json {
        let links: Vec<Value> = found.iter().map(|(link, topics)| json!({"link": link, "topics": topics})).collect();
        return output.json(&json!({ "links": links }));
    }
    let mut parsed = Vec::new();
    for (link, topics) in found {
        parsed.push((link, parse::<Topics>(&json!({ "topics": topics }))?.topics));
    }
    let text = if options.topic.is_some() {
        details(&parsed, crate::tasks::wall_clock_ms())
    } else {
        list(&parsed, crate::tasks::wall_clock_ms())
    };
    output.text(&text)
}

type Found = Vec<(LinkName, Value)>;

fn all_topics(client: &Client, links: Vec<LinkName>) -> Result<Found, CliError> {
    let mut found = Vec::new();
    for link in links {
        let mut answer = client.get(&format!("/v1/links/{}/topics", encode(link.as_str())))?;
        found.push((link, answer.get_mut("topics").map(Value::take).unwrap_or_default()));
    }
    Ok(found)
}

/// The topic on every link that has it.
fn one_topic(client: &Client, links: Vec<LinkName>, topic: &TopicName) -> Result<Found, CliError> {
    let mut found = Vec::new();
    let mut refusal = CliError::plain("the daemon has no links");
    for link in links {
        match client.get(&format!("/v1/links/{}/topics/{}", encode(link.as_str()), encode(topic.as_str()))) {
            Ok(answer) => found.push((link, json!([answer]))),
            Err(error) => refusal = error,
        }
    }
    if found.is_empty() { Err(refusal) } else { Ok(found) }
}

fn list(found: &[(LinkName, Vec<Topic>)], now_ms: i64) -> String {
    let mut table = Table::new(&[
        ("LINK", Align::Left),
        ("TOPIC", Align::Left),
        ("TARGET TOPIC", Align::Left),
        ("STATE", Align::Left),
        ("OFFSETS", Align::Left),
        ("PARTITIONS", Align::Right),
        ("STOPPED", Align::Right),
        ("LAG", Align::Right),
        ("LAG TIME", Align::Right),
    ]);
    let mut troubles = String::new();
    for (link, topics) in found {
        for topic in topics {
            let is_stopped = |state| state == PartitionState::Stopped;
            let stopped = topic.partitions.iter().filter(|partition| is_stopped(partition.state)).count();
            table.row(vec![
                link.to_string(),
                topic.source_topic.to_string(),
                topic.target_topic.to_string(),
                words(topic.state.name()),
                topic.offsets.name().to_owned(),
                topic.partitions.len().to_string(),
                stopped.to_string(),
                known(topic.lag_records(), count),
                known(topic.lag_ms(), span),
            ]);
            show::stops(&mut troubles, link, topic, now_ms);
        }
    }
    if found.iter().all(|(_, topics)| topics.is_empty()) {
        return "no mirror topics yet\n".to_owned();
    }
    if troubles.is_empty() { table.to_string() } else { format!("{table}\n{troubles}") }
}

fn details(found: &[(LinkName, Vec<Topic>)], now_ms: i64) -> String {
    let mut text = String::new();
    for (link, topics) in found {
        for topic in topics {
            if !text.is_empty() {
                text.push('\n');
            }
            line(
                &mut text,
                format_args!(
                    "{} -> {} on link {link}: {}, offsets {}\n",
                    topic.source_topic,
                    topic.target_topic,
                    words(topic.state.name()),
                    topic.offsets.name()
                ),
            );
            text.push_str(&show::partitions(topic).to_string());
            let mut notes = String::new();
            show::held_back(&mut notes, topic);
            show::stops(&mut notes, link, topic, now_ms);
            if !notes.is_empty() {
                text.push('\n');
                text.push_str(&notes);
            }
        }
    }
    text
}
