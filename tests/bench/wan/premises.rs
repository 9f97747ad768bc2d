//! What runs on the premises: the source's broker, and the daemon that answers for it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::admin::Admin;
use crate::jars::{KAFKA_4, class_path};
use crate::network::{CLOUD_LONG, ONPREM_LONG, ONPREM_SHORT, on_premises};
use crate::process::{Process, Usage, run_tool, scratch, wait_for, write_private};

const LIMIT: Duration = Duration::from_mins(3);
const PORT_LONG: u16 = 9092;
const PORT_SHORT: u16 = 9093;
const PORT_PEERS: u16 = 9443;
const BINARY: &str = env!("CARGO_BIN_EXE_causeway");

/// How many partitions the topic has.
pub const PARTITIONS: i32 = 8;

/// The source's broker.
pub struct Source {
    process: Process,
    _folder: PathBuf,
}

impl Source {
    /// Starts it, and waits until it serves.
    pub fn start() -> Self {
        let folder = scratch("wan-source");
        let file = folder.join("server.properties");
        let mut text = String::new();
        let mut set = |name: &str, value: &str| writeln!(text, "{name}={value}").expect("a String takes it");
        let long = format!("LONG://{ONPREM_LONG}:{PORT_LONG}");
        let short = format!("SHORT://{ONPREM_SHORT}:{PORT_SHORT}");
        set("process.roles", "broker,controller");
        set("node.id", "1");
        set("controller.quorum.voters", "1@127.0.0.1:9094");
        set("controller.listener.names", "CONTROLLER");
        set("listeners", &format!("{long},{short},CONTROLLER://127.0.0.1:9094"));
        set("advertised.listeners", &format!("{long},{short}"));
        set("inter.broker.listener.name", "SHORT");
        set("listener.security.protocol.map", "LONG:PLAINTEXT,SHORT:PLAINTEXT,CONTROLLER:PLAINTEXT");
        set("log.dirs", &folder.join("data").display().to_string());
        for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
            set(&format!("{topic}.replication.factor"), "1");
        }
        set("transaction.state.log.min.isr", "1");
        set("auto.create.topics.enable", "false");
        fs::write(&file, &text).expect("the properties");
        let mut id = *uuid::Uuid::new_v4().as_bytes();
        id[0] = 0;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id);
        let (path, file) = (class_path(KAFKA_4), file.display().to_string());
        let log = folder.join("server.log");
        let format = ["-cp", &path, "kafka.tools.StorageTool", "format", "-t", &id, "-c", &file].map(str::to_owned);
        run_tool("the storage tool", "java", &format, &log, LIMIT);
        let run = ["-Xmx1g", "-Xms1g", "-cp", &path, "kafka.Kafka", &file].map(str::to_owned);
        let (program, arguments) = on_premises("java", &run);
        let process = Process::start("the source", &program, &arguments, &log, &[]);
        let source = Self { process, _folder: folder };
        wait_for("the source", LIMIT, || Self::admin().brokers().ok().filter(|count| *count == 1));
        source
    }

    /// Administration over the short line.
    pub fn admin() -> Admin {
        Admin::new(&short())
    }

    /// What its process has used.
    pub fn usage(&self) -> Usage {
        self.process.usage()
    }

    /// Fills a topic over the short line: records of 1 KiB, uncompressed, in large batches. Gives the bytes of values.
    pub fn fill(topic: &str, records: u64) -> u64 {
        const VALUE_BYTES: u64 = 1_024;
        Self::admin().create_topic(topic, PARTITIONS, &[]);
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", short())
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("batch.size", "500000")
            .create()
            .expect("a producer");
        for number in 0..records {
            let mut value =
                format!("{{\"id\":{number},\"hash\":\"{:016x}\"", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            value.extend(std::iter::repeat_n('.', usize::try_from(VALUE_BYTES).expect("it fits") - value.len()));
            let partition = i32::try_from(number / 400 % 8).expect("it is small");
            loop {
                let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_bytes());
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        producer.poll(Duration::from_millis(5));
                    }
                    Err((error, _)) => panic!("filling {topic}: {error}"),
                }
            }
        }
        producer.flush(LIMIT).expect("it is written");
        records * VALUE_BYTES
    }
}

fn short() -> String {
    format!("{ONPREM_SHORT}:{PORT_SHORT}")
}

/// Where the source is reached over the long line.
pub fn long() -> String {
    format!("{ONPREM_LONG}:{PORT_LONG}")
}

/// Both sides' keys, made by the command that users have.
pub struct Keys {
    folder: PathBuf,
    onprem: String,
    cloud: String,
}

impl Keys {
    /// Makes them.
    pub fn make() -> Self {
        let folder = scratch("wan-keys");
        let [onprem, cloud] = ["onprem", "cloud"].map(|name| {
            let arguments = ["keys", "new", name, "--output", "json", "--folder"];
            let output = Command::new(BINARY).args(arguments).arg(&folder).output().expect("the binary runs");
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("keys");
            told["identity"].as_str().expect("an identity").to_owned()
        });
        Self { folder, onprem, cloud }
    }

    fn own(&self, name: &str) -> String {
        let at = |what: &str| self.folder.join(format!("{name}.{what}")).display().to_string();
        format!("\n[peers]\ncertificate = \"{}\"\nkey = {{ file = \"{}\" }}\n", at("pem"), at("key"))
    }

    /// The end of the cloud's file.
    pub fn of_cloud(&self) -> String {
        let own = self.own("cloud");
        format!("{own}listen = \"{CLOUD_LONG}:{PORT_PEERS}\"\n[peer.onprem]\nidentity = \"{}\"\n", self.onprem)
    }
}

/// The daemon on the premises.
pub struct Onprem {
    process: Process,
}

impl Onprem {
    /// Starts it. It dials over the long line.
    pub fn start(keys: &Keys, folder: &Path) -> Self {
        let text = format!(
            "[daemon]\nid = \"onprem-1\"\ngroup = \"onprem\"\nlisten = \"127.0.0.1:8480\"\n[cluster.source]\n\
             bootstrap.servers = \"{}\"\n{}[peer.cloud]\nconnect = [\"{CLOUD_LONG}:{PORT_PEERS}\"]\nidentity = \"{}\"\n\
             expose = {{ cluster = \"source\", topics = [\".*\"], groups = [\".*\"] }}\n",
            long(),
            keys.own("onprem"),
            keys.cloud
        );
        let file = folder.join("onprem.toml");
        write_private(&file, &text);
        let run = ["run", "--config", &file.display().to_string()].map(str::to_owned);
        let (program, arguments) = on_premises(BINARY, &run);
        Self { process: Process::start("onprem-1", &program, &arguments, &folder.join("onprem.log"), &[]) }
    }

    /// What its process has used.
    pub fn usage(&self) -> Usage {
        self.process.usage()
    }
}
