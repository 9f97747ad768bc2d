//! How long surgery takes. Nothing is asserted: figures belong to the machine.

use std::hint::black_box;
use std::time::Instant;

use super::*;

fn measure(name: &str, batches: &[RawBatch], limits: &Limits) {
    let rounds = 20;
    let mut sent = 0;
    let mut elapsed = std::time::Duration::ZERO;
    for _ in 0..rounds {
        let mut queue: VecDeque<_> = batches.iter().cloned().collect();
        let mut from = offset(0);
        let start = Instant::now();
        while let Step::Send(prepared) = prepare(&mut queue, from, limits).unwrap() {
            from = prepared.next_source;
            black_box(prepared.stamp(&STAMP));
            sent += 1;
        }
        elapsed += start.elapsed();
    }
    let records: i64 = batches.iter().map(|batch| i64::from(batch.header.record_count)).sum();
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let seconds = elapsed.as_secs_f64() / f64::from(rounds);
    println!(
        "{name}: {:.0} ns a source batch, {:.1} ns a record, {:.0} MB/s, {} batches sent of {}",
        seconds * 1e9 / batches.len() as f64,
        seconds * 1e9 / records as f64,
        bytes as f64 / seconds / 1e6,
        sent / rounds,
        batches.len(),
    );
}

#[test]
#[ignore = "prints figures; run it with --release and --nocapture"]
fn prints_what_surgery_costs() {
    let make = |batches: i64, records: i64, value: usize, codec| -> Vec<_> {
        let value: String = (0..value).map(|index| char::from(b'a' + (index * 7 % 26) as u8)).collect();
        (0..batches)
            .map(|index| {
                let first = index * records;
                let records: Vec<_> =
                    (first..first + records).map(|at| record(at, 1_700_000_000_000 + at / 10, &value)).collect();
                batch(&records, codec)
            })
            .collect()
    };
    measure("merge 10 x 100 B", &make(5000, 10, 90, Codec::None), &LIMITS);
    measure("merge 1 x 100 B", &make(20_000, 1, 90, Codec::None), &LIMITS);
    measure("merge 64 x 1 KiB", &make(200, 64, 1000, Codec::None), &LIMITS);
    measure("merge lz4 10 x 100 B", &make(1000, 10, 90, Codec::Lz4), &LIMITS);
    measure("merge zstd 10 x 100 B", &make(1000, 10, 90, Codec::Zstd), &LIMITS);
    let alone = Limits { records_max: 0, ..LIMITS };
    measure("restamp 1 KiB", &make(1000, 1, 1000, Codec::None), &alone);
    measure("restamp 64 KiB", &make(200, 64, 1000, Codec::None), &alone);
    measure("restamp 1 MiB", &make(20, 1024, 1000, Codec::None), &alone);
}
