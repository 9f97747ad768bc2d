use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::logs::Form;
use super::names::{Kind, TABLE};
use super::*;

#[test]
fn metrics_render_with_help_type_and_escaped_labels() {
    let metrics = Metrics::new();
    let labels = [("link", "l"), ("reason", "a\"b\\c\nd")];
    metrics.counter(names::STOPS_TOTAL, &labels).increment(3);
    metrics.clone().counter(names::STOPS_TOTAL, &labels).increment(4);
    assert_eq!(
        metrics.render().trim_end(),
        "# HELP causeway_stops_total Times that a mirror partition stopped, by reason.\n\
         # TYPE causeway_stops_total counter\n\
         causeway_stops_total{link=\"l\",reason=\"a\\\"b\\\\c\\nd\"} 7"
    );
    let metrics = Metrics::new();
    metrics.set(names::START_TIME_SECONDS, &[], 1.5);
    assert_eq!(
        metrics.render().trim_end(),
        "# HELP causeway_start_time_seconds When the daemon started, seconds since 1970.\n\
         # TYPE causeway_start_time_seconds gauge\n\
         causeway_start_time_seconds 1.5"
    );
}

#[test]
fn histograms_count_up_to_each_bound() {
    let metrics = Metrics::new();
    let latency = metrics.histogram(names::PRODUCE_SECONDS, &[("link", "l")]);
    latency.record(0.001);
    latency.record(0.0011);
    metrics.upkeep();
    latency.record_many(100.0, 2);
    let text = metrics.render();
    for line in [
        "# TYPE causeway_produce_seconds histogram",
        "causeway_produce_seconds_bucket{link=\"l\",le=\"0.0005\"} 0",
        "causeway_produce_seconds_bucket{link=\"l\",le=\"0.001\"} 1",
        "causeway_produce_seconds_bucket{link=\"l\",le=\"0.0025\"} 2",
        "causeway_produce_seconds_bucket{link=\"l\",le=\"60\"} 2",
        "causeway_produce_seconds_bucket{link=\"l\",le=\"+Inf\"} 4",
        "causeway_produce_seconds_sum{link=\"l\"} 200.0021",
        "causeway_produce_seconds_count{link=\"l\"} 4",
    ] {
        assert!(text.lines().any(|have| have == line), "no `{line}` in\n{text}");
    }
}

fn wait_until_gone(metrics: &Metrics, name: &str) {
    let began = Instant::now();
    while metrics.render().contains(name) {
        assert!(began.elapsed() < Duration::from_secs(30), "{name} stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_gauge_that_nobody_sets_disappears_and_comes_back() {
    let metrics = Metrics::with_gauge_idle_max(Duration::from_millis(20));
    let labels = [("link", "l"), ("topic", "t"), ("partition", "0")];
    let records = metrics.counter(names::RECORDS_TOTAL, &labels);
    let seconds = metrics.histogram(names::END_TO_END_SECONDS, &[("link", "l"), ("topic", "t")]);
    records.increment(5);
    seconds.record(0.001);
    for lag in [7.0, 8.0] {
        metrics.set(names::LAG_RECORDS, &labels, lag);
        // The same value again is news, too.
        metrics.set(names::LAG_RECORDS, &labels, lag);
        let line = format!("causeway_lag_records{{link=\"l\",topic=\"t\",partition=\"0\"}} {lag}\n");
        assert!(metrics.render().contains(&line), "{}", metrics.render());
        wait_until_gone(&metrics, names::LAG_RECORDS);
    }
    // What was handed out before goes on counting.
    records.increment(1);
    seconds.record(0.001);
    let text = metrics.render();
    assert!(text.contains("causeway_records_total{link=\"l\",topic=\"t\",partition=\"0\"} 6\n"), "{text}");
    assert!(text.contains("causeway_end_to_end_seconds_count{link=\"l\",topic=\"t\"} 2\n"), "{text}");
}

#[test]
fn the_first_look_shows_no_gauge_that_was_given_up_long_ago() {
    let idle_max = Duration::from_millis(20);
    let metrics = Metrics::with_gauge_idle_max(idle_max);
    metrics.set(names::READY, &[], 1.0);
    metrics.drop_idle_gauges();
    std::thread::sleep(idle_max * 2);
    metrics.drop_idle_gauges();
    assert_eq!(metrics.render(), "");
}

#[test]
fn what_is_not_in_the_table_is_noticed() {
    let is_refused = |count: &dyn Fn(&Metrics)| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| count(&Metrics::new()))).is_err()
    };
    assert!(!is_refused(&|metrics| metrics
        .counter(names::STOPS_TOTAL, &[("link", "l"), ("reason", "r")])
        .increment(1)));
    assert!(is_refused(&|metrics| metrics.counter(names::STOPS_TOTAL, &[("reason", "r"), ("link", "l")]).increment(1)));
    assert!(is_refused(&|metrics| metrics.counter(names::STOPS_TOTAL, &[("link", "l")]).increment(1)));
    assert!(is_refused(&|metrics| metrics.set(names::STOPS_TOTAL, &[("link", "l"), ("reason", "r")], 1.0)));
    assert!(is_refused(&|metrics| metrics.counter("causeway_other_total", &[]).increment(1)));
}

/// Every name is used by somebody, and only by its constant.
#[test]
fn every_row_of_the_table_is_recorded() {
    let mut sources = Vec::new();
    collect(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources);
    let source = include_str!("names.rs");
    for row in TABLE {
        let constant = row.name.trim_start_matches("causeway_").to_uppercase();
        assert!(source.contains(&format!("    {constant} = \"{}\"", row.name)), "{constant} is named otherwise");
        assert!(sources.iter().any(|text| text.contains(&format!("names::{constant}"))), "nobody records {}", row.name);
        let quoted = format!("\"{}\"", row.name);
        assert!(!sources.iter().any(|text| text.contains(&quoted)), "{} is written out", row.name);
    }
}

/// The text of all code besides tests and this module.
fn collect(folder: &std::path::Path, sources: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" && name != "telemetry" {
            collect(&path, sources);
        } else if path.is_file() && name != "tests.rs" {
            sources.push(String::from_utf8(std::fs::read(&path).unwrap()).unwrap_or_default());
        }
    }
}

#[test]
fn registries_are_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.set(names::READY, &[], 1.0);
    assert_eq!(other.render(), "");
}

#[test]
fn names_follow_the_rules() {
    let distinct: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(distinct.len(), TABLE.len(), "a name stands twice");
    for row in TABLE {
        assert!(row.name.starts_with("causeway_"), "{}", row.name);
        assert_eq!(row.name.ends_with("_total"), row.kind == Kind::Counter, "{}", row.name);
        assert!(row.kind != Kind::Histogram || row.name.ends_with("_seconds"));
        assert!(row.help.ends_with('.') && !row.help.contains('\n'), "{}", row.name);
    }
}

#[test]
fn the_handbook_lists_exactly_the_metrics_that_exist() {
    let listed: Vec<Vec<String>> = include_str!("../../docs/metrics.md")
        .lines()
        .filter(|line| line.starts_with("| `causeway_"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let expected: Vec<Vec<String>> = TABLE
        .iter()
        .map(|row| {
            let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
            vec![
                format!("`{}`", row.name),
                row.kind.name().to_owned(),
                row.unit.to_owned(),
                labels.join(", "),
                row.help.to_owned(),
            ]
        })
        .collect();
    for row in &expected {
        assert!(listed.contains(row), "docs/metrics.md lacks the row\n| {} |", row.join(" | "));
    }
    assert_eq!(listed.len(), expected.len(), "docs/metrics.md lists a metric that does not exist");
}

#[test]
fn log_lines_are_json_for_programs_and_libraries_are_quiet() {
    let text = logged(Form::Json, Some("debug"), || {
        tracing::info!(link = "l", "mirroring");
        tracing::info!(target: "librdkafka", "chatter");
        tracing::debug!("particulars");
    });
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!((&lines[0]["message"], &lines[0]["link"]), (&"mirroring".into(), &"l".into()));
    assert_eq!(lines[0]["level"], "INFO");
}

#[test]
fn log_lines_are_plain_for_people_and_info_is_the_default() {
    let text = logged(Form::Terminal { is_coloured: false }, None, || {
        tracing::info!(link = "l", "mirroring");
        tracing::debug!("particulars");
    });
    assert!(text.trim_end().ends_with("mirroring link=\"l\""), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_filter_can_name_a_library_and_nonsense_is_refused() {
    let text = logged(Form::Json, Some("warn,librdkafka=info"), || tracing::info!(target: "librdkafka", "chatter"));
    assert_eq!(text.lines().count(), 1);
    let error = logs::filter(Some("causeway=loud")).unwrap_err().to_string();
    assert!(error.starts_with("CAUSEWAY_LOG=`causeway=loud` is not a log filter"), "{error}");
}

/// What the events of `work` look like.
fn logged(form: Form, filter: Option<&str>, work: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = logs::subscriber(form, logs::filter(filter).unwrap(), BoxMakeWriter::new(move || writer.clone()));
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
