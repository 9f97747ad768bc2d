//! What must be true in the end.
//!
//! Owns: reading both logs as a consumer sees them, and comparing them.
//! Promises: decodes by itself, with nothing of the daemon's record code; every difference is told with its offsets.
//! Does not know: what happened.

use std::collections::HashSet;

use bytes::Bytes;
use causeway::cluster::{Cluster, ConfigEntry, Isolation};
use causeway::emulator;
use causeway::types::{ClusterName, SourceOffset, TargetOffset, TopicPartition, Translation};
use causeway::wire::{Client, Settings};
use kafka_protocol::records::{Compression, Record, RecordBatchDecoder};

use crate::clusters;
use crate::daemon::Daemon;
use crate::readers::{self, Positions};

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
}

impl Seen {
    fn is_same_record(&self, other: &Self) -> bool {
        Self { offset: 0, ..self.clone() } == Self { offset: 0, ..other.clone() }
    }
}

/// Both clusters through clients that nothing is done to.
pub struct Checker {
    source: Cluster,
    target: Cluster,
    /// The same two, for plain requests.
    clients: [Client; 2],
}

impl Checker {
    pub fn new(source: &emulator::Cluster, target: &emulator::Cluster) -> Self {
        let settings = || Settings::plain(vec!["any:9092".to_owned()], "app-checker");
        let open = |cluster, name: &str| {
            clusters::cluster(cluster, &ClusterName::new(name).unwrap(), "app-checker", settings())
        };
        let clients = [source, target].map(|cluster| clusters::client(cluster, "app-checker", settings()));
        Self { source: open(source, "a"), target: open(target, "b"), clients }
    }

    /// What is wrong; empty: all that is at the source is on the target, once, in order, and found by the map.
    pub async fn differences(
        &self,
        partition: &TopicPartition,
        daemons: &[Daemon],
        [at_source, at_target]: &[Positions; 2],
    ) -> Vec<String> {
        let (source, target) = match (read(&self.source, partition).await, read(&self.target, partition).await) {
            (Ok(source), Ok(target)) => (source, target),
            (Err(error), _) | (_, Err(error)) => return vec![format!("{partition}: {error}")],
        };
        let mut found = compare(&source, &target);
        if found.is_empty() {
            let offset = |seen: &Seen| seen.offset;
            let map = daemons.iter().find_map(|daemon| map_of(daemon, partition));
            match map {
                None => found.push("there is no map".to_owned()),
                Some(map) => {
                    for (source, target) in source.iter().map(offset).zip(target.iter().map(offset)) {
                        let expected = Translation::Exact(TargetOffset::new(target).unwrap());
                        let told = map(SourceOffset::new(source).unwrap());
                        if told != expected {
                            found.push(format!("source offset {source} is at {target}, the map says {told:?}"));
                        }
                    }
                }
            }
        }
        if found.is_empty() {
            found.extend(readers::differences(partition, (&source, at_source), (&target, at_target)));
        }
        if found.is_empty() && self.is_history_held(partition).await {
            found.push("all is there, and retention is still switched off".to_owned());
        }
        found.truncate(3);
        found.iter().map(|difference| format!("{partition}: {difference}")).collect()
    }

    /// The positions of groups, at the source and on the target.
    pub async fn positions(&self) -> Result<[Positions; 2], String> {
        let [source, target] = &self.clients;
        Ok([readers::positions(source).await?, readers::positions(target).await?])
    }

    /// Whether the mirror topic keeps everything for ever, which it is to do only while its history arrives.
    async fn is_history_held(&self, partition: &TopicPartition) -> bool {
        let topic = &partition.topic;
        let Ok(mut told) = self.target.topic_configs(std::slice::from_ref(topic)).await else { return true };
        let Some(Ok(configs)) = told.remove(topic) else { return true };
        let is_off = |entry: &ConfigEntry| entry.name == "retention.ms" && entry.value.as_deref() == Some("-1");
        configs.iter().any(is_off)
    }

    /// How many records there are, and whether their offsets are the same on both sides.
    pub async fn count(&self, partition: &TopicPartition) -> (usize, bool) {
        let (source, target) = (read(&self.source, partition).await, read(&self.target, partition).await);
        (source.as_ref().map_or(0, Vec::len), source == target)
    }

    /// What of the target is not what the source begins with, at whatever moment this is asked.
    pub async fn contradictions(&self, partition: &TopicPartition) -> Vec<String> {
        let Ok(target) = read(&self.target, partition).await else { return Vec::new() };
        let Ok(source) = read(&self.source, partition).await else { return Vec::new() };
        let found = compare(source.get(..target.len()).unwrap_or(&source), &target);
        found.iter().take(3).map(|difference| format!("{partition}: {difference}")).collect()
    }
}

type Map<'a> = Box<dyn Fn(SourceOffset) -> Translation<TargetOffset> + 'a>;

fn map_of<'a>(daemon: &'a Daemon, partition: &'a TopicPartition) -> Option<Map<'a>> {
    let link = Daemon::link();
    if daemon.life.is_over() {
        return None;
    }
    let view = daemon.store()?.view().clone();
    let locate = move |source| daemon.registry.locate(&view, &link, partition, source);
    locate(SourceOffset::ZERO)?;
    Some(Box::new(move |source| locate(source).unwrap().0))
}

fn compare(source: &[Seen], target: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, (expected, is)) in source.iter().zip(target).enumerate() {
        if !expected.is_same_record(is) {
            found.push(format!("record {index}: expected {expected:?}, found {is:?}"));
            break;
        }
    }
    if found.is_empty() && source.len() != target.len() {
        let (source_end, target_end) = (source.last().map(|seen| seen.offset), target.last().map(|seen| seen.offset));
        let (expected, is) = (source.len(), target.len());
        found.push(format!("{expected} records to {source_end:?} at the source, {is} to {target_end:?} on the target"));
    }
    found
}

/// Everything that is committed.
async fn read(cluster: &Cluster, partition: &TopicPartition) -> Result<Vec<Seen>, String> {
    let mut seen = Vec::new();
    let mut from = 0;
    loop {
        let fetched = cluster.fetch_once(partition, from, 8 << 20, Isolation::ReadCommitted).await;
        let fetched = match fetched {
            Ok(fetched) => fetched,
            // The beginning was deleted.
            Err(error) if error.code() == Some(1) && from == 0 => {
                from = log_start(cluster, partition).await?;
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut aborted = fetched.aborted.clone();
        aborted.sort_by_key(|(_, first)| *first);
        let mut aborting: HashSet<i64> = HashSet::new();
        let mut next = from;
        for (batch, last_offset) in whole_batches(&fetched.records) {
            next = last_offset + 1;
            for record in decode(&batch)? {
                for (producer_id, _) in aborted.iter().filter(|(_, first)| *first <= record.offset) {
                    aborting.insert(*producer_id);
                }
                aborted.retain(|(_, first)| *first > record.offset);
                if record.control {
                    aborting.remove(&record.producer_id);
                } else if record.offset >= from && !(record.transactional && aborting.contains(&record.producer_id)) {
                    seen.push(record_seen(record));
                }
            }
        }
        if next == from {
            return Ok(seen);
        }
        from = next;
    }
}

async fn log_start(cluster: &Cluster, partition: &TopicPartition) -> Result<i64, String> {
    use causeway::cluster::OffsetQuery;
    let listed = cluster.list_offsets(std::slice::from_ref(partition), OffsetQuery::LogStart).await;
    let listed = listed.map_err(|error| error.to_string())?;
    let first = listed.into_iter().next().ok_or("no log start")?;
    first.1.map(|listed| listed.offset.unwrap_or(0)).map_err(|error| error.to_string())
}

fn record_seen(record: Record) -> Seen {
    let headers = record.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    Seen { offset: record.offset, timestamp: record.timestamp, key: record.key, value: record.value, headers }
}

/// The batches that are there in full, each with its last offset.
fn whole_batches(records: &Bytes) -> Vec<(Bytes, i64)> {
    let mut rest = records.clone();
    let mut found = Vec::new();
    while rest.len() >= 61 {
        let base = i64::from_be_bytes(rest[..8].try_into().unwrap());
        let length = usize::try_from(i32::from_be_bytes(rest[8..12].try_into().unwrap())).unwrap() + 12;
        let delta = i32::from_be_bytes(rest[23..27].try_into().unwrap());
        if length > rest.len() {
            break;
        }
        found.push((rest.split_to(length), base + i64::from(delta)));
    }
    found
}

fn decode(batch: &Bytes) -> Result<Vec<Record>, String> {
    // A batch that compaction emptied has nothing behind its header.
    if i32::from_be_bytes(batch[57..61].try_into().unwrap()) == 0 {
        return Ok(Vec::new());
    }
    let decoded = RecordBatchDecoder::decode_with_custom_compression(
        &mut batch.clone(),
        Some(|bytes: &mut Bytes, kind| match kind {
            Compression::None => Ok(bytes.clone()),
            Compression::Zstd => Ok(Bytes::from(zstd::decode_all(bytes.as_ref())?)),
            other => panic!("nobody compresses with {other:?} here"),
        }),
    );
    decoded.map(|set| set.records).map_err(|error| error.to_string())
}
