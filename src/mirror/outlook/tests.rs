use super::*;

fn configs(values: &[(&str, &str)]) -> Vec<ConfigEntry> {
    let entry = |(name, value): &(&str, &str)| ConfigEntry {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        is_set_on_topic: true,
    };
    values.iter().map(entry).collect()
}

#[test]
fn only_age_alone_can_be_told_ahead() {
    let of = |policy, age, bytes| {
        retention_of(&configs(&[("cleanup.policy", policy), ("retention.ms", age), ("retention.bytes", bytes)]))
    };
    assert_eq!(of("delete", "1000", "-1"), Retention::After(1_000));
    assert_eq!(of("compact, delete", "1000", "-1"), Retention::After(1_000));
    assert_eq!(of("delete", "-1", "-1"), Retention::Untold, "nothing is ever deleted");
    assert_eq!(of("delete", "1000", "5000"), Retention::Untold, "size counts as well");
    assert_eq!(of("compact", "1000", "-1"), Retention::Untold);
    assert_eq!(retention_of(&[]), Retention::Untold);
}

#[test]
fn a_record_is_left_for_what_its_age_leaves() {
    assert_eq!(left(1_000, 5_000, 5_400), Some(600));
    assert_eq!(left(1_000, 5_000, 9_000), Some(0), "it may be deleted at any moment");
    assert_eq!(left(1_000, -1, 9_000), None);
    assert_eq!(left(1_000, 9_500, 9_000), Some(1_000), "clocks differ");
}
