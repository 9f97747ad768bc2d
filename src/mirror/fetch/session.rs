//! What a broker's incremental fetch session (KIP-227) holds, and what must be said to make it hold what we want.
//!
//! Owns: session id and epoch, what is wanted, what the broker was told.
//! Promises: after each request the broker's session is what we want, and a request says only what changed.
//! Does not know: requests' layout, connections, time. One request at a time is under way.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// The next offset.
    pub(super) offset: i64,
    /// Leader epoch of the last batch before it, -1 for unknown.
    pub(super) last_epoch: i32,
    /// Leader epoch that we know the leader by, -1 for unknown.
    pub(super) leader_epoch: i32,
    /// At most so many bytes (Kafka sends a larger batch whole when it is the first of a response).
    pub(super) bytes_max: i32,
}

/// What the next request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn<K> {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// Partitions to add or change.
    pub(super) asks: Vec<(K, Ask)>,
    /// Partitions to take out of the session.
    pub(super) forgotten: Vec<K>,
}

/// A session's epoch where the broker is to begin a new one.
const EPOCH_NEW: i32 = 0;
/// A session's epoch where the broker is to drop it.
const EPOCH_FINAL: i32 = -1;
/// The id of no session.
const NO_SESSION: i32 = 0;

/// Our side of one fetch session.
#[derive(Debug)]
pub(super) struct Session<K> {
    id: i32,
    epoch: i32,
    wanted: HashMap<K, Ask>,
    /// Wanted, and perhaps not (or not so) in the broker's session.
    changed: HashSet<K>,
    /// In the broker's session, and not wanted.
    forgotten: HashSet<K>,
    /// In the broker's session, as it was told.
    known: HashMap<K, Ask>,
}

impl<K: Clone + Eq + Hash> Session<K> {
    pub(super) fn new() -> Self {
        Self {
            id: NO_SESSION,
            epoch: EPOCH_NEW,
            wanted: HashMap::new(),
            changed: HashSet::new(),
            forgotten: HashSet::new(),
            known: HashMap::new(),
        }
    }

    /// From now on this is asked of the partition.
    pub(super) fn want(&mut self, key: K, ask: Ask) {
        self.forgotten.remove(&key);
        if self.wanted.get(&key) != Some(&ask) {
            self.changed.insert(key.clone());
            self.wanted.insert(key, ask);
        }
    }

    /// From now on nothing is asked of the partition.
    pub(super) fn leave_out(&mut self, key: &K) {
        self.wanted.remove(key);
        self.changed.remove(key);
        if self.known.contains_key(key) {
            self.forgotten.insert(key.clone());
        }
    }

    /// Whether nothing is asked of any partition.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What to say now. Each turn must be followed by `accepted`, `refused` or `lost`.
    pub(super) fn next_turn(&mut self) -> Turn<K> {
        let (asks, forgotten) = if self.epoch == EPOCH_NEW { self.everything() } else { self.changes() };
        Turn { session_id: self.id, session_epoch: self.epoch, asks, forgotten }
    }

    fn everything(&mut self) -> (Vec<(K, Ask)>, Vec<K>) {
        self.changed.clear();
        self.forgotten.clear();
        self.known.clone_from(&self.wanted);
        (self.wanted.iter().map(|(key, ask)| (key.clone(), *ask)).collect(), Vec::new())
    }

    fn changes(&mut self) -> (Vec<(K, Ask)>, Vec<K>) {
        let mut asks = Vec::with_capacity(self.changed.len());
        for key in self.changed.drain() {
            let Some(ask) = self.wanted.get(&key).copied() else { continue };
            // What was left out and let in again before a word was said needs none.
            if self.known.get(&key) != Some(&ask) {
                self.known.insert(key.clone(), ask);
                asks.push((key, ask));
            }
        }
        let forgotten: Vec<_> = self.forgotten.drain().collect();
        for key in &forgotten {
            self.known.remove(key);
        }
        (asks, forgotten)
    }

    /// The broker took the turn. A broker without room for a session answers with id 0: then every turn is a full one.
    pub(super) fn accepted(&mut self, session_id: i32) {
        if session_id == NO_SESSION {
            self.id = NO_SESSION;
            self.epoch = EPOCH_NEW;
        } else {
            self.id = session_id;
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
    }

    /// The broker doesn't know the session (any more): the next turn begins one.
    pub(super) fn refused(&mut self) {
        self.id = NO_SESSION;
        self.epoch = EPOCH_NEW;
    }

    /// It is not known what the broker took: the next turn replaces the session.
    pub(super) fn lost(&mut self) {
        self.epoch = EPOCH_NEW;
    }

    /// Nothing is wanted any more, and the next turn replaces the session.
    pub(super) fn clear(&mut self) {
        self.wanted.clear();
        self.changed.clear();
        self.forgotten.clear();
        self.known.clear();
        self.lost();
    }

    /// What to say to drop the session; `None` when there is none. Nothing may be asked afterwards.
    pub(super) fn close(&mut self) -> Option<Turn<K>> {
        let session_id = std::mem::replace(&mut self.id, NO_SESSION);
        self.epoch = EPOCH_NEW;
        self.known.clear();
        self.forgotten.clear();
        self.changed = self.wanted.keys().cloned().collect();
        (session_id != NO_SESSION).then(|| Turn {
            session_id,
            session_epoch: EPOCH_FINAL,
            asks: Vec::new(),
            forgotten: Vec::new(),
        })
    }
}
