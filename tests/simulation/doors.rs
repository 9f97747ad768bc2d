//! What a daemon has in place of librdkafka: a reader, a writer and a member of its own group and state log.
//!
//! Owns: [`SimulatedDoors`].
//! Promises: the writer is the daemon's own; only the producer under it is not.
//! Does not know: links.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway::shards::{Holdings, JobQueue, Ownership, Record, WriterLimits, WriterMeasures, run_writer};
use causeway::store::{Doors, SHARDS, Sink, StoreError};
use causeway::tasks::{Life, TaskGroup};
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::dice::Dice;
use crate::group::{Beat, Group, Proof, SESSION};
use crate::state_log::{Producer, StateLog};

#[derive(Debug)]
pub struct SimulatedDoors {
    pub member: String,
    pub group: Group,
    pub log: StateLog,
    pub life: Life,
    pub ownership: Arc<Ownership<Proof>>,
    pub dice: Mutex<Dice>,
    pub limits: WriterLimits,
}

impl SimulatedDoors {
    pub fn new(member: &str, group: &Group, log: &StateLog, life: &Life, dice: Dice, limits: WriterLimits) -> Self {
        Self {
            member: member.to_owned(),
            group: group.clone(),
            log: log.clone(),
            life: life.clone(),
            ownership: Arc::new(Ownership::new(SESSION / 2)),
            dice: Mutex::new(dice),
            limits,
        }
    }

    fn dice(&self) -> Dice {
        self.dice.lock().unwrap().fork()
    }
}

impl Doors for SimulatedDoors {
    fn holdings(&self) -> Arc<dyn Holdings> {
        Arc::clone(&self.ownership) as Arc<dyn Holdings>
    }

    fn post(&self, record: Record) -> BoxFuture<'_, Result<(), String>> {
        let mut dice = self.dice();
        Box::pin(async move {
            tokio::time::sleep(dice.pause(0, self.log.temper().slow_ms)).await;
            self.log.append(&record);
            Ok(())
        })
    }

    fn read(&self, sink: Sink, tasks: &TaskGroup) -> Result<(), StoreError> {
        tasks.spawn_until_stopped("state reader", read(self.log.clone(), sink, self.dice()));
        Ok(())
    }

    fn write(&self, jobs: JobQueue, measures: WriterMeasures, tasks: &TaskGroup) -> Result<(), StoreError> {
        let producer =
            Producer::new(self.log.clone(), self.group.clone(), &self.member, self.dice(), self.life.clone());
        let writing =
            run_writer(producer, Arc::clone(&self.ownership), jobs, self.limits.clone(), measures, tasks.token());
        tasks.spawn_until_stopped("state writer", writing);
        Ok(())
    }

    fn join(&self, _trouble: watch::Sender<Option<String>>, tasks: &TaskGroup) -> Result<(), StoreError> {
        let keeping =
            keep_membership(self.member.clone(), self.group.clone(), Arc::clone(&self.ownership), self.dice());
        tasks.spawn_until_stopped("state member", keeping);
        Ok(())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Reads all shards, each record some time after it was committed.
async fn read(log: StateLog, sink: Sink, mut dice: Dice) {
    let mut changes = log.changes();
    let mut places = vec![0; usize::try_from(SHARDS).unwrap()];
    let mut is_first = true;
    loop {
        tokio::time::sleep(dice.pause(0, log.temper().slow_ms)).await;
        changes.mark_unchanged();
        for (shard, place) in (0..SHARDS).zip(places.iter_mut()) {
            let (records, next) = log.read(shard, *place);
            *place = next;
            for (key, value) in records {
                sink.record(shard, &key, value.as_deref());
            }
        }
        if std::mem::take(&mut is_first) {
            sink.at_end();
        }
        // An open transaction's time can be over without a word.
        drop(tokio::time::timeout(Duration::from_secs(1), changes.changed()).await);
    }
}

async fn keep_membership(member: String, group: Group, ownership: Arc<Ownership<Proof>>, mut dice: Dice) {
    loop {
        tokio::time::sleep(dice.pause(1, 1_500)).await;
        let life = group.join(&member);
        let mut shown: Option<Proof> = None;
        loop {
            ownership.pulse().beat();
            let owned: BTreeSet<i32> = ownership.grants().iter().map(causeway::shards::Grant::shard).collect();
            let Beat::Member { may_own, must_leave, proof } = group.beat(&member, life, &owned) else { break };
            if !must_leave.is_empty() {
                ownership.revoke(&must_leave.iter().copied().collect::<Vec<_>>());
            }
            let new: Vec<i32> = may_own.difference(&owned).copied().collect();
            if shown.as_ref() != Some(&proof) || !new.is_empty() {
                ownership.assign(&new, proof.clone());
                shown = Some(proof);
            }
            tokio::time::sleep(dice.pause(50, 400)).await;
        }
        ownership.lose_all();
    }
}
