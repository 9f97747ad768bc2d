//! What can't be mirrored stops its partition, says why, and holds up nothing else; an operator decides.

use serde_json::json;

use crate::broker::{Cluster, Options};
use crate::checker::Violation;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::{read_topic, watermarks};
use crate::record::Identity;
use crate::relay::FETCH;
use crate::workload::Workload;

use super::{RECOVERY, finish, shared, wait_for_growth};

/// The target's limit has become lower than one record of partition 1.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_record_too_large_for_the_target() {
    let source = Cluster::start(Options::new(KAFKA_3));
    let target = Cluster::start(Options::new(KAFKA_4));
    source.admin().create_topic("stops", 2, &[]);
    let new = |name: &str, partitions| Workload {
        name: name.into(),
        ..Workload::new(&source.bootstrap(), "stops", partitions)
    };
    new("first", 2).write(100);
    let config = Config::new("stops", &source, &target).matching("stops").sync("configs = false");
    let mut daemon = Daemon::start("stops-1", &config);
    let judge = Judge::new(&source, &target, &["stops"]);
    judge.wait();
    // The daemon gives a mirror topic the source's limit until its history has arrived; somebody lowers it afterwards.
    wait_for("retention, which is held until then", RECOVERY, || {
        (target.admin().config("stops", "retention.ms").as_deref() != Some("-1")).then_some(())
    });
    target.admin().set_configs("stops", &[("max.message.bytes", "200000")]);
    let large_at = write_one(&Workload { value_bytes: 400_000, ..new("large", 2) }, 1);
    new("second", 2).write(100);

    let stopped = daemon.wait_for_state("stops", 1, "stopped", RECOVERY);
    let error = &stopped["error"];
    assert_eq!(error["source_offset"], large_at, "{error}");
    let verbs: Vec<&str> = error["resolve"].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
    assert!(verbs.contains(&"retry") && verbs.contains(&"skip"), "{error}");
    let expected = read_topic(&source.side_door(), "stops")[&0].len();
    wait_for("partition 0 goes on", RECOVERY, || {
        (read_topic(&target.side_door(), "stops")[&0].len() == expected).then_some(())
    });
    assert_eq!(daemon.topic("stops")["state"], "stopped");

    let dry = json!({"topics": ["stops"], "partition": 1, "with": "skip", "dry_run": true});
    daemon.order("resolve", &dry);
    assert_eq!(daemon.partition("stops", 1)["state"], "stopped");
    let skip = json!({"topics": ["stops"], "partition": 1, "with": "skip"});
    daemon.order("resolve", &skip);
    daemon.wait_for_state("stops", 1, "mirroring", RECOVERY);
    wait_for("all but the skipped record", RECOVERY, || (judge.compare().0.len() == 1).then_some(()));
    daemon.stop();
    let (found, _) = judge.compare();
    assert!(
        matches!(found.as_slice(), [Violation::Lost { source_offset, .. }] if *source_offset == large_at),
        "{found:?}"
    );
}

/// Writes one record to a partition, and returns its offset.
fn write_one(work: &Workload, partition: i32) -> i64 {
    use rdkafka::ClientConfig;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let before = watermarks(&work.bootstrap, &work.topic)[&partition].1;
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &work.bootstrap).create().unwrap();
    let mut value = Identity::new(&work.topic, partition, &work.name, 0).bytes().to_vec();
    value.resize(work.value_bytes, b'x');
    let record = BaseRecord::<[u8], [u8]>::to(&work.topic).partition(partition).payload(&value);
    producer.send(record).map_err(|e| e.0).unwrap();
    producer.flush(RECOVERY).unwrap();
    before
}

/// A bit flips between the source and the daemon: the batch's checksum shows it, and fetching again mends it, or the
/// partition stops. Never does it reach the target.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_corrupt_response_is_never_written() {
    let on = shared();
    on.source.admin().create_topic("corrupt", 2, &[]);
    let running = Workload { value_bytes: 500, ..Workload::new(&on.source.bootstrap(), "corrupt", 2) }.start();
    let mut daemon = Daemon::start("stops-1", &Config::new("corrupt", on.source, on.target).matching("corrupt"));
    wait_for_growth(on.target, "corrupt");
    let relay = on.source.relay();
    for _ in 0..super::rounds() {
        let before = relay.corrupted();
        relay.corrupt_next(FETCH);
        wait_for("a corrupted response", RECOVERY, || (relay.corrupted() > before).then_some(()));
    }
    running.stop();
    for partition in 0..2 {
        if daemon.partition("corrupt", partition)["state"] == "stopped" {
            let retry = json!({"topics": ["corrupt"], "partition": partition, "with": "retry"});
            daemon.order("resolve", &retry);
        }
    }
    finish(&Judge::new(on.source, on.target, &["corrupt"]), &mut daemon);
}

/// Somebody else writes into the mirror topic: the partition stops instead of going on at wrong offsets.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_foreign_write_stops_the_partition() {
    let on = shared();
    on.source.admin().create_topic("foreign", 1, &[]);
    Workload::new(&on.source.bootstrap(), "foreign", 1).write(100);
    let mut daemon = Daemon::start("stops-1", &Config::new("foreign", on.source, on.target).matching("foreign"));
    Judge::new(on.source, on.target, &["foreign"]).wait();
    // While appends are under way, so that some of ours land behind the stranger's: going on must not repeat them.
    let running = Workload { name: "running".into(), ..Workload::new(&on.source.bootstrap(), "foreign", 1) }.start();
    wait_for_growth(on.target, "foreign");
    Workload { name: "stranger".into(), ..Workload::new(&on.target.bootstrap(), "foreign", 1) }.write(1);
    daemon.wait_for_state("foreign", 0, "stopped", RECOVERY);
    running.stop();
    daemon.order("resolve", &json!({"topics": ["foreign"], "partition": 0, "with": "translate"}));
    let source = read_topic(&on.source.side_door(), "foreign")[&0].len();
    let copied = || read_topic(&on.target.side_door(), "foreign")[&0].len();
    wait_for("the rest", RECOVERY, || (copied() > source).then_some(()));
    daemon.wait_for_state("foreign", 0, "mirroring", RECOVERY);
    daemon.stop();
    assert_eq!(copied(), source + 1, "each record once, and the stranger's");
}

/// The source forgets records before they were copied: that is a gap, and an operator has to accept it.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_retention_gap_stops_the_partition() {
    let on = shared();
    on.source.admin().create_topic("gap", 1, &[]);
    let new = |name: &str| Workload { name: name.into(), ..Workload::new(&on.source.bootstrap(), "gap", 1) };
    new("copied").write(100);
    let mut daemon = Daemon::start("stops-1", &Config::new("gap", on.source, on.target).matching("gap"));
    Judge::new(on.source, on.target, &["gap"]).wait();
    daemon.stop();
    new("lost").write(100);
    new("later").write(100);
    on.source.admin().delete_records("gap", 0, 200);
    daemon.restart();
    let stopped = daemon.wait_for_state("gap", 0, "stopped", RECOVERY);
    assert_eq!(stopped["error"]["source_offset"], 100, "{stopped}");
    let accept = json!({"topics": ["gap"], "partition": 0, "with": "accept-gap"});
    daemon.order("resolve", &accept);
    wait_for("the rest", RECOVERY, || (read_topic(&on.target.side_door(), "gap")[&0].len() == 200).then_some(()));
    daemon.wait_for_state("gap", 0, "mirroring", RECOVERY);
    daemon.stop();
    let target = read_topic(&on.target.side_door(), "gap");
    let lost = target[&0].iter().filter(|e| Identity::of(e).to_string().contains("/lost/")).count();
    assert_eq!((target[&0].len(), lost), (200, 0));
}

/// The source topic is deleted and created again: another topic under the same name is not a continuation.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_recreated_source_topic_stops() {
    let on = shared();
    on.source.admin().create_topic("recreated", 1, &[]);
    let new = |name: &str| Workload { name: name.into(), ..Workload::new(&on.source.bootstrap(), "recreated", 1) };
    new("first-life").write(100);
    let config = Config::new("recreated", on.source, on.target).matching("recreated");
    let mut daemon = Daemon::start("stops-1", &config);
    Judge::new(on.source, on.target, &["recreated"]).wait();
    on.source.admin().delete_topic("recreated");
    on.source.admin().create_topic("recreated", 1, &[]);
    new("second-life").write(300);
    daemon.wait_for_state("recreated", 0, "stopped", RECOVERY);
    daemon.stop();
    assert_eq!(read_topic(&on.target.side_door(), "recreated")[&0].len(), 100);
}
