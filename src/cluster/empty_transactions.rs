//! Transactions without records: the other way to have control records written, for those who may not write markers.
//!
//! The versions used are those of the older transaction protocol: from the next one on, each end of a transaction
//! raises the producer epoch, and a partition is added by its first record.

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, TransactionalId,
};

use super::error::Call;
use super::{Cluster, ClusterError, text, wire_name};
use crate::types::{ProducerEpoch, ProducerId, TopicPartition};
use crate::wire::Route;

/// What a transactional id writes as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactional {
    /// The transactional id.
    pub id: String,
    /// Its producer id.
    pub producer_id: ProducerId,
    /// Its epoch: whoever had a lower one can't begin or end anything any more.
    pub producer_epoch: ProducerEpoch,
}

/// A transaction that is left open is aborted by its coordinator after this time, in milliseconds.
const TIMEOUT_MS: i32 = 60_000;
const INIT: Call = Call::new("InitProducerId", "Write");
const ADD: Call = Call::new("AddPartitionsToTxn", "Write");
const END: Call = Call::new("EndTxn", "Write");
const DESCRIBE: Call = Call::new("DescribeTransactions", "Describe");
const INIT_VERSION_MAX: i16 = 4;
const ADD_VERSION_MAX: i16 = 3;
const END_VERSION_MAX: i16 = 4;

impl Cluster {
    /// Takes a transactional id over: an open transaction of whoever had it is aborted, which may write a marker. One
    /// attempt.
    pub async fn take_transactional_id(&self, id: &str) -> Result<Transactional, ClusterError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(TIMEOUT_MS)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let route = Route::Transaction(id.to_owned());
        let response = self.client.call_at_most(route.clone(), &request, INIT_VERSION_MAX).await;
        let response = response.map_err(|error| self.unanswered(error))?;
        self.of_coordinator(INIT, &route, id, response.error_code)?;
        Ok(Transactional {
            id: id.to_owned(),
            producer_id: ProducerId(response.producer_id.0),
            producer_epoch: ProducerEpoch(response.producer_epoch),
        })
    }

    /// Begins a transaction on one partition. One attempt.
    pub async fn add_to_transaction(&self, by: &Transactional, partition: &TopicPartition) -> Result<(), ClusterError> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(wire_name(&partition.topic))
            .with_partitions(vec![partition.partition.0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(&by.id)))
            .with_v3_and_below_producer_id(by.producer_id.0.into())
            .with_v3_and_below_producer_epoch(by.producer_epoch.0)
            .with_v3_and_below_topics(vec![topic]);
        let route = Route::Transaction(by.id.clone());
        let response = self.client.call_at_most(route.clone(), &request, ADD_VERSION_MAX).await;
        let response = response.map_err(|error| self.unanswered(error))?;
        let told = response.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition).next();
        let told = told.ok_or_else(|| self.left_out(ADD, &partition.to_string()))?;
        self.of_coordinator(ADD, &route, &by.id, told.partition_error_code)
    }

    /// Aborts the transaction: its coordinator writes one marker to the partition, at some time. One attempt.
    pub async fn abort_transaction(&self, by: &Transactional) -> Result<(), ClusterError> {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(&by.id)))
            .with_producer_id(by.producer_id.0.into())
            .with_producer_epoch(by.producer_epoch.0)
            .with_committed(false);
        let route = Route::Transaction(by.id.clone());
        let response = self.client.call_at_most(route.clone(), &request, END_VERSION_MAX).await;
        let response = response.map_err(|error| self.unanswered(error))?;
        self.of_coordinator(END, &route, &by.id, response.error_code)
    }

    /// Whether the coordinator has nothing left to write for a transactional id. One attempt.
    pub async fn is_transaction_over(&self, id: &str) -> Result<bool, ClusterError> {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text(id))]);
        let route = Route::Transaction(id.to_owned());
        let response = self.call(route.clone(), &request).await?;
        let told = response.transaction_states.first().ok_or_else(|| self.left_out(DESCRIBE, id))?;
        self.of_coordinator(DESCRIBE, &route, id, told.error_code)?;
        Ok(matches!(told.transaction_state.as_str(), "Empty" | "CompleteAbort" | "CompleteCommit"))
    }

    fn of_coordinator(&self, call: Call, route: &Route, id: &str, code: i16) -> Result<(), ClusterError> {
        if code == Code::NotCoordinator.code() || code == Code::CoordinatorNotAvailable.code() {
            self.client.forget_coordinator(route);
        }
        self.accepted(call, || format!("transactional id {id}"), code, None)
    }
}
