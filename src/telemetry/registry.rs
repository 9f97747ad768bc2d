//! The registry: metrics by name and labels.
//!
//! Our own, and not an exporter's, for three reasons: the lag of a partition that moved to another daemon must
//! disappear here ([`Metrics::forget`]), histograms must not keep every observation until somebody looks, and
//! several registries must live in one process.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram};

use super::histogram::Buckets;
use super::names::{self, Kind};
use super::render;

/// A metric's labels.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// Labels by name: the same ones are the same series, in whatever order they were given.
pub(super) type LabelSet = BTreeMap<&'static str, String>;

/// All series of one name; they are of one kind.
#[derive(Debug)]
pub(super) enum Family {
    Counters(BTreeMap<LabelSet, Arc<AtomicU64>>),
    Gauges(BTreeMap<LabelSet, Arc<AtomicU64>>),
    Histograms(BTreeMap<LabelSet, Arc<Buckets>>),
}

/// A registry of metrics. Clones share it.
///
/// A handle that was got once stays cheap: keep it instead of asking again on a hot path.
#[derive(Clone, Default)]
pub struct Metrics {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter; its name ends in `_total`.
    pub fn counter(&self, name: &'static str, labels: Labels<'_>) -> Counter {
        match self.families().entry(name).or_insert_with(|| Family::Counters(BTreeMap::new())) {
            Family::Counters(series) => Counter::from_arc(Arc::clone(series.entry(set(labels)).or_default())),
            Family::Gauges(_) | Family::Histograms(_) => {
                complain(name, Kind::Counter);
                Counter::noop()
            }
        }
    }

    /// A gauge. It reads 0 until it is set.
    pub fn gauge(&self, name: &'static str, labels: Labels<'_>) -> Gauge {
        match self.families().entry(name).or_insert_with(|| Family::Gauges(BTreeMap::new())) {
            Family::Gauges(series) => Gauge::from_arc(Arc::clone(series.entry(set(labels)).or_default())),
            Family::Counters(_) | Family::Histograms(_) => {
                complain(name, Kind::Gauge);
                Gauge::noop()
            }
        }
    }

    /// A histogram, in seconds where its name ends in `_seconds`, in bytes where it ends in `_bytes`.
    pub fn histogram(&self, name: &'static str, labels: Labels<'_>) -> Histogram {
        match self.families().entry(name).or_insert_with(|| Family::Histograms(BTreeMap::new())) {
            Family::Histograms(series) => {
                let buckets = series.entry(set(labels)).or_insert_with(|| Arc::new(Buckets::for_name(name)));
                Histogram::from_arc(Arc::clone(buckets))
            }
            Family::Counters(_) | Family::Gauges(_) => {
                complain(name, Kind::Histogram);
                Histogram::noop()
            }
        }
    }

    /// Removes every series that has all these labels: a partition, topic or link that is no longer this daemon's
    /// work, whose last values would otherwise stand for ever. Handles that somebody still holds write to nowhere;
    /// asking for the same series again begins a new one. No labels: nothing is removed.
    pub fn forget(&self, labels: Labels<'_>) {
        if labels.is_empty() {
            return;
        }
        let is_kept = |have: &LabelSet| labels.iter().any(|(name, value)| have.get(name).is_none_or(|is| is != value));
        for family in self.families().values_mut() {
            match family {
                Family::Counters(series) | Family::Gauges(series) => series.retain(|have, _| is_kept(have)),
                Family::Histograms(series) => series.retain(|have, _| is_kept(have)),
            }
        }
    }

    /// Removes one series, for a gauge that has no value at the moment, such as a lag in records while the source is
    /// unreachable.
    pub fn forget_one(&self, name: &'static str, labels: Labels<'_>) {
        let labels = set(labels);
        match self.families().get_mut(name) {
            Some(Family::Counters(series) | Family::Gauges(series)) => drop(series.remove(&labels)),
            Some(Family::Histograms(series)) => drop(series.remove(&labels)),
            None => {}
        }
    }

    /// Series whose name, kind or labels are not as in the table of names, for a test of the whole daemon.
    #[must_use]
    pub fn strays(&self) -> Vec<String> {
        let mut strays = Vec::new();
        for (name, family) in self.families().iter() {
            let (kind, label_sets): (Kind, Vec<&LabelSet>) = match family {
                Family::Counters(series) => (Kind::Counter, series.keys().collect()),
                Family::Gauges(series) => (Kind::Gauge, series.keys().collect()),
                Family::Histograms(series) => (Kind::Histogram, series.keys().collect()),
            };
            for labels in label_sets {
                let is_described = names::find(name).is_some_and(|row| {
                    row.kind == kind
                        && row.labels.len() == labels.len()
                        && row.labels.iter().all(|label| labels.contains_key(label))
                });
                if !is_described {
                    strays.push(format!("{} {name} with labels {:?}", kind.name(), labels.keys().collect::<Vec<_>>()));
                }
            }
        }
        strays
    }

    /// Everything, in Prometheus' text form.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families().iter() {
            render::family(&mut text, name, family);
        }
        text
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        // A panic elsewhere can't leave the maps half changed: each change is one call.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn set(labels: Labels<'_>) -> LabelSet {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn complain(name: &str, wanted: Kind) {
    debug_assert!(false, "{name} is used as a {} and as something else", wanted.name());
    tracing::error!(name, wanted = wanted.name(), "a metric is used as two kinds; one is not counted");
}
