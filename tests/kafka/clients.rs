//! Clients that share no code with librdkafka's Rust binding, or none with librdkafka at all.
//!
//! Owns: Kafka's Java client (from the brokers' jars, compiled as it starts) and confluent-kafka (from `PyPI`, in a
//! virtual environment of the build folder); the programs in `clients/`.
//! Promises: a client that fails, or doesn't end, fails the test with what it said.
//! Does not know: what its records are good for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::jars::{KAFKA_4, class_path};
use crate::process::{run_tool, scratch};

/// The release that is installed.
const CONFLUENT_KAFKA: &str = "confluent-kafka==2.16.1";
const LIMIT: Duration = Duration::from_mins(10);

/// What a client writes in all: codecs, times guards, times batch sizes. The last guard loses a third.
pub const WORKLOADS: usize = 5 * 3 * 2;
/// How many of them are transactional.
pub const TRANSACTIONAL: usize = 5 * 2;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `org.apache.kafka:kafka-clients`.
    Java,
    /// `confluent-kafka`.
    Python,
}

impl Client {
    /// Writes so many records with each codec, guard and batch size. Of those in transactions, every third ten are
    /// aborted.
    pub fn write(self, bootstrap: &str, topic: &str, partitions: i32, records: usize) {
        self.run(&["write", bootstrap, topic, &partitions.to_string(), &records.to_string()]);
    }

    /// How many committed records it reads of a topic.
    pub fn read(self, bootstrap: &str, topic: &str) -> usize {
        let said = self.run(&["read", bootstrap, topic]);
        let number = said.lines().find_map(|line| line.strip_prefix("READ "));
        number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{self:?} read nothing of {topic}:\n{said}"))
    }

    fn run(self, arguments: &[&str]) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/clients");
        let path = |name: &str| folder.join(name).display().to_string();
        let (program, mut all) = match self {
            Self::Java => {
                let jvm = ["-Xmx256m", "-XX:+UseSerialGC", "-cp", &class_path(KAFKA_4), &path("Client.java")];
                ("java".to_owned(), jvm.map(str::to_owned).to_vec())
            }
            Self::Python => (python().display().to_string(), vec![path("client.py")]),
        };
        all.extend(arguments.iter().map(|a| (*a).to_owned()));
        let log = scratch(&format!("client-{self:?}")).join("client.log");
        run_tool(&format!("{self:?}"), &program, &all, &log, LIMIT);
        fs::read_to_string(log).expect("the client's log")
    }
}

/// The interpreter of a virtual environment with confluent-kafka; made when it is not there yet.
fn python() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (interpreter, installed) = (folder.join("bin/python"), folder.join(CONFLUENT_KAFKA));
    if !installed.exists() {
        let log = scratch("python").join("pip.log");
        let make = ["-m".to_owned(), "venv".to_owned(), "--clear".to_owned(), folder.display().to_string()];
        run_tool("venv", "python3", &make, &log, LIMIT);
        let install = ["-m", "pip", "install", "--quiet", CONFLUENT_KAFKA].map(str::to_owned);
        run_tool("pip", &interpreter.display().to_string(), &install, &log, LIMIT);
        fs::write(installed, "").expect("a mark that it is complete");
    }
    interpreter
}
