//! Coordinators of groups freeze and die while positions are written to them; so does the daemon that writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::{commit_from_outside, committed};
use crate::jars::KAFKA_4;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::relay::OFFSET_COMMIT;
use crate::workload::Workload;

use super::{RECOVERY, chance, rounds, shared};

const GROUPS: usize = 24;
const RECORDS: u64 = 2_000;
/// How long a daemon's commits lie on their way.
const COMMITS_LATE_BY: Duration = Duration::from_secs(4);

/// Groups that stand at one place all, on a topic of one partition.
struct Groups<'a> {
    source: &'a Cluster,
    target: &'a Cluster,
    topic: &'static str,
}

impl<'a> Groups<'a> {
    /// Makes the topic, with records.
    fn on(source: &'a Cluster, target: &'a Cluster, topic: &'static str) -> Self {
        source.admin().create_topic(topic, 1, &[]);
        Workload::new(&source.bootstrap(), topic, 1).write(RECORDS);
        Self { source, target, topic }
    }

    fn config(&self) -> Config {
        let groups = format!("match = '{}-.*'", self.topic);
        Config::new(self.topic, self.source, self.target).matching(self.topic).groups(&[&groups])
    }

    fn names(&self) -> impl Iterator<Item = String> {
        (0..GROUPS).map(|group| format!("{}-{group}", self.topic))
    }

    /// All of them read on here next, at the source.
    fn move_all(&self, position: i64) {
        for name in self.names() {
            let positions = BTreeMap::from([(0, position)]);
            wait_for("a commit", RECOVERY, || {
                commit_from_outside(&self.source.side_door(), &name, self.topic, &positions, "")
            });
        }
    }

    /// Waits until the daemon says so of all of them, and the target too.
    fn wait_all(&self, daemon: &Daemon, position: i64) {
        wait_for("all groups", RECOVERY, || {
            let (_, link) = daemon.get(&format!("/v1/links/{LINK}"))?;
            (link["groups"]["synced"].as_u64() == Some(GROUPS as u64)).then_some(())
        });
        let is_there = |name: &String| {
            let there = committed(&self.target.side_door(), name, self.topic, 1);
            there.get(&0).is_some_and(|(at, _)| *at == position)
        };
        wait_for("all positions", RECOVERY, || self.names().all(|name| is_there(&name)).then_some(()));
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn coordinators_of_groups_freeze_and_die() {
    let on = shared();
    let mut chance = chance("coordinators_of_groups_freeze_and_die");
    let target = Cluster::start(Options::new(KAFKA_4).nodes(3));
    let groups = Groups::on(on.source, &target, "deadco");
    let mut daemon = Daemon::start("groups-1", &groups.config());
    Judge::new(on.source, &target, &[groups.topic]).wait();
    let mut position = 0;
    for round in 0..rounds() {
        position += 1 + chance.random_range(0..i64::try_from(RECORDS / (rounds() + 1)).expect("a number").max(1));
        groups.move_all(position);
        groups.wait_all(&daemon, position);
        let coordinator = target.admin().leader("__consumer_offsets", chance.random_range(0..4));
        let node = target.node(usize::try_from(coordinator).expect("a broker id"));
        if round % 2 == 0 {
            node.pause();
        } else {
            node.kill();
        }
        position += 1;
        groups.move_all(position);
        let begin = Instant::now();
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_secs(15));
            node.resume();
        } else {
            // The groups have other coordinators now.
            groups.wait_all(&daemon, position);
            eprintln!("round {round}: all groups are synced {:?} after their coordinator died", begin.elapsed());
            node.start();
        }
        target.wait_ready();
        groups.wait_all(&daemon, position);
        eprintln!("round {round}: synced again after {:?}", begin.elapsed());
    }
    daemon.stop();
}

/// The daemon that commits dies or freezes while its commits lie on their way; the groups are moved elsewhere
/// meanwhile, also back, and its late commits arrive after its successor's.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn one_of_two_that_commit_for_groups_dies_or_freezes() {
    let on = shared();
    let mut chance = chance("one_of_two_that_commit_for_groups_dies_or_freezes");
    let groups = Groups::on(on.source, on.target, "twoco");
    let mut daemons = ["groups-1", "groups-2"].map(|id| Daemon::start(id, &groups.config()));
    Judge::new(on.source, on.target, &[groups.topic]).wait();
    let mut anywhere = || chance.random_range(1..i64::try_from(RECORDS).expect("a number"));
    for round in 0..rounds() {
        on.target.relay().delay(OFFSET_COMMIT, COMMITS_LATE_BY);
        let held_since = Instant::now();
        groups.move_all(anywhere());
        // Of two rounds, one dies and one freezes; of four, each daemon does both.
        let (one, other) = daemons.split_at_mut(1);
        let (victim, survivor) = if round / 2 % 2 == 0 { (&mut one[0], &other[0]) } else { (&mut other[0], &one[0]) };
        if round % 2 == 0 {
            victim.kill();
        } else {
            victim.pause();
        }
        on.target.relay().delay(OFFSET_COMMIT, Duration::ZERO);
        let position = anywhere();
        groups.move_all(position);
        groups.wait_all(survivor, position);
        if round % 2 == 0 {
            victim.restart();
        } else {
            victim.resume();
            victim.wait_ready();
        }
        // What was held has arrived by now, or never does.
        std::thread::sleep(COMMITS_LATE_BY.saturating_sub(held_since.elapsed()));
        groups.wait_all(victim, position);
        groups.wait_all(survivor, position);
    }
    daemons.iter_mut().for_each(Daemon::stop);
}
