//! Prometheus' text form, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::histogram::Buckets;
use super::names::{self, Kind};
use super::registry::{Family, LabelSet};

/// Appends all series of one name.
pub(super) fn family(text: &mut String, name: &str, family: &Family) {
    match family {
        Family::Counters(series) => {
            head(text, name, Kind::Counter, series.is_empty());
            for (labels, value) in series {
                line(text, name, labels, None, &value.load(Ordering::Relaxed).to_string());
            }
        }
        Family::Gauges(series) => {
            head(text, name, Kind::Gauge, series.is_empty());
            for (labels, value) in series {
                line(text, name, labels, None, &number(f64::from_bits(value.load(Ordering::Relaxed))));
            }
        }
        Family::Histograms(series) => {
            histograms(text, name, series.iter().map(|(labels, buckets)| (labels, &**buckets)).collect());
        }
    }
}

fn histograms(text: &mut String, name: &str, series: BTreeMap<&LabelSet, &Buckets>) {
    head(text, name, Kind::Histogram, series.is_empty());
    for (labels, buckets) in series {
        let (rows, sum) = buckets.cumulative();
        let mut count = 0;
        for (bound, up_to) in rows {
            line(text, &format!("{name}_bucket"), labels, Some(&number(bound)), &up_to.to_string());
            count = up_to;
        }
        line(text, &format!("{name}_sum"), labels, None, &number(sum));
        line(text, &format!("{name}_count"), labels, None, &count.to_string());
    }
}

fn head(text: &mut String, name: &str, kind: Kind, is_empty: bool) {
    if is_empty {
        return;
    }
    if let Some(description) = names::find(name) {
        push(text, format_args!("# HELP {name} {}\n", escape(description.help, false)));
    }
    push(text, format_args!("# TYPE {name} {}\n", kind.name()));
}

fn line(text: &mut String, name: &str, labels: &LabelSet, bound: Option<&str>, value: &str) {
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(bound.map(|bound| ("le", bound)));
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{}\"", escape(value, true))).collect();
    if labels.is_empty() {
        push(text, format_args!("{name} {value}\n"));
    } else {
        push(text, format_args!("{name}{{{}}} {value}\n", labels.join(",")));
    }
}

fn escape(text: &str, is_quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_quoted { text.replace('"', "\\\"") } else { text }
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a `String` can't fail.
    let _ = text.write_fmt(line);
}
