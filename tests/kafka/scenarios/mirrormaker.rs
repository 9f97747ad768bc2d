//! MirrorMaker's topics, as Java's own client of them finds them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4, Version, mirror_client_class_path};
use crate::judge::Judge;
use crate::process::{run_tool, scratch, wait_for};
use crate::reader::read_topic;
use crate::workload::Workload;

use super::{RECOVERY, shared};

const PROGRAM: &str = include_str!("../java/Positions.java");

/// What the client prints, by what it is about.
fn ask(version: Version, bootstrap: &str, group: &str) -> BTreeMap<String, String> {
    let folder = scratch("mirror-client");
    let (program, log) = (folder.join("Positions.java"), folder.join("log"));
    fs::write(&program, PROGRAM).expect("the program");
    let arguments = [
        "-Xmx256m".into(),
        "-XX:TieredStopAtLevel=1".into(),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".into(),
        "-cp".into(),
        mirror_client_class_path(version),
        program.display().to_string(),
        bootstrap.to_owned(),
        "source".into(),
        group.to_owned(),
    ];
    run_tool("Java's client", "java", &arguments, &log, Duration::from_mins(3));
    let said = fs::read_to_string(&log).expect("its log");
    said.lines().filter_map(|line| line.split_once('=')).map(|(what, is)| (what.into(), is.into())).collect()
}

/// Asks until the positions are these.
fn wait_for_positions(version: Version, bootstrap: &str, group: &str, expected: &str) -> BTreeMap<String, String> {
    let begin = std::time::Instant::now();
    loop {
        let said = ask(version, bootstrap, group);
        if said.get("positions").is_some_and(|positions| positions == expected) {
            return said;
        }
        assert!(begin.elapsed() < RECOVERY, "{said:?} instead of {expected}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Commits positions for a group without members.
fn commit(bootstrap: &str, group: &str, topic: &str, offsets: &[(i32, i64, &str)]) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for (partition, offset, metadata) in offsets {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset)).expect("an offset");
        element.set_metadata(*metadata);
    }
    consumer.commit(&list, CommitMode::Sync).expect("a commit");
}

/// Positions are found where source and target offsets differ, follow the group forward and back, also over a kill;
/// every key has a value; offset syncs tell the newest record.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn javas_client_finds_the_positions_of_groups() {
    let on = shared();
    let (topic, mirror) = ("mm-orders", "source.mm-orders");
    on.source.admin().create_topic(topic, 2, &[]);
    Workload::new(&on.source.bootstrap(), topic, 2).write(1_000);
    on.source.admin().delete_records(topic, 0, 100);
    commit(&on.source.bootstrap(), "mm-billing", topic, &[(0, 150, "as of noon"), (1, 300, "")]);
    commit(&on.source.bootstrap(), "mm-other", topic, &[(1, 7, "")]);
    let config = Config::new("mirrormaker", on.source, on.target)
        .topics(&["match = 'mm-.*'", "prefix = 'source.'"])
        .groups(&["match = 'mm-.*'"])
        .offsets("translate")
        .line("mirrormaker_topics = true");
    let mut daemon = Daemon::start("mm-1", &config);
    let judge = Judge::new(on.source, on.target, &[]).renamed(topic, mirror);
    judge.wait();
    let target = on.target.side_door();
    for version in [KAFKA_3, KAFKA_4] {
        let expected = format!("{{{mirror}-0=50/as of noon, {mirror}-1=300/}}");
        let said = wait_for_positions(version, &target, "mm-billing", &expected);
        assert_eq!(said["upstream"], "[source]", "{said:?}");
        assert_eq!(said["hops"], "1", "{said:?}");
        assert_eq!(said["heartbeats"], "[heartbeats, source.heartbeats]", "{said:?}");
        assert_eq!(said["checkpoints"], "[source.checkpoints.internal]", "{said:?}");
    }
    commit(&on.source.bootstrap(), "mm-billing", topic, &[(0, 450, ""), (1, 20, "back")]);
    wait_for_positions(KAFKA_4, &target, "mm-billing", &format!("{{{mirror}-0=350/, {mirror}-1=20/back}}"));
    daemon.kill();
    daemon.restart();
    commit(&on.source.bootstrap(), "mm-billing", topic, &[(0, 460, ""), (1, 10, "")]);
    wait_for_positions(KAFKA_3, &target, "mm-billing", &format!("{{{mirror}-0=360/, {mirror}-1=10/}}"));
    let other = ask(KAFKA_4, &target, "mm-other");
    assert_eq!(other["positions"], format!("{{{mirror}-1=7/}}"));

    let log = |topic: &str| read_topic(&target, topic).remove(&0).expect("partition 0");
    let topics = ["heartbeats", "source.heartbeats", "source.checkpoints.internal", "mm2-offset-syncs.source.internal"];
    for own in topics {
        let log = log(own);
        assert!(!log.is_empty() && log.iter().all(|entry| entry.key.is_some() && entry.value.is_some()), "{own}");
        assert_eq!(on.target.admin().partitions(own), Some(1), "{own}");
        assert_eq!(on.target.admin().config(own, "cleanup.policy").as_deref(), Some("compact"), "{own}");
    }
    let mut newest = BTreeMap::new();
    for entry in log("mm2-offset-syncs.source.internal") {
        let value = entry.value.expect("a value");
        let number = |at: usize| i64::from_be_bytes(value[at..at + 8].try_into().expect("eight bytes"));
        newest.insert(entry.key.expect("a key"), (number(0), number(8)));
    }
    let of = |partition: u8| [&[0, 9][..], topic.as_bytes(), &[0, 0, 0, partition]].concat();
    assert_eq!((newest[&of(0)], newest[&of(1)]), ((499, 399), (499, 499)));
    judge.verify();
    daemon.stop();
}

/// Heartbeats of the link go on while the source is silent; those for the source stop, and come back with it. What the
/// client asks first is answered without any group.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn heartbeats_tell_whether_the_source_is_there() {
    let on = shared();
    on.source.admin().create_topic("mm-beat", 1, &[]);
    Workload::new(&on.source.bootstrap(), "mm-beat", 1).write(100);
    let config = Config::new("beating", on.source, on.target).matching("mm-beat").line("mirrormaker_topics = true");
    let mut daemon = Daemon::start("mm-1", &config);
    Judge::new(on.source, on.target, &["mm-beat"]).wait();
    let target = on.target.side_door();
    let said = wait_for_positions(KAFKA_4, &target, "mm-nobody", "{}");
    assert_eq!((said["upstream"].as_str(), said["hops"].as_str()), ("[source]", "1"), "{said:?}");
    let beats = |topic: &str| read_topic(&target, topic).remove(&0).expect("partition 0").len();
    let wait_for_beats = |topic: &str, more: usize| {
        let before = beats(topic);
        wait_for(&format!("heartbeats in {topic}"), RECOVERY, || (beats(topic) >= before + more).then_some(()));
    };
    wait_for_beats("source.heartbeats", 2);
    on.source.node(1).pause();
    // What was under way when the source fell silent may still arrive.
    wait_for_beats("heartbeats", 10);
    let silent = beats("source.heartbeats");
    wait_for_beats("heartbeats", 5);
    assert_eq!(beats("source.heartbeats"), silent, "nobody has heard of the source");
    on.source.node(1).resume();
    wait_for_beats("source.heartbeats", 2);
    daemon.stop();
}
