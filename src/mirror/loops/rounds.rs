//! Putting many wishes for a fresh read into few reads.
//!
//! Owns: the read under way and the one that waits behind it.
//! Promises: whoever asks gets the result of a read that began after the question; reads don't overlap.
//! Does not know: what is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

use crate::cluster::ClusterError;

/// The least time from the end of a read to the beginning of the next. Each new producer at the source costs one.
const DISTANCE: Duration = Duration::from_millis(50);

type Outcome = Result<(), ClusterError>;
type Round = Shared<BoxFuture<'static, Outcome>>;
type Read = dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync;

/// See the module.
pub(super) struct Rounds {
    read: Arc<Read>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The newest round; it may be waiting, under way, or done.
    latest: Option<Round>,
    has_latest_begun: bool,
    /// When the last read ended.
    ended: Option<Instant>,
}

impl Rounds {
    pub(super) fn new(read: impl Fn() -> BoxFuture<'static, Outcome> + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), state: Arc::default() }
    }

    /// A read that begins from now on.
    pub(super) async fn round(&self) -> Outcome {
        let round = self.join();
        round.await
    }

    fn join(&self) -> Round {
        let mut state = lock(&self.state);
        if let Some(latest) = &state.latest
            && !state.has_latest_begun
        {
            return latest.clone();
        }
        let before = state.latest.take();
        let round = run(Arc::clone(&self.read), Arc::downgrade(&self.state), before).boxed().shared();
        state.latest = Some(round.clone());
        state.has_latest_begun = false;
        round
    }
}

/// The state is held weakly: it holds this round.
async fn run(read: Arc<Read>, state: Weak<Mutex<State>>, before: Option<Round>) -> Outcome {
    if let Some(before) = before {
        // Its outcome is for those who asked for it. If they are all gone it is driven to its end here.
        let _ = before.await;
    }
    let ended = state.upgrade().and_then(|state| lock(&state).ended);
    if let Some(ended) = ended {
        tokio::time::sleep_until(ended + DISTANCE).await;
    }
    if let Some(state) = state.upgrade() {
        lock(&state).has_latest_begun = true;
    }
    let outcome = read().await;
    if let Some(state) = state.upgrade() {
        lock(&state).ended = Some(Instant::now());
    }
    outcome
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rounds")
    }
}
