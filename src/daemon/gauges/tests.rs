use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::config::Config;
use crate::store::StatusRecord;
use crate::types::{PartitionIndex, SourceOffset, TargetOffset, TopicName};

fn snapshot(contact_age_ms: u64) -> Snapshot {
    Snapshot {
        offsets: None,
        map_start: None,
        source_position: SourceOffset::new(90).ok(),
        target_position: TargetOffset::new(70).ok(),
        status: StatusRecord {
            state: PartitionState::Mirroring,
            daemon: "one".to_owned(),
            at_ms: 0,
            source_log_start: None,
            source_high_watermark: SourceOffset::new(100).ok(),
            source_last_stable: None,
            lag_ms: Some(1_500),
            source_contact_age_ms: Some(contact_age_ms),
            retention_left_ms: None,
            held_by: None,
            stop: None,
        },
        trouble: None,
        denied_by: None,
    }
}

fn place(topic: &str, partition: i32) -> (LinkName, TopicPartition) {
    let topic = TopicName::new(topic).unwrap();
    (LinkName::new("l").unwrap(), TopicPartition::new(topic, PartitionIndex(partition)))
}

/// Name and value of all series of one partition.
fn values(metrics: &Metrics) -> BTreeMap<String, String> {
    let labels = "{link=\"l\",topic=\"t\",partition=\"3\"} ";
    let text = metrics.render();
    let pairs = text.lines().filter_map(|line| line.split_once(labels));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_partition_shows_what_is_known_of_it() {
    let metrics = Metrics::new();
    let (link, partition) = place("t", 3);
    set_partition(&metrics, &link, &partition, &snapshot(29_999));
    let expected = [
        (names::LAG_RECORDS, "10"),
        (names::LAG_SECONDS, "1.5"),
        (names::PARTITION_STOPPED, "0"),
        (names::SOURCE_CONTACT_AGE_SECONDS, "29.999"),
        (names::SOURCE_POSITION, "90"),
        (names::TARGET_POSITION, "70"),
    ];
    assert_eq!(values(&metrics), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn lag_in_records_is_absent_while_the_source_does_not_answer_and_lag_in_time_is_not() {
    let metrics = Metrics::new();
    let (link, partition) = place("t", 3);
    set_partition(&metrics, &link, &partition, &snapshot(30_000));
    let values = values(&metrics);
    assert!(!values.contains_key(names::LAG_RECORDS), "{values:?}");
    assert!(values.contains_key(names::LAG_SECONDS) && values.contains_key(names::SOURCE_CONTACT_AGE_SECONDS));
}

#[tokio::test]
async fn a_daemon_whose_clusters_are_away_shows_what_it_knows_of_itself() {
    // Nothing listens there: the ports were free a moment ago.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: std::net::TcpListener| listener.local_addr().unwrap().port();
    let (a, b) = (free(), free());
    let (a, b) = (port(a), port(b));
    let text = format!(
        "[cluster.a]\nbootstrap.servers = \"127.0.0.1:{a}\"\n[cluster.b]\nbootstrap.servers = \"127.0.0.1:{b}\"\n\
         [link.l]\nsource = \"a\"\ntarget = \"b\"\noffsets = \"translate\"\n[[link.l.topics]]\nmatch = \".*\"\n"
    );
    let config = Config::parse(&text, Path::new("causeway.toml")).unwrap();
    let reached = crate::daemon::peers::reach(&config).await.unwrap();
    let daemon = Daemon::new(config, reached);
    let seen = async {
        loop {
            let text = daemon.shown_metrics().await;
            if text.contains("causeway_cluster_reachable{cluster=\"b\"} 0\n") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let text = tokio::select! {
        () = daemon.keep_gauges() => unreachable!("gauges are kept for ever"),
        text = seen => text,
    };
    for line in [
        format!("causeway_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        "causeway_ready 0".to_owned(),
        "causeway_shards_owned{cluster=\"b\"} 0".to_owned(),
        "causeway_cluster_reachable{cluster=\"a\"} 0".to_owned(),
        "causeway_access_problems{cluster=\"a\",kind=\"authentication\"} 0".to_owned(),
        "causeway_access_problems{cluster=\"a\",kind=\"authorization\"} 0".to_owned(),
    ] {
        assert!(text.lines().any(|have| have == line), "no `{line}` in\n{text}");
    }
    assert!(text.contains("\ncauseway_start_time_seconds 1"), "{text}");
}

#[test]
#[ignore = "prints what 10,000 partitions cost; the figures depend on the machine"]
fn ten_thousand_partitions() {
    let metrics = Metrics::new();
    let all: Vec<_> = (0..10_000).map(|number| place(&format!("topic-{}", number / 10), number % 10)).collect();
    for (link, partition) in &all {
        let index = partition.partition.to_string();
        let labels = [("link", link.as_str()), ("topic", partition.topic.as_str()), ("partition", index.as_str())];
        metrics.counter(names::RECORDS_TOTAL, &labels).increment(1);
        metrics.counter(names::BYTES_TOTAL, &labels).increment(1);
        metrics.histogram(names::END_TO_END_SECONDS, &[labels[0], labels[1]]).record(0.01);
    }
    let snapshot = snapshot(0);
    for round in 0..3 {
        let began = Instant::now();
        for (link, partition) in &all {
            set_partition(&metrics, link, partition, &snapshot);
        }
        let set = began.elapsed();
        let began = Instant::now();
        metrics.drop_idle_gauges();
        let drop = began.elapsed();
        let began = Instant::now();
        let bytes = metrics.render().len();
        println!("round {round}: set {set:?}, drop {drop:?}, render {:?} ({bytes} bytes)", began.elapsed());
    }
}
