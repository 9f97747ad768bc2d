use super::*;

#[test]
fn sequences_wrap_after_the_largest_one() {
    let last = Sequence::from_kafka(i32::MAX).unwrap();
    assert_eq!(last.plus(1), Sequence::ZERO);
    assert_eq!(last.plus(11).distance_from(last), 11);
    assert_eq!(Sequence::of_count(1 << 31), Sequence::ZERO);
    assert_eq!(Sequence::of_count((1 << 31) + 5).to_kafka(), 5);
    assert_eq!(Sequence::from_kafka(-1), None);
}

#[test]
fn offsets_refuse_the_negative_ones_and_never_leave_their_range() {
    assert_eq!(SourceOffset::new(-1), Err(NegativeOffset(-1)));
    let five = TargetOffset::new(5).unwrap();
    assert_eq!(five.plus(3).distance_from(five), 3);
    assert_eq!(five.distance_from(five.plus(3)), 0);
    assert_eq!(five.minus(9), TargetOffset::ZERO);
    assert_eq!(five.plus(u64::MAX).get(), i64::MAX);
}

#[test]
fn names_follow_their_rules() {
    assert!(TopicName::new("orders.eu_1-x").is_ok());
    for bad in ["", ".", "..", "a/b", "ä", &"x".repeat(250)] {
        assert!(TopicName::new(bad).is_err(), "{bad}");
    }
    assert!(LinkName::new("onprem-to-aws").is_ok());
    assert!(LinkName::new("a.b").is_err());
}

#[test]
fn a_secret_does_not_print() {
    let secret = Secret::new("hunter2".to_owned());
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
}
