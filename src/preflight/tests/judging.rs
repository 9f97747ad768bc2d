use super::super::rights::lacking;
use super::super::topics::{Bite, Pair, TargetTopic, bites, state_bites};
use super::*;
use crate::cluster::{ConfigEntry, Operation, Permissions};

use super::super::acls::{SOURCE_TOPIC, TARGET_TOPIC};

fn permissions(operations: &[Operation]) -> Permissions {
    Permissions::from_kafka(operations.iter().map(|operation| 1 << (*operation as i32)).sum()).unwrap()
}

#[test]
fn only_what_is_needed_is_missed() {
    use Operation::{Alter, AlterConfigs, Create, Describe, DescribeConfigs, Read, Write};
    let read_only = permissions(&[Read, Describe, DescribeConfigs]);
    assert_eq!(lacking(read_only, true, SOURCE_TOPIC), []);
    assert_eq!(lacking(read_only, true, TARGET_TOPIC), [Write, Alter, AlterConfigs]);
    assert_eq!(lacking(read_only, false, TARGET_TOPIC), [Create, Write, Alter, AlterConfigs]);
    let denied = permissions(&[Read, Describe, Write, Alter, AlterConfigs]);
    assert_eq!(lacking(denied, true, TARGET_TOPIC), [DescribeConfigs], "it comes with AlterConfigs unless denied");
}

type Pairs = &'static [(&'static str, &'static str)];

fn configs(pairs: &[(&str, &str)]) -> Vec<ConfigEntry> {
    let entry = |(name, value): &(&str, &str)| ConfigEntry {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        is_set_on_topic: true,
    };
    pairs.iter().map(entry).collect()
}

/// A pair about which there is nothing to say.
fn pair(source: &[(&str, &str)], target: &[(&str, &str)]) -> Pair {
    Pair {
        source: configs(source),
        source_partitions: 3,
        target: TargetTopic::Present { configs: configs(target), replicas: 3, partitions: 3, is_empty: Some(true) },
        may_hold_records: false,
        may_be_ours: false,
        target_brokers: 3,
    }
}

fn only(pair: &Pair) -> Bite {
    let mut bites = bites(pair);
    assert_eq!(bites.len(), 1, "{bites:?}");
    bites.remove(0)
}

#[test]
fn nothing_bites_where_nothing_is_special() {
    assert_eq!(bites(&pair(&[("message.format.version", "3.0-IV1")], &[("compression.type", "producer")])), []);
}

#[test]
fn settings_that_bite() {
    let cases: [(Pairs, Pairs, Level, &str); 5] = [
        (&[("message.format.version", "0.10.2-IV0")], &[], Level::Warn, "before Kafka 0.11"),
        (&[("message.timestamp.type", "LogAppendTime")], &[], Level::Warn, "rebuilt"),
        (&[], &[("message.timestamp.type", "LogAppendTime")], Level::Warn, "would stamp"),
        (&[], &[("compression.type", "zstd")], Level::Warn, "compresses it anew"),
        (&[], &[("cleanup.policy", "compact,delete")], Level::Fail, "compacts it"),
    ];
    for (source, target, level, text) in cases {
        let bite = only(&pair(source, target));
        assert!(bite.level == level && bite.sentence.contains(text), "{bite:?}");
    }
    let ours = Pair { may_be_ours: true, ..pair(&[], &[("message.timestamp.type", "LogAppendTime")]) };
    assert_eq!(only(&ours).level, Level::Fail, "a link that runs does not change it any more");
    assert_eq!(bites(&pair(&[("cleanup.policy", "compact")], &[("cleanup.policy", "compact")])), []);
}

#[test]
fn what_is_there_already_bites() {
    let present = |replicas, partitions, is_empty, min: &str| Pair {
        target: TargetTopic::Present {
            configs: configs(&[("min.insync.replicas", min)]),
            replicas,
            partitions,
            is_empty,
        },
        ..pair(&[], &[])
    };
    assert!(only(&present(3, 3, Some(false), "2")).sentence.contains("holds records"));
    let allowed = Pair { may_hold_records: true, ..present(3, 3, Some(false), "2") };
    assert_eq!(bites(&allowed), []);
    assert!(only(&present(3, 4, Some(true), "2")).sentence.contains("more partitions"));
    assert_eq!(only(&present(1, 3, Some(true), "2")).level, Level::Fail);
    assert!(only(&present(2, 3, Some(true), "2")).sentence.contains("any broker"));
    assert!(only(&present(1, 3, Some(true), "1")).sentence.contains("one replica"));
    let alone = Pair { target_brokers: 1, ..present(1, 3, Some(true), "1") };
    assert_eq!(bites(&alone), [], "one broker can't hold more");
    let absent = TargetTopic::Absent { configs: configs(&[("min.insync.replicas", "2")]), replicas: Some(1) };
    assert_eq!(only(&Pair { target: absent, ..pair(&[], &[]) }).level, Level::Fail);
}

#[test]
fn the_state_topic_is_looked_at_strictly() {
    let good = configs(&[("cleanup.policy", "compact"), ("min.insync.replicas", "2")]);
    assert_eq!(state_bites(&good, 3, 3), []);
    assert_eq!(state_bites(&good, 1, 1), []);
    assert_eq!(state_bites(&good, 1, 3)[0].level, Level::Fail);
    let weak = configs(&[("cleanup.policy", "compact,delete"), ("min.insync.replicas", "1")]);
    let levels: Vec<Level> = state_bites(&weak, 3, 3).iter().map(|bite| bite.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Warn]);
}
