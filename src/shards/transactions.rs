//! The port onto a transactional producer.

use std::sync::Arc;

/// A record for the partition `shard` of the state topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The partition.
    pub shard: i32,
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl Record {
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// How far a shard's partition has been written: the offset after our last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateOffset {
    /// The partition.
    pub shard: i32,
    /// The offset after the last record.
    pub next: i64,
}

/// What went wrong with a transaction, as: what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The coordinator does not accept the membership: abort, wait for our own rebalance, try again if still ours.
    #[error("membership refused: {0}")]
    Refused(String),
    /// Abort and try again.
    #[error("{0}")]
    Retry(String),
    /// The producer is of no more use, and the outcome of its last transaction may be unknown: open a new one.
    #[error("producer lost: {0}")]
    Broken(String),
    /// A record is unacceptable by itself: abort; trying again is of no use.
    #[error("record refused: {0}")]
    Rejected(String),
}

/// A transactional producer, step by step. A step may block its thread: the writer of a real one has a thread of its
/// own, and the writer of a simulated one waits as everything else does there.
///
/// `open` settles what an earlier life of the same transactional id left behind: when it returns, an earlier
/// transaction is either committed or can never be.
pub trait Transactions: Send {
    /// What proves a membership.
    type Proof: Send + Sync;
    /// Opens or reopens the producer.
    fn open(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Begins a transaction.
    fn begin(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Hands over a record; it need not be sent yet.
    fn send(&mut self, record: &Record) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Waits until every record of this transaction is acknowledged, and tells how far each shard has come.
    fn flush(&mut self) -> impl Future<Output = Result<Vec<StateOffset>, Failure>> + Send;
    /// Adds the offsets to the transaction under the proof. This is what a deposed member fails at.
    fn send_offsets(
        &mut self,
        offsets: &[StateOffset],
        proof: &Arc<Self::Proof>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Commits.
    fn commit(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Aborts.
    fn abort(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Called now and then while there is nothing to write.
    fn tend(&mut self) {}
}
