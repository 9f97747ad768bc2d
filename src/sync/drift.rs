//! What becomes of settings that somebody changes on a mirror topic. Pure.

use std::collections::BTreeSet;

use super::settings::{self, Changes, SIZE, batch_bytes_max, differs, is_same, set_value};
use crate::cluster::ConfigEntry;
use crate::store::SettingsRecord;

/// What becomes of settings that came from the source, or that mirroring asks for, and were changed on the mirror
/// topic by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// They are set again.
    Revert,
    /// They stay until the source topic's value changes. A `max.message.bytes` that is too small for the source's
    /// batches is raised all the same: without that the topic stops.
    Respect,
}

/// Takes back, or adds to, the changes of a round.
pub(super) fn settle(
    drift: Drift,
    source: &[ConfigEntry],
    target: &[ConfigEntry],
    before: &SettingsRecord,
    changes: &mut Changes,
) {
    match drift {
        Drift::Revert => {
            let known: BTreeSet<String> = target.iter().map(|entry| entry.name.clone()).collect();
            for (name, value) in settings::own(Some(&known)) {
                if differs(target, &name, Some(&value)) {
                    changes.alter.insert(name, Some(value));
                }
            }
        }
        Drift::Respect => {
            let is_too_small = batch_bytes_max(source) > batch_bytes_max(target);
            changes.alter.retain(|name, wanted| {
                let is_needed = name == SIZE && is_too_small;
                is_needed || !was_changed_by_hand(name, wanted.as_deref(), target, before)
            });
        }
    }
}

/// Whether the target differs from what was copied while the source does not.
fn was_changed_by_hand(name: &str, wanted: Option<&str>, target: &[ConfigEntry], before: &SettingsRecord) -> bool {
    let Some(copied) = before.values.get(name) else { return false };
    match wanted {
        Some(wanted) => is_same(wanted, copied),
        // Reset at the source: what was copied goes, what somebody set instead stays.
        None => set_value(target, name).is_some_and(|is| !is_same(is, copied)),
    }
}
