//! Kafka before 3.9, as source and as target.

use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_2_8, KAFKA_3_3, KAFKA_3_7, KAFKA_4, Version};
use crate::judge::Judge;
use crate::workload::{CODECS, Kind, Running, Workload};

use super::{finish, wait_for_growth};

/// Records of every codec and kind, before the daemon starts and while it runs, from one release to another.
fn goes(from: &Cluster, to: &Cluster, topic: &str) {
    from.admin().create_topic(topic, 2, &[("retention.ms", "86400000")]);
    let kinds = [Kind::Plain, Kind::Idempotent, Kind::Transactional(10)];
    let work = |part: &str| -> Vec<Workload> {
        let codecs = CODECS.into_iter().enumerate();
        let new = |(i, codec): (usize, &'static str)| {
            let name = format!("{part}-{codec}");
            Workload { name, kind: kinds[i % 3], codec, rate: 60, ..Workload::new(&from.bootstrap(), topic, 2) }
        };
        codecs.map(new).collect()
    };
    for early in work("early") {
        early.write(60);
    }
    let mut daemon = Daemon::start("old-1", &Config::new(topic, from, to).matching(topic));
    let running: Vec<Running> = work("live").iter().map(Workload::start).collect();
    wait_for_growth(to, topic);
    daemon.kill();
    daemon.restart();
    wait_for_growth(to, topic);
    for live in running {
        live.stop();
    }
    finish(&Judge::new(from, to, &[topic]), &mut daemon);
    assert_eq!(to.admin().config(topic, "retention.ms").as_deref(), Some("86400000"));
}

fn both_ways(old: Version, new: Version) {
    let (old, new) = std::thread::scope(|scope| {
        let old = scope.spawn(|| Cluster::start(Options::new(old)));
        let new = scope.spawn(|| Cluster::start(Options::new(new)));
        (old.join().expect("the old cluster"), new.join().expect("the new cluster"))
    });
    goes(&old, &new, "old-to-new");
    goes(&new, &old, "new-to-old");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn kafka_3_7_and_the_newest() {
    both_ways(KAFKA_3_7, KAFKA_4);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn kafka_3_3_and_the_newest() {
    both_ways(KAFKA_3_3, KAFKA_4);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn kafka_2_8_and_the_newest() {
    both_ways(KAFKA_2_8, KAFKA_4);
}
