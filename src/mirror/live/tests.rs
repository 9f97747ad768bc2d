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

/// The source is ahead by a minute, for an hour: the figure must say so all the time, not only until the first mark is
/// reached.
#[tokio::test(start_paused = true)]
async fn a_lasting_lag_is_told_all_the_time() {
    let mut lag = LagClock::default();
    for second in 0..3600_i64 {
        lag.observe(source(second), source((second - 60).max(0)), Instant::now());
        lag.reach(source((second - 60).max(0)));
        tokio::time::advance(Duration::from_secs(1)).await;
        if second > 120 {
            let age = lag.oldest().unwrap().elapsed().as_secs();
            assert!((50..=61).contains(&age), "{age} s after {second} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_retention_leaves_runs_down_and_is_remembered() {
    let now = crate::tasks::wall_clock_ms();
    let live = Live::new("one");
    let stored = StatusRecord {
        at_ms: now - 60_000,
        source_contact_age_ms: Some(1_000),
        retention_left_ms: Some(600_000),
        ..live.snapshot().status
    };
    assert_eq!((stored.state, live.snapshot().status.retention_left_ms), (PartitionState::Starting, None));
    // A source that has not answered yet: what the former owner knew, a minute older.
    live.lock().remember(&stored);
    let status = live.snapshot().status;
    assert!(status.retention_left_ms.is_some_and(|left| (530_000..=540_000).contains(&left)), "{status:?}");
    assert!(status.source_contact_age_ms.is_some_and(|age| (61_000..71_000).contains(&age)), "{status:?}");
    // What was looked up here counts, and runs down while nobody can look again.
    live.lock().retention_left = Some((500_000, Instant::now()));
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(live.snapshot().status.retention_left_ms, Some(400_000));
    tokio::time::advance(Duration::from_secs(1_000)).await;
    assert_eq!(live.snapshot().status.retention_left_ms, Some(0));
}
