use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::*;

const SOON: Duration = Duration::from_mins(1);

#[test]
fn what_returns_is_returned() {
    let bounded = Bounded::default();
    assert_eq!(bounded.call(SOON, || 7), Some(7));
    assert!(!bounded.is_exhausted());
}

#[test]
fn what_does_not_return_is_left_alone_and_counted_until_it_does() {
    let bounded = Bounded::default();
    let (let_go, held) = channel::<()>();
    let held = Arc::new(Mutex::new(held));
    for _ in 0..LOST_MAX {
        let held = Arc::clone(&held);
        assert_eq!(bounded.call(Duration::from_millis(1), move || held.lock().unwrap().recv().is_ok()), None);
    }
    assert!(bounded.is_exhausted());
    drop(let_go);
    while bounded.is_exhausted() {
        std::thread::yield_now();
    }
}
