use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::logs::Form;
use super::names::{Kind, TABLE};
use super::*;

#[test]
fn metrics_render_with_help_type_and_escaped_labels() {
    let metrics = Metrics::new();
    metrics.counter(names::RECORDS_TOTAL, &[("topic", "a\"b\\c\nd"), ("link", "l")]).increment(3);
    metrics.clone().counter(names::RECORDS_TOTAL, &[("link", "l"), ("topic", "a\"b\\c\nd")]).increment(4);
    metrics.gauge(names::LAG_SECONDS, &[]).set(1.5);
    assert_eq!(
        metrics.render(),
        "# HELP causeway_lag_seconds Age of the oldest high watermark that is not yet acknowledged; keeps growing \
         while the source is unreachable.\n\
         # TYPE causeway_lag_seconds gauge\n\
         causeway_lag_seconds 1.5\n\
         # HELP causeway_records_total Records that the target acknowledged.\n\
         # TYPE causeway_records_total counter\n\
         causeway_records_total{link=\"l\",topic=\"a\\\"b\\\\c\\nd\"} 7\n"
    );
}

#[test]
fn histograms_count_up_to_each_bound() {
    let metrics = Metrics::new();
    let latency = metrics.histogram(names::PRODUCE_SECONDS, &[("link", "l")]);
    latency.record(0.001);
    latency.record(0.0011);
    latency.record_many(100.0, 2);
    let text = metrics.render();
    for line in [
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

#[test]
fn a_partition_that_moved_away_is_forgotten_alone() {
    let metrics = Metrics::new();
    for partition in ["0", "1"] {
        let labels = [("link", "l"), ("topic", "t"), ("partition", partition)];
        metrics.gauge(names::LAG_RECORDS, &labels).set(5.0);
        metrics.counter(names::RECORDS_TOTAL, &labels).increment(5);
    }
    metrics.forget(&[]);
    assert_eq!(metrics.render().matches("partition=\"0\"").count(), 2);
    metrics.forget(&[("link", "l"), ("topic", "t"), ("partition", "0")]);
    assert_eq!(metrics.render().matches("partition=\"0\"").count(), 0);
    assert_eq!(metrics.render().matches("partition=\"1\"").count(), 2);
    metrics.forget_one(names::LAG_RECORDS, &[("link", "l"), ("partition", "1"), ("topic", "t")]);
    let text = metrics.render();
    assert!(!text.contains("lag_records") && text.contains("records_total"), "{text}");
}

#[test]
fn what_is_not_in_the_table_is_found() {
    let metrics = Metrics::new();
    metrics.gauge(names::LAG_RECORDS, &[("topic", "t"), ("link", "l"), ("partition", "0")]).set(1.0);
    assert_eq!(metrics.strays(), Vec::<String>::new());
    metrics.gauge(names::LAG_RECORDS, &[("link", "l")]).set(1.0);
    metrics.counter(names::LAG_SECONDS, &[("topic", "t"), ("link", "l"), ("partition", "0")]).increment(1);
    metrics.counter("causeway_other_total", &[]).increment(1);
    assert_eq!(
        metrics.strays(),
        [
            "gauge causeway_lag_records with labels [\"link\"]",
            "counter causeway_lag_seconds with labels [\"link\", \"partition\", \"topic\"]",
            "counter causeway_other_total with labels []",
        ]
    );
}

#[test]
fn registries_are_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.gauge(names::READY, &[]).set(1.0);
    assert_eq!(other.render(), "");
}

#[test]
fn names_follow_the_rules() {
    let distinct: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(distinct.len(), TABLE.len(), "a name stands twice");
    for row in TABLE {
        assert!(row.name.starts_with("causeway_"), "{}", row.name);
        assert_eq!(row.name.ends_with("_total"), row.kind == Kind::Counter, "{}", row.name);
        assert!(row.kind != Kind::Histogram || row.name.ends_with("_seconds") || row.name.ends_with("_bytes"));
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
