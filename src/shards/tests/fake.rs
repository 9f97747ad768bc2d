//! A transactional producer in memory, with the log and the coordinator that it writes to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::shards::{Failure, Record, StateOffset, Transactions};

/// A step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    Begin,
    Send,
    Flush,
    Offsets,
    Commit,
    Abort,
}

/// What the fake cluster saw and will answer.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
    /// The generation that the coordinator accepts.
    pub(super) generation: u32,
    /// The committed records by shard.
    pub(super) log: BTreeMap<i32, Vec<Record>>,
    /// How many transactions were committed.
    pub(super) commits: usize,
    /// Answers for steps to come: the first entry of a step is taken by it.
    pub(super) failures: VecDeque<(Step, Failure)>,
    /// Whether a commit that fails takes effect all the same.
    pub(super) commits_although_failing: bool,
    /// Records with this key are refused.
    pub(super) poison: Option<Vec<u8>>,
    next: BTreeMap<i32, i64>,
    open: Vec<Record>,
    is_flushed: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fake {
    pub(super) cluster: Arc<Mutex<Cluster>>,
}

impl Fake {
    pub(super) fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap()
    }

    fn step(&self, step: Step) -> Result<MutexGuard<'_, Cluster>, Failure> {
        let mut cluster = self.lock();
        cluster.steps.push(step);
        match cluster.failures.iter().position(|(at, _)| *at == step) {
            Some(index) => {
                let (_, failure) = cluster.failures.remove(index).unwrap();
                if step == Step::Commit && cluster.commits_although_failing {
                    cluster.land();
                }
                Err(failure)
            }
            None => Ok(cluster),
        }
    }
}

impl Cluster {
    fn land(&mut self) {
        for record in std::mem::take(&mut self.open) {
            self.log.entry(record.shard).or_default().push(record);
        }
        self.commits += 1;
    }
}

impl Transactions for Fake {
    type Proof = u32;

    async fn open(&mut self) -> Result<(), Failure> {
        self.step(Step::Open)?.open.clear();
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        let mut cluster = self.step(Step::Begin)?;
        assert!(cluster.open.is_empty(), "the transaction before was not ended");
        cluster.is_flushed = false;
        Ok(())
    }

    async fn send(&mut self, record: &Record) -> Result<(), Failure> {
        let mut cluster = self.step(Step::Send)?;
        cluster.open.push(record.clone());
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<StateOffset>, Failure> {
        let mut cluster = self.step(Step::Flush)?;
        if let Some(poison) = cluster.poison.clone()
            && cluster.open.iter().any(|record| record.key == poison)
        {
            return Err(Failure::Rejected("poison".to_owned()));
        }
        cluster.is_flushed = true;
        let mut offsets = BTreeMap::new();
        for record in cluster.open.clone() {
            let next = cluster.next.entry(record.shard).or_insert(0);
            *next += 1;
            offsets.insert(record.shard, *next);
        }
        Ok(offsets.into_iter().map(|(shard, next)| StateOffset { shard, next }).collect())
    }

    async fn send_offsets(&mut self, _offsets: &[StateOffset], proof: &Arc<u32>) -> Result<(), Failure> {
        let cluster = self.step(Step::Offsets)?;
        assert!(cluster.is_flushed, "a record could land behind the successor's");
        if **proof == cluster.generation { Ok(()) } else { Err(Failure::Refused(format!("generation {proof}"))) }
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.step(Step::Commit)?.land();
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        self.step(Step::Abort)?.open.clear();
        Ok(())
    }
}
