//! Responses that an exposing peer might give, honest and not.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use uuid::Uuid;

use super::*;
use crate::wire::encode::{decode_judged, decode_response};
use crate::wire::tests::mutation::mutants;

/// A response as a frame, from the correlation id on.
fn frame<R: Request>(response: &R::Response, version: i16) -> Bytes
where
    R::Response: Encodable,
{
    let mut bytes = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(7);
    let header_version = <R::Response as kafka_protocol::protocol::HeaderVersion>::header_version(version);
    header.encode(&mut bytes, header_version).unwrap();
    response.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn metadata(version: i16) -> MetadataResponse {
    use metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
    let broker = MetadataResponseBroker::default().with_host(text("broker-1")).with_rack(Some(text("r")));
    let partition = MetadataResponsePartition::default()
        .with_replica_nodes(vec![1.into(), 2.into()])
        .with_isr_nodes(vec![1.into()])
        .with_offline_replicas(vec![3.into()]);
    let mut topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text("orders"))))
        .with_partitions(vec![partition.clone(), partition]);
    if version >= 10 {
        topic.topic_id = Uuid::from_u128(5);
    }
    MetadataResponse::default()
        .with_brokers(vec![broker.clone(), broker])
        .with_cluster_id(Some(text("c")))
        .with_topics(vec![topic.clone(), topic])
}

fn fetch(version: i16) -> FetchResponse {
    use fetch_response::{AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData};
    let aborted = AbortedTransaction::default().with_first_offset(7);
    let partition = PartitionData::default()
        .with_aborted_transactions(Some(vec![aborted.clone(), aborted]))
        .with_records(Some(Bytes::from_static(b"not looked into")))
        .with_diverging_epoch(EpochEndOffset::default().with_epoch(4).with_end_offset(9))
        .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(3.into()).with_leader_epoch(4));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition, PartitionData::default()]);
    let topic = match version {
        12 => topic.with_topic(TopicName(text("orders"))),
        _ => topic.with_topic_id(Uuid::from_u128(5)),
    };
    FetchResponse::default().with_session_id(4).with_responses(vec![topic])
}

fn offset_fetch() -> OffsetFetchResponse {
    use offset_fetch_response::{OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics};
    let partition = OffsetFetchResponsePartitions::default().with_metadata(Some(text("m")));
    let topic = OffsetFetchResponseTopics::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    let group = OffsetFetchResponseGroup::default().with_group_id(text("g").into()).with_topics(vec![topic]);
    OffsetFetchResponse::default().with_groups(vec![group.clone(), group])
}

/// Calls the macro's body for each response of the corpus, at each version that is taken.
macro_rules! for_each_response {
    ($run:ident) => {
        for version in 9..=13 {
            $run::<MetadataRequest>(&metadata(version), version);
        }
        for version in 12..=15 {
            $run::<FetchRequest>(&fetch(version), version);
        }
        for version in 8..=9 {
            $run::<OffsetFetchRequest>(&offset_fetch(), version);
        }
        {
            use list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
            let partition = ListOffsetsPartitionResponse::default();
            let topic = ListOffsetsTopicResponse::default()
                .with_name(TopicName(text("orders")))
                .with_partitions(vec![partition.clone(), partition]);
            let response = ListOffsetsResponse::default().with_topics(vec![topic]);
            for version in 6..=10 {
                $run::<ListOffsetsRequest>(&response, version);
            }
        }
        {
            use find_coordinator_response::Coordinator;
            let found = Coordinator::default().with_key(text("g")).with_host(text("h")).with_error_message(None);
            let response = FindCoordinatorResponse::default().with_error_message(None);
            let response = response.with_coordinators(vec![found.clone(), found]);
            for version in 4..=5 {
                $run::<FindCoordinatorRequest>(&response, version);
            }
        }
        for version in 3..=5 {
            use list_groups_response::ListedGroup;
            let group = ListedGroup::default().with_group_id(text("g").into()).with_protocol_type(text("consumer"));
            let group = if version >= 4 { group.with_group_state(text("Stable")) } else { group };
            $run::<ListGroupsRequest>(&ListGroupsResponse::default().with_groups(vec![group.clone(), group]), version);
        }
        {
            use api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
            let response = ApiVersionsResponse::default()
                .with_api_keys(vec![ApiVersion::default(), ApiVersion::default()])
                .with_supported_features(vec![SupportedFeatureKey::default().with_name(text("f"))])
                .with_finalized_features_epoch(4)
                .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(text("f"))]);
            $run::<ApiVersionsRequest>(&response, 3);
        }
        {
            use offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
            let topic = OffsetForLeaderTopicResult::default()
                .with_topic(TopicName(text("orders")))
                .with_partitions(vec![EpochEndOffset::default(), EpochEndOffset::default()]);
            let response = OffsetForLeaderEpochResponse::default().with_topics(vec![topic]);
            $run::<OffsetForLeaderEpochRequest>(&response, 4);
        }
        {
            use describe_configs_response::{
                DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
            };
            let entry = DescribeConfigsResourceResult::default()
                .with_name(text("retention.ms"))
                .with_value(Some(text("1")))
                .with_synonyms(vec![DescribeConfigsSynonym::default().with_name(text("log.retention.ms"))]);
            let result = DescribeConfigsResult::default().with_configs(vec![entry.clone(), entry]);
            $run::<DescribeConfigsRequest>(&DescribeConfigsResponse::default().with_results(vec![result]), 4);
        }
        for version in 0..=1 {
            use describe_cluster_response::DescribeClusterBroker;
            let response = DescribeClusterResponse::default()
                .with_cluster_id(text("c"))
                .with_brokers(vec![DescribeClusterBroker::default().with_host(text("h"))]);
            $run::<DescribeClusterRequest>(&response, version);
        }
        {
            use describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
            let partition = PartitionResponse::default()
                .with_active_producers(vec![ProducerState::default(), ProducerState::default()]);
            let topic = TopicResponse::default().with_name(TopicName(text("orders"))).with_partitions(vec![partition]);
            $run::<DescribeProducersRequest>(&DescribeProducersResponse::default().with_topics(vec![topic]), 0);
        }
    };
}

fn is_taken<R: Request>(response: &R::Response, version: i16)
where
    R::Response: Encodable + PartialEq + std::fmt::Debug,
{
    let frame = frame::<R>(response, version);
    let decoded = decode_judged::<R>(frame.clone(), version);
    let decoded = decoded.unwrap_or_else(|error| panic!("API {}, version {version}: {error}", R::KEY));
    let plainly = decode_response::<R>(frame, version).unwrap();
    assert_eq!(decoded.response, plainly.response);
    let (oldest, newest) = known_versions(R::KEY).unwrap();
    assert!((oldest..=newest).contains(&version));
    for other in [oldest - 1, newest + 1] {
        assert!(judge(R::KEY, other, &[]).is_err());
    }
}

#[test]
fn what_the_codec_writes_is_taken() {
    for_each_response!(is_taken);
}

/// Each variant that is taken is decoded. One that announces more than it has would abort the process there.
fn survives<R: Request>(response: &R::Response, version: i16)
where
    R::Response: Encodable,
{
    let valid = frame::<R>(response, version);
    let mut taken = 0;
    mutants(&valid, 3_000, u64::from(R::KEY.unsigned_abs()) << 8 | u64::from(version.unsigned_abs()), |bytes| {
        taken += usize::from(decode_judged::<R>(Bytes::copy_from_slice(bytes), version).is_ok());
    });
    assert!(taken > 0, "some variants are harmless, such as other numbers");
}

#[test]
fn broken_responses_cost_nothing() {
    for_each_response!(survives);
}

#[test]
fn counts_are_believed_by_nobody() {
    // Two billion brokers, two billion topics; three hundred topics of no bytes.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for body in [[&[0; 4], huge.as_slice()].concat(), [&[0; 4], [1].as_slice(), &[0; 5], &huge].concat()] {
        assert!(judge(3, 12, &body).is_err());
    }
    // As many elements as there are bytes for would still take many times their memory.
    let element = [0_u8; 8];
    let mut list = vec![0, 0, 0, 0];
    list.extend([0x81, 0x89, 0x7a]);
    list.extend(element.repeat(2_000_000));
    assert!(judge(18, 3, &list).is_err());
    assert!(judge(0, 9, &[]).is_err(), "nobody produces to a peer");
    assert!(judge(3, 12, &vec![0; 33 << 20]).is_err(), "too large");
}

#[test]
fn a_known_tag_has_its_own_size() {
    let partition = |tag: &[u8]| {
        let head = [&[0; 10][..], &[2], &[0; 16], &[2], &[0; 30], &[1], &[0; 4], &[1], &[1]].concat();
        [head.as_slice(), tag, &[0, 0]].concat()
    };
    let told = [&[1, 9][..], &[0; 8], &[0]].concat();
    assert_eq!(judge(1, 13, &partition(&told)), Ok(()));
    let longer = [&[1, 10][..], &[0; 8], &[0], &[0]].concat();
    assert!(judge(1, 13, &partition(&longer)).is_err());
    let unknown = [&[9, 3][..], &[1, 2, 3]].concat();
    assert_eq!(judge(1, 13, &partition(&unknown)), Ok(()));
}

#[test]
fn a_header_has_no_tags() {
    let mut bytes = BytesMut::from(frame::<MetadataRequest>(&metadata(12), 12).as_ref());
    bytes[4] = 1;
    assert!(decode_judged::<MetadataRequest>(bytes.freeze(), 12).is_err());
    assert!(decode_judged::<MetadataRequest>(Bytes::from_static(&[0, 0]), 12).is_err());
    assert!(MetadataResponse::decode(&mut Bytes::new(), 12).is_err());
}
