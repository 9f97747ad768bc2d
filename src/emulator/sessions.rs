//! Incremental fetch sessions (KIP-227).
//!
//! Owns: which partitions a client reads, and what it was told of each last.
//! Promises: a session's epoch counts its requests; at most so many sessions, the oldest goes first.
//! Does not know: logs.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

/// As `max.incremental.fetch.session.cache.slots`.
const SESSIONS_MAX: usize = 1_000;

/// A partition of a fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) index: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) offset: i64,
    pub(crate) last_epoch: i32,
    pub(crate) bytes_max: usize,
}

/// Requests name topics up to version 12, and give their ids from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicKey {
    Name(String),
    Id(Uuid),
}

/// What the client knows of a partition: high watermark, last stable offset, log start.
pub(crate) type Told = (i64, i64, i64);

#[derive(Debug)]
struct Session {
    epoch: i32,
    is_by_id: bool,
    partitions: Vec<(Wanted, Option<Told>)>,
}

/// The sessions of one broker.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    next_id: i32,
    by_id: BTreeMap<i32, Session>,
}

/// What a request says about its session.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) is_by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicKey, i32)>,
}

/// What is to be read now.
#[derive(Debug)]
pub(crate) struct Begun {
    /// 0: no session.
    pub(crate) id: i32,
    /// Whether only what is new belongs into the response.
    pub(crate) is_incremental: bool,
    pub(crate) partitions: Vec<(Wanted, Option<Told>)>,
}

impl Sessions {
    pub(crate) fn begin(&mut self, asked: Asked) -> Result<Begun, ResponseError> {
        match asked.epoch {
            -1 => {
                self.by_id.remove(&asked.id);
                Ok(Begun::full(0, asked.wanted))
            }
            0 => {
                self.by_id.remove(&asked.id);
                if asked.wanted.is_empty() {
                    return Ok(Begun::full(0, asked.wanted));
                }
                while self.by_id.len() >= SESSIONS_MAX {
                    self.by_id.pop_first();
                }
                self.next_id = if self.next_id == i32::MAX { 1 } else { self.next_id + 1 };
                let partitions = asked.wanted.iter().map(|wanted| (wanted.clone(), None)).collect();
                self.by_id.insert(self.next_id, Session { epoch: 1, is_by_id: asked.is_by_id, partitions });
                Ok(Begun::full(self.next_id, asked.wanted))
            }
            _ => self.go_on(asked),
        }
    }

    fn go_on(&mut self, asked: Asked) -> Result<Begun, ResponseError> {
        let session = self.by_id.get_mut(&asked.id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != asked.epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.is_by_id != asked.is_by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        for wanted in asked.wanted {
            let is_it = |known: &Wanted| known.topic == wanted.topic && known.index == wanted.index;
            match session.partitions.iter_mut().find(|(known, _)| is_it(known)) {
                Some((known, _)) => *known = wanted,
                None => session.partitions.push((wanted, None)),
            }
        }
        for (topic, index) in &asked.forgotten {
            session.partitions.retain(|(known, _)| (&known.topic, &known.index) != (topic, index));
        }
        if session.partitions.is_empty() {
            self.by_id.remove(&asked.id);
            return Ok(Begun::full(0, Vec::new()));
        }
        Ok(Begun { id: asked.id, is_incremental: true, partitions: session.partitions.clone() })
    }

    /// Takes note of what the response tells. Partitions that gave records go to the end, so that each gets its turn.
    pub(crate) fn told(&mut self, id: i32, told: &[(TopicKey, i32, Option<Told>, bool)]) {
        let Some(session) = self.by_id.get_mut(&id) else { return };
        for (topic, index, what, has_records) in told {
            let is_it = |known: &Wanted| known.topic == *topic && known.index == *index;
            let Some(at) = session.partitions.iter().position(|(known, _)| is_it(known)) else { continue };
            let (wanted, _) = session.partitions.remove(at);
            let to = if *has_records { session.partitions.len() } else { at };
            session.partitions.insert(to, (wanted, *what));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }
}

impl Begun {
    fn full(id: i32, wanted: Vec<Wanted>) -> Self {
        Self { id, is_incremental: false, partitions: wanted.into_iter().map(|wanted| (wanted, None)).collect() }
    }
}
