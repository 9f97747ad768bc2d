use super::*;

const EPOCH: ProducerEpoch = ProducerEpoch(0);

fn target(offset: i64) -> TargetOffset {
    TargetOffset::new(offset).unwrap()
}

/// 100 acknowledged, sequence 100 next, planned up to 200.
fn expected() -> Expectation {
    Expectation { acknowledged: target(100), sequence: Sequence::of_count(100), planned_end: target(200), epoch: EPOCH }
}

fn seen(last_sequence: Option<u64>, log_end: i64) -> Observation {
    let state = last_sequence.map(|last| (EPOCH, Some(Sequence::of_count(last))));
    Observation { state, log_end: target(log_end) }
}

#[test]
fn nothing_new_and_planned_appends_are_ours() {
    assert_eq!(reconcile(&expected(), &seen(Some(99), 100)), Finding::Ours);
    assert_eq!(reconcile(&expected(), &seen(Some(149), 150)), Finding::Ours);
    assert_eq!(reconcile(&expected(), &seen(Some(199), 200)), Finding::Ours);
}

#[test]
fn a_foreign_record_makes_offsets_and_sequences_part() {
    assert_eq!(reconcile(&expected(), &seen(Some(99), 101)), Finding::Foreign);
    assert_eq!(reconcile(&expected(), &seen(Some(149), 151)), Finding::Foreign);
    assert_eq!(reconcile(&expected(), &seen(Some(200), 201)), Finding::Foreign, "beyond every plan");
}

#[test]
fn without_producer_state_only_the_unchanged_end_is_sure() {
    assert_eq!(reconcile(&expected(), &seen(None, 100)), Finding::Ours);
    assert_eq!(reconcile(&expected(), &seen(None, 150)), Finding::Unproven);
    assert_eq!(reconcile(&expected(), &seen(None, 201)), Finding::Foreign);
}

#[test]
fn a_shorter_log_has_lost_data() {
    assert_eq!(reconcile(&expected(), &seen(Some(89), 90)), Finding::Lost);
    assert_eq!(reconcile(&expected(), &seen(None, 90)), Finding::Lost);
}

#[test]
fn a_shorter_log_that_somebody_else_wrote_into_is_foreign() {
    assert_eq!(reconcile(&expected(), &seen(Some(79), 90)), Finding::Foreign);
}

#[test]
fn a_higher_epoch_fences() {
    let seen = Observation { state: Some((ProducerEpoch(1), None)), log_end: target(101) };
    assert_eq!(reconcile(&expected(), &seen), Finding::Fenced);
}

#[test]
fn sequences_wrap() {
    let near_the_end = Expectation {
        acknowledged: target(5_000_000_000),
        sequence: Sequence::of_count((1 << 31) - 10),
        planned_end: target(5_000_000_100),
        epoch: EPOCH,
    };
    assert_eq!(reconcile(&near_the_end, &seen(Some((1 << 31) + 9), 5_000_000_020)), Finding::Ours);
}
