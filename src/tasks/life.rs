//! A life: all tasks that belong to one daemon, where several daemons share a process and one of them is to die.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

tokio::task_local! {
    /// The life that the running task belongs to. Tasks that it starts belong to the same one.
    static LIFE: Life;
}

/// All tasks that were started within it, at any depth. Simulations kill a daemon by it, as a machine would: between
/// two polls, without a word to anybody. Clones stand for the same life.
#[derive(Clone, Default)]
pub struct Life {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Running,
    Frozen,
    Over,
}

/// Milliseconds since 1970.
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

#[derive(Default)]
struct Inner {
    state: State,
    polls_left: Option<u64>,
    next_number: u64,
    clock: Option<Clock>,
    wakers: BTreeMap<u64, Waker>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("state", &self.lock().state).finish_non_exhaustive()
    }
}

impl Life {
    /// A life without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A life whose wall clock is this one, in milliseconds since 1970.
    #[must_use]
    pub fn with_wall_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let life = Self::default();
        life.lock().clock = Some(Arc::new(clock));
        life
    }

    pub(super) fn wall_clock_ms(&self) -> Option<i64> {
        let clock = self.lock().clock.clone();
        clock.map(|clock| clock())
    }

    /// The life that the running task belongs to, if any.
    pub(super) fn current() -> Option<Self> {
        LIFE.try_with(Self::clone).ok()
    }

    /// This future as a part of the life; `None` comes out when the life ends before it.
    pub fn run<F: Future + Send + 'static>(&self, future: F) -> impl Future<Output = Option<F::Output>> + Send + use<F>
    where
        F::Output: Send,
    {
        let number = {
            let mut inner = self.lock();
            inner.next_number += 1;
            inner.next_number
        };
        Living { life: self.clone(), number, future: Some(Box::pin(LIFE.scope(self.clone(), future))) }
    }

    /// Ends it: no task of it is polled again, and each is dropped.
    pub fn kill(&self) {
        self.change(State::Over);
    }

    /// Ends it after so many polls of its tasks, wherever that is.
    pub fn kill_after(&self, polls: u64) {
        self.lock().polls_left = Some(polls);
    }

    /// Stops polling until [`Life::thaw`], as a machine does that sleeps: time passes meanwhile.
    pub fn freeze(&self) {
        self.change(State::Frozen);
    }

    /// Goes on after [`Life::freeze`].
    pub fn thaw(&self) {
        self.change(State::Running);
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().state == State::Over
    }

    fn change(&self, to: State) {
        let wakers = {
            let mut inner = self.lock();
            if inner.state == State::Over {
                return;
            }
            inner.state = to;
            inner.wakers.values().cloned().collect::<Vec<_>>()
        };
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// Whether a task may be polled now.
    fn admit(&self, number: u64, waker: &Waker) -> State {
        let mut inner = self.lock();
        if inner.state == State::Running && inner.polls_left == Some(0) {
            inner.state = State::Over;
            inner.wakers.values().for_each(Waker::wake_by_ref);
        }
        match inner.state {
            State::Over => drop(inner.wakers.remove(&number)),
            State::Running | State::Frozen => {
                inner.wakers.entry(number).and_modify(|known| known.clone_from(waker)).or_insert_with(|| waker.clone());
            }
        }
        if inner.state == State::Running {
            inner.polls_left = inner.polls_left.map(|left| left - 1);
        }
        inner.state
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future within a life.
struct Living<F: Future> {
    life: Life,
    number: u64,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Living<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.life.admit(self.number, context.waker()) {
            State::Running => {}
            State::Frozen => return Poll::Pending,
            State::Over => {
                self.future = None;
                return Poll::Ready(None);
            }
        }
        match self.future.as_mut().map(|future| future.as_mut().poll(context)) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(output)) => {
                self.future = None;
                Poll::Ready(Some(output))
            }
            None => Poll::Ready(None),
        }
    }
}

impl<F: Future> Drop for Living<F> {
    fn drop(&mut self) {
        // What the future holds may lock the life, too.
        self.future = None;
        self.life.lock().wakers.remove(&self.number);
    }
}
