//! Calls into librdkafka that may never return.
//!
//! Owns: a thread for each call under way.
//! Promises: the caller has an answer within the time that it gave; what does not return keeps its producer until it
//! does, and there are never more than a few such calls.
//! Does not know: what is called.
//!
//! `rd_kafka_send_offsets_to_transaction` takes a time limit and does not keep to it: while the group's coordinator
//! can't be reached it waits for a broker to change its state, and where the coordinator's broker is gone from the
//! metadata none may do so for hours (librdkafka 2.12, its issues 5456 and 5511). Meanwhile nothing could be stored.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// So many calls that did not return are borne: each keeps a producer with its threads.
const LOST_MAX: usize = 8;

/// Makes calls with a limit.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    /// One reference for each call under way, besides ours.
    under_way: Arc<()>,
}

impl Bounded {
    /// Whether so many calls have not returned that no more should be begun.
    pub(super) fn is_exhausted(&self) -> bool {
        Arc::strong_count(&self.under_way) > LOST_MAX
    }

    /// What the call returns; `None` when it does not within the limit. Then it goes on by itself.
    pub(super) fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let under_way = Arc::clone(&self.under_way);
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::Builder::new().name("state transaction".to_owned());
        let spawned = thread.spawn(move || {
            // Nobody may be there any more to hear of it.
            let _ = sender.send(call());
            drop(under_way);
        });
        spawned.ok()?;
        receiver.recv_timeout(limit).ok()
    }
}
