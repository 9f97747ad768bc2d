//! `throttle_time_ms`: how long a broker wants us to keep quiet (KIP-124, KIP-219).

use std::time::Duration;

use bytes::Buf;
use kafka_protocol::messages::ApiKey;

/// A broker's quota window is far shorter; a longer wish is not believed.
const THROTTLE_MAX: Duration = Duration::from_mins(1);

/// What the body of a response asks for. Nearly every response has the field first; those that don't count as
/// asking for nothing (Produce is read from its decoded form).
pub(super) fn asked_for(api_key: i16, version: i16, mut body: &[u8]) -> Duration {
    let is_first_field = match ApiKey::try_from(api_key) {
        Ok(key) => first_version_that_starts_with_it(key).is_some_and(|first| version >= first),
        Err(()) => false,
    };
    if is_first_field { from_ms(body.try_get_i32().unwrap_or_default()) } else { Duration::ZERO }
}

/// The field's value as a pause.
pub(super) fn from_ms(throttle_time_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or_default()).min(THROTTLE_MAX)
}

fn first_version_that_starts_with_it(key: ApiKey) -> Option<i16> {
    match key {
        ApiKey::DeleteRecords
        | ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::CreatePartitions
        | ApiKey::DeleteGroups
        | ApiKey::DescribeCluster
        | ApiKey::DescribeProducers
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions
        | ApiKey::ConsumerGroupDescribe => Some(0),
        ApiKey::Fetch
        | ApiKey::FindCoordinator
        | ApiKey::DeleteTopics
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup => Some(1),
        ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch | ApiKey::CreateTopics | ApiKey::JoinGroup => Some(2),
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => Some(3),
        _ => None,
    }
}
