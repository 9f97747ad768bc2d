//! A client of one emulated broker over a pipe in memory, by our own wire client.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest, TransactionalId,
};
use kafka_protocol::protocol::{Request, StrBytes};
use uuid::Uuid;

use crate::emulator::codec::Codec;
use crate::emulator::records::{Header, Record, encode};
use crate::emulator::{Clock, Cluster, Listen, Settings};
use crate::types::BrokerId;
use crate::wire::{self, Connection};

pub(super) const TOPIC: &str = "orders";
pub(super) const NOW: i64 = 1_700_000_000_000;

pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) cluster: Cluster,
}

pub(super) async fn cluster(brokers: u16) -> Cluster {
    let settings =
        Settings { brokers, listen: Listen::Memory, clock: Clock::starting_at(NOW), ..Settings::new("test") };
    Cluster::start(settings).await.unwrap()
}

impl Client {
    pub(super) async fn of(cluster: &Cluster, broker: i32) -> Self {
        let (reader, writer) = tokio::io::split(cluster.dial("test", broker).unwrap());
        let settings = wire::Settings::plain(vec!["broker:9092".to_owned()], "test");
        let id = Some(BrokerId(broker));
        let connection = Connection::establish(reader, writer, "broker:9092", id, &settings).await.unwrap();
        Self { connection, cluster: cluster.clone() }
    }

    /// One broker with one topic of one partition.
    pub(super) async fn with_topic(configs: &[(&str, &str)]) -> Self {
        let cluster = cluster(1).await;
        cluster.create_topic(TOPIC, 1, 1, configs).unwrap();
        Self::of(&cluster, 1).await
    }

    pub(super) async fn call<R: Request>(&self, request: &R) -> R::Response {
        self.connection.call(request).await.unwrap()
    }

    pub(super) async fn produce_as(
        &self,
        records: Bytes,
        transactional_id: Option<&str>,
        version: i16,
    ) -> PartitionProduceResponse {
        let id = if version >= 13 { self.topic_id() } else { Uuid::nil() };
        let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
        let mut topic = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![data]);
        if version < 13 {
            topic = topic.with_name(StrBytes::from_static_str(TOPIC).into());
        }
        let transactional_id = transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id)
            .with_acks(-1)
            .with_timeout_ms(1_000)
            .with_topic_data(vec![topic]);
        let response = self.connection.start(&request, version).await.unwrap().await.unwrap();
        response.responses[0].partition_responses[0].clone()
    }

    /// The base offset, or the code.
    pub(super) async fn produce(&self, records: Bytes) -> Result<i64, ResponseError> {
        let told = self.produce_as(records, None, 12).await;
        ResponseError::try_from_code(told.error_code).map_or(Ok(told.base_offset), Err)
    }

    pub(super) async fn fetch(&self, offset: i64, is_committed: bool) -> PartitionData {
        self.fetch_with(FetchPartition::default().with_fetch_offset(offset), is_committed).await
    }

    pub(super) async fn fetch_with(&self, partition: FetchPartition, is_committed: bool) -> PartitionData {
        let partition = partition.with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic_id(self.topic_id()).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_max_bytes(1 << 20)
            .with_isolation_level(i8::from(is_committed))
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.call(&request).await;
        assert_eq!(response.error_code, 0);
        response.responses[0].partitions[0].clone()
    }

    /// The offset that is listed, or the code.
    pub(super) async fn list(&self, timestamp: i64) -> Result<i64, ResponseError> {
        let asked = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
        let topic =
            ListOffsetsTopic::default().with_name(StrBytes::from_static_str(TOPIC).into()).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let told = self.call(&request).await.topics[0].partitions[0].clone();
        ResponseError::try_from_code(told.error_code).map_or(Ok(told.offset), Err)
    }

    /// Leader epoch and end offset, or the code.
    pub(super) async fn epoch_end(&self, epoch: i32) -> Result<(i32, i64), ResponseError> {
        let asked = OffsetForLeaderPartition::default().with_current_leader_epoch(-1).with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(StrBytes::from_static_str(TOPIC).into())
            .with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let told = self.call(&request).await.topics[0].partitions[0].clone();
        ResponseError::try_from_code(told.error_code).map_or(Ok((told.leader_epoch, told.end_offset)), Err)
    }

    fn topic_id(&self) -> Uuid {
        self.cluster.lock().topics.get(TOPIC).unwrap().id
    }
}

/// A batch to be changed before it is sealed.
#[derive(Clone)]
pub(super) struct Batch {
    pub(super) header: Header,
    pub(super) records: Vec<Record>,
    pub(super) codec: Codec,
}

/// A batch of an idempotent producer; one record for each key (`-` for null), stamped [`NOW`].
pub(super) fn batch(producer_id: i64, epoch: i16, sequence: i32, keys: &[&str]) -> Batch {
    let record = |(key, offset_delta): (&&str, i32)| {
        let mut tail = Vec::new();
        let key = (*key != "-").then(|| Bytes::copy_from_slice(key.as_bytes()));
        match &key {
            Some(key) => {
                tail.push(u8::try_from(key.len() * 2).unwrap());
                tail.extend_from_slice(key);
            }
            None => tail.push(1),
        }
        tail.extend_from_slice(&[2, b'v', 0]);
        Record { attributes: 0, timestamp_delta: 0, offset_delta, key, is_tombstone: false, tail: tail.into() }
    };
    let records: Vec<Record> = keys.iter().zip(0..).map(record).collect();
    let count = i32::try_from(records.len()).unwrap();
    let header = Header {
        base_offset: 0,
        length: 0,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: NOW,
        max_timestamp: NOW,
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        count,
    };
    Batch { header, records, codec: Codec::None }
}

impl Batch {
    pub(super) fn compressed(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self.header.set_codec(codec);
        self
    }

    pub(super) fn transactional(mut self) -> Self {
        self.header.attributes |= 1 << 4;
        self
    }

    pub(super) fn at(mut self, timestamp: i64) -> Self {
        (self.header.base_timestamp, self.header.max_timestamp) = (timestamp, timestamp);
        self
    }

    pub(super) fn tombstone(mut self) -> Self {
        for record in &mut self.records {
            record.is_tombstone = true;
            let mut tail = record.tail.to_vec();
            tail.truncate(tail.len() - 3);
            tail.extend_from_slice(&[1, 0]);
            record.tail = tail.into();
        }
        self
    }

    pub(super) fn seal(&self) -> Bytes {
        self.header.with_records(&encode(&self.records, self.codec).unwrap())
    }
}

/// The headers of batches, one after the other.
pub(super) fn headers(records: &Bytes) -> Vec<Header> {
    let mut rest = records.clone();
    let mut found = Vec::new();
    while let Some(header) = Header::read(&rest) {
        let length = usize::try_from(header.length).unwrap() + 12;
        if length > rest.len() {
            break;
        }
        let _ = rest.split_to(length);
        found.push(header);
    }
    found
}
