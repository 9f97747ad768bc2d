//! The demo as a user starts it: the real daemon between two emulated clusters, seen by librdkafka.
//!
//! Needs nothing but this machine. What is on the target must be what is on the source, record by record.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has to fail at once")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

/// Starting, writing, reading: this machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);
const RECORDS: usize = 200;

/// Key, value, timestamp of a record.
type Seen = (Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>);

/// Ends with the test, however that ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first of three free ports in a row.
fn ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if port < u16::MAX - 2 && is_free(port + 1) && is_free(port + 2) {
            return port;
        }
    }
}

/// The first records of the first partition of a topic, without what was aborted.
fn read(port: u16, topic: &str) -> Vec<Seen> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("group.id", "the-test")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut seen = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < RECORDS {
        assert!(Instant::now() < deadline, "{topic}: {} records only", seen.len());
        // Not yet there is no error: the mirror topic is being created.
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(200)) {
            let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            seen.push((bytes(record.key()), bytes(record.payload()), record.timestamp().to_millis()));
        }
    }
    seen
}

#[test]
fn both_sides_hold_the_same_and_ctrl_c_ends_it() {
    let port = ports();
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.args(["demo", "--rate", "2000", "--seed", "7", "--port", &port.to_string()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut demo = Demo(child);
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let greeting: Vec<String> =
        lines.by_ref().map(Result::unwrap).take_while(|line| !line.contains("Ctrl-C")).collect();
    let greeting = greeting.join("\n");
    assert!(greeting.contains(&format!("127.0.0.1:{port}")) && greeting.contains("kcat"), "{greeting}");
    for topic in ["orders", "clicks", "payments"] {
        assert_eq!(read(port, topic), read(port + 1, topic), "{topic}");
    }
    assert!(lines.by_ref().map(Result::unwrap).any(|line| line.contains("mirroring: 4 topics, 12 partitions")));
    let pid = demo.0.id().to_string();
    // Every shell has its own `kill`; the program is a package that a bare machine lacks.
    assert!(Command::new("sh").args(["-c", "kill -INT \"$1\"", "sh", &pid]).status().unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.last().map(String::as_str), Some("stopping"));
    let status = demo.0.wait().unwrap();
    let mut problems = String::new();
    demo.0.stderr.take().unwrap().read_to_string(&mut problems).unwrap();
    assert!(status.success() && problems.is_empty(), "{status}: {problems}");
}
