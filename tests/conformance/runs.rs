//! Who the statements are held against.
//!
//! Owns: starting the emulator and the real brokers, with the same settings.
//! Promises: on a real broker all statements are tried, and those that don't hold are named together.
//! Does not know: what the statements say.

use std::panic::{AssertUnwindSafe, catch_unwind};

use causeway::emulator::{Cluster, Settings};

use crate::broker;
use crate::jars::{KAFKA_3, KAFKA_4, Version};
use crate::statements;
use crate::world::World;

/// A statement and its name.
pub type Statement = (&'static str, fn(&mut World));

/// Settings of all brokers: what would take days takes seconds. A producer is forgotten within 2 s of its last
/// timestamp only in the statements of the second cluster.
pub const PROPERTIES: [(&str, &str); 4] = [
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("group.min.session.timeout.ms", "1000"),
    ("log.retention.check.interval.ms", "500"),
    ("log.cleaner.backoff.ms", "500"),
];

/// What makes a broker forget producers and transactional ids soon.
pub const FORGETFUL: [(&str, &str); 4] = [
    ("producer.id.expiration.ms", "2000"),
    ("producer.id.expiration.check.interval.ms", "500"),
    ("transactional.id.expiration.ms", "3000"),
    ("transaction.remove.expired.transaction.cleanup.interval.ms", "500"),
];

/// An emulated broker with these settings, while `act` runs.
pub fn with_emulator<T>(more: &[(&str, &str)], act: impl FnOnce(&Cluster) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut settings = Settings::new("emulated");
    settings.compaction_interval = std::time::Duration::from_millis(500);
    for (name, value) in PROPERTIES.iter().chain(more) {
        settings.broker_settings.insert((*name).to_owned(), (*value).to_owned());
    }
    let cluster = runtime.block_on(Cluster::start(settings)).unwrap();
    let outcome = act(&cluster);
    runtime.block_on(cluster.close());
    outcome
}

/// Holds one statement against the emulator.
pub fn on_emulator(more: &[(&str, &str)], statement: fn(&mut World)) {
    with_emulator(more, |cluster| statement(&mut World::new(&cluster.bootstrap(), 4, 0)));
}

fn kafka(version: Version, more: &[(&str, &str)]) -> broker::Cluster {
    let options = broker::Options::new(version);
    let all = PROPERTIES.iter().chain(more);
    broker::Cluster::start(all.fold(options, |options, (name, value)| options.property(name, value)))
}

fn on_kafka(version: Version) {
    let only = std::env::var("STATEMENT").unwrap_or_default();
    let major: u32 = version.0.split('.').next().unwrap().parse().unwrap();
    let mut wrong = Vec::new();
    for (more, all) in [(&[][..], statements::all()), (&FORGETFUL[..], statements::forgetful())] {
        let chosen: Vec<Statement> = all.into_iter().filter(|(name, _)| name.contains(&only)).collect();
        if chosen.is_empty() {
            continue;
        }
        let cluster = kafka(version, more);
        for (number, (name, statement)) in (1..).zip(chosen) {
            let attempt = || statement(&mut World::new(&cluster.bootstrap(), major, number));
            if catch_unwind(AssertUnwindSafe(attempt)).is_err() {
                eprintln!("does not hold: {name}");
                wrong.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "{} statements do not hold: {wrong:?}", wrong.len());
}

#[test]
#[ignore = "starts real brokers"]
fn on_kafka_4() {
    on_kafka(KAFKA_4);
}

#[test]
#[ignore = "starts real brokers"]
fn on_kafka_3() {
    on_kafka(KAFKA_3);
}
