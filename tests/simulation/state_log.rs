//! The state topic, and the transactional producers that write to it, in memory.
//!
//! Owns: the log of each shard, open transactions, how slow and how unreliable all of it is at the moment.
//! Promises: readers see what is committed, in order, and nothing behind an open transaction; opening a producer ends
//! the transaction of its former life; records that were handed over and not flushed land late, or never.
//! Does not know: what the records say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use causeway::shards::{Failure, Record, StateOffset, Transactions};
use causeway::tasks::Life;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::group::{Group, Proof};

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How the log behaves.
#[derive(Debug, Clone, Copy)]
pub struct Temper {
    /// A step takes up to so many milliseconds.
    pub slow_ms: u64,
    /// One in so many steps fails; 0: none.
    pub fails_one_in: u64,
}

impl Temper {
    pub const CALM: Self = Self { slow_ms: 5, fails_one_in: 0 };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Open(Instant),
    Committed,
    Aborted,
}

#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    transaction: Option<u64>,
}

#[derive(Debug)]
struct Log {
    temper: Temper,
    shards: BTreeMap<i32, Vec<Entry>>,
    decisions: BTreeMap<u64, Decision>,
    /// The newest life of each transactional id, and its transaction.
    producers: BTreeMap<String, (u64, Option<u64>)>,
    lives: u64,
}

/// Clones are the same log.
#[derive(Debug, Clone)]
pub struct StateLog {
    log: Arc<Mutex<Log>>,
    changes: watch::Sender<u64>,
}

/// A committed record.
pub type Committed = (Vec<u8>, Option<Vec<u8>>);

impl StateLog {
    pub fn new() -> Self {
        let log = Log {
            temper: Temper::CALM,
            shards: BTreeMap::new(),
            decisions: BTreeMap::new(),
            producers: BTreeMap::new(),
            lives: 0,
        };
        Self { log: Arc::new(Mutex::new(log)), changes: watch::Sender::new(0) }
    }

    pub fn set_temper(&self, temper: Temper) {
        self.lock().temper = temper;
    }

    pub fn temper(&self) -> Temper {
        self.lock().temper
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Appends a record outside of any transaction.
    pub fn append(&self, record: &Record) {
        self.lock().append(record, None);
        self.changed();
    }

    /// What is committed in a shard from this place on, and the place after it.
    pub fn read(&self, shard: i32, from: usize) -> (Vec<Committed>, usize) {
        let mut log = self.lock();
        log.expire();
        let mut next = from;
        let mut found = Vec::new();
        let Some(entries) = log.shards.get(&shard) else { return (found, next) };
        for entry in entries.iter().skip(from) {
            match entry.transaction.and_then(|transaction| log.decisions.get(&transaction)) {
                Some(Decision::Open(_)) => break,
                Some(Decision::Aborted) => {}
                Some(Decision::Committed) | None => found.push((entry.key.clone(), entry.value.clone())),
            }
            next += 1;
        }
        (found, next)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Log {
    fn append(&mut self, record: &Record, transaction: Option<u64>) -> i64 {
        let entries = self.shards.entry(record.shard).or_default();
        entries.push(Entry { key: record.key.clone(), value: record.value.clone(), transaction });
        i64::try_from(entries.len()).unwrap()
    }

    fn expire(&mut self) {
        for decision in self.decisions.values_mut() {
            if matches!(decision, Decision::Open(since) if since.elapsed() > TRANSACTION_TIMEOUT) {
                *decision = Decision::Aborted;
            }
        }
    }
}

/// A transactional producer of one daemon.
pub struct Producer {
    log: StateLog,
    group: Group,
    id: String,
    life: u64,
    queued: Vec<Record>,
    dice: Dice,
    of: Life,
}

impl Producer {
    pub fn new(log: StateLog, group: Group, id: &str, dice: Dice, of: Life) -> Self {
        Self { log, group, id: id.to_owned(), life: 0, queued: Vec::new(), dice, of }
    }

    /// What a step takes. `Err`: it fails; the answer says whether it was done all the same.
    async fn step(&mut self, what: &str) -> Result<(), (bool, Failure)> {
        let Temper { slow_ms, fails_one_in } = self.log.temper();
        tokio::time::sleep(self.dice.pause(0, slow_ms)).await;
        if fails_one_in == 0 || !self.dice.is(fails_one_in) {
            return Ok(());
        }
        let failure = if self.dice.is(2) { Failure::Retry } else { Failure::Broken };
        Err((self.dice.is(2), failure(format!("{what} fails"))))
    }

    /// The transaction that is open, while no later life has taken the id.
    fn transaction(&self, log: &mut Log) -> Result<u64, Failure> {
        log.expire();
        match log.producers.get(&self.id) {
            Some((life, Some(transaction))) if *life == self.life => match log.decisions.get(transaction) {
                Some(Decision::Open(_)) => Ok(*transaction),
                Some(Decision::Committed | Decision::Aborted) | None => {
                    Err(Failure::Broken("the transaction is over".to_owned()))
                }
            },
            _ => Err(Failure::Broken("fenced".to_owned())),
        }
    }

    fn decide(&self, decision: Decision) -> Result<(), Failure> {
        let mut log = self.log.lock();
        let transaction = self.transaction(&mut log)?;
        log.decisions.insert(transaction, decision);
        drop(log);
        self.log.changed();
        Ok(())
    }

    /// What was committed without having been flushed is still on its way.
    fn let_queued_land(&mut self) {
        for record in std::mem::take(&mut self.queued) {
            let (log, of, pause) = (self.log.clone(), self.of.clone(), self.dice.pause(0, 3_000));
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                if !of.is_over() {
                    log.append(&record);
                }
            });
        }
    }
}

impl Transactions for Producer {
    type Proof = Proof;

    async fn open(&mut self) -> Result<(), Failure> {
        self.step("open").await.map_err(|(_, failure)| failure)?;
        self.queued.clear();
        let mut log = self.log.lock();
        log.lives += 1;
        self.life = log.lives;
        let former = log.producers.insert(self.id.clone(), (self.life, None));
        if let Some((_, Some(transaction))) = former
            && matches!(log.decisions.get(&transaction), Some(Decision::Open(_)))
        {
            log.decisions.insert(transaction, Decision::Aborted);
        }
        drop(log);
        self.log.changed();
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.queued.clear();
        let mut log = self.log.lock();
        if log.producers.get(&self.id).is_none_or(|(life, _)| *life != self.life) {
            return Err(Failure::Broken("fenced".to_owned()));
        }
        log.lives += 1;
        let transaction = log.lives;
        log.decisions.insert(transaction, Decision::Open(Instant::now()));
        log.producers.insert(self.id.clone(), (self.life, Some(transaction)));
        Ok(())
    }

    async fn send(&mut self, record: &Record) -> Result<(), Failure> {
        self.queued.push(record.clone());
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<StateOffset>, Failure> {
        let step = self.step("flush").await;
        let is_done = step.as_ref().err().is_none_or(|(is_done, _)| *is_done);
        let mut written = BTreeMap::new();
        if is_done {
            let mut log = self.log.lock();
            let transaction = self.transaction(&mut log)?;
            for record in std::mem::take(&mut self.queued) {
                written.insert(record.shard, log.append(&record, Some(transaction)));
            }
            drop(log);
            self.log.changed();
        }
        step.map_err(|(_, failure)| failure)?;
        Ok(written.into_iter().map(|(shard, next)| StateOffset { shard, next }).collect())
    }

    async fn send_offsets(&mut self, _offsets: &[StateOffset], proof: &Arc<Proof>) -> Result<(), Failure> {
        self.step("the proof").await.map_err(|(_, failure)| failure)?;
        if self.group.accepts(proof) { Ok(()) } else { Err(Failure::Refused(format!("{proof:?}"))) }
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        let step = self.step("commit").await;
        if step.as_ref().err().is_none_or(|(is_done, _)| *is_done) {
            self.decide(Decision::Committed)?;
            self.let_queued_land();
        }
        step.map_err(|(_, failure)| failure)
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        self.queued.clear();
        self.decide(Decision::Aborted)
    }
}
