//! What is told of the source beside the lag: what retention leaves, and whose open transaction holds readers back.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::workload::Workload;

use super::{RECOVERY, shared};

const LIMIT: Duration = Duration::from_mins(3);

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn retention_and_open_transactions_are_told() {
    let on = shared();
    on.source.admin().create_topic("outlook", 1, &[("retention.ms", "3600000")]);
    Workload::new(&on.source.bootstrap(), "outlook", 1).write(100);
    let daemon = Daemon::start("outlook-1", &Config::new("outlook", on.source, on.target).matching("outlook"));
    Judge::new(on.source, on.target, &["outlook"]).wait();
    daemon.wait_for_partition("outlook", 0, RECOVERY, "what retention leaves", |partition| {
        partition["retention_left_ms"].as_i64().is_some_and(|left| (3_000_000..=3_600_000).contains(&left))
    });
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", on.source.bootstrap())
        .set("transactional.id", "outlook")
        .set("transaction.timeout.ms", "600000")
        .create()
        .expect("a producer");
    producer.init_transactions(LIMIT).expect("a transactional id");
    producer.begin_transaction().expect("a transaction");
    producer.send(BaseRecord::<[u8], [u8]>::to("outlook").partition(0).payload(b"open")).expect("room");
    producer.flush(LIMIT).expect("it is written");
    daemon.wait_for_partition("outlook", 0, RECOVERY, "who holds back", |partition| {
        let held = &partition["held_back"];
        held["records"] == 1 && held["producer_id"].is_i64() && held["age_ms"].as_i64() >= Some(5_000)
    });
    producer.abort_transaction(LIMIT).expect("it ends");
    daemon.wait_for_partition("outlook", 0, RECOVERY, "nobody holds back", |partition| {
        partition["held_back"].is_null() && partition["lag_records"] == 0
    });
}
