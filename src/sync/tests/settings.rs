use proptest::prelude::*;

use super::super::settings::{Changes, Phase, at_creation, at_creation_for_all, batch_bytes_max, changes, named_in};
use super::*;

/// What Kafka 4 tells of a topic on which nothing is set.
fn defaults() -> Vec<ConfigEntry> {
    [
        ("cleanup.policy", "delete"),
        ("compression.type", "producer"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("min.insync.replicas", "1"),
        ("retention.bytes", "-1"),
        ("retention.ms", "604800000"),
        ("segment.ms", "604800000"),
    ]
    .map(|(name, value)| inherited(name, value))
    .to_vec()
}

/// The same with some settings set.
fn with(entries: &[ConfigEntry]) -> Vec<ConfigEntry> {
    let is_replaced = |entry: &ConfigEntry| entries.iter().any(|other| other.name == entry.name);
    defaults().into_iter().filter(|entry| !is_replaced(entry)).chain(entries.iter().cloned()).collect()
}

fn known() -> BTreeSet<String> {
    defaults().into_iter().map(|entry| entry.name).collect()
}

/// What the target tells after changes were made to it.
fn after(target: &[ConfigEntry], changes: &Changes) -> Vec<ConfigEntry> {
    let mut entries = target.to_vec();
    for (name, value) in &changes.alter {
        entries.retain(|entry| entry.name != *name);
        let default = defaults().into_iter().find(|entry| entry.name == *name);
        entries.extend(value.as_deref().map(|value| set(name, value)).or(default));
    }
    entries
}

#[test]
fn a_new_topic_gets_what_is_set_at_the_source_and_holds_its_history() {
    let source = with(&[
        set("retention.ms", "1000"),
        set("segment.ms", "60000"),
        set("min.insync.replicas", "2"),
        set("compression.type", "gzip"),
    ]);
    let (configs, record) = at_creation(&source, Some(&known()), false);
    let expected = [
        ("compression.type", "producer"),
        ("message.timestamp.after.max.ms", "9223372036854775807"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.bytes", "-1"),
        ("retention.ms", "-1"),
        ("segment.ms", "60000"),
    ];
    assert_eq!(configs, pairs(&expected.map(|(name, value)| (name, value.to_owned()))));
    let values = pairs(&[("segment.ms", "60000".to_owned())]);
    let expected =
        SettingsRecord { is_history_held: true, is_policy_held: false, copied: names(&["segment.ms"]), values };
    assert_eq!(record, expected);
}

#[test]
fn a_compacted_topic_has_no_history_to_hold() {
    let (configs, record) = at_creation(&with(&[set("cleanup.policy", "compact")]), Some(&known()), false);
    assert_eq!(configs.get("cleanup.policy").map(String::as_str), Some("compact"));
    assert!(!configs.contains_key("retention.ms") && !record.is_history_held);
    let (configs, _) = at_creation(&with(&[set("cleanup.policy", "compact,delete")]), Some(&known()), false);
    assert!(configs.contains_key("retention.ms"));
}

#[test]
fn names_that_the_target_does_not_know_are_left_out() {
    let source = with(&[set("vendor.special", "x"), set("segment.ms", "1")]);
    let (configs, _) = at_creation(&source, Some(&known()), false);
    assert!(!configs.contains_key("vendor.special") && configs.contains_key("segment.ms"));
    let old = names(&["segment.ms", "message.timestamp.difference.max.ms", "message.timestamp.type"]);
    let (configs, _) = at_creation(&source, Some(&old), false);
    assert!(configs.contains_key("message.timestamp.difference.max.ms"));
    assert!(!configs.contains_key("message.timestamp.after.max.ms"));
}

#[test]
fn retention_comes_when_all_has_caught_up() {
    let source = with(&[set("retention.ms", "1000")]);
    let (configs, record) = at_creation(&source, Some(&known()), false);
    let target = with(&configs.iter().map(|(name, value)| set(name, value)).collect::<Vec<_>>());
    let still = changes(&source, &target, &record, Phase::CatchingUp, true, false);
    assert_eq!((still.alter.len(), &still.record), (0, &record));
    for is_sync_on in [true, false] {
        let done = changes(&source, &target, &record, Phase::CaughtUp, is_sync_on, false);
        let expected = [("retention.bytes", None), ("retention.ms", Some("1000".to_owned()))];
        assert_eq!(done.alter, pairs(&expected), "retention.bytes becomes the target's default");
        assert!(!done.record.is_history_held);
        let target = after(&target, &done);
        let quiet = changes(&source, &target, &done.record, Phase::CaughtUp, is_sync_on, false);
        assert_eq!((quiet.alter.len(), quiet.record), (0, done.record));
    }
}

#[test]
fn a_setting_is_reset_only_where_it_came_from_the_source() {
    let target = with(&[set("segment.ms", "60000"), set("min.insync.replicas", "2")]);
    let copied = SettingsRecord { copied: names(&["segment.ms"]), ..SettingsRecord::default() };
    let reset = changes(&defaults(), &target, &copied, Phase::CaughtUp, true, false);
    assert_eq!(reset.alter, pairs(&[("segment.ms", None)]));
    assert!(reset.record.copied.is_empty());
    let foreign = changes(&defaults(), &target, &SettingsRecord::default(), Phase::CaughtUp, true, false);
    assert_eq!(foreign.alter.len(), 0, "somebody set it on the target");
    let off = changes(&with(&[set("segment.ms", "1")]), &target, &copied, Phase::CaughtUp, false, false);
    assert_eq!((off.alter.len(), off.record), (0, copied), "with sync off nothing is followed");
}

#[test]
fn batches_always_fit() {
    let source = with(&[inherited("max.message.bytes", "5000000")]);
    let raised = changes(&source, &defaults(), &SettingsRecord::default(), Phase::CaughtUp, false, false);
    assert_eq!(raised.alter, pairs(&[("max.message.bytes", Some("5000000".to_owned()))]));
    let target = after(&defaults(), &raised);
    assert_eq!(batch_bytes_max(&target), 5_000_000);
    assert_eq!(changes(&source, &target, &raised.record, Phase::CaughtUp, true, false).alter.len(), 0);
    let smaller = changes(&defaults(), &target, &raised.record, Phase::CaughtUp, true, false);
    assert_eq!(smaller.alter.len(), 0, "never taken back by itself");
}

#[test]
fn adopting_makes_a_topic_fit() {
    let target = with(&[set("message.timestamp.type", "LogAppendTime"), set("compression.type", "zstd")]);
    let made = changes(&defaults(), &target, &SettingsRecord::default(), Phase::Adopting, true, false);
    assert_eq!(made.alter.get("message.timestamp.type"), Some(&Some("CreateTime".to_owned())));
    assert_eq!(made.alter.get("compression.type"), Some(&Some("producer".to_owned())));
    assert_eq!(made.alter.get("retention.ms"), Some(&Some("-1".to_owned())));
    assert!(made.record.is_history_held);
}

#[test]
fn refusals_name_settings() {
    let asked = names(&["retention.ms", "delete.retention.ms", "segment.bytes"]);
    let named = |message: &str| named_in(message, asked.iter());
    assert_eq!(named("Unknown topic config name: delete.retention.ms"), names(&["delete.retention.ms"]));
    let range = "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576";
    assert_eq!(named(range), names(&["segment.bytes"]));
    assert_eq!(named("Invalid retention.ms."), names(&["retention.ms"]));
    assert_eq!(named("nothing"), names(&[]));
}

fn some_settings() -> impl Strategy<Value = Vec<ConfigEntry>> {
    let setting =
        (0..10_usize, prop_oneof![Just("-1"), Just("1000"), Just("producer"), Just("compact")], any::<bool>());
    proptest::collection::vec(setting, 0..8).prop_map(|chosen| {
        let mut entries = BTreeMap::new();
        for (index, value, is_set) in chosen {
            let name = defaults()[index].name.clone();
            entries.insert(name.clone(), if is_set { set(&name, value) } else { inherited(&name, value) });
        }
        with(&entries.into_values().collect::<Vec<_>>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// One round is enough: the second one has nothing to change, whatever both sides have.
    #[test]
    fn a_second_round_has_nothing_to_do(
        source in some_settings(),
        target in some_settings(),
        copied in proptest::sample::subsequence(vec!["retention.ms", "segment.ms"], 0..=2),
        is_history_held: bool,
        is_sync_on: bool,
        phase in prop_oneof![Just(Phase::CatchingUp), Just(Phase::CaughtUp)],
    ) {
        let before = SettingsRecord { is_history_held, copied: names(&copied), ..SettingsRecord::default() };
        let first = changes(&source, &target, &before, phase, is_sync_on, false);
        let second = changes(&source, &after(&target, &first), &first.record, phase, is_sync_on, false);
        prop_assert_eq!(second.alter.len(), 0, "{:?}", second);
        prop_assert_eq!(second.record, first.record);
    }
}

/// Where applications on both sides write, the opposite link would take a retention held back for the source's own.
#[test]
fn retention_is_left_alone_where_applications_write_on_both_sides() {
    let source = with(&[set("retention.ms", "1000")]);
    let (configs, record) = at_creation_for_all(&source, Some(&known()));
    assert_eq!(configs.get("retention.ms").map(String::as_str), Some("1000"));
    assert_eq!(configs.get("compression.type").map(String::as_str), Some("producer"));
    assert_eq!(record, SettingsRecord::default());
    let mut adopted = changes(&source, &with(&[]), &SettingsRecord::default(), Phase::Adopting, false, false);
    adopted.leave_retention(&SettingsRecord::default());
    assert!(!adopted.alter.contains_key("retention.ms") && !adopted.record.is_history_held, "{adopted:?}");
    assert!(adopted.alter.contains_key("compression.type"));
    // What is held back already is given back.
    let held = SettingsRecord { is_history_held: true, ..SettingsRecord::default() };
    let mut released = changes(&source, &with(&[set("retention.ms", "-1")]), &held, Phase::CaughtUp, false, false);
    released.leave_retention(&held);
    assert_eq!(released.alter.get("retention.ms"), Some(&Some("1000".to_owned())));
}
