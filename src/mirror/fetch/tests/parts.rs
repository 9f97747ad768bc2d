//! Inbox, pace, memory, and the table of codes.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::codes::{SessionVerdict, partition_trouble, session_verdict};
use super::super::inbox::{HeldMemory, InboxLimits, inbox};
use super::super::mailbox::Mailbox;
use super::super::memory::{Appetite, FrameMemory, Table};
use super::super::pace::Pace;
use super::super::slot::{Mail, SlotId, Trouble};
use super::*;
use crate::tasks::ByteBudget;

fn marks(high_watermark: i64) -> Watermarks {
    let at = |offset| SourceOffset::new(offset).unwrap();
    Watermarks { log_start: at(0), high_watermark: at(high_watermark), last_stable: at(high_watermark) }
}

fn unreachable(reason: &str) -> FetchEvent {
    FetchEvent::Unreachable { reason: reason.to_owned(), is_denied: false }
}

#[tokio::test]
async fn of_watermarks_and_outages_only_the_newest_waits() {
    let limits = InboxLimits { bytes_max: 100, budget: ByteBudget::new(1_000) };
    let (outlet, mut inbox) = inbox(limits);
    for high_watermark in 0..1_000 {
        outlet.tell(marks(high_watermark));
        outlet.send(unreachable("again"));
    }
    outlet.stop(FetchStop::Deleted);
    assert!(matches!(inbox.recv().await, Some(FetchEvent::Watermarks(told)) if told == marks(999)));
    assert!(matches!(inbox.recv().await, Some(FetchEvent::Unreachable { .. })));
    assert!(matches!(inbox.try_recv(), Some(FetchEvent::Stopped(FetchStop::Deleted))));
    assert!(inbox.recv().await.is_none() && inbox.try_recv().is_none());
}

#[tokio::test]
async fn a_full_inbox_is_parked_and_wakes_its_fetcher_when_half_is_released() {
    let budget = ByteBudget::new(10_000);
    let limits = InboxLimits { bytes_max: 100, budget: budget.clone() };
    let (outlet, inbox) = inbox(limits);
    let fetcher = Arc::new(Mailbox::new());
    outlet.settle_at(&fetcher, SlotId(7));
    let take = |bytes: usize| outlet.hold(HeldMemory::Own { _permit: budget.try_acquire(bytes).unwrap() }, bytes);
    let (a, b, c) = (take(60), take(20), take(30));
    assert!(outlet.is_full() && outlet.park());
    drop(b);
    assert!(fetcher.take().is_empty(), "90 of 100");
    drop(a);
    assert!(matches!(fetcher.take().pop_front(), Some(Mail::Drained(SlotId(7)))), "30 of 100");
    drop(c);
    assert!(fetcher.take().is_empty(), "told once");
    assert!(!outlet.park(), "there is room already");
    // With a little memory free a partition may hold little.
    let others = budget.try_acquire(9_900).unwrap();
    let held = take(30);
    assert!(outlet.is_full());
    drop(others);
    assert!(!outlet.is_full());
    drop((held, inbox));
    assert!(matches!(fetcher.take().pop_front(), Some(Mail::Closed(SlotId(7)))));
    assert!(outlet.is_closed());
    assert_eq!(budget.bytes_free(), 10_000);
}

#[tokio::test]
async fn a_frame_is_given_back_with_its_last_slice() {
    let budget = ByteBudget::new(1 << 20);
    let mut purse = Appetite::new(budget.clone(), Arc::default(), 1 << 20).reserve(None).await;
    let mut frame = FrameMemory::new(1_000);
    let slices = [frame.slice(&mut purse), frame.slice(&mut purse)];
    drop((frame, purse));
    let [first, second] = slices;
    assert_eq!(budget.bytes_free(), (1 << 20) - 1_000);
    drop(first);
    assert_eq!(budget.bytes_free(), (1 << 20) - 1_000);
    drop(second);
    assert_eq!(budget.bytes_free(), 1 << 20);
}

#[tokio::test]
async fn connections_set_aside_half_of_the_budget_at_most() {
    let budget = ByteBudget::new(8 << 20);
    let table = Arc::new(Table::default());
    let mut appetites: Vec<_> = (0..8).map(|_| Appetite::new(budget.clone(), Arc::clone(&table), 4 << 20)).collect();
    for appetite in &mut appetites {
        for _ in 0..10 {
            appetite.note(1, 1, Duration::ZERO);
        }
    }
    let mut purses = Vec::new();
    for appetite in &appetites {
        purses.push(appetite.reserve(None).await);
    }
    assert_eq!(budget.bytes_free(), 4 << 20);
    assert_eq!(purses[0].bytes(), 512 << 10);
    // More than was set aside is taken while there is some, and passes uncounted when there is none.
    let rest = budget.try_acquire(4 << 20).unwrap();
    assert_eq!(purses[0].pay(1 << 20).bytes(), 512 << 10);
    drop(rest);
    appetites[0].need(3 << 20);
    drop(purses);
    assert_eq!(appetites[0].reserve(None).await.bytes(), 3 << 20);
}

#[tokio::test]
async fn those_without_records_leave_their_share_to_those_with_some() {
    let budget = ByteBudget::new(64 << 20);
    let table = Arc::new(Table::default());
    let mut appetites: Vec<_> = (0..8).map(|_| Appetite::new(budget.clone(), Arc::clone(&table), 64 << 20)).collect();
    let long = Duration::from_millis(100);
    for appetite in &mut appetites {
        for _ in 0..10 {
            appetite.note(1, 1, long);
        }
    }
    assert_eq!(appetites[7].reserve(None).await.bytes(), 4 << 20, "all have records");
    for appetite in &mut appetites[1..7] {
        appetite.note(0, 1 << 20, long);
    }
    appetites[7].rest();
    let mut purses = Vec::new();
    for appetite in &appetites {
        purses.push(appetite.reserve(None).await);
    }
    assert_eq!(purses[0].bytes(), 25 << 20, "it is the only one with records");
    assert_eq!(purses[7].bytes(), 1 << 20);
    assert_eq!(budget.bytes_free(), 32 << 20, "half of the budget is left");
    drop((purses, appetites.split_off(1)));
    assert_eq!(appetites[0].reserve(None).await.bytes(), 32 << 20, "it is the only one");
}

#[tokio::test]
async fn what_is_plenty_grows_only_on_a_long_way() {
    let budget = ByteBudget::new(64 << 20);
    let mut appetite = Appetite::new(budget, Arc::default(), 16 << 20);
    for (took_ms, expected) in [(1, 4 << 20), (39, 4 << 20), (40, 16 << 20), (1, 16 << 20)] {
        for _ in 0..10 {
            appetite.note(1, 1, Duration::from_millis(took_ms));
        }
        assert_eq!(appetite.reserve(None).await.bytes(), expected, "after {took_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pace_keeps_the_rate_and_puts_first_ones_first() {
    let pace = Pace::new(Some(1_000));
    let began = Instant::now();
    for _ in 0..10 {
        pace.turn().await;
        pace.spend(1_000);
        pace.note_backlog(5, true);
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(8) && took <= Duration::from_secs(10), "{took:?}");
    pace.note_backlog(9, true);
    assert_eq!(pace.priority_floor(), Some(9));
    pace.note_backlog(9, false);
    assert_eq!(pace.priority_floor(), Some(5));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(pace.priority_floor(), None, "the limit no longer bites");
    let free = Pace::new(None);
    free.spend(usize::MAX);
    free.turn().await;
    assert_eq!(free.bytes_at_once(), None);
}

#[test]
fn each_code_has_a_row_and_an_unknown_one_is_told() {
    assert_eq!(partition_trouble(0, None), None);
    assert_eq!(partition_trouble(1, None), Some(Trouble::OutOfRange));
    for code in [2, 29, 76, 109, 4, 35, 999] {
        assert_eq!(partition_trouble(code, None), Some(Trouble::Refused { code }));
    }
    for code in [3, 100, 103] {
        assert_eq!(partition_trouble(code, None), Some(Trouble::Missing { code }));
    }
    for code in [5, 6, 9, 56, 74, 75] {
        assert_eq!(partition_trouble(code, None), Some(Trouble::Moved { code, hint: None }));
    }
    for code in [7, 78, -1] {
        assert_eq!(partition_trouble(code, None), Some(Trouble::Busy { code }));
    }
    assert_eq!(session_verdict(70), SessionVerdict::Forgotten);
    assert!([71, 106, 100, 103].iter().all(|code| session_verdict(*code) == SessionVerdict::OutOfStep));
    assert!([-1, 35, 89, 999].iter().all(|code| session_verdict(*code) == SessionVerdict::Failed));
}

#[tokio::test]
async fn a_slow_line_is_asked_for_what_it_brings_in_time() {
    let mut appetite = Appetite::new(ByteBudget::new(64 << 20), Arc::default(), 16 << 20);
    // 500 KB a second.
    let took = |bytes: usize| Duration::from_millis(u64::try_from(bytes / 500).unwrap());
    for _ in 0..20 {
        let reserved = appetite.reserve(None).await.bytes();
        appetite.note(reserved, reserved, took(reserved));
    }
    assert_eq!(appetite.reserve(None).await.bytes(), 1 << 20, "more would take longer than two seconds");
    // It becomes slower still.
    appetite.note(1 << 20, 1 << 20, Duration::from_secs(10));
    assert_eq!(appetite.reserve(None).await.bytes(), 512 << 10);
    appetite.lost();
    assert_eq!(appetite.reserve(None).await.bytes(), 64 << 10, "what broke off is not asked for again as it was");
}
