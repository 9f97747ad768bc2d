//! What Kafka's Java client and confluent-kafka write arrives, and they can read the copy. They frame Snappy and LZ4
//! and cut batches in their own ways.

use crate::clients::{Client, TRANSACTIONAL, WORKLOADS};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;

use super::{finish, shared};

/// Records of each workload: three transactions of ten, of which the last is aborted.
const RECORDS: usize = 30;
const COMMITTED: usize = (WORKLOADS - TRANSACTIONAL) * RECORDS + TRANSACTIONAL * RECORDS * 2 / 3;

/// Half of it is written before the daemon starts (so that small batches wait, and are merged), half while it runs.
fn is_mirrored(client: Client, topic: &str) {
    let on = shared();
    on.source.admin().create_topic(topic, 2, &[]);
    let bootstrap = on.source.bootstrap();
    client.write(&bootstrap, topic, 2, RECORDS);
    let mut daemon = Daemon::start("clients-1", &Config::new(topic, on.source, on.target).matching(topic));
    Judge::new(on.source, on.target, &[topic]).wait();
    let second = format!("{topic}-live");
    on.source.admin().create_topic(&second, 2, &[]);
    daemon.stop();
    let config = Config::new(topic, on.source, on.target).matching(&format!("{topic}.*"));
    let mut daemon = Daemon::start("clients-1", &config);
    client.write(&bootstrap, &second, 2, RECORDS);
    let pairs = finish(&Judge::new(on.source, on.target, &[topic, &second]), &mut daemon);
    for topic in [topic, second.as_str()] {
        let copied: usize = pairs.iter().filter(|((of, _), _)| of == topic).map(|(_, pairs)| pairs.len()).sum();
        assert!(copied >= COMMITTED, "{topic}: {copied} of {COMMITTED}");
        for reader in [Client::Java, Client::Python] {
            assert_eq!(reader.read(&on.target.bootstrap(), topic), copied, "{reader:?} reading {topic}");
        }
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn javas_own_client() {
    is_mirrored(Client::Java, "java");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn confluent_kafka_from_python() {
    is_mirrored(Client::Python, "python");
}
