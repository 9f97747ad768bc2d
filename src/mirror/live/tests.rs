use std::time::Duration;

use super::*;

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

#[tokio::test(start_paused = true)]
async fn lag_is_the_age_of_the_oldest_high_watermark_not_reached() {
    let mut lag = LagClock::default();
    let start = Instant::now();
    lag.observe(source(10), source(0), start);
    tokio::time::advance(Duration::from_secs(1)).await;
    lag.observe(source(20), source(0), Instant::now());
    assert_eq!(lag.oldest(), Some(start));
    lag.reach(source(10));
    assert_eq!(lag.oldest(), Some(start + Duration::from_secs(1)));
    lag.reach(source(20));
    assert_eq!(lag.oldest(), None);
    lag.observe(source(20), source(20), Instant::now());
    assert_eq!(lag.oldest(), None, "nothing is missing");
}

#[tokio::test(start_paused = true)]
async fn many_marks_keep_the_oldest() {
    let mut lag = LagClock::default();
    let start = Instant::now();
    for offset in 1..1000 {
        lag.observe(source(offset), source(0), Instant::now());
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(lag.oldest(), Some(start));
    assert!(lag.seen.len() <= MARKS_MAX);
}
