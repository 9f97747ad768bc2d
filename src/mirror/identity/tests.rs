use super::*;

const LIMITS: FillLimits = FillLimits { gap_max: 1_000, ratio_max: 1.0 };

#[test]
fn a_gap_counts_whole_however_it_becomes_known() {
    let mut account = Account::default();
    assert_eq!(account.refuses(1_000, LIMITS), None);
    assert!(account.refuses(1_001, LIMITS).unwrap().contains("gap_fill_max (1000)"));
    account.filled(600);
    assert_eq!(account.refuses(400, LIMITS), None);
    assert!(account.refuses(401, LIMITS).is_some());
    account.copied(1);
    assert_eq!(account.refuses(1_000, LIMITS), None);
}

#[test]
fn many_gaps_count_against_the_records_between_them() {
    let mut account = Account::default();
    for _ in 0..30 {
        account.copied(500);
        assert_eq!(account.refuses(500, LIMITS), None);
        account.filled(500);
    }
    for _ in 0..10 {
        account.copied(10);
        account.filled(500);
    }
    assert!(account.refuses(500, LIMITS).unwrap().contains("gap_fill_ratio_max"));
    assert_eq!(account.refuses(500, FillLimits { ratio_max: 2.0, ..LIMITS }), None);
    // What was long ago counts less and less.
    for _ in 0..5 {
        account.copied(900_000);
    }
    assert_eq!(account.refuses(500, LIMITS), None);
}

#[test]
fn every_relation_is_read_as_it_was_written() {
    let mut account = Account::beginning_at(TargetOffset::new(7).unwrap());
    assert!(account.raise_counter());
    account.copied(3);
    account.filled(1);
    account.transactional = Some(ProducerId(9));
    let stored = Account { since_record: 0, ..account.clone() };
    let since = SourceOffset::new(5).unwrap();
    for (relation, read) in [
        (Relation::Identical(account), Relation::Identical(stored)),
        (Relation::FastForwarding { to: since }, Relation::FastForwarding { to: since }),
        (Relation::parted(since, "x"), Relation::parted(since, "x")),
        (Relation::wanted_translated(), Relation::wanted_translated()),
    ] {
        assert_eq!(Relation::from_record(Some(&relation.to_record())), read);
    }
    assert_eq!(Relation::from_record(None), Relation::wanted_translated());
}

#[test]
fn counters_rise_until_there_are_none_left() {
    let mut account = Account { counter: i32::MAX - 1_500, ..Account::default() };
    assert!(account.raise_counter());
    assert!(!account.raise_counter());
}
