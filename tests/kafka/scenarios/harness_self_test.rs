//! The harness itself on real brokers, with a plain consume-and-produce copier in the daemon's place: a clean copy
//! passes, and each damage is seen.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{Cluster, Options};
use crate::checker::Violation;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::reader::read_topic;
use crate::record::Entry;
use crate::security::Security;
use crate::workload::{CODECS, Kind, Workload};

type Damage = fn(&mut Vec<Entry>);
type IsIt = fn(&Violation) -> bool;

/// Copies a topic after `damage` has been done to each partition's log.
fn copy(source: &Cluster, target: &Cluster, from: &str, to: &str, damage: impl Fn(&mut Vec<Entry>)) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", target.bootstrap())
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()
        .unwrap();
    for (partition, mut log) in read_topic(&source.bootstrap(), from) {
        damage(&mut log);
        for entry in &log {
            let headers = entry
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_ref() }));
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(to).partition(partition).headers(headers);
            record.key = entry.key.as_deref();
            record.payload = entry.value.as_deref();
            record.timestamp = entry.timestamp;
            producer.send(record).map_err(|e| e.0).unwrap();
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_mins(1)).unwrap();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_faithful_copy_passes_and_damage_is_found() {
    let source = Cluster::start(Options::new(KAFKA_3));
    let target = Cluster::start(Options::new(KAFKA_4).relayed());
    source.admin().create_topic("self", 3, &[]);
    for (i, codec) in CODECS.into_iter().enumerate() {
        let kind = [Kind::Plain, Kind::Idempotent, Kind::Transactional(20)][i % 3];
        let work = Workload { name: codec.into(), codec, kind, ..Workload::new(&source.bootstrap(), "self", 3) };
        let acked = work.write(300);
        let expected = if kind == Kind::Transactional(20) { 200 } else { 300 };
        assert_eq!(acked.len(), expected, "{codec}");
    }

    target.admin().create_topic("self", 3, &[]);
    target.relay().drop_data_answers(&[3]);
    copy(&source, &target, "self", "self", |_| {});
    assert_eq!(target.relay().dropped(), 1);
    let judge = Judge::new(&source, &target, &["self"]);
    judge.wait();
    let pairs = judge.verify();
    assert_eq!(pairs.values().map(Vec::len).sum::<usize>(), 1_400);

    let damages: [(&str, Damage, IsIt); 4] = [
        ("drop", |l| drop(l.remove(5)), |v| matches!(v, Violation::Lost { .. })),
        ("double", |l| l.insert(5, l[5].clone()), |v| matches!(v, Violation::Twice { .. })),
        ("swap", |l| l.swap(5, 6), |v| matches!(v, Violation::OutOfOrder { .. })),
        ("alter", |l| l[5].headers.push(("x".into(), None)), |v| matches!(v, Violation::Altered { .. })),
    ];
    for (name, damage, is_it) in damages {
        target.admin().create_topic(name, 3, &[]);
        copy(&source, &target, "self", name, damage);
        let (found, _) = Judge::new(&source, &target, &[]).renamed("self", name).compare();
        assert_eq!((found.len(), found.iter().all(is_it)), (3, true), "{name}: {found:?}");
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn brokers_survive_what_is_done_to_them() {
    let cluster = Cluster::start(Options::new(KAFKA_4).nodes(3));
    cluster.admin().create_topic("three", 2, &[("min.insync.replicas", "2")]);
    let running = Workload::new(&cluster.bootstrap(), "three", 2).start();
    let leader = cluster.admin().leader("three", 0);
    let node = cluster.node(usize::try_from(leader).unwrap());
    node.kill();
    assert_ne!(cluster.admin().leader("three", 1), leader);
    node.start();
    cluster.wait_ready();
    node.pause();
    node.resume();
    node.stop();
    node.start();
    cluster.wait_ready();
    assert!(node.usage().cpu_seconds > 0.0 && node.usage().resident_bytes_peak > 1 << 20);
    assert!(cluster.log_bytes("three") > 0 && cluster.log_bytes("thre") == 0);
    let acked = running.stop();
    let logs = read_topic(&cluster.side_door(), "three");
    let offsets: Vec<i64> = acked.iter().filter(|a| a.partition == 0).map(|a| a.offset).collect();
    assert!(!offsets.is_empty() && offsets.iter().all(|o| logs[&0].iter().any(|e| e.offset == *o)));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_secured_cluster_lets_its_users_in_and_nobody_else() {
    let cluster = Cluster::start(Options::new(KAFKA_4).secured(Security::new(&[("writer", "secret")])));
    cluster.admin().create_topic("secured", 1, &[]);
    let folder = crate::process::scratch("client");
    let client = cluster.security().client_properties(&folder, "writer");
    let write = crate::admin::Acl { resource_type: 2, resource: "secured".into(), pattern: 3, operation: 4 };
    cluster.admin().allow("writer", std::slice::from_ref(&write));
    let work = Workload { client, ..Workload::new(&cluster.bootstrap(), "secured", 1) };
    assert_eq!(work.write(10).len(), 10);
    cluster.admin().disallow("writer", &write);
    let refused = std::panic::catch_unwind(|| {
        let mut work = work.clone();
        work.client.push(("message.timeout.ms".into(), "3000".into()));
        work.write(1)
    });
    assert!(refused.is_err());
    assert_eq!(read_topic(&cluster.side_door(), "secured")[&0].len(), 10);
}
