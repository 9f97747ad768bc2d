use std::time::Duration;

use super::*;

#[test]
fn an_age_needs_a_timestamp_that_is_not_ahead_of_us() {
    assert_eq!(age_of(1_000, 3_500), Some(Duration::from_millis(2_500)));
    assert_eq!(age_of(1_000, 1_000), Some(Duration::ZERO));
    for without in [-1, 0, 1_001, i64::MAX, i64::MIN] {
        assert_eq!(age_of(without, 1_000), None, "{without}");
    }
}
