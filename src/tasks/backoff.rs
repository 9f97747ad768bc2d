//! Waiting longer after each failure, with jitter, so that many waiters don't come back at once.

use std::time::Duration;

use rand::RngExt;

/// The pause before the next attempt: doubles from `first` to `longest`, each drawn from the upper half of its range.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`; `longest` is never exceeded.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// The pause to make now. The following one will be twice as long.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Waits for the next pause.
    pub async fn pause(&mut self) {
        let pause = self.next_pause();
        tokio::time::sleep(pause).await;
    }

    /// Something worked: the next failure starts at `first` again.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.longest);
    }
}
