use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use super::*;
use crate::types::{Run, Sequence, TargetOffset};

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn live_at(position: i64) -> Arc<Live> {
    let live = Live::new("one");
    live.lock().position = Some(Position::new(source(position), TargetOffset::ZERO, Sequence::of_count(0)));
    Arc::new(live)
}

fn advance(live: &Live, length: u64) {
    let mut inner = live.lock();
    let position = inner.position.as_mut().unwrap();
    let run = Run { source: position.source(), target: position.target(), length };
    position.acknowledge(&[run]).unwrap();
    inner.advanced();
}

#[tokio::test]
async fn a_thousand_wait_and_each_is_told_in_time() {
    let live = live_at(10);
    live.reach(source(9)).await;
    let mut waiting: Vec<_> = (0..1_000).map(|number| Box::pin(live.reach(source(10 + number % 10)))).collect();
    assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
    advance(&live, 5);
    assert_eq!(live.lock().waiters.waiting.len(), 500);
    advance(&live, 5);
    join_all(waiting).await;
    assert!(live.lock().waiters.waiting.is_empty());
}

#[tokio::test]
async fn whoever_gives_up_leaves_nothing_behind() {
    let live = live_at(10);
    {
        let mut waiting = Box::pin(live.reach(source(50)));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(live.lock().waiters.waiting.len(), 1);
    }
    assert!(live.lock().waiters.waiting.is_empty());
}
