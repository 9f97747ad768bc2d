//! Requests that can't change anything, sent to see whether they are refused for want of a permission.

use std::time::Duration;

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, EndTxnRequest, GroupId, HeartbeatRequest, TransactionalId,
};

use super::error::Call;
use super::{Cluster, ClusterError, Remedy, text};
use crate::tasks::Backoff;
use crate::wire::Route;

/// How often a coordinator that is not ready is asked: some 8 s.
const ATTEMPTS: usize = 8;

impl Cluster {
    /// Whether we may join this group. Asked by the heartbeat of a member that does not exist.
    pub async fn try_read_group(&self, group: &str) -> Result<(), ClusterError> {
        patiently(|| self.try_read_group_once(group)).await
    }

    async fn try_read_group_once(&self, group: &str) -> Result<(), ClusterError> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id(-1)
            .with_member_id(text("causeway-check"))
            .with_group_instance_id(None);
        let route = Route::Group(group.to_owned());
        let response = self.call(route.clone(), &request).await?;
        let call = Call::new("Heartbeat", "Read");
        let expected = [Code::UnknownMemberId, Code::IllegalGeneration, Code::GroupIdNotFound];
        self.refused_as_expected(call, &route, &format!("group {group}"), response.error_code, &expected)
    }

    /// Whether we may see this transactional id.
    pub async fn try_describe_transactional_id(&self, id: &str) -> Result<(), ClusterError> {
        patiently(|| self.try_describe_transactional_id_once(id)).await
    }

    async fn try_describe_transactional_id_once(&self, id: &str) -> Result<(), ClusterError> {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text(id))]);
        let route = Route::Transaction(id.to_owned());
        let response = self.call(route.clone(), &request).await?;
        let call = Call::new("DescribeTransactions", "Describe");
        let resource = format!("transactional id {id}");
        let told = response.transaction_states.first().ok_or_else(|| self.left_out(call, &resource))?;
        self.refused_as_expected(call, &route, &resource, told.error_code, &[Code::TransactionalIdNotFound])
    }

    /// Whether we may write with this transactional id, which must not be in use. Asked by ending a transaction that
    /// was never begun.
    pub async fn try_write_transactional_id(&self, id: &str) -> Result<(), ClusterError> {
        patiently(|| self.try_write_transactional_id_once(id)).await
    }

    async fn try_write_transactional_id_once(&self, id: &str) -> Result<(), ClusterError> {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(0.into())
            .with_producer_epoch(0)
            .with_committed(false);
        let route = Route::Transaction(id.to_owned());
        let response = self.call(route.clone(), &request).await?;
        let call = Call::new("EndTxn", "Write");
        let resource = format!("transactional id {id}");
        let expected = [Code::InvalidProducerIdMapping];
        self.refused_as_expected(call, &route, &resource, response.error_code, &expected)
    }

    /// A trial that gets past the authorizer is refused because what it is about does not exist: that is success.
    fn refused_as_expected(
        &self,
        call: Call,
        route: &Route,
        resource: &str,
        code: i16,
        expected: &[Code],
    ) -> Result<(), ClusterError> {
        if expected.iter().any(|expected| expected.code() == code) {
            return Ok(());
        }
        if code == Code::NotCoordinator.code() {
            self.client.forget_coordinator(route);
        }
        self.accepted(call, || resource.to_owned(), code, None)
    }
}

/// The very first question of this kind makes the cluster create the coordinators' topic, which takes its time.
async fn patiently<F: Future<Output = Result<(), ClusterError>>>(ask: impl Fn() -> F) -> Result<(), ClusterError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error) if error.remedy() == Remedy::Retry && attempt < ATTEMPTS => {
                attempt += 1;
                backoff.pause().await;
            }
            outcome => return outcome,
        }
    }
}
