//! What the daemon does with each batch, by itself: time, bytes a second, and instructions.
//!
//! Owns: the cases, and counting their instructions in callgrind.
//! Promises: a case does per round what the daemon does per batch or request, on data built beforehand.
//! Does not know: brokers.
//!
//! `cargo bench --bench micro` prints times; with `-- --instructions` it prints instructions per round, which don't
//! depend on what else the machine does: these must not creep.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a bench prints, ends at the first thing that is wrong, and shares a module of which it needs a part"
)]

mod filler;

use std::collections::VecDeque;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use bytes::BytesMut;
use causeway::batch::{Codec, Limits, RawBatch, Record, Stamp, Step, Surgery, encode_batch, prepare, split};
use causeway::offset_map::OffsetMap;
use causeway::types::{ProducerEpoch, ProducerId, Run, Sequence, SourceOffset, TargetOffset, Translation};
use divan::counter::{BytesCount, ItemsCount};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};

use filler::value;

const FETCH_VERSION: i16 = 13;
const MAP_RUNS: i64 = 1_000_000;
/// Rounds whose instructions are counted; what comes before them is counted by a run without any, and taken off.
const COUNTED: u64 = 20;

const LIMITS: Limits = Limits {
    batch_bytes_max: 1 << 20,
    decompressed_bytes_max: 64 << 20,
    merge_compressed_below: 16 << 10,
    records_max: 65_536,
    is_dense: false,
};

/// A name, and how to make what it names.
type NamedCase = (&'static str, fn() -> Case);

const CASES: [NamedCase; 11] = [
    ("restamp 64 x 1 KiB", || surgery(1, (64, 1024), Codec::None, Surgery::Restamp)),
    ("restamp 64 x 1 KiB zstd", || surgery(1, (64, 1024), Codec::Zstd, Surgery::Restamp)),
    ("merge 20 x 10 x 100 B", || surgery(20, (10, 100), Codec::None, Surgery::Merge)),
    ("merge 20 x 10 x 100 B lz4", || surgery(20, (10, 100), Codec::Lz4, Surgery::Merge)),
    ("merge 20 x 10 x 100 B zstd", || surgery(20, (10, 100), Codec::Zstd, Surgery::Merge)),
    ("rebuild 64 x 1 KiB", || surgery(1, (64, 1024), Codec::None, Surgery::Rebuild)),
    ("rebuild 64 x 1 KiB zstd", || surgery(1, (64, 1024), Codec::Zstd, Surgery::Rebuild)),
    ("decode a fetch response of 8 x 64 KiB", decoding),
    ("map: append", appending),
    ("map: look up", || looking_up(|map, n| map.translate(source(n)) == Translation::Exact(target(n)))),
    ("map: look up in reverse", || {
        looking_up(|map, n| map.translate_reverse(target(n)) == Translation::Exact(source(n)))
    }),
];

/// One thing to measure.
struct Case {
    /// Batches, runs or look-ups of a round.
    items: u64,
    bytes: usize,
    round: Box<dyn FnMut()>,
}

fn case(name: &str) -> Case {
    let (_, build) = CASES.iter().find(|(known, _)| *known == name).expect("one of the cases");
    build()
}

fn batches(count: usize, (records, bytes): (usize, usize), codec: Codec) -> Vec<RawBatch> {
    let mut log = BytesMut::new();
    for batch in 0..count {
        let records: Vec<Record> = (batch * records..(batch + 1) * records)
            .map(|n| Record {
                offset: i64::try_from(n).unwrap(),
                timestamp: 1_700_000_000_000,
                key: None,
                value: Some(value(u64::try_from(n).unwrap(), bytes).into()),
                headers: Vec::new(),
            })
            .collect();
        log.extend_from_slice(&encode_batch(&records, codec).unwrap());
    }
    split(log.freeze()).unwrap()
}

/// What happens to fetched batches until they can be sent. A rebuild begins in the middle of its batch.
fn surgery(count: usize, shape: (usize, usize), codec: Codec, expected: Surgery) -> Case {
    let batches = batches(count, shape, codec);
    let bytes = batches.iter().map(|batch| batch.bytes.len()).sum();
    let from = SourceOffset::new(if expected == Surgery::Rebuild { 7 } else { 0 }).unwrap();
    let stamp =
        Stamp { producer_id: ProducerId(4711), producer_epoch: ProducerEpoch(3), base_sequence: Sequence::ZERO };
    let round = move || {
        let mut queue: VecDeque<RawBatch> = batches.iter().cloned().collect();
        let Step::Send(prepared) = prepare(&mut queue, from, &LIMITS).unwrap() else { panic!("nothing to send") };
        assert!(prepared.surgery == expected && queue.is_empty(), "{:?}", prepared.surgery);
        black_box(prepared.stamp(&stamp));
    };
    Case { items: u64::try_from(count).unwrap(), bytes, round: Box::new(round) }
}

fn decoding() -> Case {
    let batches = batches(1, (64, 1024), Codec::None);
    let [batch] = &batches[..] else { panic!("one batch") };
    let partition =
        |index| PartitionData::default().with_partition_index(index).with_records(Some(batch.bytes.clone()));
    let topic = FetchableTopicResponse::default().with_partitions((0..8).map(partition).collect());
    let mut frame = BytesMut::new();
    FetchResponse::default().with_responses(vec![topic]).encode(&mut frame, FETCH_VERSION).unwrap();
    let frame = frame.freeze();
    let bytes = frame.len();
    let round = move || {
        let response = FetchResponse::decode(&mut frame.clone(), FETCH_VERSION).unwrap();
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            black_box(split(partition.records.unwrap()).unwrap());
        }
    };
    Case { items: 8, bytes, round: Box::new(round) }
}

fn source(n: i64) -> SourceOffset {
    SourceOffset::new(n * 3).unwrap()
}

fn target(n: i64) -> TargetOffset {
    TargetOffset::new(n).unwrap()
}

fn run(n: i64) -> Run {
    Run { source: source(n), target: target(n), length: 1 }
}

fn appending() -> Case {
    let mut map = OffsetMap::new(source(0), target(0));
    let mut n = 0;
    let round = move || {
        map.append(run(n)).unwrap();
        n += 1;
    };
    Case { items: 1, bytes: 0, round: Box::new(round) }
}

/// All over the map, not one behind the other.
fn looking_up(is_found: impl Fn(&OffsetMap, i64) -> bool + 'static) -> Case {
    let mut map = OffsetMap::new(source(0), target(0));
    (0..MAP_RUNS).for_each(|n| map.append(run(n)).unwrap());
    let mut n = 0;
    let round = move || {
        n = (n + 7_919) % MAP_RUNS;
        assert!(black_box(is_found(&map, n)));
    };
    Case { items: 1, bytes: 0, round: Box::new(round) }
}

#[divan::bench(args = CASES.iter().map(|(name, _)| *name))]
fn batches_and_map(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Case { items, bytes, mut round } = case(name);
    let bencher = bencher.counter(ItemsCount::new(items));
    if bytes == 0 {
        bencher.bench_local(round.as_mut());
    } else {
        bencher.counter(BytesCount::new(bytes)).bench_local(round.as_mut());
    }
}

/// Runs this program in callgrind for a case and some rounds; how many instructions it took.
fn count(name: &str, rounds: u64) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own);
    let output = command.args(["--rounds", name, &rounds.to_string()]).output();
    let output = output.map_err(|e| format!("valgrind can't be started: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split("Collected :").nth(1));
    let counted = line.and_then(|number| number.trim().parse().ok()).filter(|_| output.status.success());
    counted.ok_or_else(|| format!("{name}: valgrind ended with {}: {said}", output.status))
}

fn print_instructions() -> Result<(), String> {
    println!("| case | instructions a round |\n|---|---|");
    for (name, _) in CASES {
        let instructions = count(name, COUNTED)?.saturating_sub(count(name, 0)?) / COUNTED;
        println!("| {name} | {instructions} |");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    match words[..] {
        ["--rounds", name, rounds] => {
            let Case { mut round, .. } = case(name);
            (0..rounds.parse::<u64>().expect("a number of rounds")).for_each(|_| round());
        }
        ["--instructions"] => {
            if let Err(why) = print_instructions() {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        }
        _ => divan::main(),
    }
    ExitCode::SUCCESS
}
