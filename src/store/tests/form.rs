use uuid::Uuid;

use crate::store::form::{encode_key, encode_value};
use crate::store::{
    AclEntry, AclsRecord, DaemonRecord, GroupPositionRecord, GroupRecord, Key, LinkRecord, LinkState, MapRecord,
    PartitionState, PeerSeenRecord, PlanRecord, PositionRecord, RequestAction, RequestRecord, ResolutionRecord,
    SettingsRecord, StartAt, StatusRecord, StopRecord, TakeoverRecord, TopicRecord, TopicState, Value, parse,
};
use crate::types::{
    GroupKind, GroupName, GroupPositionState, LeaderEpoch, LinkName, PartitionIndex, PeerName, ProducerEpoch,
    ProducerId, ResolveVerb, Sequence, SourceOffset, TargetOffset, TopicId, TopicName,
};

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

pub(super) fn stop() -> StopRecord {
    StopRecord {
        reason: "batch_too_large".to_owned(),
        message: "raise max.message.bytes".to_owned(),
        since_ms: 5,
        source_offset: Some(source(7)),
        resolve: vec![ResolveVerb::Retry, ResolveVerb::AcceptGap],
    }
}

pub(super) fn topic_record() -> TopicRecord {
    TopicRecord {
        source_topic_id: Some(TopicId(Uuid::from_u128(1))),
        target_topic: TopicName::new("copy").unwrap(),
        target_topic_id: None,
        partitions: 12,
        state: TopicState::Stopped,
        priority: -3,
        has_local_writers: false,
        batch_bytes_max: 1_048_588,
        start: StartAt::Timestamp(1_700_000_000_000),
        start_partitions: 4,
        settings: SettingsRecord::default(),
        stop: Some(stop()),
    }
}

fn acls_key() -> Key {
    Key::Acls { link: LinkName::new("a-to-b").unwrap(), topic: TopicName::new("orders").unwrap() }
}

fn acls_record() -> AclsRecord {
    let entry = |principal: &str, is_denied| AclEntry {
        principal: principal.to_owned(),
        host: "*".to_owned(),
        operation: "Read".to_owned(),
        is_denied,
    };
    AclsRecord {
        target_topic: TopicName::new("dr.orders").unwrap(),
        copied: [entry("User:app", false)].into(),
        protecting: [entry("User:writer", true)].into(),
    }
}

fn group_name() -> GroupName {
    GroupName::new("").unwrap()
}

fn group_record() -> GroupRecord {
    let position = |partition, committed| GroupPositionRecord {
        partition,
        source_offset: source(1042),
        committed,
        state: GroupPositionState::AheadOfData,
    };
    let positions = vec![position(0, Some(target(1040))), position(1, None)];
    GroupRecord {
        target_group: GroupName::new("dr billing").unwrap(),
        kind: GroupKind::Consumer,
        message: None,
        positions: [(TopicName::new("orders").unwrap(), positions)].into(),
    }
}

fn position() -> PositionRecord {
    PositionRecord {
        source_topic_id: None,
        target_topic_id: Some(TopicId(Uuid::from_u128(2))),
        source_position: source(100),
        source_leader_epoch: Some(LeaderEpoch(4)),
        target_position: target(90),
        sequence: Sequence::of_count(90),
        others: 0,
        begun_at: None,
        map_start: Some((source(5), target(0))),
        open_runs: "AAEC".to_owned(),
        open_chunk: 3,
        resolution: Some(Uuid::from_u128(3)),
        offsets: None,
        status: StatusRecord {
            state: PartitionState::Stopped,
            daemon: "one".to_owned(),
            at_ms: 9,
            source_log_start: Some(source(0)),
            source_high_watermark: Some(source(120)),
            source_last_stable: None,
            lag_ms: Some(20),
            source_contact_age_ms: None,
            retention_left_ms: None,
            held_by: None,
            stop: Some(stop()),
        },
    }
}

fn every_kind() -> Vec<(Key, Value)> {
    let link = LinkName::new("a-to-b").unwrap();
    let topic = TopicName::new("orders").unwrap();
    let partition = PartitionIndex(2);
    let id = Uuid::from_u128(4);
    let link_record = LinkRecord {
        source_cluster_id: "S".to_owned(),
        target_cluster_id: "T".to_owned(),
        producer_id: ProducerId(4_000),
        producer_epoch: ProducerEpoch(1),
        fillers: vec![ProducerId(4_001)],
        state: LinkState::Paused,
        digest: "d".to_owned(),
        meaning: [("offsets".to_owned(), "translate".to_owned())].into(),
        created_at_ms: 1,
    };
    let plan = PlanRecord { target_topic_id: None, runs: "AAEC".to_owned(), inherited: String::new(), sequences: None };
    let resolution = ResolutionRecord {
        id,
        verb: ResolveVerb::Skip,
        reason: "batch_too_large".to_owned(),
        source_offset: Some(source(7)),
        who: "eva".to_owned(),
        at_ms: 6,
    };
    let action = RequestAction::Resolve { partition: Some(partition), verb: ResolveVerb::Remirror };
    let request = RequestRecord { action, topics: Some(vec![topic.clone()]), who: "eva".to_owned(), at_ms: 8 };
    let daemon = DaemonRecord {
        version: "0.1.0".to_owned(),
        digests: [(link.clone(), "d".to_owned())].into(),
        started_at_ms: 2,
        listen: "127.0.0.1:8480".to_owned(),
        peers: [(PeerName::new("onprem").unwrap(), PeerSeenRecord { is_here: true, since_ms: 7 })].into(),
        at_ms: 9,
    };
    let of_topic = || (link.clone(), topic.clone());
    let ((l1, t1), (l2, t2), (l3, t3), (l4, t4), (l5, t5)) =
        (of_topic(), of_topic(), of_topic(), of_topic(), of_topic());
    vec![
        (Key::Link { link: link.clone() }, Value::Link(link_record)),
        (Key::Topic { link: l1, topic: t1 }, Value::Topic(topic_record())),
        (Key::Position { link: l2, topic: t2, partition }, Value::Position(position())),
        (Key::Plan { link: l3, topic: t3, partition }, Value::Plan(plan)),
        (Key::Map { link: l4, topic: t4, partition, chunk: 5 }, Value::Map(MapRecord { runs: "AA".to_owned() })),
        (Key::Resolution { link: l5, topic: t5, partition }, Value::Resolution(resolution)),
        (Key::Group { link: link.clone(), group: group_name() }, Value::Group(group_record())),
        (Key::Takeover { shard: 3 }, Value::Takeover(TakeoverRecord { daemon: "one".to_owned(), nonce: id })),
        (Key::Request { link, id }, Value::Request(request)),
        (Key::Daemon { id: "one".to_owned() }, Value::Daemon(daemon)),
        (acls_key(), Value::Acls(acls_record())),
    ]
}

#[test]
fn every_kind_of_record_reads_back_as_it_was_written() {
    for (key, value) in every_kind() {
        let (raw_key, raw_value) = (encode_key(&key).unwrap(), encode_value(&key, &value).unwrap());
        assert!(raw_value.starts_with(br#"{"v":1,"#), "{}", String::from_utf8_lossy(&raw_value));
        assert_eq!(parse(&raw_key, Some(&raw_value)), Ok(Some((key.clone(), Some(value)))));
        assert_eq!(parse(&raw_key, None), Ok(Some((key, None))));
    }
}

#[test]
fn stored_keys_never_change() {
    let keys: Vec<String> =
        every_kind().iter().map(|(key, _)| String::from_utf8(encode_key(key).unwrap()).unwrap()).collect();
    assert_eq!(
        keys,
        [
            r#"{"type":"link","link":"a-to-b"}"#,
            r#"{"type":"topic","link":"a-to-b","topic":"orders"}"#,
            r#"{"type":"position","link":"a-to-b","topic":"orders","partition":2}"#,
            r#"{"type":"plan","link":"a-to-b","topic":"orders","partition":2}"#,
            r#"{"type":"map","link":"a-to-b","topic":"orders","partition":2,"chunk":5}"#,
            r#"{"type":"resolution","link":"a-to-b","topic":"orders","partition":2}"#,
            r#"{"type":"group","link":"a-to-b","group":""}"#,
            r#"{"type":"takeover","shard":3}"#,
            r#"{"type":"request","link":"a-to-b","id":"00000000-0000-0000-0000-000000000004"}"#,
            r#"{"type":"daemon","id":"one"}"#,
            r#"{"type":"acls","link":"a-to-b","topic":"orders"}"#,
        ]
    );
}

#[test]
fn the_form_of_values_stays_readable() {
    let key = br#"{"type":"plan","link":"a-to-b","topic":"orders","partition":2}"#;
    let value = br#"{"v":1,"target_topic_id":null,"runs":"AAEC","of_a_later_version":[1]}"#;
    let plan = PlanRecord { target_topic_id: None, runs: "AAEC".to_owned(), inherited: String::new(), sequences: None };
    let (_, read) = parse(key, Some(value)).unwrap().unwrap();
    assert_eq!(read, Some(Value::Plan(plan)));
}

#[test]
fn unknown_kinds_are_skipped_and_newer_forms_refused_by_name() {
    assert_eq!(parse(br#"{"type":"rehearsal","link":"a"}"#, Some(b"whatever")), Ok(None));
    let key = br#"{"type":"link","link":"a-to-b"}"#;
    let error = parse(key, Some(br#"{"v":2,"all":"new"}"#)).unwrap_err();
    assert!(error.to_string().contains(r#"{"type":"link","link":"a-to-b"} is written in version 2"#), "{error}");
    for (key, value) in [
        (&b"not json"[..], &b"{}"[..]),
        (br#"{"link":"a"}"#, b"{}"),
        (br#"{"type":"link"}"#, b"{}"),
        (br#"{"type":"link","link":"not.valid"}"#, b"{}"),
        (key, b"{}"),
        (key, br#"{"v":1}"#),
        (key, b"\xff"),
        (br#"{"type":"takeover","shard":"x"}"#, b"{}"),
    ] {
        assert!(parse(key, Some(value)).is_err(), "{}", String::from_utf8_lossy(key));
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    let key = Key::Takeover { shard: 1 };
    assert!(encode_value(&key, &Value::Map(MapRecord { runs: String::new() })).is_err());
}
