//! Filling gaps by empty transactions, for those who may not write markers.
//!
//! Owns: the transactional id of a partition; one transaction for each offset.
//! Promises: the next transaction begins when the coordinator has nothing left to write for the one before; a new
//! owner takes the id over before it looks at the log, so that a former one can't end anything any more.
//! Does not know: when a gap is to be filled.

use std::time::Duration;

use super::Services;
use super::fill::{Gap, does_end_at};
use super::partition::Partition;
use crate::cluster::{ClusterError, Remedy, Transactional};
use crate::tasks::Backoff;
use crate::types::TopicPartition;

/// How long a coordinator may take over one transaction before everything is looked at again.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(3);
const PAUSE_LONGEST: Duration = Duration::from_millis(200);

impl Partition {
    /// Takes the partition's transactional id over, and waits until nothing is left of what a former owner began.
    /// Answers with the error where we may not.
    pub(super) async fn take_transactional_id(&self) -> Result<Transactional, ClusterError> {
        let (link, partition) = (&self.services.settings.link, &self.assignment.target);
        let prefix = &self.services.settings.fill_id_prefix;
        let id = format!("{prefix}{link}-{}-{}", partition.topic, partition.partition);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let target = &self.services.target;
        let taken = loop {
            match target.take_transactional_id(&id).await {
                Ok(taken) => break taken,
                Err(error) if error.is_permission_missing() => return Err(error),
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        };
        loop {
            match target.is_transaction_over(&id).await {
                Ok(true) => return Ok(taken),
                Ok(false) => backoff.pause().await,
                Err(error) if error.is_permission_missing() => return Err(error),
                Err(error) => self.wait_out(&error, &mut backoff).await,
            }
        }
    }
}

/// Fills a gap. Answers whether the log was seen to end behind it.
pub(super) async fn by_transactions(
    services: &Services,
    partition: &TopicPartition,
    gap: Gap,
    by: &Transactional,
) -> Result<bool, ClusterError> {
    for _ in 0..gap.length() {
        patiently(|| services.target.add_to_transaction(by, partition)).await?;
        services.target.abort_transaction(by).await?;
        let begun = tokio::time::Instant::now();
        let mut backoff = Backoff::new(PAUSE, PAUSE_LONGEST);
        while !services.target.is_transaction_over(&by.id).await? {
            if begun.elapsed() > LIMIT {
                return Ok(false);
            }
            backoff.pause().await;
        }
    }
    let leader = services.target.leader(partition).await?;
    does_end_at(services, partition, leader, gap.to).await
}

/// A coordinator that is not ready to begin has begun nothing.
async fn patiently<F: Future<Output = Result<(), ClusterError>>>(ask: impl Fn() -> F) -> Result<(), ClusterError> {
    let begun = tokio::time::Instant::now();
    let mut backoff = Backoff::new(PAUSE, PAUSE_LONGEST);
    loop {
        match ask().await {
            Err(error) if error.code().is_some() && error.remedy() == Remedy::Retry && begun.elapsed() < LIMIT => {
                backoff.pause().await;
            }
            outcome => return outcome,
        }
    }
}
