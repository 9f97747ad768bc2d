//! What a partition knows of those who write into it.
//!
//! Owns: sequences, epochs, the five batches that are remembered, open and aborted transactions.
//! Promises: answers as `ProducerStateManager` and `ProducerAppendInfo` do, with their gaps: nothing is checked where
//! nothing is known, ranges are compared and not bytes, and expiry goes by the timestamps of records.
//! Does not know: the log.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::error::ResponseError;

use super::records::{Header, Marker};

/// How many batches of a producer are remembered, to recognise them when they come again.
const BATCHES_REMEMBERED: usize = 5;

/// One batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) timestamp: i64,
}

/// What is known of one producer id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    pub(crate) transaction_start: Option<i64>,
    batches: VecDeque<Remembered>,
}

/// A transaction whose records don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Where its marker is.
    pub(crate) last_offset: i64,
}

/// All of them, on one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// Ended, as (first offset, offset of the marker); those whose marker is not replicated yet matter.
    ended: Vec<(i64, i64)>,
    aborted: Vec<Aborted>,
}

impl Producer {
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn adopt(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

impl Producers {
    /// The batch that this one repeats, where it is remembered.
    pub(crate) fn duplicate_of(&self, header: &Header) -> Option<Remembered> {
        let known = self.by_id.get(&header.producer_id).filter(|known| known.epoch == header.producer_epoch)?;
        let range = (header.base_sequence, header.last_sequence());
        known.batches.iter().find(|batch| (batch.first_sequence, batch.last_sequence) == range).copied()
    }

    /// Whether a batch of a client may be appended. `is_first_to_be_zero`: Kafka 4.5's rule for a log that never held
    /// a record.
    pub(crate) fn check(&self, header: &Header, is_first_to_be_zero: bool) -> Result<(), ResponseError> {
        let first = header.base_sequence;
        let Some(known) = self.by_id.get(&header.producer_id) else {
            let is_refused = is_first_to_be_zero && first != 0;
            return if is_refused { Err(ResponseError::OutOfOrderSequenceNumber) } else { Ok(()) };
        };
        if header.producer_epoch < known.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let is_next = if header.producer_epoch == known.epoch {
            let last = known.last_sequence();
            if last == i32::MAX { first == 0 } else { first == last + 1 }
        } else {
            first == 0
        };
        if !is_next {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        if known.transaction_start.is_some() && !header.is_transactional() {
            return Err(ResponseError::InvalidTxnState);
        }
        Ok(())
    }

    /// Whether a marker may be appended.
    pub(crate) fn check_marker(&self, marker: &Marker) -> Result<(), ResponseError> {
        match self.by_id.get(&marker.producer_id) {
            Some(known) if marker.producer_epoch < known.epoch => Err(ResponseError::InvalidProducerEpoch),
            Some(known) if marker.coordinator_epoch < known.coordinator_epoch => {
                Err(ResponseError::TransactionCoordinatorFenced)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of a batch that is in the log now. Checks nothing: replicas and reloads come here too.
    pub(crate) fn note(&mut self, header: &Header) {
        if !header.has_producer() || header.count == 0 && header.base_sequence < 0 {
            return;
        }
        let known = self.by_id.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            coordinator_epoch: -1,
            last_timestamp: -1,
            transaction_start: None,
            batches: VecDeque::new(),
        });
        known.adopt(header.producer_epoch);
        known.last_timestamp = header.max_timestamp;
        if known.batches.len() == BATCHES_REMEMBERED {
            known.batches.pop_front();
        }
        known.batches.push_back(Remembered {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && known.transaction_start.is_none() {
            known.transaction_start = Some(header.base_offset);
        }
    }

    /// Takes note of a marker that is in the log now, at this offset.
    pub(crate) fn note_marker(&mut self, marker: &Marker, offset: i64, timestamp: i64) {
        let known = self.by_id.entry(marker.producer_id).or_insert_with(|| Producer {
            epoch: marker.producer_epoch,
            coordinator_epoch: marker.coordinator_epoch,
            last_timestamp: timestamp,
            transaction_start: None,
            batches: VecDeque::new(),
        });
        known.adopt(marker.producer_epoch);
        known.coordinator_epoch = marker.coordinator_epoch;
        known.last_timestamp = timestamp;
        let Some(first_offset) = known.transaction_start.take() else { return };
        self.ended.push((first_offset, offset));
        if !marker.is_commit {
            self.aborted.push(Aborted { producer_id: marker.producer_id, first_offset, last_offset: offset });
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Whether this producer has an open transaction here.
    pub(crate) fn is_in_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        let known = self.by_id.get(&producer_id);
        known.is_some_and(|known| known.epoch == epoch && known.transaction_start.is_some())
    }

    /// Up to where all transactions are decided and replicated.
    pub(crate) fn last_stable_offset(&mut self, high_watermark: i64) -> i64 {
        self.ended.retain(|(_, marker)| *marker >= high_watermark);
        let undecided = self.by_id.values().filter_map(|known| known.transaction_start);
        undecided.chain(self.ended.iter().map(|(first, _)| *first)).fold(high_watermark, i64::min)
    }

    /// The aborted transactions that touch these offsets.
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> Vec<Aborted> {
        let touches = |aborted: &&Aborted| aborted.last_offset >= from && aborted.first_offset < to;
        self.aborted.iter().filter(touches).copied().collect()
    }

    /// Forgets aborted transactions whose marker is below the log.
    pub(crate) fn forget_aborted_below(&mut self, log_start: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= log_start);
    }

    /// The index of aborted transactions is a file of its own, which a reload does not touch but for what was cut off.
    pub(crate) fn keep_aborted_of(&mut self, before: &Self, log_end: i64) {
        self.aborted.clone_from(&before.aborted);
        self.aborted.retain(|aborted| aborted.last_offset < log_end);
    }

    /// Forgets who has not written for so long, by the timestamps of what he wrote.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.by_id.retain(|_, known| {
            known.transaction_start.is_some() || now_ms.saturating_sub(known.last_timestamp) < expiration_ms
        });
    }

    /// What a snapshot holds: of each producer the last batch. Transactions stay.
    pub(crate) fn shrink_to_snapshot(&mut self) {
        self.forget_batches_before(i64::MAX);
    }

    /// A replica that was reloaded at this log end knows one batch from before, at most, and all from after.
    pub(crate) fn forget_batches_before(&mut self, log_end: i64) {
        for known in self.by_id.values_mut() {
            while known.batches.len() > 1 && known.batches.front().is_some_and(|batch| batch.last_offset < log_end) {
                known.batches.pop_front();
            }
        }
    }

    /// Whether the last batch of this producer is this one.
    pub(crate) fn is_last_batch(&self, header: &Header) -> bool {
        let known = self.by_id.get(&header.producer_id);
        known.is_some_and(|known| {
            known.epoch == header.producer_epoch && known.last_sequence() == header.last_sequence()
        })
    }
}
