use serde_json::{Value, json};

use super::*;
use crate::types::{PartitionIndex, ResolveVerb, SourceOffset, TargetOffset, TopicName, Translation};

fn topic_name(text: &str) -> TopicName {
    TopicName::new(text).unwrap()
}

#[test]
fn a_topic_has_the_published_form() {
    let published = json!({"source_topic":"orders","target_topic":"orders","state":"mirroring","offsets":"identical",
        "partitions":[{"partition":0,"state":"mirroring","source_log_start":0,"source_high_watermark":2000,
        "source_last_stable":2000,"source_position":1990,"target_position":1990,"lag_records":10,"lag_ms":120,
        "retention_left_ms":86_000_000,"error":null}]});
    let topic: Topic = serde_json::from_value(published.clone()).unwrap();
    assert_eq!((topic.lag_records(), topic.lag_ms()), (Some(10), Some(120)));
    let written = serde_json::to_value(&topic).unwrap();
    assert_contains(&written, &published);
}

#[test]
fn a_stop_has_the_published_form() {
    let published = json!({"reason":"batch_too_large","since_ms":0,"source_offset":0,"resolve":["retry","accept-gap"]});
    let stop: Stop = serde_json::from_value(published.clone()).unwrap();
    assert_eq!(stop.resolve, [ResolveVerb::Retry, ResolveVerb::AcceptGap]);
    assert_contains(&serde_json::to_value(&stop).unwrap(), &published);
}

#[test]
fn translations_have_the_published_form() {
    let (orders, zero) = (topic_name("orders"), PartitionIndex(0));
    let exact = Translated::forward(
        orders.clone(),
        zero,
        SourceOffset::new(1042).unwrap(),
        Translation::Exact(TargetOffset::new(1040).unwrap()),
    );
    assert_eq!(
        serde_json::to_value(&exact).unwrap(),
        json!({"topic":"orders","partition":0,"source_offset":1042,"target_offset":1040,"translation":"exact"})
    );
    let below = Translated::reverse(orders, zero, TargetOffset::ZERO, Translation::BelowMap);
    assert_eq!(
        serde_json::to_value(&below).unwrap(),
        json!({"topic":"orders","partition":0,"source_offset":null,"target_offset":0,"translation":"below_map"})
    );
}

#[test]
fn an_order_names_topics_or_all_of_them() {
    let all: OrderBody = serde_json::from_value(json!({"topics":"all","dry_run":true})).unwrap();
    assert_eq!((all.topics, all.dry_run), (TopicSelection::All, true));
    let some: OrderBody = serde_json::from_value(json!({"topics":["a","b"],"partition":0,"with":"retry"})).unwrap();
    assert!(some.topics.contains(&topic_name("b")) && !some.topics.contains(&topic_name("c")));
    assert_eq!(serde_json::to_value(&some).unwrap()["topics"], json!(["a", "b"]));
    for refused in [
        json!({}),
        json!({"topics":[]}),
        json!({"topics":"none"}),
        json!({"topics":["a/b"]}),
        json!({"topics":"all","dryrun":true}),
        json!({"topics":"all","with":"ignore"}),
    ] {
        assert!(serde_json::from_value::<OrderBody>(refused.clone()).is_err(), "{refused}");
    }
}

#[test]
fn a_topic_is_as_bad_as_its_worst_partition() {
    let partition = |state| Partition {
        partition: PartitionIndex(0),
        state,
        offsets: TopicOffsets::Identical,
        offsets_since: None,
        offsets_because: None,
        map_start: None,
        source_log_start: None,
        source_high_watermark: None,
        source_last_stable: None,
        source_position: None,
        target_position: None,
        lag_records: None,
        lag_ms: None,
        retention_left_ms: None,
        source_contact_age_ms: None,
        held_back: None,
        daemon: None,
        error: None,
    };
    let worst_of = |states: &[PartitionState]| {
        TopicState::worst_of(&states.iter().map(|state| partition(*state)).collect::<Vec<_>>())
    };
    assert_eq!(worst_of(&[]), TopicState::Starting);
    assert_eq!(worst_of(&[PartitionState::Mirroring, PartitionState::Paused]), TopicState::Paused);
    assert_eq!(worst_of(&[PartitionState::Stopped, PartitionState::Starting]), TopicState::Stopped);
}

#[test]
fn the_names_of_words_are_those_of_the_json() {
    let as_json = |value: Value| value.as_str().unwrap().to_owned();
    for state in [LinkState::Starting, LinkState::Active, LinkState::Paused, LinkState::Stopped] {
        assert_eq!(as_json(serde_json::to_value(state).unwrap()), state.name());
    }
    for mode in [OffsetsMode::Preserve, OffsetsMode::PreserveOrStop, OffsetsMode::Translate] {
        assert_eq!(as_json(serde_json::to_value(mode).unwrap()), mode.name());
    }
    for state in [
        TopicState::Starting,
        TopicState::FastForwarding,
        TopicState::Mirroring,
        TopicState::Paused,
        TopicState::Stopped,
        TopicState::Promoting,
        TopicState::Promoted,
        TopicState::FailingOver,
        TopicState::FailedOver,
        TopicState::Restoring,
    ] {
        assert_eq!(as_json(serde_json::to_value(state).unwrap()), state.name());
    }
    for state in [PartitionState::Mirroring, PartitionState::FastForwarding, PartitionState::Stopped] {
        assert_eq!(as_json(serde_json::to_value(state).unwrap()), state.name());
    }
    for word in
        [TranslationName::Exact, TranslationName::Next, TranslationName::NotYetMirrored, TranslationName::BelowMap]
    {
        assert_eq!(as_json(serde_json::to_value(word).unwrap()), word.name());
    }
}

/// Every field of `smaller` is in `larger`, with the same value.
fn assert_contains(larger: &Value, smaller: &Value) {
    match (larger, smaller) {
        (Value::Object(larger), Value::Object(smaller)) => {
            for (key, value) in smaller {
                assert_contains(larger.get(key).unwrap_or_else(|| panic!("no {key}")), value);
            }
        }
        (Value::Array(larger), Value::Array(smaller)) => {
            assert_eq!(larger.len(), smaller.len());
            larger.iter().zip(smaller).for_each(|(larger, smaller)| assert_contains(larger, smaller));
        }
        _ => assert_eq!(larger, smaller),
    }
}
