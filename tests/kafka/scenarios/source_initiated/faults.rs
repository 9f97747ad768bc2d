//! What a line between two daemons can do to them.

use std::time::Duration;

use rand::RngExt;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{Cluster, Options};
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::workload::{Kind, Workload};

use super::super::{RECOVERY, chance, finish, rounds, shared, wait_for_growth};
use super::{sides, sides_with};

/// Longer than a silent connection is believed in.
const FROZEN_FOR: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Every connection is closed.
    Cut,
    /// Connections stay open and pass nothing, long enough to be given up, or not.
    HalfOpen(Duration),
    /// Cut every so often, for half a minute.
    Flapping(Duration),
    /// One of eight connections passes nothing any more; the others go on.
    OneStalled(usize),
    /// Nobody gets through for a while.
    Away(Duration),
    /// The daemon on the premises dies.
    OnpremKilled,
    /// The daemon in the cloud dies.
    CloudKilled,
    /// Both.
    BothKilled,
}

const FAULTS: usize = 8;

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn whatever_the_line_does_everything_arrives_once() {
    let name = "peers-line";
    let on = shared();
    let mut chance = chance(name);
    on.source.admin().create_topic(name, 4, &[]);
    let work = Workload { rate: 400, ..Workload::new(&on.source.bootstrap(), name, 4) };
    let in_transactions = Workload { name: "t".into(), kind: Kind::Transactional(30), rate: 100, ..work.clone() };
    let running = [work.start(), in_transactions.start()];
    let sides = sides(&on, name);
    let mut onprem = Daemon::start("peers-line-onprem", &sides.onprem);
    let mut cloud = Daemon::start("peers-line-cloud", &sides.cloud);
    wait_for_growth(on.target, name);
    let first = chance.random_range(0..FAULTS);
    for round in 0..usize::try_from(rounds()).expect("a number of rounds") {
        // Each in turn, so that few rounds are not the same few faults.
        let fault = match (first + round) % FAULTS {
            0 => Fault::Cut,
            1 => Fault::HalfOpen(FROZEN_FOR.mul_f64(chance.random_range(0.1..1.2))),
            2 => Fault::Flapping(Duration::from_millis(chance.random_range(500..5_000))),
            3 => Fault::OneStalled(chance.random_range(0..8)),
            4 => Fault::Away(Duration::from_millis(chance.random_range(1_000..30_000))),
            5 => Fault::OnpremKilled,
            6 => Fault::CloudKilled,
            _ => Fault::BothKilled,
        };
        eprintln!("round {round}: {fault:?}");
        std::thread::sleep(Duration::from_millis(chance.random_range(0..1_500)));
        match fault {
            Fault::Cut => sides.line.cut(),
            Fault::HalfOpen(time) => {
                sides.line.freeze(true);
                std::thread::sleep(time);
                sides.line.freeze(false);
            }
            Fault::Flapping(every) => {
                for _ in 0..(Duration::from_secs(30).as_millis() / every.as_millis()).min(20) {
                    sides.line.cut();
                    std::thread::sleep(every);
                }
            }
            Fault::OneStalled(number) => sides.line.freeze_one(number),
            Fault::Away(time) => {
                sides.line.refuse(true);
                sides.line.cut();
                std::thread::sleep(time);
                sides.line.refuse(false);
            }
            Fault::OnpremKilled => onprem.restart_after_kill(),
            Fault::CloudKilled => cloud.restart_after_kill(),
            Fault::BothKilled => {
                onprem.kill();
                cloud.kill();
                cloud.restart();
                onprem.restart();
            }
        }
        wait_for_growth(on.target, name);
    }
    for running in running {
        running.stop();
    }
    finish(&Judge::new(on.source, on.target, &[name]), &mut cloud);
    onprem.stop();
    assert!(sides.line.bytes() > 0);
}

/// A line that takes longer for the least that is fetched at a time than a request may take, and longer for what other
/// daemons stored at the source than one attempt to start.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_slow_line_brings_everything_too() {
    let name = "peers-slow";
    // Their own: what the line carries is counted, and of the shared source's state topics nobody knows the size.
    let source = Cluster::start(Options::new(KAFKA_3));
    let target = Cluster::start(Options::new(KAFKA_4));
    let others = "__causeway.others";
    source.admin().create_topic(others, 2, &[]);
    write_state_of_others(&source, others, 500);
    source.admin().create_topic(name, 4, &[]);
    let client = vec![("batch.size".to_owned(), "20000".to_owned())];
    Workload { value_bytes: 2_000, client, ..Workload::new(&source.bootstrap(), name, 4) }.write(1_000);
    let logged = source.log_bytes(name) + source.log_bytes(others);
    let sides = sides_with((&source, &target), name, 30_000);
    let mut onprem = Daemon::start("peers-slow-onprem", &sides.onprem);
    let mut cloud = Daemon::start("peers-slow-cloud", &sides.cloud);
    finish(&Judge::new(&source, &target, &[name]), &mut cloud);
    onprem.stop();
    let passed = sides.line.bytes();
    eprintln!("{passed} bytes passed for {logged} bytes of log");
    assert!(passed < logged * 2, "{passed} bytes passed for {logged} bytes of log");
}

/// What another group of daemons would have stored of itself, of about 1 KB each.
fn write_state_of_others(source: &Cluster, topic: &str, records: usize) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", source.bootstrap());
    let producer: BaseProducer = client.create().expect("a producer");
    for number in 0..records {
        let key = format!("{{\"type\":\"daemon\",\"id\":\"other-{number}\"}}");
        let value = format!("{{\"v\":1,\"padding\":\"{}\"}}", "x".repeat(1_000));
        producer.send(BaseRecord::to(topic).key(&key).payload(&value)).expect("room for it");
    }
    producer.flush(RECOVERY).expect("a source that takes it");
    assert!(source.log_bytes(topic) > records as u64 * 1_000, "all of it is there");
}
