//! The metrics of one daemon, on `metrics-exporter-prometheus`.
//!
//! Owns: the recorder, its buckets, and how long a gauge stays that nobody sets.
//! Promises: counters and histograms stay for as long as the daemon runs, and their handles with them; a gauge that is
//! no longer set disappears, so that no partition that moved away leaves its last lag behind; between two calls of
//! [`Metrics::upkeep`] histograms keep each observation, afterwards only counts.
//! Does not know: what is measured.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use super::names::{self, Kind, TABLE};

/// Upper bounds of the buckets of every histogram in seconds: 0.5 ms to one minute.
const BOUNDS_SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// A gauge that was not set for so long disappears at the next [`Metrics::drop_idle_gauges`] or [`Metrics::render`].
const GAUGE_IDLE_MAX: Duration = Duration::from_secs(15);
/// The recorder takes it and ignores it.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// A metric's labels, in the order of the table of names.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The metrics of one daemon. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::with_gauge_idle_max(GAUGE_IDLE_MAX)
    }
}

impl Metrics {
    /// Without any series.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[expect(clippy::expect_used, reason = "the builder refuses nothing but an empty list of bounds")]
    pub(super) fn with_gauge_idle_max(idle_max: Duration) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BOUNDS_SECONDS)
            .expect("there are bounds")
            .idle_timeout(MetricKindMask::GAUGE, Some(idle_max))
            .build_recorder();
        for row in TABLE {
            let unit = match row.unit {
                "seconds" => Some(Unit::Seconds),
                "bytes" => Some(Unit::Bytes),
                _ => None,
            };
            match row.kind {
                Kind::Counter => recorder.describe_counter(row.name.into(), unit, row.help.into()),
                Kind::Gauge => recorder.describe_gauge(row.name.into(), unit, row.help.into()),
                Kind::Histogram => recorder.describe_histogram(row.name.into(), unit, row.help.into()),
            }
        }
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle }
    }

    /// A counter; its name ends in `_total`. The handle stays good: on a hot path keep it instead of asking again.
    pub fn counter(&self, name: &'static str, labels: Labels<'_>) -> Counter {
        self.recorder.register_counter(&key(name, Kind::Counter, labels), &METADATA)
    }

    /// Sets a gauge. There is no handle to keep: whoever stops setting it makes it disappear, and a handle from before
    /// would then write to nowhere.
    pub fn set(&self, name: &'static str, labels: Labels<'_>, value: f64) {
        self.gauge(name, labels).set(value);
    }

    pub(super) fn gauge(&self, name: &'static str, labels: Labels<'_>) -> Gauge {
        self.recorder.register_gauge(&key(name, Kind::Gauge, labels), &METADATA)
    }

    /// A histogram in seconds. The handle stays good: on a hot path keep it instead of asking again.
    pub fn histogram(&self, name: &'static str, labels: Labels<'_>) -> Histogram {
        self.recorder.register_histogram(&key(name, Kind::Histogram, labels), &METADATA)
    }

    /// To be called every few seconds: sorts the observations of histograms into their buckets.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Looks for gauges that were not set since it was called last, and drops those for which that is too long ago.
    /// Takes as long as [`Metrics::render`], which does it too.
    pub fn drop_idle_gauges(&self) {
        // The exporter notices idle gauges only when it renders. If that were left to Prometheus, a first look would
        // show the lag of a partition that moved away an hour ago. A sink takes everything.
        let _ = self.handle.render_to_write(&mut std::io::sink());
    }

    /// Everything, in Prometheus' text form.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// The key of a series. Tests notice here what is not in the table: labels in another order would be another series.
fn key(name: &'static str, kind: Kind, labels: Labels<'_>) -> Key {
    debug_assert!(
        names::find(name)
            .is_some_and(|row| { row.kind == kind && row.labels.iter().eq(labels.iter().map(|(label, _)| label)) }),
        "the table of metrics has no {} {name} with labels {labels:?}",
        kind.name()
    );
    let labels: Vec<Label> = labels.iter().map(|(label, value)| Label::new(*label, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}
