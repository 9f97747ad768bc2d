//! Consumer groups move from the source to the target, and everybody's positions stay whose they are.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;

use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::{Member, Read, commit_from_outside, committed};
use crate::jars::KAFKA_4;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::read_topic;
use crate::record::Identity;
use crate::workload::{Kind, Workload};

use super::{RECOVERY, chance, rounds, shared};

/// What our positions carry in their metadata.
const TAG: &str = "causeway/1 ";

fn config(name: &str, source: &Cluster, target: &Cluster) -> Config {
    Config::new(name, source, target).matching(&format!("{name}.*")).groups(&["match = '.*'", "exclude = 'cause.*'"])
}

/// What a daemon says of a group; null while it does not know it.
fn group(daemon: &Daemon, group: &str) -> Value {
    match daemon.get(&format!("/v1/links/{LINK}/groups/{group}")) {
        Some((200, value)) => value,
        _ => Value::Null,
    }
}

/// The positions of a group in one field, by partition.
fn field(group: &Value, name: &str) -> BTreeMap<i32, i64> {
    let offsets = group["offsets"].as_array().into_iter().flatten();
    offsets.filter_map(|o| Some((i32::try_from(o["partition"].as_i64()?).ok()?, o[name].as_i64()?))).collect()
}

fn is_all(group: &Value, state: &str) -> bool {
    let offsets = group["offsets"].as_array();
    offsets.is_some_and(|offsets| !offsets.is_empty() && offsets.iter().all(|o| o["state"] == state))
}

/// Waits until these positions of the source are on the target, and returns what is there.
fn wait_synced(daemon: &Daemon, name: &str, positions: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let begin = std::time::Instant::now();
    loop {
        let told = group(daemon, name);
        let is_there = field(&told, "source_offset") == *positions && is_all(&told, "synced");
        if is_there && field(&told, "committed_on_target") == field(&told, "target_offset") {
            return field(&told, "committed_on_target");
        }
        assert!(begin.elapsed() < RECOVERY, "{name} is not synced at {positions:?}: {told}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every record once: what was read there begins in each partition where what was read here ended.
fn assert_continued(source: &Cluster, topic: &str, here: &Read, there: &Read) {
    for (partition, log) in read_topic(&source.side_door(), topic) {
        let identities = |read: &Read| read.get(&partition).cloned().unwrap_or_default().into_iter().map(|(_, id)| id);
        let read: Vec<Identity> = identities(here).chain(identities(there)).collect();
        let wanted: Vec<Identity> = log.iter().take(read.len()).map(Identity::of).collect();
        let first = read.iter().zip(&wanted).position(|(read, wanted)| read != wanted);
        let from_here = identities(here).count();
        assert_eq!(first, None, "{topic}-{partition}: {from_here} read at the source, then differs at {first:?}");
        assert_eq!(read.len(), wanted.len(), "{topic}-{partition}");
    }
}

fn moves_at_random_moments(name: &str, kind: Kind) {
    let on = shared();
    let mut chance = chance(name);
    on.source.admin().create_topic(name, 3, &[]);
    let work = Workload { kind, rate: 300, ..Workload::new(&on.source.bootstrap(), name, 3) };
    work.write(300);
    let running = Workload { name: "live".into(), ..work }.start();
    let mut daemon = Daemon::start("groups-1", &config(name, on.source, on.target));
    for round in 0..rounds() {
        let member_name = format!("{name}-{round}");
        let mut member = Member::join(&on.source.side_door(), &member_name, name);
        member.read(chance.random_range(1..400));
        std::thread::sleep(Duration::from_millis(chance.random_range(0..1_000)));
        let more = member.count() + chance.random_range(1..50);
        member.read(more);
        let positions = member.commit();
        let here = member.leave();
        wait_synced(&daemon, &member_name, &positions);
        let mut member = Member::join(&on.target.side_door(), &member_name, name);
        member.read(100);
        let there = member.leave();
        assert_continued(on.source, name, &here, &there);
    }
    running.stop();
    Judge::new(on.source, on.target, &[name]).wait();
    daemon.stop();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_group_moves_at_random_moments() {
    moves_at_random_moments("move", Kind::Idempotent);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_group_moves_at_random_moments_between_transactions() {
    moves_at_random_moments("movetx", Kind::Transactional(20));
}

/// Whose position is whose: ours follow the source in both directions, others' and active groups' stay.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn positions_stay_whose_they_are() {
    let on = shared();
    let (here, there) = (on.source.side_door(), on.target.side_door());
    on.source.admin().create_topic("whose", 1, &[]);
    // Aborted transactions set the offsets of both sides apart.
    Workload { kind: Kind::Transactional(10), ..Workload::new(&on.source.bootstrap(), "whose", 1) }.write(300);
    let mut daemon = Daemon::start("groups-1", &config("whose", on.source, on.target).offsets("translate"));
    Judge::new(on.source, on.target, &["whose"]).wait();
    let log = read_topic(&here, "whose").remove(&0).unwrap();
    let at = |record: usize| BTreeMap::from([(0, log[record].offset)]);
    let commit = |bootstrap: &str, group: &str, positions: &BTreeMap<i32, i64>| {
        wait_for("a commit", RECOVERY, || commit_from_outside(bootstrap, group, "whose", positions, "mine"));
    };

    // Forward, and back again.
    commit(&here, "follows", &at(50));
    wait_synced(&daemon, "follows", &at(50));
    let (offset, metadata) = committed(&there, "follows", "whose", 1)[&0].clone();
    assert_eq!(offset, 50, "every record has its place, whatever the source's offset");
    assert!(metadata.starts_with(TAG) && metadata.ends_with(" mine"), "{metadata}");
    commit(&here, "follows", &at(20));
    wait_synced(&daemon, "follows", &at(20));
    assert_eq!(committed(&there, "follows", "whose", 1)[&0].0, 20);

    // Somebody else's position stays, and is told.
    commit(&there, "foreign", &BTreeMap::from([(0, 7)]));
    commit(&here, "foreign", &at(30));
    wait_for("a conflict", RECOVERY, || is_all(&group(&daemon, "foreign"), "conflict").then_some(()));
    assert_eq!(group(&daemon, "foreign")["offsets"][0]["conflict"], true);
    commit(&here, "foreign", &at(60));
    wait_for("the next one", RECOVERY, || (field(&group(&daemon, "foreign"), "source_offset") == at(60)).then_some(()));
    assert_eq!(committed(&there, "foreign", "whose", 1)[&0], (7, "mine".to_owned()));

    // A group with members on the target is theirs.
    let mut active = Member::join(&there, "active", "whose");
    active.read(1);
    commit(&here, "active", &at(90));
    wait_for("an active group", RECOVERY, || is_all(&group(&daemon, "active"), "active_on_target").then_some(()));
    assert_eq!(committed(&there, "active", "whose", 1), BTreeMap::new());
    active.leave();
    wait_synced(&daemon, "active", &at(90));

    // A position that nobody could reach is never written: the target gets the end of the copy.
    let end = committed_end(&here, "whose");
    commit(&here, "ahead", &BTreeMap::from([(0, end + 1_000_000)]));
    wait_for("a group ahead of the data", RECOVERY, || is_all(&group(&daemon, "ahead"), "ahead_of_data").then_some(()));
    wait_for("the end of the copy", RECOVERY, || committed(&there, "ahead", "whose", 1).remove(&0))
        .0
        .eq(&i64::try_from(log.len()).unwrap())
        .then_some(())
        .expect("not past the data");
    daemon.stop();
}

fn committed_end(bootstrap: &str, topic: &str) -> i64 {
    crate::reader::watermarks(bootstrap, topic)[&0].1
}

/// A group of the new protocol at the source, and a member of the new protocol at the target.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_group_of_the_new_protocol_moves() {
    // In the other direction: the shared target is the newer one. Both sides must be new for both members.
    let source = Cluster::start(Options::new(KAFKA_4));
    let on = shared();
    let target = on.target;
    let protocol = [("group.protocol", "consumer")];
    source.admin().create_topic("kip848", 2, &[]);
    Workload { kind: Kind::Transactional(10), ..Workload::new(&source.bootstrap(), "kip848", 2) }.write(400);
    let mut daemon = Daemon::start("groups-1", &config("kip848", &source, target));
    let mut member = Member::join_with(&source.side_door(), "new-protocol", "kip848", &protocol);
    member.read(80);
    let positions = member.commit();
    // While it is active at the source it is synchronised as well.
    wait_synced(&daemon, "new-protocol", &positions);
    assert_eq!(group(&daemon, "new-protocol")["kind"], "consumer");
    let here = member.leave();
    wait_synced(&daemon, "new-protocol", &positions);
    let mut member = Member::join_with(&target.side_door(), "new-protocol", "kip848", &protocol);
    member.read(60);
    assert_continued(&source, "kip848", &here, &member.leave());
    daemon.stop();
}

/// The source burns down: where groups stand is told all the same, also by a daemon that never saw it.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn groups_are_told_without_the_source() {
    let source = Cluster::start(Options::new(KAFKA_4));
    let on = shared();
    let target = on.target;
    source.admin().create_topic("burns", 1, &[]);
    Workload { kind: Kind::Transactional(10), ..Workload::new(&source.bootstrap(), "burns", 1) }.write(200);
    let mut daemon = Daemon::start("groups-1", &config("burns", &source, target));
    let mut member = Member::join(&source.side_door(), "survivor", "burns");
    member.read(70);
    let positions = member.commit();
    let here = member.leave();
    let log = read_topic(&source.side_door(), "burns").remove(&0).unwrap();
    let there = wait_synced(&daemon, "survivor", &positions);
    wait_for("the stored group", RECOVERY, || {
        is_stored(&target.side_door(), "burns", "survivor", &positions).then_some(())
    });
    source.node(1).kill();
    daemon.restart_after_kill();
    let told = wait_for("the group without its source", RECOVERY, || {
        let told = group(&daemon, "survivor");
        let is_looked_up = field(&told, "committed_on_target") == there && is_all(&told, "synced");
        (is_looked_up && field(&told, "target_offset") == there).then_some(told)
    });
    assert_eq!(field(&told, "source_offset"), positions, "{told}");
    assert_eq!(field(&told, "committed_on_target"), there, "{told}");
    let shown = daemon.command(&["groups", "survivor"]);
    assert!(shown.status.success(), "{shown:?}");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("synced"), "{shown:?}");
    let mut member = Member::join(&target.side_door(), "survivor", "burns");
    member.read(30);
    let identities = |read: &Read| read[&0].iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let wanted: Vec<Identity> = log.iter().skip(here[&0].len()).take(30).map(Identity::of).collect();
    assert_eq!(identities(&member.leave())[..30], wanted[..]);
    daemon.stop();
}

/// Whether the state says of a group that it stands at these positions of the topic, which has the state's name, too.
fn is_stored(bootstrap: &str, topic: &str, group: &str, positions: &BTreeMap<i32, i64>) -> bool {
    let json = |bytes: Option<Vec<u8>>| serde_json::from_slice::<Value>(&bytes?).ok();
    let records = read_topic(bootstrap, &format!("__causeway.{topic}")).into_values().flatten();
    let mut of_group = records
        .filter(|record| json(record.key.clone()).is_some_and(|key| key["type"] == "group" && key["group"] == group));
    let Some(newest) = of_group.next_back().and_then(|record| json(record.value)) else { return false };
    let stored = newest["positions"][topic].as_array().cloned().unwrap_or_default();
    let told = stored.iter().filter_map(|one| Some((i32::try_from(one["p"].as_i64()?).ok()?, one["s"].as_i64()?)));
    told.collect::<BTreeMap<i32, i64>>() == *positions
}

/// A thousand callers wait for one record, and all of them hear of it soon after it is there.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_thousand_wait_for_one_record() {
    use std::io::{Read as _, Write as _};

    let on = shared();
    on.source.admin().create_topic("awaited", 1, &[]);
    Workload::new(&on.source.bootstrap(), "awaited", 1).write(10);
    let mut daemon = Daemon::start("groups-1", &config("awaited", on.source, on.target));
    Judge::new(on.source, on.target, &["awaited"]).wait();
    let there = daemon.command(&["await", "--topic", "awaited", "--partition", "0", "--offset", "9"]);
    assert!(there.status.success(), "{there:?}");
    let late =
        daemon.command(&["await", "--topic", "awaited", "--partition", "0", "--offset", "10", "--timeout", "1s"]);
    assert_eq!(late.status.code(), Some(1), "{late:?}");
    let mut waiting: Vec<_> = (0..1_000)
        .map(|_| {
            let mut caller = daemon.connect();
            let path = format!("/v1/links/{LINK}/await?topic=awaited&partition=0&offset=10&timeout=5m");
            write!(caller, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            caller
        })
        .collect();
    let before = daemon.usage().cpu_seconds;
    std::thread::sleep(Duration::from_secs(5));
    let idle = daemon.usage().cpu_seconds - before;
    let begin = std::time::Instant::now();
    Workload { name: "next".into(), ..Workload::new(&on.source.bootstrap(), "awaited", 1) }.write(1);
    let mut answers = 0;
    for caller in &mut waiting {
        let mut answer = String::new();
        caller.read_to_string(&mut answer).unwrap();
        answers += i32::from(answer.contains("\"reached\":true"));
    }
    eprintln!("1,000 waited: {idle:.2} CPU s in 5 s, all told {:?} after the write began", begin.elapsed());
    assert_eq!(answers, 1_000);
    daemon.stop();
}
