//! One transactional id: who holds it, and how far its transaction is.
//!
//! Owns: producer id and epoch, the state machine of KIP-98.
//! Promises: an older holder is fenced at the first thing it asks for.
//! Does not know: other transactional ids, and how markers are written.

use std::collections::BTreeSet;

use super::{Marker, Place, ResponseError};

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// None yet in this life of the producer.
    Empty,
    /// Open.
    Ongoing,
    /// Decided; markers are being written.
    Prepared {
        /// Else abort.
        is_commit: bool,
    },
    /// All markers are written.
    Complete {
        /// Else abort.
        is_commit: bool,
    },
}

impl State {
    /// Kafka's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Prepared { is_commit: true } => "PrepareCommit",
            Self::Prepared { is_commit: false } => "PrepareAbort",
            Self::Complete { is_commit: true } => "CompleteCommit",
            Self::Complete { is_commit: false } => "CompleteAbort",
        }
    }

    /// All the names.
    pub(super) const NAMES: [&'static str; 8] = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];
}

/// A producer id and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// As the coordinator allocated it.
    pub(crate) producer_id: i64,
    /// From 0.
    pub(crate) epoch: i16,
}

/// No epoch was given out yet.
const NO_EPOCH: i16 = -1;
/// From this epoch on the next holder gets another producer id, so that a fence always has a number left.
const EPOCH_EXHAUSTED: i16 = i16::MAX - 1;

/// A transactional id.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) holder: Holder,
    /// Before the last bump: a holder that repeats its request because the answer was lost comes with it.
    previous: Option<Holder>,
    pub(super) timeout_ms: i32,
    pub(super) state: State,
    /// Partitions and groups that take part.
    pub(super) places: BTreeSet<Place>,
    /// When the open transaction began, ms.
    pub(super) started_at: i64,
    pub(super) updated_at: i64,
}

impl Transaction {
    pub(super) fn new(producer_id: i64, timeout_ms: i32, now: i64) -> Self {
        let holder = Holder { producer_id, epoch: NO_EPOCH };
        Self {
            holder,
            previous: None,
            timeout_ms,
            state: State::Empty,
            places: BTreeSet::new(),
            started_at: -1,
            updated_at: now,
        }
    }

    /// InitProducerId: a new holder. `expected`: what the one who asks believes to hold already (KIP-360).
    pub(super) fn take_over(
        &mut self,
        expected: Option<Holder>,
        timeout_ms: i32,
        allocate: &mut dyn FnMut() -> i64,
        now: i64,
    ) -> Result<Holder, ResponseError> {
        if !expected.is_none_or(|expected| self.may_be(expected)) {
            return Err(ResponseError::ProducerFenced);
        }
        match self.state {
            State::Prepared { .. } => return Err(ResponseError::ConcurrentTransactions),
            State::Ongoing => {
                // The open transaction is nobody's. The one who asks comes again when it is aborted.
                self.fence_and_abort(now);
                return Err(ResponseError::ConcurrentTransactions);
            }
            State::Empty | State::Complete { .. } => {}
        }
        let is_current = expected.is_none_or(|expected| expected.epoch == self.holder.epoch);
        let bumped = if self.is_exhausted() && is_current {
            Holder { producer_id: allocate(), epoch: 0 }
        } else if is_current || self.holder.epoch == NO_EPOCH {
            Holder { epoch: self.holder.epoch.saturating_add(1), ..self.holder }
        } else if expected.map(|expected| expected.epoch) == self.previous.map(|previous| previous.epoch) {
            return Ok(self.holder);
        } else {
            return Err(ResponseError::ProducerFenced);
        };
        self.previous = expected.is_some().then_some(self.holder);
        self.holder = bumped;
        self.timeout_ms = timeout_ms;
        self.state = State::Empty;
        self.places.clear();
        self.started_at = -1;
        self.updated_at = now;
        Ok(bumped)
    }

    /// Whether the epochs of this producer id are used up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.holder.epoch >= EPOCH_EXHAUSTED
    }

    fn may_be(&self, expected: Holder) -> bool {
        let was_exhausted = expected.epoch >= EPOCH_EXHAUSTED;
        let is_previous = self.previous.is_some_and(|previous| previous.producer_id == expected.producer_id);
        self.holder.epoch == NO_EPOCH
            || self.holder.producer_id == expected.producer_id
            || (is_previous && was_exhausted)
    }

    /// Whether this is the holder.
    pub(super) fn check(&self, holder: Holder) -> Result<(), ResponseError> {
        if holder.producer_id != self.holder.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if holder.epoch != self.holder.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        Ok(())
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn; begins the transaction.
    pub(super) fn add(&mut self, holder: Holder, places: Vec<Place>, now: i64) -> Result<(), ResponseError> {
        self.check(holder)?;
        match self.state {
            State::Prepared { .. } => return Err(ResponseError::ConcurrentTransactions),
            State::Ongoing => {}
            State::Empty | State::Complete { .. } => {
                self.places.clear();
                self.state = State::Ongoing;
                self.started_at = now;
            }
        }
        self.places.extend(places);
        self.updated_at = now;
        Ok(())
    }

    /// Whether this holder has added this place to its open transaction.
    pub(super) fn verify(&self, holder: Holder, place: &Place) -> Result<(), ResponseError> {
        self.check(holder)?;
        match self.state {
            State::Prepared { .. } => Err(ResponseError::ConcurrentTransactions),
            State::Ongoing if self.places.contains(place) => Ok(()),
            State::Empty | State::Ongoing | State::Complete { .. } => Err(ResponseError::InvalidTxnState),
        }
    }

    /// EndTxn. Repeating it is allowed once it is done.
    pub(super) fn end(&mut self, holder: Holder, is_commit: bool, now: i64) -> Result<(), ResponseError> {
        self.check(holder)?;
        match self.state {
            State::Ongoing => {
                self.prepare(is_commit, now);
                Ok(())
            }
            State::Complete { is_commit: was_commit } if was_commit == is_commit => Ok(()),
            State::Prepared { is_commit: was_commit } if was_commit == is_commit => {
                Err(ResponseError::ConcurrentTransactions)
            }
            State::Empty | State::Complete { .. } | State::Prepared { .. } => Err(ResponseError::InvalidTxnState),
        }
    }

    /// The transaction has lost its holder: whoever it was must not go on.
    pub(super) fn fence_and_abort(&mut self, now: i64) {
        self.holder.epoch = self.holder.epoch.saturating_add(1);
        self.previous = None;
        self.prepare(false, now);
    }

    fn prepare(&mut self, is_commit: bool, now: i64) {
        self.state = State::Prepared { is_commit };
        self.updated_at = now;
        self.complete_when_written(now);
    }

    /// The markers that are missing yet.
    pub(super) fn markers(&self, coordinator_epoch: i32) -> Vec<Marker> {
        let State::Prepared { is_commit } = self.state else { return Vec::new() };
        let marker = |place: &Place| Marker { place: place.clone(), holder: self.holder, is_commit, coordinator_epoch };
        self.places.iter().map(marker).collect()
    }

    /// A marker is written, or there is nowhere to write it to.
    pub(super) fn written(&mut self, marker: &Marker, now: i64) {
        let is_ours = self.state == State::Prepared { is_commit: marker.is_commit } && self.holder == marker.holder;
        if is_ours && self.places.remove(&marker.place) {
            self.complete_when_written(now);
        }
    }

    fn complete_when_written(&mut self, now: i64) {
        if let State::Prepared { is_commit } = self.state
            && self.places.is_empty()
        {
            self.state = State::Complete { is_commit };
            self.updated_at = now;
        }
    }

    /// When an open transaction is given up, ms.
    pub(super) fn abort_at(&self) -> Option<i64> {
        (self.state == State::Ongoing).then(|| self.started_at.saturating_add(i64::from(self.timeout_ms)))
    }

    /// Whether nothing would be lost with it but the id.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Empty | State::Complete { .. })
    }
}
