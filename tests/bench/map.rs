//! The offset map of a compacted partition: 5 million records scattered over 50 million offsets, of which the newest
//! million stay exact.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use causeway::mirror::StoredMap;
use causeway::offset_map::OffsetMap;
use causeway::store::{PartitionState, PositionRecord, StatusRecord};
use causeway::types::{Run, Sequence, SourceOffset, TargetOffset, Translation};

const RECORDS: i64 = 5_000_000;
const KEPT: i64 = 1_000_000;
/// As the daemon closes its chunks.
const CHUNK: usize = 2_000;
const LOOKUPS: i64 = 1_000_000;

fn source(n: i64) -> SourceOffset {
    SourceOffset::new(n * 10 + n % 7).unwrap()
}

fn target(n: i64) -> TargetOffset {
    TargetOffset::new(n).unwrap()
}

fn each(took: Duration, count: i64) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(i32::try_from(count).unwrap())
}

fn lookups(map: &OffsetMap) -> f64 {
    let begin = Instant::now();
    for n in 0..LOOKUPS {
        // All over the map, not one behind the other.
        let record = RECORDS - 1 - (n * 7_919) % KEPT;
        assert_eq!(map.translate(source(record)), Translation::Exact(target(record)));
    }
    each(begin.elapsed(), LOOKUPS)
}

/// The checkpoint of a map whose last runs are open.
fn checkpoint(map: &OffsetMap, chunks: usize, open: &[Run]) -> PositionRecord {
    let status = StatusRecord {
        state: PartitionState::Mirroring,
        daemon: "bench".to_owned(),
        at_ms: 0,
        source_log_start: None,
        source_high_watermark: None,
        source_last_stable: None,
        lag_ms: None,
        source_contact_age_ms: None,
        retention_left_ms: None,
        held_by: None,
        stop: None,
    };
    PositionRecord {
        source_topic_id: None,
        target_topic_id: None,
        source_position: map.source_end(),
        source_leader_epoch: None,
        target_position: map.target_end(),
        sequence: Sequence::ZERO,
        others: 0,
        begun_at: None,
        map_start: Some((map.source_start(), map.target_start())),
        open_runs: OffsetMap::encode(open),
        open_chunk: u32::try_from(chunks).unwrap(),
        resolution: None,
        offsets: None,
        status,
    }
}

/// Prints what it takes.
pub fn measure() {
    let mut map = OffsetMap::new(source(RECORDS - KEPT), target(RECORDS - KEPT));
    let begin = Instant::now();
    for n in RECORDS - KEPT..RECORDS {
        map.append(Run { source: source(n), target: target(n), length: 1 }).unwrap();
    }
    let appended = each(begin.elapsed(), KEPT);
    let runs = map.runs();
    let (closed, open) = runs.split_at(runs.len() - CHUNK);
    let begin = Instant::now();
    let chunks: HashMap<u32, String> = (0..).zip(closed.chunks(CHUNK).map(OffsetMap::encode)).collect();
    let encoded = each(begin.elapsed(), KEPT);
    let stored_bytes: usize = chunks.values().map(String::len).sum();
    let record = checkpoint(&map, chunks.len(), open);
    let mut numbers: Vec<u32> = chunks.keys().copied().collect();
    numbers.sort_unstable();
    let begin = Instant::now();
    let mut stored = StoredMap::read(&record, numbers.iter().map(|n| (*n, chunks[n].as_str()))).unwrap();
    let read = begin.elapsed();
    assert_eq!(stored.map(), &map);
    let (here, elsewhere) = (lookups(&map), lookups(stored.map()));
    let mut longer = map.clone();
    let next = RECORDS;
    longer.append(Run { source: source(next), target: target(next), length: 1 }).unwrap();
    let begin = Instant::now();
    let later = checkpoint(&longer, chunks.len(), &longer.runs()[closed.len()..]);
    let is_followed = stored.follow(&later, |n| chunks.get(&n).cloned());
    let followed = begin.elapsed();
    assert!(is_followed && stored.map() == &longer);
    println!(
        "map: {} runs, {:.1} MB in memory, {:.1} MB stored; append {appended:.0} ns, look-up {here:.0} ns, by a daemon \
         that does not own the partition {elsewhere:.0} ns; encode {encoded:.0} ns a run; read back {read:.1?}, next \
         checkpoint {followed:.1?}",
        runs.len(),
        megabytes(std::mem::size_of_val(runs) / 8 * 9),
        megabytes(stored_bytes + record.open_runs.len()),
    );
}

fn megabytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap()) / 1e6
}
