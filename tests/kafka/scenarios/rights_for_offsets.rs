//! What keeping offsets and moving groups may do without: each missing right is named by `check`, and has the
//! consequence that it says, whole or not at all.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::admin::Acl;
use crate::broker::Cluster;
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::{commit_from_outside, committed};
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::{read_topic, watermarks};
use crate::workload::{Kind, Workload};

use super::preserve::{assert_same_offsets, relation};
use super::security::{ON_TARGET, STATE, USER, check, grant, reach, secured};
use super::{RECOVERY, finish};

const TOPIC: &str = "secure-late";
const READ: i8 = 3;
const DELETE: i8 = 6;
const ALTER: i8 = 7;
const DESCRIBE: i8 = 8;

fn on_groups(operation: i8) -> Acl {
    Acl { resource_type: 3, resource: "secure-".into(), pattern: 4, operation }
}

fn on_topics(operation: i8) -> Acl {
    Acl { resource_type: 2, resource: "secure-".into(), pattern: 4, operation }
}

fn on_cluster(operation: i8) -> Acl {
    Acl { resource_type: 4, resource: "kafka-cluster".into(), pattern: 3, operation }
}

struct Scene {
    source: Cluster,
    target: Cluster,
    config: Config,
}

impl Scene {
    /// A source topic that begins at 120 and has gaps, and a group that has read some of it.
    fn new(name: &str) -> Self {
        let (source, target) = std::thread::scope(|scope| {
            let source = scope.spawn(|| secured(KAFKA_3));
            let target = scope.spawn(|| secured(KAFKA_4));
            (source.join().expect("the source"), target.join().expect("the target"))
        });
        let on_source = [(2, "secure-", 4, READ, ""), (2, "secure-", 4, 10, ""), (2, "__causeway.", 4, READ, "")];
        grant(&source, &on_source);
        grant(&target, &ON_TARGET);
        // All of the state's rights but those on every group.
        for right in STATE.iter().filter(|right| right.0 != 3) {
            grant(&target, &[*right]);
        }
        grant(&target, &[(3, "right-", 4, READ, "")]);
        source.admin().create_topic(TOPIC, 1, &[]);
        Workload::new(&source.side_door(), TOPIC, 1).write(120);
        source.admin().delete_records(TOPIC, 0, 120);
        let transactions = Kind::Transactional(10);
        Workload { name: "t".into(), kind: transactions, ..Workload::new(&source.side_door(), TOPIC, 1) }.write(60);
        let config = Config::new(&format!("right-{name}"), &source, &target)
            .cluster("source", &reach(&source, USER))
            .cluster("target", &reach(&target, USER))
            .matching("secure-.*")
            .groups(&["match = 'secure-.*'"]);
        Self { source, target, config }
    }

    fn says(&self, words: &[&str]) -> String {
        let (_, said) = check(&self.config);
        for word in words {
            assert!(said.contains(word), "check does not say {word:?}:\n{said}");
        }
        said
    }
}

/// What hinders the link, in sentences.
fn problems(daemon: &Daemon) -> String {
    daemon.get(&format!("/v1/links/{LINK}")).map_or(Value::Null, |(_, link)| link["problems"].clone()).to_string()
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn without_delete_nothing_is_filled_and_offsets_are_translated() {
    let scene = Scene::new("delete");
    scene.says(&["lacks Delete", "filler could not be deleted", "Alter on the cluster is not there"]);
    let mut daemon = Daemon::start("rights-1", &scene.config);
    let judge = Judge::new(&scene.source, &scene.target, &[TOPIC]);
    judge.wait();
    let said = daemon.partition(TOPIC, 0);
    assert_eq!(relation(&daemon, TOPIC, 0), "translated", "{said}");
    assert!(said["offsets_because"].as_str().is_some_and(|because| because.contains("deleted")), "{said}");
    let originals = read_topic(&scene.source.side_door(), TOPIC)[&0].len();
    let (start, end) = watermarks(&scene.target.side_door(), TOPIC)[&0];
    assert_eq!((start, end), (0, i64::try_from(originals).expect("a number")), "no filler was written");
    finish(&judge, &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn markers_are_used_where_they_are_allowed_and_transactions_where_they_are_not() {
    let scene = Scene::new("alter");
    scene.target.admin().allow(USER, &[on_topics(DELETE), on_cluster(ALTER)]);
    let said = scene.says(&["filled by markers", "1 mirror partitions are brought forward", "by 120 offsets"]);
    assert!(!said.contains("lacks Delete"), "{said}");
    let mut daemon = Daemon::start("rights-1", &scene.config);
    let judge = Judge::new(&scene.source, &scene.target, &[TOPIC]);
    judge.wait();
    assert!(!daemon.log().contains("empty transactions"), "markers are allowed");
    // Taken away while it runs.
    scene.target.admin().disallow(USER, &on_cluster(ALTER));
    scene.says(&["filled by empty transactions", "Alter on the cluster is not there"]);
    let more = Workload { kind: Kind::Transactional(10), ..Workload::new(&scene.source.side_door(), TOPIC, 1) };
    Workload { name: "more".into(), ..more }.write(40);
    judge.wait();
    assert!(daemon.log().contains("empty transactions"), "{}", daemon.log());
    assert_eq!(relation(&daemon, TOPIC, 0), "identical", "{}", daemon.partition(TOPIC, 0));
    assert_same_offsets(&finish(&judge, &mut daemon));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn rights_on_groups_are_named_and_positions_follow_when_they_are_given() {
    let scene = Scene::new("groups");
    scene.target.admin().allow(USER, &[on_topics(DELETE)]);
    let first = read_topic(&scene.source.side_door(), TOPIC)[&0][5].offset;
    let commit = |offset: i64| {
        let positions = BTreeMap::from([(0, offset)]);
        wait_for("a commit", RECOVERY, || {
            commit_from_outside(&scene.source.side_door(), "secure-readers", TOPIC, &positions, "")
        });
    };
    commit(first);
    scene.says(&["lacks Describe on groups that begin with secure-", "lacks Read on groups that begin with secure-"]);
    scene.source.admin().allow(USER, &[on_groups(DESCRIBE)]);
    let said = scene.says(&["lacks Read on groups that begin with secure-"]);
    assert!(!said.contains("lacks Describe on groups"), "{said}");
    let mut daemon = Daemon::start("rights-1", &scene.config);
    Judge::new(&scene.source, &scene.target, &[TOPIC]).wait();
    wait_for("the group's missing right", RECOVERY, || problems(&daemon).contains("secure-readers").then_some(()));
    eprintln!("{}", problems(&daemon));
    let there = || committed(&scene.target.side_door(), "secure-readers", TOPIC, 1);
    assert_eq!(there(), BTreeMap::new());
    scene.target.admin().allow(USER, &[on_groups(READ)]);
    wait_for("the position", RECOVERY, || there().get(&0).filter(|(offset, _)| *offset == first).map(|_| ()));
    wait_for("no problem", RECOVERY, || (!problems(&daemon).contains("secure-readers")).then_some(()));
    let said = scene.says(&["every right on the consumer groups is there"]);
    assert!(!said.contains("FAIL"), "{said}");
    // Taken away again: what is there stays, and the daemon says what is missing.
    scene.target.admin().disallow(USER, &on_groups(READ));
    commit(first + 1);
    wait_for("the missing right", RECOVERY, || problems(&daemon).contains("secure-readers").then_some(()));
    assert_eq!(there()[&0].0, first);
    scene.target.admin().allow(USER, &[on_groups(READ)]);
    wait_for("the next position", RECOVERY, || there().get(&0).filter(|(offset, _)| *offset > first).map(|_| ()));
    daemon.stop();
}
