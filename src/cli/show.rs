//! Stops and partitions as text, for several commands.

use std::fmt::Write;

use super::human::{UNKNOWN, ago, count, known, shell_word, span, words};
use super::table::{Align, Table};
use crate::api::json::{Partition, Stop, Topic};
use crate::types::LinkName;

/// All stops of a topic, each with what can be done.
pub(super) fn stops(text: &mut String, link: &LinkName, topic: &Topic, now_ms: i64) {
    if let Some(error) = &topic.error {
        stop(text, link, topic, None, error, now_ms);
    }
    for partition in &topic.partitions {
        if let Some(error) = &partition.error {
            stop(text, link, topic, Some(partition), error, now_ms);
        }
    }
}

fn stop(text: &mut String, link: &LinkName, topic: &Topic, partition: Option<&Partition>, stop: &Stop, now_ms: i64) {
    let name = &topic.source_topic;
    let what = partition.map_or_else(|| format!("topic {name}"), |partition| format!("{name}-{}", partition.partition));
    let offset = stop.source_offset.map(|offset| format!(" at source offset {offset}")).unwrap_or_default();
    line(text, format_args!("{what} of {link} stopped {}{offset}: {}", ago(stop.since_ms, now_ms), stop.reason));
    if !stop.message.is_empty() {
        line(text, format_args!("  {}", stop.message));
    }
    if !stop.resolve.is_empty() {
        let verbs: Vec<&str> = stop.resolve.iter().map(|verb| verb.name()).collect();
        let at = partition.map(|partition| format!(" --partition {}", partition.partition)).unwrap_or_default();
        let (link, name) = (shell_word(link.as_str()), shell_word(name.as_str()));
        line(text, format_args!("  causeway resolve --link {link} --topic {name}{at} --with {}", verbs.join("|")));
    }
}

/// The partitions of a topic.
pub(super) fn partitions(topic: &Topic) -> Table {
    let mut table = Table::new(&[
        ("PARTITION", Align::Right),
        ("STATE", Align::Left),
        ("SOURCE POSITION", Align::Right),
        ("HIGH WATERMARK", Align::Right),
        ("LAG", Align::Right),
        ("LAG TIME", Align::Right),
        ("TARGET POSITION", Align::Right),
        ("RETENTION LEFT", Align::Right),
        ("DAEMON", Align::Left),
    ]);
    for partition in &topic.partitions {
        // Offsets are copied into other commands, so they have no thousands separators.
        table.row(vec![
            partition.partition.to_string(),
            words(partition.state.name()),
            known(partition.source_position, |offset| offset.to_string()),
            known(partition.source_high_watermark, |offset| offset.to_string()),
            known(partition.lag_records, count),
            known(partition.lag_ms, span),
            known(partition.target_position, |offset| offset.to_string()),
            known(partition.retention_left_ms, span),
            partition.daemon.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        ]);
    }
    table
}

/// What open transactions hold back, one line a partition.
pub(super) fn held_back(text: &mut String, topic: &Topic) {
    for partition in &topic.partitions {
        let Some(held) = &partition.held_back else { continue };
        let producer = held.producer_id.map(|id| format!(" of producer {id}")).unwrap_or_default();
        let age = held.age_ms.map(|ms| format!(", for {}", span(ms))).unwrap_or_default();
        line(
            text,
            format_args!(
                "{}-{}: {} records wait for the end of an open transaction{producer} at the source{age}",
                topic.source_topic,
                partition.partition,
                count(held.records)
            ),
        );
    }
}

/// Appends a line.
pub(super) fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` can't fail.
    let _ = text.write_fmt(arguments);
    text.push('\n');
}
