//! Clients of others run a workload on the emulator, and the same on real Kafka: confluent-kafka (from `PyPI`), and the
//! tools that come with Kafka.
//!
//! Owns: a virtual environment under `target/`, made once.
//! Promises: the workload's words are shown when it fails.
//! Does not know: what the workload does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker;
use crate::jars::{KAFKA_4, class_path_of};
use crate::runs::with_emulator;

const PACKAGE: &str = "confluent-kafka==2.16.1";

/// What a command says, with this on its standard input.
fn run(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}\n{complained}", output.status);
    said.into_owned()
}

fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("confluent-kafka");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder), "");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]), "");
        std::fs::write(folder.join("complete"), PACKAGE).expect("a note");
    }
    python
}

fn workload(bootstrap: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/workload.py");
    run(Command::new(python()).arg(script).arg(bootstrap), "");
}

#[test]
#[ignore = "installs confluent-kafka from PyPI"]
fn confluent_kafka_is_content_with_the_emulator() {
    with_emulator(&[], |cluster| workload(&cluster.bootstrap()));
}

#[test]
#[ignore = "installs confluent-kafka from PyPI and starts a real broker"]
fn confluent_kafka_is_content_with_kafka() {
    let cluster = broker::Cluster::start(broker::Options::new(KAFKA_4));
    workload(&cluster.bootstrap());
}

/// What a tool of Kafka's says.
fn tool(class: &str, arguments: &[&str], input: &str) -> String {
    let class_path = class_path_of("kafka-tools", KAFKA_4, &format!("tools-{}", KAFKA_4.0));
    let class = format!("org.apache.kafka.tools.{class}");
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &class_path, &class]).args(arguments);
    run(&mut command, input)
}

/// Topics, records with each codec, a group that reads and is reset, positions, configs, deletion.
fn use_all_tools(bootstrap: &str) {
    let at = ["--bootstrap-server", bootstrap];
    let say = |class: &str, rest: &[&str], input: &str| tool(class, &[&at[..], rest].concat(), input);
    say(
        "TopicCommand",
        &["--create", "--topic", "tools", "--partitions", "2", "--config", "retention.ms=86400000"],
        "",
    );
    let described = say("TopicCommand", &["--describe", "--topic", "tools"], "");
    assert!(described.contains("PartitionCount: 2") && described.contains("retention.ms=86400000"), "{described}");
    say("TopicCommand", &["--alter", "--topic", "tools", "--partitions", "3"], "");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let arguments = ["--topic", "tools", "--reader-property", "parse.key=true", "--compression-codec", codec];
        say("ConsoleProducer", &arguments, &format!("key-{codec}\tvalue-{codec}\n"));
    }
    let five = ["--topic", "tools", "--group", "readers", "--max-messages", "5", "--timeout-ms", "60000"];
    let read = say("consumer.ConsoleConsumer", &[&five[..], &["--from-beginning"]].concat(), "");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        assert!(read.contains(&format!("value-{codec}")), "{read}");
    }
    let group = say("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "readers"], "");
    assert!(group.contains("tools"), "{group}");
    let reset = ["--reset-offsets", "--group", "readers", "--topic", "tools", "--to-earliest", "--execute"];
    say("consumer.group.ConsumerGroupCommand", &reset, "");
    assert_eq!(say("consumer.ConsoleConsumer", &five, "").lines().count(), 5, "the group begins again");
    let ends = say("GetOffsetShell", &["--topic", "tools"], "");
    let count: u32 = ends.lines().filter_map(|line| line.rsplit(':').next()?.trim().parse::<u32>().ok()).sum();
    assert_eq!(count, 5, "{ends}");
    say("consumer.group.ConsumerGroupCommand", &["--delete", "--group", "readers"], "");
    say("TopicCommand", &["--delete", "--topic", "tools"], "");
    assert!(!say("TopicCommand", &["--list"], "").contains("tools"));
}

#[test]
#[ignore = "fetches Kafka's tools from Maven Central"]
fn the_tools_of_kafka_are_content_with_the_emulator() {
    with_emulator(&[], |cluster| use_all_tools(&cluster.bootstrap()));
}

#[test]
#[ignore = "fetches Kafka's tools from Maven Central and starts a real broker"]
fn the_tools_of_kafka_are_content_with_kafka() {
    let cluster = broker::Cluster::start(broker::Options::new(KAFKA_4));
    use_all_tools(&cluster.bootstrap());
}
