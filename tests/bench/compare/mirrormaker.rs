//! MirrorMaker 2, as it is shipped and tuned.
//!
//! Owns: its class path and its properties.
//! Promises: what is tuned is what its users tune: tasks, batches, pipelining, the source's codec.
//! Does not know: how it is measured.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::broker::Cluster;
use crate::jars::{KAFKA_4, class_path_of};
use crate::process::Process;
use crate::shapes::Shape;

/// Heap as its own start script has it.
const JVM: [&str; 2] = ["-Xms256M", "-Xmx2G"];

/// The topic that it writes to: it puts the source's alias before the name.
pub fn target_topic(topic: &str) -> String {
    format!("A.{topic}")
}

/// Starts it on one topic.
pub fn start(source: &Cluster, target: &Cluster, shape: &Shape, is_tuned: bool, folder: &Path) -> Process {
    let file: PathBuf = folder.join("mm2.properties");
    fs::write(&file, properties(source, target, shape, is_tuned)).expect("its properties");
    let class_path = class_path_of("connect-mirror", KAFKA_4, &format!("mirror-{}", KAFKA_4.0));
    let mut arguments: Vec<String> = JVM.map(str::to_owned).to_vec();
    arguments.extend(["-cp".to_owned(), class_path]);
    arguments.extend(["org.apache.kafka.connect.mirror.MirrorMaker".to_owned(), file.display().to_string()]);
    Process::start("mirrormaker", "java", &arguments, &folder.join("log"), &[])
}

fn properties(source: &Cluster, target: &Cluster, shape: &Shape, is_tuned: bool) -> String {
    let mut text = format!(
        "clusters = A, B\nA.bootstrap.servers = {}\nB.bootstrap.servers = {}\nA->B.enabled = true\nA->B.topics = {}\n\
         B->A.enabled = false\nB->A.emit.heartbeats.enabled = false\nrefresh.topics.interval.seconds = 5\n\
         dedicated.mode.enable.internal.rest = false\n",
        source.bootstrap(),
        target.bootstrap(),
        shape.topic(),
    );
    for topic in ["", "checkpoints.topic.", "heartbeats.topic.", "offset-syncs.topic."] {
        let _ = writeln!(text, "{topic}replication.factor = 1");
    }
    for topic in ["offset", "status", "config"] {
        let _ = writeln!(text, "{topic}.storage.replication.factor = 1");
    }
    if is_tuned {
        // Tasks as many as partitions that have data: more of them only cost.
        let _ = writeln!(text, "tasks.max = {}", shape.busy.min(10));
        let compression = shape.codec;
        for line in [
            "producer.batch.size = 327680",
            "producer.linger.ms = 100",
            "producer.max.in.flight.requests.per.connection = 5",
            "producer.enable.idempotence = true",
        ] {
            let _ = writeln!(text, "B.{line}");
        }
        let _ = writeln!(text, "B.producer.compression.type = {compression}");
        for line in ["consumer.max.poll.records = 5000", "consumer.max.partition.fetch.bytes = 4194304"] {
            let _ = writeln!(text, "A.{line}");
        }
    }
    text
}
