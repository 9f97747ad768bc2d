//! The independent judge of a copy: pure comparison of what was read from both clusters.
//!
//! Owns: [`compare`], [`compare_compacted`], [`compare_offsets`], [`compare_map`], and the list of [`Violation`]s they
//! find.
//! Promises: it shares no code with the daemon; each kind of damage has its own violation; none on a clean copy.
//! Does not know: brokers, HTTP (the readers are in [`crate::reader`] and [`crate::daemon`]).

use std::collections::HashMap;

use crate::record::{Entry, Identity};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// I1: a record of the source is not on the target.
    Lost { record: String, source_offset: i64 },
    /// I2: a record is on the target more often than at the source.
    Twice { record: String, target_offset: i64 },
    /// I6: a record is on the target that was never at the source.
    Foreign { record: String, target_offset: i64 },
    /// I3: a record stands before one that it follows at the source.
    OutOfOrder { record: String, source_offset: i64, target_offset: i64 },
    /// I3: a record's key, value, headers or timestamp differ.
    Altered { record: String, what: &'static str, source_offset: i64, target_offset: i64 },
    /// A record has another offset than at the source, where offsets were promised to be the same.
    Moved { source_offset: i64, target_offset: i64 },
    /// A record that says it was written to another partition.
    Misplaced { record: String, target_offset: i64 },
    /// I4: the daemon's answer differs from what the logs say.
    WrongTranslation { question: String, expected: String, answer: String },
}

/// The same record in both logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Its offset at the source.
    pub source: i64,
    /// Its offset on the target.
    pub target: i64,
}

/// Compares two logs of one partition that are expected to hold the same records. The pairs are those that match.
pub fn compare(partition: i32, source: &[Entry], target: &[Entry]) -> (Vec<Violation>, Vec<Pair>) {
    let (mut found, pairs) = match_up(partition, source, target);
    let matched: std::collections::HashSet<i64> = pairs.iter().map(|p| p.source).collect();
    for entry in source.iter().filter(|e| !matched.contains(&e.offset)) {
        found.push(Violation::Lost { record: name(entry), source_offset: entry.offset });
    }
    (found, pairs)
}

/// Compares a compacted partition. `history` is everything that was ever written to the source, in order; `source` is
/// what compaction has left of it. The target may hold more than the source has left and, being compacted itself,
/// may lack a record when it holds a later one with the same key.
pub fn compare_compacted(
    partition: i32,
    history: &[Entry],
    source: &[Entry],
    target: &[Entry],
) -> (Vec<Violation>, Vec<Pair>) {
    let (mut found, pairs) = match_up(partition, history, target);
    let on_target: HashMap<i64, i64> = pairs.iter().map(|p| (p.source, p.target)).collect();
    let last_of_key: HashMap<_, i64> = target.iter().map(|e| (e.key.as_deref(), e.offset)).collect();
    let source_of_target: HashMap<i64, i64> = pairs.iter().map(|p| (p.target, p.source)).collect();
    for entry in source.iter().filter(|e| !on_target.contains_key(&e.offset)) {
        let later = last_of_key.get(&entry.key.as_deref()).and_then(|o| source_of_target.get(o));
        if later.is_none_or(|later| *later < entry.offset) {
            found.push(Violation::Lost { record: name(entry), source_offset: entry.offset });
        }
    }
    (found, pairs)
}

/// Finds for every target record the source record that it is a copy of: the n-th occurrence of an identity on the
/// one side belongs to the n-th on the other.
fn match_up(partition: i32, source: &[Entry], target: &[Entry]) -> (Vec<Violation>, Vec<Pair>) {
    let mut found = Vec::new();
    let mut pairs = Vec::new();
    let mut places: HashMap<Identity, Vec<&Entry>> = HashMap::new();
    for entry in source.iter().rev() {
        places.entry(Identity::of(entry)).or_default().push(entry);
    }
    let mut newest = -1;
    for copy in target {
        let identity = Identity::of(copy);
        let (record, target_offset) = (identity.to_string(), copy.offset);
        if !identity.belongs_to(partition) {
            found.push(Violation::Misplaced { record: record.clone(), target_offset });
        }
        let Some(left) = places.get_mut(&identity) else {
            found.push(Violation::Foreign { record, target_offset });
            continue;
        };
        let Some(original) = left.pop() else {
            found.push(Violation::Twice { record, target_offset });
            continue;
        };
        let source_offset = original.offset;
        if source_offset < newest {
            found.push(Violation::OutOfOrder { record: record.clone(), source_offset, target_offset });
        }
        newest = newest.max(source_offset);
        for what in differences(original, copy) {
            found.push(Violation::Altered { record: record.clone(), what, source_offset, target_offset });
        }
        pairs.push(Pair { source: source_offset, target: target_offset });
    }
    (found, pairs)
}

fn differences(original: &Entry, copy: &Entry) -> Vec<&'static str> {
    let mut all = Vec::new();
    if original.key != copy.key {
        all.push("key");
    }
    if original.value != copy.value {
        all.push("value");
    }
    if original.headers != copy.headers {
        all.push("headers");
    }
    if original.timestamp != copy.timestamp {
        all.push("timestamp");
    }
    all
}

fn name(entry: &Entry) -> String {
    Identity::of(entry).to_string()
}

/// Where offsets are promised to be the same: the records whose offsets are not.
pub fn compare_offsets(pairs: &[Pair]) -> Vec<Violation> {
    let moved = pairs.iter().filter(|pair| pair.source != pair.target);
    moved.map(|pair| Violation::Moved { source_offset: pair.source, target_offset: pair.target }).collect()
}

/// What the daemon answered to one translation, in the words of its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `exact`, `next`, `not_yet_mirrored`, `below_map`.
    pub translation: String,
    /// The offset on the other side, where there is one.
    pub offset: Option<i64>,
}

/// Which way a translation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a source offset to a target offset.
    Forward,
    /// From a target offset to a source offset.
    Reverse,
}

/// Compares the daemon's answers for `offsets` with what the pairs say. Every offset from the first pair to the last is
/// decided exactly; past the last record the daemon may answer "next" with the end of the copy (`end`), or that the
/// copy hasn't come so far. `pairs` must rise.
pub fn compare_map(
    direction: Direction,
    pairs: &[Pair],
    end: i64,
    offsets: &[i64],
    mut ask: impl FnMut(i64) -> Answer,
) -> Vec<Violation> {
    let mut lines: Vec<(i64, i64)> = pairs.iter().map(|p| (p.source, p.target)).collect();
    if direction == Direction::Reverse {
        lines = lines.into_iter().map(|(s, t)| (t, s)).collect();
    }
    let mut found = Vec::new();
    for &offset in offsets {
        let answer = ask(offset);
        let expected = match lines.get(lines.partition_point(|(from, _)| *from < offset)) {
            Some((from, to)) if *from == offset => vec![("exact", Some(*to))],
            Some((_, to)) => vec![("next", Some(*to))],
            None => vec![("next", Some(end)), ("not_yet_mirrored", None)],
        };
        // Where offsets are the same on both sides, one without a record translates to itself: whoever reads on from
        // there meets the same next record.
        let index = lines.partition_point(|(from, _)| *from < offset);
        let is_same = index.checked_sub(1).and_then(|before| lines.get(before)).is_none_or(|(from, to)| from == to);
        let is_before_next = lines.get(index).is_none_or(|(from, to)| *from != offset && *to >= offset);
        if is_same && is_before_next && answer.translation == "exact" && answer.offset == Some(offset) {
            continue;
        }
        if !expected.contains(&(answer.translation.as_str(), answer.offset)) {
            found.push(Violation::WrongTranslation {
                question: format!("{direction:?} {offset}"),
                expected: format!("{expected:?}"),
                answer: format!("{answer:?}"),
            });
        }
    }
    found
}
