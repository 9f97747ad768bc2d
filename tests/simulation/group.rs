//! The daemon group's coordinator, as far as daemons can tell.
//!
//! Owns: who is a member, in which generation, and who may own which shard.
//! Promises: no shard is given away before its owner has let go of it, or its session is over; a proof is good only
//! for the newest life of a member in the newest generation.
//! Does not know: what is written under a proof.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

const SHARDS: i32 = 32;
pub const SESSION: Duration = Duration::from_secs(10);

/// What a member shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    member: String,
    life: u64,
    generation: u64,
}

/// What a heartbeat is answered with.
pub enum Beat {
    /// There is another life of this member, or its session was over.
    Gone,
    /// What it may own, and by which proof.
    Member { may_own: BTreeSet<i32>, must_leave: BTreeSet<i32>, proof: Proof },
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    lives: u64,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    life: u64,
    seen: Instant,
    owned: BTreeSet<i32>,
}

/// Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    state: Arc<Mutex<State>>,
}

impl Group {
    /// Joins; an earlier life of the same member is fenced, and what it owned is handed on.
    pub fn join(&self, member: &str) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.expire();
        state.lives += 1;
        let life = state.lives;
        let seen = Instant::now();
        if let Some(known) = state.members.get_mut(member) {
            (known.life, known.seen) = (life, seen);
        } else {
            state.members.insert(member.to_owned(), Member { life, seen, owned: BTreeSet::new() });
            state.generation += 1;
        }
        life
    }

    /// A sign of life, with what the member owns.
    pub fn beat(&self, member: &str, life: u64, owned: &BTreeSet<i32>) -> Beat {
        let mut state = self.state.lock().unwrap();
        state.expire();
        let due = state.due_to(member);
        let taken = state.owned_by_others(member);
        let Some(known) = state.members.get_mut(member).filter(|known| known.life == life) else { return Beat::Gone };
        known.seen = Instant::now();
        // What a former life owned stays with the member until this life says otherwise.
        let must_leave: BTreeSet<i32> = owned.difference(&due).copied().collect();
        let may_own: BTreeSet<i32> = due.difference(&taken).copied().collect();
        let before = std::mem::replace(&mut known.owned, owned.union(&may_own).copied().collect());
        if before != known.owned {
            state.generation += 1;
        }
        let proof = Proof { member: member.to_owned(), life, generation: state.generation };
        Beat::Member { may_own, must_leave, proof }
    }

    /// Whether the coordinator accepts a proof.
    pub fn accepts(&self, proof: &Proof) -> bool {
        let mut state = self.state.lock().unwrap();
        state.expire();
        let is_newest = state.members.get(&proof.member).is_some_and(|member| member.life == proof.life);
        is_newest && state.generation == proof.generation
    }
}

impl State {
    fn expire(&mut self) {
        let before = self.members.len();
        self.members.retain(|_, member| member.seen.elapsed() < SESSION);
        if self.members.len() < before {
            self.generation += 1;
        }
    }

    fn due_to(&self, member: &str) -> BTreeSet<i32> {
        let count = i32::try_from(self.members.len()).unwrap().max(1);
        let Some(index) = self.members.keys().position(|name| name == member) else { return BTreeSet::new() };
        (0..SHARDS).filter(|shard| shard % count == i32::try_from(index).unwrap()).collect()
    }

    fn owned_by_others(&self, member: &str) -> BTreeSet<i32> {
        self.members.iter().filter(|(name, _)| *name != member).flat_map(|(_, one)| one.owned.clone()).collect()
    }
}
