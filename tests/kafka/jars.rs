//! Apache Kafka's jars, fetched once from Maven Central.
//!
//! Owns: the cache folder (`CAUSEWAY_KAFKA_CACHE`, default `$HOME/.cache/causeway-kafka`), one folder a version.
//! Promises: a folder that exists is complete (fetched aside, then renamed).
//! Does not know: how a broker is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::process::{run_tool, scratch};

/// A release of Apache Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub &'static str);

impl Version {
    /// Whether its brokers need a `ZooKeeper`: what 2.x has of `KRaft` knows no producer ids.
    pub fn needs_zookeeper(self) -> bool {
        self.0.starts_with("2.")
    }
}

/// The newest 4.x whose artifacts are published.
pub const KAFKA_4: Version = Version("4.3.1");
/// The last line before 4.0.
pub const KAFKA_3: Version = Version("3.9.1");

/// Two years older.
pub const KAFKA_3_7: Version = Version("3.7.2");
/// The first line whose `KRaft` was meant for production.
pub const KAFKA_3_3: Version = Version("3.3.2");
/// The oldest that we work with.
pub const KAFKA_2_8: Version = Version("2.8.2");

/// Kafka logs through slf4j and its artifacts bring no backend: without one a broker says nothing at all.
const LOGGING: &str = "slf4j-simple";
const LOGGING_VERSION: &str = "1.7.36";

/// The class path of a version's broker; fetches it when it is not there yet.
pub fn class_path(version: Version) -> String {
    class_path_of("kafka_2.13", version, version.0)
}

/// The class path of a version's client for MirrorMaker's topics.
pub fn mirror_client_class_path(version: Version) -> String {
    class_path_of("connect-mirror-client", version, &format!("mirror-client-{}", version.0))
}

/// The class path of an artifact of Kafka, kept in this folder of the cache.
pub fn class_path_of(artifact: &str, version: Version, folder: &str) -> String {
    static FETCHING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = FETCHING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = cache().join(folder);
    if !folder.exists() {
        fetch(artifact, version, &folder);
    }
    format!("{}/*", folder.display())
}

fn cache() -> PathBuf {
    if let Some(folder) = std::env::var_os("CAUSEWAY_KAFKA_CACHE") {
        return PathBuf::from(folder);
    }
    let home = std::env::var_os("HOME").expect("HOME or CAUSEWAY_KAFKA_CACHE is set");
    Path::new(&home).join(".cache/causeway-kafka")
}

fn fetch(artifact: &str, version: Version, folder: &Path) {
    let work = scratch("maven");
    let pom = work.join("pom.xml");
    fs::write(&pom, pom_of(artifact, version)).expect("the pom");
    let aside = cache().join(format!("{artifact}-{}.fetching.{}", version.0, std::process::id()));
    let arguments = [
        "-q".into(),
        "-B".into(),
        "-f".into(),
        pom.display().to_string(),
        "dependency:copy-dependencies".into(),
        format!("-DoutputDirectory={}", aside.display()),
    ];
    run_tool("mvn", "mvn", &arguments, &work.join("mvn.log"), Duration::from_mins(10));
    if fs::rename(&aside, folder).is_err() {
        // Another test process was quicker: its folder is as good as ours.
        let _ = fs::remove_dir_all(&aside);
    }
    assert!(folder.exists(), "the jars of Kafka {} in {}", version.0, folder.display());
}

fn pom_of(artifact: &str, version: Version) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>causeway</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>\
         <dependencies>{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", artifact, version.0),
        dependency("org.slf4j", LOGGING, LOGGING_VERSION),
    )
}
