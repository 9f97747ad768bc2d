//! A histogram of fixed size: recording is a few atomic additions, whatever the number of observations.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{GaugeFn, HistogramFn};

/// Upper bounds in seconds: 0.5 ms to one minute.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds in bytes: 256 B to 256 MiB.
const BYTES: [f64; 11] = [
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Counts of observations by bucket.
#[derive(Debug)]
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// One more than bounds: the last one is for what is above all of them.
    counts: Vec<AtomicU64>,
    /// The bits of an `f64`, as in `metrics`' gauges.
    sum: AtomicU64,
}

impl Buckets {
    /// Buckets that suit the unit at the end of a metric's name.
    pub(super) fn for_name(name: &str) -> Self {
        let bounds: &'static [f64] = if name.ends_with("_bytes") { &BYTES } else { &SECONDS };
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Upper bound and count of observations up to it, rising; then the sum of all observations. The last bound is
    /// infinite, and its count that of all.
    pub(super) fn cumulative(&self) -> (Vec<(f64, u64)>, f64) {
        let mut total = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let rows = bounds.zip(&self.counts).map(|(bound, count)| {
            total += count.load(Ordering::Relaxed);
            (bound, total)
        });
        (rows.collect(), f64::from_bits(self.sum.load(Ordering::Relaxed)))
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if let Some(counter) = self.counts.get(bucket) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
        #[expect(clippy::cast_precision_loss, reason = "a sum of observations is not exact anyway")]
        GaugeFn::increment(&self.sum, value * count as f64);
    }
}
