//! Memory counted in bytes: whoever holds data holds a permit for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that may be held at once. Clones share the budget.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    semaphore: Arc<Semaphore>,
    bytes_max: u32,
}

/// The right to hold some bytes of a budget. Dropping it gives them back.
#[derive(Debug)]
pub struct BytePermit {
    permit: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of `bytes_max` bytes (at most 4 GiB - 1).
    #[must_use]
    pub fn new(bytes_max: u32) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(bytes_max as usize)), bytes_max }
    }

    /// Waits until `bytes` are free. More than the whole budget is cut to the whole budget, so that one
    /// oversized thing can pass, alone, instead of waiting for ever.
    pub async fn acquire(&self, bytes: usize) -> BytePermit {
        let count = self.cut(bytes);
        match Arc::clone(&self.semaphore).acquire_many_owned(count).await {
            Ok(permit) => BytePermit { permit },
            Err(_) => unreachable!("the semaphore of a budget is never closed"),
        }
    }

    /// Takes `bytes` if they are free now.
    #[must_use]
    pub fn try_acquire(&self, bytes: usize) -> Option<BytePermit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(self.cut(bytes)).ok()?;
        Some(BytePermit { permit })
    }

    /// How many bytes are free now.
    #[must_use]
    pub fn bytes_free(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// The size of the whole budget in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max as usize
    }

    fn cut(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max)
    }
}

impl BytePermit {
    /// How many bytes this permit stands for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.num_permits()
    }

    /// Splits `bytes` off (at most what is there) as a permit of their own.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let count = bytes.min(self.permit.num_permits());
        match self.permit.split(count) {
            Some(permit) => Self { permit },
            None => unreachable!("never more than the permit has"),
        }
    }
}
