//! The requests that brokers answer, one file each.
//!
//! Owns: the list of them; the way from bytes to a request and from a response to bytes.
//! Promises: nothing is offered that is not there.
//! Does not know: connections.
//!
//! A new API is a file with an [`Api`], and its line in `apis!`.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_producers;
mod describe_transactions;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::MutexGuard;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::Cluster;
use super::shape;
use super::state::State;

pub(crate) use api_versions::unsupported;

/// One API.
pub(crate) trait Api {
    /// The request; it names the response.
    type Request: Request + Send;
    /// The versions that are spoken.
    const VERSIONS: RangeInclusive<i16>;
    /// The form of the request, see [`shape`].
    const SHAPE: &'static str;

    /// Does what is asked. `None`: the client wants no answer.
    fn answer(
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = Option<<Self::Request as Request>::Response>> + Send;
}

/// What an API knows of its caller, and where it acts.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) cluster: Cluster,
    /// The broker that was asked.
    pub(crate) broker: i32,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// The code that a rule wants instead of the deed.
    pub(crate) failure: Option<ResponseError>,
}

impl Call {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.cluster.lock()
    }

    /// Fails when a rule wants it. Asked for each item that can fail on its own.
    pub(crate) fn check(&self) -> Result<(), ResponseError> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// An API that is there.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) key: i16,
    pub(crate) versions: RangeInclusive<i16>,
}

macro_rules! apis {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        /// All APIs with their versions.
        pub(crate) fn offered() -> Vec<Offer> {
            vec![$(offer::<$module::$name>()),+]
        }

        /// Answers a request, behind the header that `response` has already. `false`: no answer is wanted.
        pub(crate) async fn answer(key: i16, call: Call, body: Bytes, response: &mut BytesMut) -> Result<bool, String> {
            match key {
                $(_ if key == key_of::<$module::$name>() => {
                    Box::pin(run::<$module::$name>(call, body, response)).await
                })+
                _ => Err("no such API".to_owned()),
            }
        }
    };
}

apis! {
    add_offsets_to_txn::AddOffsetsToTxn,
    add_partitions_to_txn::AddPartitionsToTxn,
    api_versions::ApiVersions,
    create_partitions::CreatePartitions,
    create_topics::CreateTopics,
    delete_groups::DeleteGroups,
    delete_records::DeleteRecords,
    delete_topics::DeleteTopics,
    describe_cluster::DescribeCluster,
    describe_configs::DescribeConfigs,
    describe_groups::DescribeGroups,
    describe_producers::DescribeProducers,
    describe_transactions::DescribeTransactions,
    end_txn::EndTxn,
    fetch::Fetch,
    find_coordinator::FindCoordinator,
    heartbeat::Heartbeat,
    incremental_alter_configs::IncrementalAlterConfigs,
    init_producer_id::InitProducerId,
    join_group::JoinGroup,
    leave_group::LeaveGroup,
    list_groups::ListGroups,
    list_offsets::ListOffsets,
    list_transactions::ListTransactions,
    metadata::Metadata,
    offset_commit::OffsetCommit,
    offset_delete::OffsetDelete,
    offset_fetch::OffsetFetch,
    offset_for_leader_epoch::OffsetForLeaderEpoch,
    produce::Produce,
    sync_group::SyncGroup,
    txn_offset_commit::TxnOffsetCommit,
    write_txn_markers::WriteTxnMarkers,
}

fn key_of<A: Api>() -> i16 {
    <A::Request as Request>::KEY
}

fn offer<A: Api>() -> Offer {
    Offer { key: key_of::<A>(), versions: A::VERSIONS }
}

async fn run<A: Api>(call: Call, mut body: Bytes, response: &mut BytesMut) -> Result<bool, String> {
    let version = call.version;
    if !shape::fits(A::SHAPE, version, A::Request::header_version(version) >= 2, &body) {
        return Err("the request has not the form of its API".to_owned());
    }
    let request = A::Request::decode(&mut body, version).map_err(|error| error.to_string())?;
    tracing::trace!(client = call.client_id, broker = call.broker, version, api = key_of::<A>(), "a request");
    let Some(answer) = A::answer(call, request).await else { return Ok(false) };
    answer.encode(response, version).map_err(|error| error.to_string())?;
    Ok(true)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// The code of an outcome; 0 when it is good.
fn code<T>(outcome: &Result<T, ResponseError>) -> i16 {
    outcome.as_ref().err().map_or(0, ResponseError::code)
}
