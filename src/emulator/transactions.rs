//! The transaction coordinator of a cluster.
//!
//! Owns: all transactional ids, their holders and open transactions.
//! Promises: the classic protocol (KIP-98, KIP-360, KIP-447; the second one of KIP-890 is not offered): epochs rise at
//! each takeover, the producer id changes before they run out, an open transaction is aborted when its holder is
//! replaced or its time is over, ids expire; a bounded amount of memory.
//! Does not know: logs and groups. The markers to be written are handed out ([`Transactions::markers`]) as often as it
//! takes, and reported back ([`Transactions::written`]); until then the id is busy. Time is handed in, in ms.

mod transaction;

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;
use kafka_protocol::protocol::StrBytes;

pub(crate) use self::transaction::Holder;

use self::transaction::{State, Transaction};

/// Where a marker goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A partition with data of the transaction.
    Partition(String, i32),
    /// A group with offsets in the transaction.
    Group(String),
}

/// A marker to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Where to.
    pub(crate) place: Place,
    /// In whose name.
    pub(crate) holder: Holder,
    /// Else abort.
    pub(crate) is_commit: bool,
    /// Goes into the marker.
    pub(crate) coordinator_epoch: i32,
}

/// What a broker's settings say about transactions.
#[derive(Debug, Clone)]
pub(crate) struct TransactionSettings {
    /// `transaction.max.timeout.ms`.
    pub(crate) timeout_max_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub(crate) expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub(crate) expiration_interval_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub(crate) abort_interval_ms: i64,
    /// `offsets.topic.num.partitions`.
    pub(crate) offsets_partitions: i32,
    /// How many transactional ids there may be.
    pub(crate) ids_max: usize,
    /// How many partitions and groups may take part in one transaction.
    pub(crate) places_max: usize,
}

impl Default for TransactionSettings {
    fn default() -> Self {
        Self {
            timeout_max_ms: 900_000,
            expiration_ms: 7 * 24 * 3_600_000,
            expiration_interval_ms: 3_600_000,
            abort_interval_ms: 10_000,
            offsets_partitions: 50,
            ids_max: 10_000,
            places_max: 10_000,
        }
    }
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Transactions {
    settings: TransactionSettings,
    ids: BTreeMap<String, Transaction>,
    coordinator_epoch: i32,
    next_abort: i64,
    next_expiration: i64,
}

impl Transactions {
    /// No transactional ids yet.
    pub(crate) fn new(settings: TransactionSettings, now: i64) -> Self {
        let next_abort = now.saturating_add(settings.abort_interval_ms);
        let next_expiration = now.saturating_add(settings.expiration_interval_ms);
        Self { settings, ids: BTreeMap::new(), coordinator_epoch: 0, next_abort, next_expiration }
    }

    /// InitProducerId with a transactional id. `expected`: what the one who asks believes to hold already.
    pub(crate) fn init(
        &mut self,
        id: &str,
        timeout_ms: i32,
        expected: Option<Holder>,
        allocate: &mut dyn FnMut() -> i64,
        now: i64,
    ) -> Result<Holder, ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        if !(1..=self.settings.timeout_max_ms).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        if !self.ids.contains_key(id) {
            if self.ids.len() >= self.settings.ids_max {
                return Err(ResponseError::UnknownServerError);
            }
            self.ids.insert(id.to_owned(), Transaction::new(allocate(), timeout_ms, now));
        }
        self.of(id)?.take_over(expected, timeout_ms, allocate, now)
    }

    /// Whether the next holder of this id gets a producer id that nobody had.
    pub(crate) fn needs_producer_id(&self, id: &str) -> bool {
        self.ids.get(id).is_none_or(Transaction::is_exhausted)
    }

    fn of(&mut self, id: &str) -> Result<&mut Transaction, ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        self.ids.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn.
    pub(crate) fn add(&mut self, id: &str, holder: Holder, places: Vec<Place>, now: i64) -> Result<(), ResponseError> {
        let places_max = self.settings.places_max;
        let transaction = self.of(id)?;
        if transaction.places.len().saturating_add(places.len()) > places_max {
            return Err(ResponseError::UnknownServerError);
        }
        transaction.add(holder, places, now)
    }

    /// Whether data for this place may be taken in the name of this transaction.
    pub(crate) fn verify(&mut self, id: &str, holder: Holder, place: &Place) -> Result<(), ResponseError> {
        self.of(id)?.verify(holder, place)
    }

    /// EndTxn. The markers follow.
    pub(crate) fn end(&mut self, id: &str, holder: Holder, is_commit: bool, now: i64) -> Result<(), ResponseError> {
        self.of(id)?.end(holder, is_commit, now)
    }

    /// The markers that are missing yet, by transactional id. They are handed out again until they are reported back.
    pub(crate) fn markers(&self) -> Vec<(String, Marker)> {
        let of_one = |(id, transaction): (&String, &Transaction)| {
            let id = id.clone();
            transaction.markers(self.coordinator_epoch).into_iter().map(move |marker| (id.clone(), marker))
        };
        self.ids.iter().flat_map(of_one).collect()
    }

    /// A marker is written, or its place is gone, or the place has a newer epoch.
    pub(crate) fn written(&mut self, id: &str, marker: &Marker, now: i64) {
        if let Some(transaction) = self.ids.get_mut(id) {
            transaction.written(marker, now);
        }
    }

    /// Whether no transaction of this id is open or ending.
    pub(crate) fn is_idle(&self, id: &str) -> bool {
        self.ids.get(id).is_none_or(Transaction::is_idle)
    }

    /// Another broker is the coordinator now: its markers carry a higher epoch.
    pub(crate) fn moved(&mut self) {
        self.coordinator_epoch = self.coordinator_epoch.saturating_add(1);
    }

    /// When [`Transactions::tick`] has something to do next, ms.
    pub(crate) fn next_deadline(&self) -> i64 {
        self.next_abort.min(self.next_expiration)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: i64) {
        if self.next_abort <= now {
            self.next_abort = now.saturating_add(self.settings.abort_interval_ms);
            let is_over = |transaction: &&mut Transaction| transaction.abort_at().is_some_and(|at| at < now);
            self.ids.values_mut().filter(is_over).for_each(|transaction| transaction.fence_and_abort(now));
        }
        if self.next_expiration <= now {
            self.next_expiration = now.saturating_add(self.settings.expiration_interval_ms);
            let oldest = now.saturating_sub(self.settings.expiration_ms);
            self.ids.retain(|_, transaction| !transaction.is_idle() || transaction.updated_at > oldest);
        }
    }

    /// DescribeTransactions, for one id.
    pub(crate) fn describe(&self, id: &str) -> TransactionState {
        let answer = TransactionState::default().with_transactional_id(TransactionalId(text(id)));
        let Some(transaction) = self.ids.get(id) else {
            let error =
                if id.is_empty() { ResponseError::InvalidRequest } else { ResponseError::TransactionalIdNotFound };
            return answer.with_error_code(error.code());
        };
        answer
            .with_transaction_state(text(transaction.state.name()))
            .with_transaction_timeout_ms(transaction.timeout_ms)
            .with_transaction_start_time_ms(transaction.started_at)
            .with_producer_id(transaction.holder.producer_id.into())
            .with_producer_epoch(transaction.holder.epoch)
            .with_topics(self.topics(transaction))
    }

    fn topics(&self, transaction: &Transaction) -> Vec<TopicData> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for place in &transaction.places {
            match place {
                Place::Partition(topic, index) => topics.entry(topic).or_default().push(*index),
                Place::Group(group) => {
                    let index = offsets_partition(group, self.settings.offsets_partitions);
                    topics.entry("__consumer_offsets").or_default().push(index);
                }
            }
        }
        let data = |(topic, mut partitions): (&str, Vec<i32>)| {
            partitions.sort_unstable();
            partitions.dedup();
            TopicData::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
        };
        topics.into_iter().map(data).collect()
    }

    /// ListTransactions. Empty filters let everything through; `older_than_ms` below 0 too.
    pub(crate) fn list(
        &self,
        states: &[&str],
        producer_ids: &[i64],
        older_than_ms: i64,
        now: i64,
    ) -> Vec<ListedTransaction> {
        let is_wanted = |transaction: &Transaction| {
            let age_ms = now.saturating_sub(transaction.started_at);
            (states.is_empty() || states.contains(&transaction.state.name()))
                && (producer_ids.is_empty() || producer_ids.contains(&transaction.holder.producer_id))
                && (older_than_ms < 0 || (transaction.started_at >= 0 && age_ms > older_than_ms))
        };
        let listed = |(id, transaction): (&String, &Transaction)| {
            ListedTransaction::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(transaction.holder.producer_id.into())
                .with_transaction_state(text(transaction.state.name()))
        };
        self.ids.iter().filter(|(_, transaction)| is_wanted(transaction)).map(listed).collect()
    }

    /// Those of these names that are no states.
    pub(crate) fn unknown_states<'a>(names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| !State::NAMES.contains(name)).collect()
    }
}

/// The partition of `__consumer_offsets` that a group's offsets would be in: Java's hash of the name.
fn offsets_partition(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % partitions.max(1)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests;
