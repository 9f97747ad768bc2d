//! `[link.NAME]` without its entries.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::de::DeValue;

use super::keys;
use super::link_entries::{self, EntryPlaces};
use super::link_groups;
use super::meaning;
use super::quantity::{self, Malformed, show_duration, show_rate, show_size};
use super::report::{Place, Report, Reported, last_part};
use super::settings::{LinkConfig, Offsets, Start, SyncConfig, Tuning};
use super::tree::{Table, Value};
use crate::sync::Drift;
use crate::types::{ClusterName, LinkName};

/// A link of the file, with the places that the checks across links need.
#[derive(Debug)]
pub(super) struct ReadLink {
    pub(super) name: LinkName,
    pub(super) place: Place,
    pub(super) source: Option<(ClusterName, Place)>,
    pub(super) target: Option<(ClusterName, Place)>,
    pub(super) entries: Vec<EntryPlaces>,
    pub(super) config: Option<LinkConfig>,
}

/// Reads all links.
pub(super) fn read_all<'t>(report: &mut Report<'t>, links: Option<&Value<'t>>) -> Vec<ReadLink> {
    let mut read = Vec::new();
    for (name, value) in links.map(|value| value.named(report, "a table of links")).unwrap_or_default() {
        match LinkName::new(name) {
            Ok(name) => read.extend(read_one(report, name, &value)),
            Err(error) => report.refuse(&value.key, error.to_string(), None),
        }
    }
    read
}

fn read_one<'t>(report: &mut Report<'t>, name: LinkName, value: &Value<'t>) -> Option<ReadLink> {
    let table = Table::open(report, value, &keys::LINK)?;
    let source = cluster(report, &table, "source");
    let target = cluster(report, &table, "target");
    let offsets = offsets(report, &table);
    let start = start(report, &table);
    let rate = rate(report, &table);
    let mirrormaker_topics = switch(report, &table, "mirrormaker_topics");
    let protect = switch(report, &table, "protect");
    let own_principals = own_principals(report, &table);
    let sync = sync(report, table.get("sync"));
    let tuning = tuning(report, table.get("tuning"));
    let (entries, topics) = link_entries::read(report, &table);
    if let (Some(offsets), Some(topics)) = (offsets, &topics) {
        link_entries::check_offsets(report, &entries, topics, offsets);
    }
    let groups = link_groups::read(report, &table);
    let config = (|| {
        let mut config = LinkConfig {
            name: name.clone(),
            source: source.as_ref()?.0.clone(),
            target: target.as_ref()?.0.clone(),
            offsets: offsets?,
            start: start?,
            rate: rate.ok()?,
            topics: topics?,
            groups: groups?,
            sync: sync?,
            mirrormaker_topics: mirrormaker_topics?,
            protect: protect?,
            own_principals: own_principals?,
            tuning: tuning?,
            meaning: std::collections::BTreeMap::new(),
            digest: String::new(),
        };
        config.meaning = meaning::of(&config);
        config.digest = meaning::digest(&config.meaning);
        Some(config)
    })();
    Some(ReadLink { name, place: table.place, source, target, entries, config })
}

fn cluster<'t>(report: &mut Report<'t>, table: &Table<'t>, key: &str) -> Option<(ClusterName, Place)> {
    let value = table.need(report, key, "\"NAME\", the name of a [cluster.NAME]")?;
    let text = value.full_text(report)?;
    match ClusterName::new(text) {
        Ok(name) => Some((name, value.place.clone())),
        Err(error) => {
            report.refuse(&value.place, error.to_string(), None);
            None
        }
    }
}

fn offsets<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Option<Offsets> {
    let Some(value) = table.get("offsets") else { return Some(Offsets::Translate) };
    let text = value.text(report)?;
    if let "preserve" | "preserve-or-stop" = text {
        let help = "write offsets = \"translate\": offsets that happen to be equal stay equal".to_owned();
        report.refuse(&value.place, format!("`offsets = \"{text}\"` is not available yet"), Some(help));
        return None;
    }
    report.choose(&value.place, text, &[("translate", Offsets::Translate)])
}

fn start<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Option<Start> {
    let Some(value) = table.get("start") else { return Some(Start::Earliest) };
    let datetime = if let DeValue::Datetime(datetime) = value.parsed {
        *datetime
    } else {
        let text = value.text(report)?;
        if let Ok(datetime) = text.parse() {
            datetime
        } else {
            let options = [("earliest", Start::Earliest), ("latest", Start::Latest)];
            let known = options.iter().find(|(option, _)| *option == text);
            if known.is_none() {
                let help = "allowed: earliest, latest, or a time such as 2026-01-31T00:00:00Z".to_owned();
                report.refuse(&value.place, format!("`{text}` is not a value of `start`"), Some(help));
            }
            return known.map(|(_, start)| *start);
        }
    };
    accept(report, value, quantity::timestamp(&datetime)).map(Start::Timestamp)
}

fn rate<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Result<Option<u64>, Reported> {
    let Some(value) = table.get("rate") else { return Ok(None) };
    let rate = measured(report, value, quantity::rate, (1_000, 1_000_000_000_000), show_rate);
    rate.map(Some).ok_or(Reported)
}

/// Something that is off by default.
fn switch<'t>(report: &mut Report<'t>, table: &Table<'t>, key: &str) -> Option<bool> {
    table.get(key).map_or(Some(false), |value| value.boolean(report))
}

fn own_principals<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Option<BTreeSet<String>> {
    let Some(value) = table.get("own_principals") else { return Some(BTreeSet::new()) };
    let texts = value.texts(report)?;
    for (text, place) in &texts {
        if !text.split_once(':').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty() && name != "*") {
            let help = "Kafka's principals have a type and a name, such as User:causeway".to_owned();
            report.refuse(place, format!("`{text}` is not a principal"), Some(help));
            return None;
        }
    }
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}

fn sync<'t>(report: &mut Report<'t>, value: Option<&Value<'t>>) -> Option<SyncConfig> {
    let default = SyncConfig {
        configs: true,
        acls: false,
        acls_deletions: false,
        drift: Drift::Revert,
        interval: Duration::from_secs(10),
        group_interval: Duration::from_secs(1),
    };
    let Some(value) = value else { return Some(default) };
    let table = Table::open(report, value, &keys::SYNC)?;
    let configs = table.get("configs").map_or(Some(default.configs), |value| value.boolean(report));
    let acls = switch(report, &table, "acls");
    let acls_deletions = switch(report, &table, "acls_deletions");
    let drift = match table.get("drift") {
        None => Some(default.drift),
        Some(value) => value.text(report).and_then(|text| {
            report.choose(&value.place, text, &[("revert", Drift::Revert), ("respect", Drift::Respect)])
        }),
    };
    let hour = Duration::from_hours(1);
    let interval = duration(report, &table, "interval", (Duration::from_secs(1), hour), default.interval);
    let group_interval =
        duration(report, &table, "group_interval", (Duration::from_millis(100), hour), default.group_interval);
    Some(SyncConfig {
        configs: configs?,
        acls: acls?,
        acls_deletions: acls_deletions?,
        drift: drift?,
        interval: interval?,
        group_interval: group_interval?,
    })
}

fn tuning<'t>(report: &mut Report<'t>, value: Option<&Value<'t>>) -> Option<Tuning> {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let default = Tuning {
        buffer_bytes_max: 64 * MIB,
        inbox_bytes_max: 4 * MIB,
        merge_bytes_max: MIB,
        fetch_connections: 2,
        fetch_wait_max: Duration::from_millis(500),
    };
    let Some(value) = value else { return Some(default) };
    let table = Table::open(report, value, &keys::TUNING)?;
    let mut size = |key, range, default| match table.get(key) {
        Some(value) => measured(report, value, quantity::size, range, show_size),
        None => Some(default),
    };
    let buffer = size("buffer_max", (4 * MIB, 64 * GIB), default.buffer_bytes_max);
    let inbox = size("inbox_max", (64 * KIB, GIB), default.inbox_bytes_max);
    let merge = size("merge_max", (0, 16 * MIB), default.merge_bytes_max);
    let connections =
        table.get("fetch_connections").map_or(Some(default.fetch_connections), |value| value.integer(report, 1..=32));
    let wait_range = (Duration::from_millis(1), Duration::from_secs(30));
    let wait = duration(report, &table, "fetch_wait_max", wait_range, default.fetch_wait_max);
    if let (Some(buffer), Some(inbox)) = (buffer, inbox)
        && inbox > buffer
    {
        let sentence = format!("`inbox_max` ({}) is more than `buffer_max` ({})", show_size(inbox), show_size(buffer));
        let value = table.get("inbox_max").or(table.get("buffer_max"));
        report.refuse(value.map_or(&table.place, |value| &value.place), sentence, None);
    }
    Some(Tuning {
        buffer_bytes_max: buffer?,
        inbox_bytes_max: inbox?,
        merge_bytes_max: merge?,
        fetch_connections: connections?,
        fetch_wait_max: wait?,
    })
}

fn duration<'t>(
    report: &mut Report<'t>,
    table: &Table<'t>,
    key: &str,
    range: (Duration, Duration),
    default: Duration,
) -> Option<Duration> {
    let Some(value) = table.get(key) else { return Some(default) };
    measured(report, value, quantity::duration, range, show_duration)
}

/// A quantity with its unit, within a range.
pub(super) fn measured<'t, T: PartialOrd + Copy>(
    report: &mut Report<'t>,
    value: &Value<'t>,
    parse: impl Fn(&str) -> Result<T, Malformed>,
    (least, most): (T, T),
    show: impl Fn(T) -> String,
) -> Option<T> {
    let text = match value.parsed {
        // A bare number is told what it lacks, and not that it should be a string.
        DeValue::Integer(number) => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => value.full_text(report)?,
    };
    let amount = accept(report, value, parse(text))?;
    if amount < least || amount > most {
        let name = last_part(&value.place.key);
        report.refuse(&value.place, format!("`{name}` is {} to {}", show(least), show(most)), None);
        return None;
    }
    Some(amount)
}

fn accept<'t, T>(report: &mut Report<'t>, value: &Value<'t>, parsed: Result<T, Malformed>) -> Option<T> {
    match parsed {
        Ok(amount) => Some(amount),
        Err((sentence, help)) => {
            report.refuse(&value.place, sentence, help);
            None
        }
    }
}
