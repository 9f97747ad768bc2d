//! One cluster, asked directly and through a peer: the same answers, as far as they are exposed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, DeleteTopicsRequest, FetchRequest, FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest,
    MetadataRequest, OffsetFetchRequest, ProduceRequest, RequestHeader, fetch_request, list_offsets_request,
    metadata_request, offset_fetch_request,
};
use kafka_protocol::protocol::{Encodable, Request};
use proptest::prelude::*;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::io::AsyncReadExt;

use super::form;
use super::*;
use crate::cluster::{Committed, GroupCommit, Isolation, OffsetQuery, WhichGroups, text, via, wire_name};
use crate::emulator;
use crate::peer::tests::connected;
use crate::peer::{Class, Peers};
use crate::types::{ClusterName, GroupName, PartitionIndex, TargetOffset, TopicName, TopicPartition};
use crate::wire::form::fits;
use crate::wire::{Client, Settings, WireError};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn first(name: &str) -> TopicPartition {
    TopicPartition::new(topic(name), PartitionIndex(0))
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

/// An in-memory Kafka with topics and groups, some of them exposed to a peer.
struct World {
    kafka: emulator::Cluster,
    direct: Cluster,
    remote: Cluster,
    cloud: Peers,
    onprem: Peers,
}

async fn world() -> World {
    let kafka = emulator::Cluster::start(emulator::Settings::new("onprem")).await.unwrap();
    for name in ["orders", "orders-2", "secrets", "__causeway.east"] {
        kafka.create_topic(name, 2, 1, &[("retention.ms", "3600000")]).unwrap();
    }
    let name = |text| ClusterName::new(text).unwrap();
    let direct = Cluster::new(name("onprem"), Client::new(Settings::plain(vec![kafka.bootstrap()], "test")));
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    for at in ["orders", "secrets"] {
        for number in 0..100 {
            let value = format!("{at} {number}");
            let record = FutureRecord::<str, str>::to(at).partition(0).payload(&value);
            producer.send(record, Duration::from_secs(30)).await.unwrap();
        }
    }
    let desk = direct.group_desk(BrokerId(1));
    let commit = |at| {
        let offset = TargetOffset::new(42).unwrap();
        vec![GroupCommit { partition: first(at), offset, metadata: "m".to_owned() }]
    };
    let both: Vec<_> = commit("orders").into_iter().chain(commit("secrets")).collect();
    let commits = BTreeMap::from([(group("billing"), both.clone()), (group("hidden"), both)]);
    for (_, outcome) in desk.commit(&commits, tokio::time::Instant::now() + Duration::from_mins(1)).await {
        outcome.unwrap();
    }
    let exposure = Exposure::new(&["orders.*".to_owned()], &["billing".to_owned()]).unwrap();
    let exposed = Exposed::new(direct.clone(), exposure);
    let server = Server::new(BTreeMap::from([(PeerName::new("cloud").unwrap(), exposed)]));
    let (cloud, onprem) = connected(Arc::new(server)).await;
    let remote = via(name("onprem"), cloud.clone(), PeerName::new("onprem").unwrap(), "test");
    World { kafka, direct, remote, cloud, onprem }
}

impl World {
    async fn close(self) {
        self.cloud.close().await;
        self.onprem.close().await;
        self.kafka.close().await;
    }
}

/// What both ways must answer alike.
async fn suite(cluster: &Cluster) -> Vec<String> {
    let mut told = vec![cluster.id().await.unwrap()];
    let metadata = cluster.metadata(Some(&[topic("orders")])).await.unwrap();
    told.push(format!("{:?} {:?}", metadata.topics, metadata.controller));
    for query in [OffsetQuery::LogStart, OffsetQuery::HighWatermark, OffsetQuery::LastStable, OffsetQuery::Timestamp(1)]
    {
        told.push(format!("{:?}", cluster.list_offsets(&[first("orders")], query).await.unwrap()));
    }
    let fetched = cluster.fetch_once(&first("orders"), 3, 1 << 20, Isolation::ReadCommitted).await.unwrap();
    assert!(!fetched.records.is_empty());
    told.push(format!("{fetched:?}"));
    let leader = cluster.leader(&first("orders")).await.unwrap();
    told.push(format!("{:?}", cluster.epoch_end(&first("orders"), leader, leader.epoch).await.unwrap()));
    told.push(format!("{:?}", cluster.topic_configs(&[topic("orders")]).await.unwrap()));
    let producer = cluster.producer_state(&first("orders"), leader, crate::types::ProducerId(7)).await.unwrap();
    told.push(format!("{producer:?}"));
    told.push(format!("{:?}", cluster.group_coordinators(&[group("billing")]).await.unwrap()));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_through_a_peer_answers_as_one_next_door() {
    let world = world().await;
    let (direct, remote) = (suite(&world.direct).await, suite(&world.remote).await);
    for (direct, remote) in direct.iter().zip(&remote) {
        assert_eq!(direct, remote);
    }
    // A missing topic is as missing here as there.
    let missing = world.remote.metadata(Some(&[topic("orders-none")])).await.unwrap();
    assert_eq!(missing.topics[&topic("orders-none")].error_code, 3);
    // The state of mirrors is always there to be read.
    let state = world.remote.metadata(Some(&[topic("__causeway.east")])).await.unwrap();
    assert_eq!(state.topics[&topic("__causeway.east")].error_code, 0);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_exposed_is_neither_listed_nor_read() {
    let world = world().await;
    let remote = &world.remote;
    let listed = remote.metadata(None).await.unwrap();
    let names: Vec<_> = listed.topics.keys().map(TopicName::as_str).collect();
    assert_eq!(names, ["__causeway.east", "orders", "orders-2"]);
    assert!(listed.brokers.values().all(|address| address.host.starts_with("broker-")), "{:?}", listed.brokers);
    let named = remote.metadata(Some(&[topic("secrets")])).await.unwrap();
    assert_eq!(named.topics[&topic("secrets")].error_code, 29);
    assert!(named.topics[&topic("secrets")].id.is_none());
    assert!(matches!(remote.leader(&first("secrets")).await.unwrap_err(), error if error.is_permission_missing()));
    let configs = remote.topic_configs(&[topic("secrets")]).await.unwrap().remove(&topic("secrets")).unwrap();
    assert!(configs.unwrap_err().is_permission_missing());

    let desk = remote.group_desk(BrokerId(1));
    let groups = desk.list(WhichGroups::All).await.unwrap();
    assert_eq!(groups.iter().map(|listed| listed.group.as_str()).collect::<Vec<_>>(), ["billing"]);
    let mut offsets = desk.offsets(&[group("billing"), group("hidden")]).await.unwrap();
    let of_billing = offsets.remove(&group("billing")).unwrap().unwrap();
    let committed = Committed { offset: 42, metadata: "m".to_owned() };
    assert_eq!(of_billing, BTreeMap::from([(first("orders"), committed)]), "without the topic that is not exposed");
    assert!(offsets.remove(&group("hidden")).unwrap().is_err());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_written_through_a_peer() {
    let world = world().await;
    let client = world.remote.client();
    let unsupported = |answer: Result<(), WireError>| assert!(matches!(answer, Err(WireError::Unsupported { .. })));
    unsupported(client.call(crate::wire::Route::Any, &ProduceRequest::default()).await.map(drop));
    unsupported(client.call(crate::wire::Route::Any, &DeleteTopicsRequest::default()).await.map(drop));
    let created = world.remote.allocate_producer_id().await;
    assert!(created.is_err());
    let before = world.kafka.topics();
    // Whoever asks all the same, without looking at what is offered, loses the stream and gets nothing.
    for (key, version) in [(ApiKey::Produce, 9), (ApiKey::DeleteTopics, 6), (ApiKey::CreateTopics, 7)] {
        let raw = frame(key as i16, version, &[0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(send_raw(&world.cloud, raw).await, None, "{key:?}");
    }
    // A topic is not created by being asked about.
    let named = world.remote.metadata(Some(&[topic("orders-new")])).await.unwrap();
    assert_eq!(named.topics[&topic("orders-new")].error_code, 3);
    assert_eq!(world.kafka.topics(), before);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_of_what_is_not_exposed_is_refused_by_name_and_by_id() {
    let world = world().await;
    let id = world.direct.metadata(Some(&[topic("secrets")])).await.unwrap().topics[&topic("secrets")].id.unwrap();
    let partition = fetch_request::FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
    let of_topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    let by_name = of_topic.clone().with_topic(wire_name(&topic("secrets")));
    let by_id = of_topic.with_topic_id(id.0);
    let connection = world.remote.client().connect(BrokerId(1)).await.unwrap();
    for (topic, version) in [(by_name, 12), (by_id, 13)] {
        let request = FetchRequest::default().with_max_bytes(1 << 20).with_session_epoch(-1).with_topics(vec![topic]);
        let response = connection.start(&request, version).await.unwrap().await.unwrap();
        assert_eq!(response.error_code, 29, "version {version}");
        assert!(response.responses.is_empty());
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_to_which_nothing_is_exposed_gets_nothing() {
    let (cloud, onprem) = connected(Arc::new(Server::default())).await;
    let name = ClusterName::new("onprem").unwrap();
    let remote = via(name, cloud.clone(), PeerName::new("onprem").unwrap(), "test");
    let error = remote.metadata(None).await.unwrap_err().to_string();
    assert!(error.contains("it serves no such thing"), "{error}");
    cloud.close().await;
    onprem.close().await;
}

/// A request as a hostile peer would write it.
fn frame(key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    let length = 2 + 2 + 4 + 2 + 1 + body.len();
    frame.put_u32(u32::try_from(length).unwrap());
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(1);
    frame.put_i16(0);
    frame.put_u8(0);
    frame.put_slice(body);
    frame.freeze()
}

/// What comes back over a stream; `None` when it just ends.
async fn send_raw(cloud: &Peers, bytes: Bytes) -> Option<Vec<u8>> {
    let purpose = Bytes::from_static(b"kafka 1 \xff\xff\xff\xff");
    let stream = cloud.open(&PeerName::new("onprem").unwrap(), Class::Bulk, &purpose).unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.send(bytes).await.unwrap();
    let length = reader.read_u32().await.ok()?;
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    reader.read_exact(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_lengths_and_counts_cost_a_stream_and_no_memory() {
    let world = world().await;
    let huge = [0xff, 0xff, 0xff, 0xff, 0x07];
    let lies = [
        // A request of two gigabytes, and one too short to be one.
        Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 3]),
        Bytes::from_static(&[0, 0, 0, 2, 0, 3]),
        // Two thousand million topics, groups, resources.
        frame(ApiKey::Metadata as i16, 12, &huge),
        frame(ApiKey::FindCoordinator as i16, 4, &[[0].as_slice(), &huge].concat()),
        frame(ApiKey::DescribeConfigs as i16, 4, &huge),
        frame(ApiKey::OffsetFetch as i16, 8, &huge),
        frame(ApiKey::ListOffsets as i16, 7, &[[0, 0, 0, 0, 0].as_slice(), &huge].concat()),
        frame(ApiKey::Metadata as i16, 99, &[]),
        frame(-7, 0, &[]),
    ];
    for lie in lies {
        assert_eq!(send_raw(&world.cloud, lie.clone()).await, None, "{lie:?}");
    }
    assert!(suite(&world.remote).await.len() > 5, "and nobody else notices");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_may_come_and_go() {
    let world = world().await;
    let before = suite(&world.remote).await;
    world.kafka.close_connections(1);
    assert_eq!(suite(&world.remote).await, before);
    world.onprem.close().await;
    let error = world.remote.metadata(None).await.unwrap_err().to_string();
    assert!(error.contains("peer onprem"), "{error}");
    world.close().await;
}

fn body<R: Request + Encodable>(request: &R, version: i16) -> BytesMut {
    // The header is written by the same codec, so that a version that is not flexible would show here.
    assert_eq!(R::header_version(version), 2);
    drop(RequestHeader::default());
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, version).unwrap();
    bytes
}

/// Each table fits what the codec writes at each version that is offered.
#[test]
fn the_forms_are_those_of_the_codec() {
    let some = |name: &str| wire_name(&topic(name));
    let of_metadata = metadata_request::MetadataRequestTopic::default().with_name(Some(some("orders")));
    let metadata = MetadataRequest::default().with_topics(Some(vec![of_metadata.clone(), of_metadata]));
    let partition = fetch_request::FetchPartition::default();
    let forgotten = |version| {
        let forgotten = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2, 3]);
        if version < 13 { forgotten.with_topic(some("logs")) } else { forgotten }
    };
    let fetched = |version| {
        let fetched = fetch_request::FetchTopic::default().with_partitions(vec![partition.clone(), partition.clone()]);
        if version < 13 { fetched.with_topic(some("orders")) } else { fetched }
    };
    let listed = list_offsets_request::ListOffsetsPartition::default();
    let listed = list_offsets_request::ListOffsetsTopic::default().with_name(some("a")).with_partitions(vec![listed]);
    let listed = ListOffsetsRequest::default().with_topics(vec![listed]);
    let of_group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text("g").into());
    let of_group = of_group.with_topics(None);
    let offsets = OffsetFetchRequest::default().with_groups(vec![of_group]);
    for version in 9..=13 {
        assert!(fits(&body(&metadata, version), form::METADATA, version), "Metadata {version}");
    }
    for version in 12..=15 {
        let fetch = FetchRequest::default()
            .with_topics(vec![fetched(version)])
            .with_forgotten_topics_data(vec![forgotten(version)]);
        assert!(fits(&body(&fetch, version), form::FETCH, version), "Fetch {version}");
    }
    for version in 6..=10 {
        assert!(fits(&body(&listed, version), form::LIST_OFFSETS, version), "ListOffsets {version}");
    }
    for version in 8..=9 {
        assert!(fits(&body(&offsets, version), form::OFFSET_FETCH, version), "OffsetFetch {version}");
    }
    for version in 3..=5 {
        assert!(fits(&body(&ListGroupsRequest::default(), version), form::LIST_GROUPS, version));
    }
    for version in 4..=5 {
        let keys = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]);
        assert!(fits(&body(&keys, version), form::FIND_COORDINATOR, version));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// What fits can be decoded without setting aside more than the bytes are worth: the codec would abort the process.
    #[test]
    fn any_bytes_fit_or_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 0_i16..16) {
        use kafka_protocol::protocol::Decodable;
        if fits(&bytes, form::METADATA, version) && (9..=13).contains(&version) {
            MetadataRequest::decode(&mut Bytes::from(bytes.clone()), version).ok();
        }
        if fits(&bytes, form::FETCH, version) && (12..=15).contains(&version) {
            FetchRequest::decode(&mut Bytes::from(bytes.clone()), version).ok();
        }
        if fits(&bytes, form::OFFSET_FETCH, version) && (8..=9).contains(&version) {
            OffsetFetchRequest::decode(&mut Bytes::from(bytes), version).ok();
        }
    }
}
