//! Applications on both sides write to the same topic, and two opposite links bring each side's records to the other.

use std::time::{Duration, Instant};

use rand::RngExt;

use crate::broker::Cluster;
use crate::checker::{Direction, Pair, compare, compare_map};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::assert_none;
use crate::reader::{Logs, read_topic};
use crate::record::{Entry, Identity};
use crate::workload::{Kind, Running, Workload};

use super::{Shared, chance, rounds, shared, wait_for_growth};

const PARTITIONS: i32 = 2;
/// No progress on either side for so long: something is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

/// Which side's applications wrote a record: their names begin with it.
const HERE: &str = "here";
const THERE: &str = "there";

struct Sides<'a> {
    on: &'a Shared,
    topic: &'a str,
}

impl<'a> Sides<'a> {
    fn new(on: &'a Shared, topic: &'a str) -> Self {
        for cluster in [on.source, on.target] {
            cluster.admin().create_topic(topic, PARTITIONS, &[]);
        }
        Self { on, topic }
    }

    /// The daemons of the two links.
    fn daemons(&self) -> [Daemon; 2] {
        let topics = format!("name = '{}'", self.topic);
        let entry = [topics.as_str(), "existing_target = 'translate'", "local_writers = true"];
        [("to", self.on.source, self.on.target), ("fro", self.on.target, self.on.source)].map(|(way, from, to)| {
            let name = format!("{}-{way}", self.topic);
            Daemon::start(&name, &Config::new(&name, from, to).offsets("translate").topics(&entry))
        })
    }

    /// Applications on both sides.
    fn write(&self, name: &str, kind: Kind, rate: u64) -> [Running; 2] {
        [(self.on.source, HERE), (self.on.target, THERE)].map(|(cluster, side)| {
            let name = format!("{side}-{name}");
            Workload { name, kind, rate, ..Workload::new(&cluster.bootstrap(), self.topic, PARTITIONS) }.start()
        })
    }

    fn read(&self) -> [Logs; 2] {
        [self.on.source, self.on.target].map(|cluster| read_topic(&cluster.side_door(), self.topic))
    }

    /// Waits until both sides hold as many records, and hold no more some seconds later.
    fn wait_until_equal(&self) -> [Logs; 2] {
        let mut last = (Vec::new(), Instant::now());
        loop {
            let both = self.read();
            let counts = both.each_ref().map(count);
            if counts[0] == counts[1] {
                std::thread::sleep(Duration::from_secs(3));
                let later = self.read();
                if later.each_ref().map(count) == counts {
                    return later;
                }
            }
            if last.0 != counts {
                last = (counts.to_vec(), Instant::now());
            }
            assert!(last.1.elapsed() < PATIENCE, "stuck at {counts:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Both sides hold the same records, once, in the order of each side's applications, and the maps are exact.
    fn verify(&self, daemons: &[Daemon; 2]) {
        let [here, there] = self.wait_until_equal();
        let ways = [(HERE, &here, &there, &daemons[0]), (THERE, &there, &here, &daemons[1])];
        for partition in 0..PARTITIONS {
            for (side, from, to, daemon) in ways {
                let (originals, copies) = (of(&from[&partition], side), of(&to[&partition], side));
                assert!(!originals.is_empty(), "{side} wrote nothing");
                let (violations, pairs) = compare(partition, &originals, &copies);
                assert_none(&violations);
                assert_eq!(originals.len(), copies.len(), "records of {side} in partition {partition}");
                self.verify_map(daemon, partition, &pairs);
            }
            assert_eq!(here[&partition].len(), there[&partition].len());
        }
    }

    fn verify_map(&self, daemon: &Daemon, partition: i32, pairs: &[Pair]) {
        let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return };
        for direction in [Direction::Forward, Direction::Reverse] {
            let (begin, end) = match direction {
                Direction::Forward => (first.source, last.source),
                Direction::Reverse => (first.target, last.target),
            };
            let step = usize::try_from((end - begin) / 300 + 1).unwrap();
            let offsets: Vec<i64> = (begin..=end).step_by(step).chain([end]).collect();
            let answer = |offset| daemon.translate(direction, self.topic, partition, offset);
            assert_none(&compare_map(direction, pairs, 0, &offsets, answer));
        }
    }
}

fn of(log: &[Entry], side: &str) -> Vec<Entry> {
    let is_of_side = |entry: &&Entry| {
        let identity = Identity::of(entry).to_string();
        let producer = identity.split('/').nth(2).unwrap_or_default().to_owned();
        producer.split('-').next() == Some(side)
    };
    log.iter().filter(is_of_side).cloned().collect()
}

fn count(logs: &Logs) -> usize {
    logs.values().map(Vec::len).sum()
}

fn wait_for_both(on: &Shared, topic: &str) {
    wait_for_growth(on.source, topic);
    wait_for_growth(on.target, topic);
}

/// Daemons die by force under load, and brokers of both sides are killed or restarted in order.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn both_sides_write_while_daemons_and_brokers_die() {
    let mut chance = chance("both_sides_write_while_daemons_and_brokers_die");
    let on = shared();
    let sides = Sides::new(&on, "both-write");
    let mut daemons = sides.daemons();
    let running = sides.write("i", Kind::Idempotent, 300);
    let restarts: [fn(&Cluster); 2] = [|cluster| cluster.node(1).kill(), |cluster| cluster.node(1).stop()];
    for round in 0..rounds() {
        let in_transactions = sides.write(&format!("t{round}"), Kind::Transactional(15), 100);
        for daemon in &mut daemons {
            wait_for_both(&on, sides.topic);
            std::thread::sleep(Duration::from_millis(chance.random_range(0..1_500)));
            daemon.kill();
            daemon.restart();
        }
        // A producer's own transactions do not always outlive its broker.
        for work in in_transactions {
            work.stop();
        }
        for (cluster, end) in [on.target, on.source].into_iter().zip(restarts) {
            wait_for_both(&on, sides.topic);
            end(cluster);
            cluster.node(1).start();
            cluster.wait_ready();
        }
    }
    wait_for_both(&on, sides.topic);
    for work in running {
        work.stop();
    }
    sides.verify(&daemons);
    for daemon in &mut daemons {
        daemon.stop();
    }
    let counts = sides.read().each_ref().map(count);
    assert_eq!(counts[0], counts[1]);
}
