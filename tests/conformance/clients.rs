//! confluent-kafka (from `PyPI`) runs a workload on the emulator, and the same on real Kafka.
//!
//! Owns: a virtual environment under `target/`, made once.
//! Promises: the workload's words are shown when it fails.
//! Does not know: what the workload does.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::broker;
use crate::jars::KAFKA_4;
use crate::runs::with_emulator;

const PACKAGE: &str = "confluent-kafka==2.16.1";

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}\n{complained}", output.status);
}

fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("confluent-kafka");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]));
        std::fs::write(folder.join("complete"), PACKAGE).expect("a note");
    }
    python
}

fn workload(bootstrap: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/workload.py");
    run(Command::new(python()).arg(script).arg(bootstrap));
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
