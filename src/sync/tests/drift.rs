use super::super::drift::{Drift, settle};
use super::super::settings::{Changes, Phase, changes};
use super::*;

/// A round over a topic whose settings were copied before.
fn round(source: &[ConfigEntry], target: &[ConfigEntry], before: &SettingsRecord, drift: Drift) -> Changes {
    let mut changes = changes(source, target, before, Phase::CaughtUp, true);
    settle(drift, source, target, before, &mut changes);
    changes
}

fn source(retention: &str) -> Vec<ConfigEntry> {
    vec![set("retention.ms", retention), inherited("max.message.bytes", "1048588")]
}

/// A mirror topic with all that causeway sets, and a retention of its own.
fn target(retention: &str) -> Vec<ConfigEntry> {
    vec![
        set("retention.ms", retention),
        set("compression.type", "producer"),
        set("message.timestamp.type", "CreateTime"),
        inherited("max.message.bytes", "1048588"),
    ]
}

fn copied(retention: &str) -> SettingsRecord {
    let values = pairs(&[("retention.ms", retention.to_owned())]);
    SettingsRecord { is_history_held: false, copied: names(&["retention.ms"]), values }
}

#[test]
fn what_was_changed_by_hand_is_set_again_or_stays() {
    let by_hand = target("7000");
    let reverted = round(&source("1000"), &by_hand, &copied("1000"), Drift::Revert);
    assert_eq!(reverted.alter, pairs(&[("retention.ms", Some("1000".to_owned()))]));
    let respected = round(&source("1000"), &by_hand, &copied("1000"), Drift::Respect);
    assert_eq!(respected.alter.len(), 0);
    let quiet = round(&source("1000"), &by_hand, &respected.record, Drift::Respect);
    assert_eq!(quiet.alter.len(), 0, "and goes on staying");
}

#[test]
fn a_change_at_the_source_comes_over_a_respected_one() {
    let by_hand = target("7000");
    let changed = round(&source("2000"), &by_hand, &copied("1000"), Drift::Respect);
    assert_eq!(changed.alter, pairs(&[("retention.ms", Some("2000".to_owned()))]));
    let unset = vec![inherited("retention.ms", "604800000"), inherited("max.message.bytes", "1048588")];
    let reset = round(&unset, &target("1000"), &copied("1000"), Drift::Respect);
    assert_eq!(reset.alter, pairs(&[("retention.ms", None)]), "what was copied is reset with the source");
    let kept = round(&unset, &by_hand, &copied("1000"), Drift::Respect);
    assert_eq!(kept.alter.len(), 0, "what somebody set instead is not");
}

#[test]
fn what_mirroring_asks_for_is_set_again_where_changes_are_reverted() {
    let mut by_hand = target("1000");
    by_hand.retain(|entry| entry.name != "message.timestamp.type");
    by_hand.push(set("message.timestamp.type", "LogAppendTime"));
    let reverted = round(&source("1000"), &by_hand, &copied("1000"), Drift::Revert);
    assert_eq!(reverted.alter, pairs(&[("message.timestamp.type", Some("CreateTime".to_owned()))]));
    assert_eq!(round(&source("1000"), &by_hand, &copied("1000"), Drift::Respect).alter.len(), 0);
}

#[test]
fn batches_fit_whatever_somebody_wants() {
    let at_source = vec![set("max.message.bytes", "5000000")];
    let before =
        SettingsRecord { values: pairs(&[("max.message.bytes", "5000000".to_owned())]), ..SettingsRecord::default() };
    let too_small = round(&at_source, &[set("max.message.bytes", "100")], &before, Drift::Respect);
    assert_eq!(too_small.alter, pairs(&[("max.message.bytes", Some("5000000".to_owned()))]));
    let larger = round(&at_source, &[set("max.message.bytes", "9000000")], &before, Drift::Respect);
    assert_eq!(larger.alter.len(), 0);
}
