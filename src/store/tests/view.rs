use uuid::Uuid;

use super::form::topic_record;
use crate::store::form::{encode_key, encode_value};
use crate::store::shard_hash::{of_key, of_link, of_partition};
use crate::store::{Key, MapRecord, RequestAction, RequestRecord, TakeoverRecord, Value, View};
use crate::types::{LinkName, PartitionIndex, TopicName};

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn put(view: &View, key: &Key, value: &Value) {
    view.apply(of_key(key), &encode_key(key).unwrap(), Some(&encode_value(key, value).unwrap()));
}

fn remove(view: &View, key: &Key) {
    view.apply(of_key(key), &encode_key(key).unwrap(), None);
}

fn map_key(chunk: u32) -> Key {
    Key::Map { link: link("a-to-b"), topic: topic("orders"), partition: PartitionIndex(2), chunk }
}

fn map_value(runs: &str) -> Value {
    Value::Map(MapRecord { runs: runs.to_owned() })
}

fn chunks(view: &View) -> Vec<(u32, String)> {
    let chunks = view.map_chunks(&link("a-to-b"), &topic("orders"), PartitionIndex(2));
    chunks.into_iter().map(|(chunk, record)| (chunk, record.runs)).collect()
}

#[test]
fn map_chunks_come_in_order_and_go_when_removed() {
    let view = View::new();
    for chunk in [10, 2, 7] {
        put(&view, &map_key(chunk), &map_value("old"));
    }
    put(&view, &map_key(7), &map_value("new"));
    let seen = |chunk: u32, runs: &str| (chunk, runs.to_owned());
    assert_eq!(chunks(&view), [seen(2, "old"), seen(7, "new"), seen(10, "old")]);
    remove(&view, &map_key(2));
    remove(&view, &map_key(3));
    assert_eq!(chunks(&view), [seen(7, "new"), seen(10, "old")]);
    assert_eq!(view.all().len(), 2);
}

#[test]
fn topics_are_those_of_the_link() {
    let view = View::new();
    for (of, name) in [("a-to-b", "two"), ("a-to-b", "one"), ("b-to-a", "three")] {
        put(&view, &Key::Topic { link: link(of), topic: topic(name) }, &Value::Topic(topic_record()));
    }
    let names: Vec<_> = view.topics(&link("a-to-b")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [topic("one"), topic("two")]);
    assert_eq!(view.topic(&link("b-to-a"), &topic("three")), Some(topic_record()));
    assert_eq!(view.topic(&link("b-to-a"), &topic("one")), None);
    remove(&view, &Key::Topic { link: link("a-to-b"), topic: topic("one") });
    assert_eq!(view.topics(&link("a-to-b")).len(), 1);
}

#[test]
fn requests_come_oldest_first() {
    let view = View::new();
    for (id, at_ms) in [(1, 30), (2, 10), (3, 20)] {
        let request = RequestRecord { action: RequestAction::Pause, topics: None, who: "eva".to_owned(), at_ms };
        put(&view, &Key::Request { link: link("a-to-b"), id: Uuid::from_u128(id) }, &Value::Request(request));
    }
    let ids = |view: &View| view.requests(&link("a-to-b")).iter().map(|(id, _)| id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(&view), [2, 3, 1]);
    remove(&view, &Key::Request { link: link("a-to-b"), id: Uuid::from_u128(3) });
    assert_eq!(ids(&view), [2, 1]);
}

#[test]
fn changes_tell_of_all_but_positions_plans_and_maps() {
    let view = View::new();
    let changes = view.changes();
    put(&view, &map_key(1), &map_value("x"));
    assert!(!changes.has_changed().unwrap());
    let takeover = TakeoverRecord { daemon: "one".to_owned(), nonce: Uuid::from_u128(1) };
    put(&view, &Key::Takeover { shard: 4 }, &Value::Takeover(takeover));
    assert!(changes.has_changed().unwrap());
    assert_eq!(view.takeover(4).unwrap().nonce, Uuid::from_u128(1));
}

#[test]
fn an_unreadable_record_bars_its_shard_until_it_is_replaced() {
    let view = View::new();
    let shard = of_partition(&link("a-to-b"), &topic("orders"), PartitionIndex(2));
    put(&view, &map_key(1), &map_value("x"));
    let raw_key = encode_key(&map_key(1)).unwrap();
    view.apply(shard, &raw_key, Some(br#"{"v":9}"#));
    assert_eq!(chunks(&view), []);
    assert!(view.obstacle(shard).unwrap().contains("version 9"));
    assert_eq!(view.obstacle(shard + 1), None);
    assert_eq!(view.unreadable().len(), 1);
    put(&view, &map_key(1), &map_value("y"));
    assert_eq!((view.obstacle(shard), view.unreadable().len()), (None, 0));
    view.apply(shard, &raw_key, Some(b"?"));
    view.apply(shard, &raw_key, None);
    assert_eq!(view.obstacle(shard), None);
}

#[test]
fn what_anybody_may_write_bars_nothing() {
    let view = View::new();
    let shard = of_link(&link("a-to-b"));
    let key = Key::Request { link: link("a-to-b"), id: Uuid::from_u128(1) };
    view.apply(shard, &encode_key(&key).unwrap(), Some(br#"{"v":9}"#));
    view.apply(shard, b"no key of ours", Some(b"x"));
    view.apply(shard, br#"{"type":"of a later version"}"#, Some(b"x"));
    assert_eq!(view.obstacle(shard), None);
    assert_eq!(view.unreadable().len(), 2);
}

#[test]
fn a_record_in_a_partition_that_is_not_its_own_is_not_believed() {
    let view = View::new();
    let key = map_key(1);
    let elsewhere = (of_key(&key) + 1) % 32;
    view.apply(elsewhere, &encode_key(&key).unwrap(), Some(&encode_value(&key, &map_value("x")).unwrap()));
    assert_eq!(chunks(&view), []);
    assert_eq!(view.unreadable().len(), 1);
    assert_eq!(view.obstacle(elsewhere), None);
}
