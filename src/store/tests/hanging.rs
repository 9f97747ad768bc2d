use bytes::BytesMut;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use uuid::Uuid;

use super::*;
use crate::emulator::{Cluster, Settings};
use crate::store::handle::encode;
use crate::store::{Key, TakeoverRecord, Value, Write};
use crate::wire;

const SHARD: i32 = 5;
const BROKER: Route = Route::Broker(BrokerId(1));

struct Fixture {
    cluster: Cluster,
    client: Client,
    topic: TopicName,
    view: View,
}

impl Fixture {
    /// A state topic whose shard was last taken over by a daemon.
    async fn owned_by(daemon: &str) -> Self {
        let cluster = Cluster::start(Settings::new("hanging")).await.unwrap();
        let topic = TopicName::new("__causeway.group").unwrap();
        cluster.create_topic(topic.as_str(), 32, 1, &[("cleanup.policy", "compact")]).unwrap();
        let client = Client::new(wire::Settings::plain(vec![cluster.bootstrap()], "test"));
        let view = View::new();
        let takeover = TakeoverRecord { daemon: daemon.to_owned(), nonce: Uuid::new_v4() };
        let record = encode(&Write::Put(Key::Takeover { shard: SHARD }, Value::Takeover(takeover)), SHARD).unwrap();
        view.apply(SHARD, &record.key, record.value.as_deref());
        Self { cluster, client, topic, view }
    }

    /// A record of this daemon whose transaction no coordinator knows to be open.
    async fn hang(&self, daemon: &str) {
        let id = format!("causeway-group-{daemon}-a");
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(StrBytes::from_string(id.clone()).into()))
            .with_transaction_timeout_ms(10_000);
        let told = self.client.call(BROKER, &request).await.unwrap();
        assert_eq!(told.error_code, 0);
        self.cluster.announce_transaction(told.producer_id.0, told.producer_epoch, self.topic.as_str(), SHARD);
        let data = PartitionProduceData::default()
            .with_index(SHARD)
            .with_records(Some(batch(told.producer_id.0, told.producer_epoch)));
        let of_topic = TopicProduceData::default().with_name(text(&self.topic).into()).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(StrBytes::from_string(id).into()))
            .with_acks(-1)
            .with_timeout_ms(1_000)
            .with_topic_data(vec![of_topic]);
        let told = self.client.call_at_most(BROKER, &request, 9).await.unwrap();
        assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
    }

    fn mender(&self) -> Hanging {
        Hanging::new(self.client.clone(), self.topic.clone(), "group".to_owned(), self.view.clone())
    }

    /// High watermark, and last stable offset.
    async fn ends(&self) -> [i64; 2] {
        let mut ends = [0; 2];
        for (isolation, end) in (0..).zip(&mut ends) {
            let of_shard = ListOffsetsPartition::default().with_partition_index(SHARD).with_timestamp(-1);
            let of_topic =
                ListOffsetsTopic::default().with_name(text(&self.topic).into()).with_partitions(vec![of_shard]);
            let request = ListOffsetsRequest::default()
                .with_replica_id((-1).into())
                .with_isolation_level(isolation)
                .with_topics(vec![of_topic]);
            *end = self.client.call(BROKER, &request).await.unwrap().topics[0].partitions[0].offset;
        }
        ends
    }

    async fn is_aborted(&self) -> bool {
        let of_shard = FetchPartition::default().with_partition(SHARD).with_partition_max_bytes(1 << 20);
        let of_topic = FetchTopic::default().with_topic(text(&self.topic).into()).with_partitions(vec![of_shard]);
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(0)
            .with_max_bytes(1 << 20)
            .with_isolation_level(1)
            .with_session_epoch(-1)
            .with_topics(vec![of_topic]);
        let told = self.client.call_at_most(BROKER, &request, 12).await.unwrap();
        let partition = &told.responses[0].partitions[0];
        assert!(!partition.records.clone().unwrap_or_default().is_empty());
        partition.aborted_transactions.as_ref().is_some_and(|aborted| !aborted.is_empty())
    }
}

fn batch(producer_id: i64, producer_epoch: i16) -> bytes::Bytes {
    let record = Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        timestamp: crate::tasks::wall_clock_ms(),
        key: Some("key".into()),
        value: Some("value".into()),
        headers: IndexMap::new(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    bytes.freeze()
}

#[tokio::test]
async fn what_the_owner_wrote_is_committed_after_some_looks() {
    let fixture = Fixture::owned_by("one").await;
    fixture.hang("one").await;
    let mut mender = fixture.mender();
    for _ in 1..LOOKS_MIN {
        mender.look(&[SHARD]).await.unwrap();
        assert_eq!(fixture.ends().await, [1, 0], "it may end by itself yet");
    }
    mender.look(&[SHARD]).await.unwrap();
    assert_eq!(fixture.ends().await, [2, 2]);
    assert!(!fixture.is_aborted().await);
    mender.look(&[SHARD]).await.unwrap();
    assert_eq!(fixture.ends().await, [2, 2]);
}

#[tokio::test]
async fn what_somebody_else_wrote_is_aborted() {
    let fixture = Fixture::owned_by("one").await;
    fixture.hang("other").await;
    let mut mender = fixture.mender();
    for _ in 0..LOOKS_MIN {
        mender.look(&[SHARD]).await.unwrap();
    }
    assert_eq!(fixture.ends().await, [2, 2]);
    assert!(fixture.is_aborted().await);
}

#[tokio::test]
async fn shards_of_others_are_theirs_to_mend() {
    let fixture = Fixture::owned_by("one").await;
    fixture.hang("one").await;
    let mut mender = fixture.mender();
    for _ in 0..=LOOKS_MIN {
        mender.look(&[SHARD - 1]).await.unwrap();
    }
    assert_eq!(fixture.ends().await, [1, 0]);
}

#[test]
fn only_ids_of_that_daemon_are_its_own() {
    assert!(is_of("causeway-group-one-a", "group", "one") && is_of("causeway-group-one-b", "group", "one"));
    for other in ["causeway-group-one", "causeway-group-one-c", "causeway-group-one-two-a", "causeway-other-one-a"] {
        assert!(!is_of(other, "group", "one"), "{other}");
    }
}
