//! The rules of the data path against a model of a broker: random schedules of appends, lost answers, late requests,
//! crashed and frozen owners, and brokers that forget. What lands must be the source, once, in order, and the map exact.
//!
//! Each rule can be switched off, and then some schedule must go wrong: a test that can't fail proves nothing.

mod broker;
mod identical;
mod owner;

use owner::{Rules, World};

/// What may go wrong in a schedule.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that happens or does not")]
struct Faults {
    /// Answers and connections are lost.
    answers: bool,
    /// Owners crash or freeze, and what they sent may arrive later.
    owners: bool,
    /// The broker forgets producer state, as it may with old records (H1).
    sweeps: bool,
    /// The broker restarts from a snapshot, which knows one batch of a producer (H3).
    snapshots: bool,
    /// Appends are refused without being written, as when the leader moves.
    refusals: bool,
    /// Applications on the target write to the topic as well.
    others: bool,
    /// The source is compacted between two owners.
    compaction: bool,
}

fn failures(faults: Faults, rules: Rules, schedules: u64) -> Vec<String> {
    (0..schedules)
        .filter_map(|seed| World::run(seed, faults, rules).err().map(|why| format!("seed {seed}: {why}")))
        .collect()
}

#[track_caller]
fn holds(faults: Faults) {
    let schedules = if faults.others || faults.compaction { 600 } else { 1_500 };
    let failures = failures(faults, Rules::ALL, schedules);
    assert!(failures.is_empty(), "{} failed, such as {:?}", failures.len(), failures.first());
}

#[track_caller]
fn is_needed(faults: Faults, rules: Rules) {
    let is_wrong = |seed| World::run(seed, faults, rules).is_err();
    assert!((0..1_500).any(is_wrong), "nothing went wrong with {rules:?}: the test can't see it");
}

const ANSWERS: Faults = Faults {
    answers: true,
    owners: false,
    sweeps: false,
    snapshots: false,
    refusals: false,
    others: false,
    compaction: false,
};
const OWNERS: Faults = Faults { owners: true, ..ANSWERS };

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    holds(Faults::default());
    holds(ANSWERS);
    holds(Faults { refusals: true, ..ANSWERS });
}

#[test]
fn owners_follow_each_other() {
    holds(OWNERS);
    holds(Faults { refusals: true, snapshots: true, ..OWNERS });
    holds(Faults { refusals: true, snapshots: true, sweeps: true, ..OWNERS });
}

#[test]
fn what_the_former_owner_planned_is_kept() {
    is_needed(OWNERS, Rules { keeps_former_plan: false, ..Rules::ALL });
}

/// H1: resending relies on producer state, which old records don't leave behind for long.
#[test]
fn the_log_is_looked_at_before_anything_is_sent_again() {
    let faults = Faults { sweeps: true, ..ANSWERS };
    holds(faults);
    is_needed(faults, Rules { looks_before_resend: false, ..Rules::ALL });
}

/// H2: without producer state a broker takes any sequence.
#[test]
fn one_append_is_under_way_until_the_broker_knows_us() {
    let faults = Faults { refusals: true, ..Faults::default() };
    holds(faults);
    is_needed(faults, Rules { one_before_first_ack: false, ..Rules::ALL });
    let faults = Faults { sweeps: true, ..faults };
    holds(faults);
    is_needed(faults, Rules { one_before_first_ack: false, ..Rules::ALL });
}

/// H3: what landed long ago is "out of order" to a broker that remembers one batch only.
#[test]
fn out_of_order_after_a_snapshot_is_settled_by_the_log() {
    let faults = Faults { snapshots: true, ..ANSWERS };
    holds(faults);
    is_needed(faults, Rules { looks_before_resend: false, ..Rules::ALL });
}

#[test]
fn among_other_writers_nothing_is_lost_doubled_or_out_of_order() {
    let others = |faults| Faults { others: true, ..faults };
    holds(others(Faults::default()));
    holds(others(Faults { refusals: true, snapshots: true, ..ANSWERS }));
    holds(others(OWNERS));
    holds(others(Faults { refusals: true, snapshots: true, ..OWNERS }));
    holds(others(Faults { refusals: true, snapshots: true, sweeps: true, ..OWNERS }));
}

#[test]
fn among_other_writers_the_same_rules_are_needed() {
    let sweeps = Faults { sweeps: true, others: true, ..ANSWERS };
    is_needed(sweeps, Rules { looks_before_resend: false, ..Rules::ALL });
    let refusals = Faults { refusals: true, others: true, ..Faults::default() };
    is_needed(refusals, Rules { one_before_first_ack: false, ..Rules::ALL });
    is_needed(Faults { others: true, ..OWNERS }, Rules { keeps_former_plan: false, ..Rules::ALL });
    is_needed(Faults { others: true, ..OWNERS }, Rules { asks_by_sequence: false, ..Rules::ALL });
}

/// H4: what a former owner sent last arrives late, with the sequences of other records.
#[test]
fn what_a_former_owner_may_have_sent_instead_is_read_back() {
    let faults = Faults { compaction: true, answers: false, ..OWNERS };
    for faults in [faults, Faults { others: true, ..faults }] {
        holds(faults);
        is_needed(faults, Rules { reads_back: false, ..Rules::ALL });
    }
}
