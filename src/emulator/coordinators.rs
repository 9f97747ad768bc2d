//! The coordinators of a cluster at work.
//!
//! Owns: writing the markers of transactions, and the moments at which coordinators act by themselves.
//! Promises: a transaction is complete when its markers are replicated, not before; a marker whose leader is away is
//! tried again.
//! Does not know: requests.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::Cluster;
use super::groups::{GroupSettings, Groups};
use super::records::{self, Header};
use super::state::State;
use super::transactions::{Holder, Marker, Place, TransactionSettings, Transactions};

/// The coordinators of all brokers. Which broker answers for whom is [`State::coordinator_of`]'s.
#[derive(Debug)]
pub(crate) struct Coordinators {
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    /// Markers in a log that are not replicated yet, by transactional id and place: where they are.
    under_way: BTreeMap<(String, Place), Written>,
}

/// Where a marker is, and under which leader.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    offset: i64,
    leader_epoch: i32,
}

/// What became of the markers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Markers {
    /// Something was appended.
    pub(crate) are_written: bool,
    /// Some wait for a leader, or for its followers.
    pub(crate) are_missing: bool,
}

/// Clocks may be set; nothing is waited for longer than this.
const PAUSE_MAX: Duration = Duration::from_hours(1);

impl Coordinators {
    /// With the settings of a broker, by Kafka's names.
    pub(crate) fn new(broker_settings: &BTreeMap<String, String>, seed: u64) -> Self {
        let groups = Groups::new(group_settings(broker_settings, seed), 0);
        let transactions = Transactions::new(transaction_settings(broker_settings), 0);
        Self { groups, transactions, under_way: BTreeMap::new() }
    }
}

fn group_settings(settings: &BTreeMap<String, String>, seed: u64) -> GroupSettings {
    let default = GroupSettings::default();
    let minutes = number(settings, "offsets.retention.minutes", default.offsets_retention_ms / 60_000);
    let session = |name, default: i32| i32::try_from(number(settings, name, i64::from(default))).unwrap_or(default);
    let check_ms = number(settings, "offsets.retention.check.interval.ms", default.offsets_check_interval_ms);
    GroupSettings {
        session_timeout_min_ms: session("group.min.session.timeout.ms", default.session_timeout_min_ms),
        session_timeout_max_ms: session("group.max.session.timeout.ms", default.session_timeout_max_ms),
        first_join_delay_ms: number(settings, "group.initial.rebalance.delay.ms", default.first_join_delay_ms),
        offsets_retention_ms: minutes.saturating_mul(60_000),
        offsets_check_interval_ms: check_ms.max(1),
        seed,
        ..default
    }
}

fn transaction_settings(settings: &BTreeMap<String, String>) -> TransactionSettings {
    let default = TransactionSettings::default();
    let timeout_max = number(settings, "transaction.max.timeout.ms", i64::from(default.timeout_max_ms));
    let expiration_interval = "transaction.remove.expired.transaction.cleanup.interval.ms";
    let abort_interval = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    TransactionSettings {
        timeout_max_ms: i32::try_from(timeout_max).unwrap_or(default.timeout_max_ms),
        expiration_ms: number(settings, "transactional.id.expiration.ms", default.expiration_ms),
        expiration_interval_ms: number(settings, expiration_interval, default.expiration_interval_ms).max(1),
        abort_interval_ms: number(settings, abort_interval, default.abort_interval_ms).max(1),
        ..default
    }
}

fn number(settings: &BTreeMap<String, String>, name: &str, default: i64) -> i64 {
    settings.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
}

impl State {
    /// InitProducerId with a transactional id, by the broker that coordinates it.
    pub(crate) fn init_transactions(
        &mut self,
        broker: i32,
        id: &str,
        timeout_ms: i32,
        expected: Option<Holder>,
        now_ms: i64,
    ) -> Result<Holder, ResponseError> {
        let needs_producer_id = self.coordinators.transactions.needs_producer_id(id);
        let fresh = if needs_producer_id { self.allocate_producer_id(broker) } else { -1 };
        let mut allocate = || fresh;
        self.coordinators.transactions.init(id, timeout_ms, expected, &mut allocate, now_ms)
    }

    /// What a producer is told whose partition is not in its transaction (KIP-890): the coordinator's reason, in words
    /// that producers of any age understand.
    pub(crate) fn why_unverified(&mut self, id: &str, header: &Header, topic: &str, index: i32) -> ResponseError {
        let holder = Holder { producer_id: header.producer_id, epoch: header.producer_epoch };
        let place = Place::Partition(topic.to_owned(), index);
        match self.coordinators.transactions.verify(id, holder, &place) {
            Err(ResponseError::ProducerFenced) => ResponseError::InvalidProducerEpoch,
            Err(ResponseError::ConcurrentTransactions) => ResponseError::NotEnoughReplicas,
            Err(reason) => reason,
            Ok(()) => ResponseError::InvalidTxnState,
        }
    }

    /// Writes the markers that are missing, as far as their leaders are there.
    pub(crate) fn write_markers(&mut self, now_ms: i64) -> Markers {
        let mut markers = Markers::default();
        for (id, marker) in self.coordinators.transactions.markers() {
            let key = (id, marker.place.clone());
            let under_way = self.coordinators.under_way.remove(&key);
            let written = match under_way {
                Some(written) => self.is_replicated(&key.1, written),
                None => self.append(&marker, now_ms),
            };
            markers.are_written |= under_way.is_none() && written.is_some();
            match written {
                Some((_, true)) => {
                    self.coordinators.transactions.written(&key.0, &marker, now_ms);
                    if self.coordinators.transactions.is_idle(&key.0) {
                        self.forget_announced(marker.holder.producer_id);
                    }
                }
                Some((written, false)) => {
                    self.coordinators.under_way.insert(key, written);
                    markers.are_missing = true;
                }
                None => markers.are_missing = true,
            }
        }
        markers
    }

    /// Writes a marker. Returns where it is, and whether that is all; `None` when it has to be tried again.
    fn append(&mut self, marker: &Marker, now_ms: i64) -> Option<(Written, bool)> {
        let done = Some((Written::default(), true));
        let (topic, index) = match &marker.place {
            Place::Group(group) => {
                self.coordinators.groups.end_transaction(group, marker.holder.producer_id, marker.is_commit);
                return done;
            }
            Place::Partition(topic, index) => (topic, *index),
        };
        // A partition that was deleted needs no marker.
        let Some((partition, _)) = self.partition_mut(topic, index) else { return done };
        let leader_epoch = partition.leader_epoch;
        partition.leader?;
        match self.append_marker(topic, index, record_of(marker), now_ms) {
            Ok(offset) => self.is_replicated(&marker.place, Written { offset, leader_epoch }),
            // A newer holder has written there already, or a newer coordinator: the marker is not wanted any more.
            Err(ResponseError::InvalidProducerEpoch | ResponseError::TransactionCoordinatorFenced) => done,
            Err(_) => None,
        }
    }

    /// Whether a marker is on all replicas. After a change of leader nobody knows, and it is written once more.
    fn is_replicated(&mut self, place: &Place, written: Written) -> Option<(Written, bool)> {
        let Place::Partition(topic, index) = place else { return Some((written, true)) };
        let Some((partition, _)) = self.partition_mut(topic, *index) else { return Some((written, true)) };
        let is_done = partition.high_watermark() > written.offset;
        (partition.leader_epoch == written.leader_epoch).then_some((written, is_done))
    }

    /// Does what coordinators do by themselves. Returns when they want to be asked again, in ms, and how markers are.
    pub(crate) fn coordinate(&mut self, now_ms: i64) -> (i64, Markers) {
        self.coordinators.groups.tick(now_ms);
        self.coordinators.transactions.tick(now_ms);
        let markers = self.write_markers(now_ms);
        let next = self.coordinators.groups.next_deadline().min(self.coordinators.transactions.next_deadline());
        (next, markers)
    }
}

fn record_of(marker: &Marker) -> records::Marker {
    records::Marker {
        producer_id: marker.holder.producer_id,
        producer_epoch: marker.holder.epoch,
        coordinator_epoch: marker.coordinator_epoch,
        is_commit: marker.is_commit,
    }
}

/// Lets the coordinators act by themselves until it is dropped.
pub(crate) async fn keep(cluster: Cluster) {
    let mut changes = cluster.changes();
    loop {
        let now_ms = cluster.now_ms();
        let (next_ms, markers) = cluster.lock().coordinate(now_ms);
        if markers.are_written {
            cluster.changed();
        }
        let pause_ms = u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or_default().max(1);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(pause_ms).min(PAUSE_MAX)) => {}
            () = cluster.coordinators_woken() => {}
            _ = changes.changed(), if markers.are_missing => {}
        }
    }
}
