use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::*;

#[tokio::test]
async fn closing_a_group_waits_for_its_tasks() {
    let group = TaskGroup::new();
    let done = Arc::new(AtomicBool::new(false));
    let (task_group, task_done) = (group.clone(), Arc::clone(&done));
    group.spawn("slow to stop", async move {
        task_group.stopped().await;
        tokio::task::yield_now().await;
        task_done.store(true, Ordering::SeqCst);
    });
    group.close().await;
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_child_stops_with_its_parent_but_not_the_other_way_round() {
    let parent = TaskGroup::new();
    let first = parent.child();
    let second = parent.child();
    first.close().await;
    assert!(!parent.is_stopping() && !second.is_stopping());
    parent.close().await;
    assert!(second.is_stopping());
}

#[tokio::test(start_paused = true)]
async fn a_life_that_ends_takes_all_its_tasks_along() {
    let (life, ticks) = (Life::new(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&ticks);
    let _main = tokio::spawn(life.run(async move {
        let group = TaskGroup::new();
        let inner = group.clone();
        group.spawn("outer", async move {
            inner.spawn("inner", async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        std::future::pending::<()>().await;
    }));
    let wait = || tokio::time::sleep(Duration::from_millis(105));
    wait().await;
    let before = ticks.load(Ordering::SeqCst);
    assert_eq!(before, 10);
    life.freeze();
    wait().await;
    assert_eq!(ticks.load(Ordering::SeqCst), before);
    life.thaw();
    wait().await;
    let thawed = ticks.load(Ordering::SeqCst);
    assert!(thawed > before);
    life.kill();
    wait().await;
    assert_eq!(ticks.load(Ordering::SeqCst), thawed);
    assert_eq!(Arc::strong_count(&ticks), 1, "what a task holds is dropped");
    let told = life.run(async {}).await;
    assert!(told.is_none() && life.is_over());
}

#[tokio::test]
async fn a_life_can_end_after_so_many_polls() {
    let life = Life::with_wall_clock(|| 7);
    life.kill_after(3);
    let polls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&polls);
    let told = life.run(async move {
        loop {
            assert_eq!(wall_clock_ms(), 7);
            count.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    assert!(told.await.is_none_or(|(): ()| false));
    assert_eq!(polls.load(Ordering::SeqCst), 3);
}

#[test]
fn pauses_double_up_to_the_longest_and_start_again() {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
    for longest in [100, 200, 300, 300] {
        let pause = backoff.next_pause();
        assert!(pause <= Duration::from_millis(longest) && pause >= Duration::from_millis(longest / 2), "{pause:?}");
    }
    backoff.reset();
    assert!(backoff.next_pause() <= Duration::from_millis(100));
}

#[tokio::test]
async fn a_budget_takes_its_bytes_back() {
    let budget = ByteBudget::new(100);
    let mut permit = budget.acquire(80).await;
    assert!(budget.try_acquire(30).is_none());
    drop(permit.split(50));
    assert_eq!((permit.bytes(), budget.bytes_free()), (30, 70));
    drop(permit);
    assert_eq!(budget.acquire(1_000).await.bytes(), 100, "an oversized thing passes alone");
}
