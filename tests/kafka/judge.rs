//! The checker applied to two live clusters.
//!
//! Owns: waiting until a copy is complete, reading both sides, and failing with the list of violations.
//! Promises: it judges by what the clusters hold; the daemon is only asked for its offset map.
//! Does not know: how the copy was made.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use crate::admin::Admin;
use crate::broker::Cluster;
use crate::checker::{Answer, Direction, Pair, Violation, compare, compare_map};
use crate::process::wait_for;
use crate::reader::{Logs, Reader, read_topic, watermarks};

/// A copy that makes no progress for so long is stuck.
const PATIENCE: Duration = Duration::from_mins(3);
/// Translations asked per partition and direction; more offsets than this are sampled.
const TRANSLATIONS_MAX: usize = 400;

/// The matching records of each source topic and partition.
pub type Pairs = BTreeMap<(String, i32), Vec<Pair>>;

/// Which topics of one cluster are expected on another.
pub struct Judge {
    source: String,
    target: String,
    topics: Vec<(String, String)>,
}

impl Judge {
    /// Topics with the same name on both sides.
    pub fn new(source: &Cluster, target: &Cluster, topics: &[&str]) -> Self {
        let topics = topics.iter().map(|t| ((*t).to_owned(), (*t).to_owned())).collect();
        Self { source: source.side_door(), target: target.side_door(), topics }
    }

    /// Expects a topic under another name.
    pub fn renamed(mut self, source: &str, target: &str) -> Self {
        self.topics.push((source.to_owned(), target.to_owned()));
        self
    }

    /// Waits until the target holds at least as many records as the source does now. Whether they are the right ones
    /// is for [`Judge::verify`].
    pub fn wait(&self) {
        for (source, target) in &self.topics {
            let expected = read_topic(&self.source, source);
            let admin = Admin::new(&self.target);
            let exists = || (admin.partitions(target) == Some(expected.len())).then_some(());
            wait_for(&format!("{target} with {} partitions on the target", expected.len()), PATIENCE, exists);
            let mut reader = Reader::new(&self.target, target);
            let mut last_progress = Instant::now();
            while is_behind(&expected, reader.logs()) {
                let before = reader.count();
                reader.read_on(Duration::from_secs(2));
                if reader.count() > before {
                    last_progress = Instant::now();
                }
                let (have, want) = (counts(reader.logs()), counts(&expected));
                assert!(last_progress.elapsed() < PATIENCE, "{target} is stuck at {have:?}, the source has {want:?}");
            }
        }
    }

    /// Compares both sides as they are now and fails with everything that is wrong. Returns what belongs together.
    pub fn verify(&self) -> Pairs {
        let (found, pairs) = self.compare();
        assert_none(&found);
        pairs
    }

    /// Compares both sides as they are now.
    pub fn compare(&self) -> (Vec<Violation>, Pairs) {
        let mut found = Vec::new();
        let mut pairs = Pairs::new();
        for (source, target) in &self.topics {
            let originals = read_topic(&self.source, source);
            let copies = read_topic(&self.target, target);
            assert_eq!(originals.len(), copies.len(), "partitions of {source}");
            for (partition, log) in &originals {
                let (violations, matched) = compare(*partition, log, &copies[partition]);
                found.extend(violations);
                pairs.insert((source.clone(), *partition), matched);
            }
        }
        (found, pairs)
    }

    /// Compares the daemon's translations in both directions with what belongs together. `ask` gets the direction,
    /// the source topic, the partition and the offset. To be called when the copy is complete.
    pub fn verify_map(&self, pairs: &Pairs, ask: impl Fn(Direction, &str, i32, i64) -> Answer) {
        let mut found = Vec::new();
        for (source, target) in &self.topics {
            let source_ends = watermarks(&self.source, source);
            let target_ends = watermarks(&self.target, target);
            for (partition, (source_begin, source_end)) in source_ends {
                let (target_begin, target_end) = target_ends[&partition];
                let matched = &pairs[&(source.clone(), partition)];
                // The target shows a record before its acknowledgement has reached the daemon.
                if let Some(last) = matched.last() {
                    wait_for(&format!("the map of {source}-{partition} to be complete"), PATIENCE, || {
                        let answer = ask(Direction::Forward, source, partition, last.source);
                        (answer.translation != "not_yet_mirrored").then_some(())
                    });
                }
                for (direction, begin, end, other_end) in [
                    (Direction::Forward, source_begin, source_end, target_end),
                    (Direction::Reverse, target_begin, target_end, source_end),
                ] {
                    let offsets = sample(begin, end);
                    let answer = |offset| ask(direction, source, partition, offset);
                    found.extend(compare_map(direction, matched, other_end, &offsets, answer));
                }
            }
        }
        assert_none(&found);
    }
}

/// Fails with the first of many.
pub fn assert_none(found: &[impl Debug]) {
    let some: Vec<_> = found.iter().take(20).collect();
    assert!(found.is_empty(), "{} violations, such as {some:#?}", found.len());
}

fn is_behind(expected: &Logs, have: &Logs) -> bool {
    expected.iter().any(|(partition, log)| have.get(partition).is_none_or(|h| h.len() < log.len()))
}

fn counts(logs: &Logs) -> Vec<usize> {
    logs.values().map(Vec::len).collect()
}

/// All offsets of a range, or its ends and a random sample of the rest.
fn sample(begin: i64, end: i64) -> Vec<i64> {
    let mut all: Vec<i64> = (begin..=end).collect();
    if all.len() > TRANSLATIONS_MAX {
        let last = all.len() - 1;
        let edges: Vec<i64> = all[..20].iter().chain(&all[last - 20..]).copied().collect();
        all.shuffle(&mut rand::rng());
        all.truncate(TRANSLATIONS_MAX - edges.len());
        all.extend(edges);
    }
    all
}
