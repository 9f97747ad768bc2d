//! A broker, and the requests that the statements are made with.
//!
//! Owns: one connection, fresh names and ids.
//! Promises: no two statements share a topic, a group, a producer id.
//! Does not know: whether it is Kafka or the emulator.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeProducersRequest, FetchRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, TopicName, TransactionalId, WriteTxnMarkersRequest,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::batch::{Batch, Header, headers};
use crate::wire::Wire;

/// What a broker said to a Produce request of one batch.
pub type Produced = (i16, i64);

/// See the module.
pub struct World {
    pub address: String,
    pub wire: Wire,
    /// Kafka's major version; of the emulator, that which it follows.
    pub major: u32,
    fresh: u32,
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Waits until something is so.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl World {
    pub fn new(address: &str, major: u32, fresh: u32) -> Self {
        Self { address: address.to_owned(), wire: Wire::connect(address), major, fresh: fresh * 1_000 }
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(&self.address)
    }

    pub fn name(&mut self, kind: &str) -> String {
        self.fresh += 1;
        format!("{kind}-{}", self.fresh)
    }

    /// A producer id that no broker has given out.
    pub fn foreign_producer_id(&mut self) -> i64 {
        self.fresh += 1;
        (1 << 60) + i64::from(self.fresh)
    }

    /// A new topic of one partition.
    pub fn topic(&mut self) -> String {
        self.topic_with(1, &[])
    }

    pub fn topic_with(&mut self, partitions: i32, configs: &[(&str, &str)]) -> String {
        let name = self.name("topic");
        self.create(&name, partitions, configs);
        name
    }

    pub fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(key, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        // A name that was just deleted may still be there for a moment.
        wait_until("a new topic", || {
            let code = self.wire.call(&request, 5).topics[0].error_code;
            assert!(code == 0 || code == 36, "a topic can't be created: {code}");
            (code == 0).then_some(())
        });
        wait_until("a leader", || {
            let described = self.describe(name);
            let has_leaders = described.partitions.iter().all(|partition| partition.error_code == 0);
            (described.error_code == 0
                && described.partitions.len() == usize::try_from(partitions).unwrap()
                && has_leaders)
                .then_some(())
        });
        // The leader is known before it has opened its log.
        for partition in 0..partitions {
            wait_until("a log", || (self.list_offset_of(name, partition, -1, 0).error_code == 0).then_some(()));
        }
    }

    pub fn delete_topic(&mut self, name: &str) {
        let topic = DeleteTopicState::default().with_name(Some(topic_name(name)));
        let request = DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        let response = self.wire.call(&request, 6);
        assert_eq!(response.responses[0].error_code, 0, "the topic is deleted");
        wait_until("the end of a topic", || (self.describe(name).error_code == 3).then_some(()));
    }

    pub fn describe(&mut self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        self.wire.call(&request, 12).topics.remove(0)
    }

    pub fn topic_id(&mut self, name: &str) -> Uuid {
        self.describe(name).topic_id
    }

    /// Produces one batch to partition 0.
    pub fn produce(&mut self, topic: &str, batch: &Batch) -> Produced {
        self.produce_as(None, topic, batch)
    }

    pub fn produce_as(&mut self, transactional_id: Option<&str>, topic: &str, batch: &Batch) -> Produced {
        let request = produce_request(transactional_id, topic, batch.bytes());
        produced(&self.wire.call(&request, 9))
    }

    pub fn produce_bytes(&mut self, topic: &str, bytes: Bytes) -> Produced {
        produced(&self.wire.call(&produce_request(None, topic, bytes), 9))
    }

    /// Produces and expects it to land there.
    pub fn lands(&mut self, topic: &str, batch: &Batch, offset: i64) {
        assert_eq!(self.produce(topic, batch), (0, offset));
    }

    /// `timestamp`: -1 latest, -2 earliest, -3 the largest timestamp, or a time. `isolation`: 1 for committed.
    pub fn list_offset(&mut self, topic: &str, timestamp: i64, isolation: i8) -> ListOffsetsPartitionResponse {
        self.list_offset_of(topic, 0, timestamp, isolation)
    }

    fn list_offset_of(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
        isolation: i8,
    ) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation)
            .with_topics(vec![topic]);
        self.wire.call(&request, 7).topics.remove(0).partitions.remove(0)
    }

    pub fn high_watermark(&mut self, topic: &str) -> i64 {
        self.list_offset(topic, -1, 0).offset
    }

    pub fn last_stable_offset(&mut self, topic: &str) -> i64 {
        self.list_offset(topic, -1, 1).offset
    }

    pub fn log_start(&mut self, topic: &str) -> i64 {
        self.list_offset(topic, -2, 0).offset
    }

    pub fn end_of_epoch(&mut self, topic: &str, epoch: i32, current: i32) -> EpochEndOffset {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(0)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        self.wire.call(&request, 4).topics.remove(0).partitions.remove(0)
    }

    pub fn log_end(&mut self, topic: &str) -> i64 {
        self.end_of_epoch(topic, 0, -1).end_offset
    }

    pub fn producers(&mut self, topic: &str) -> Vec<ProducerState> {
        let topic = TopicRequest::default().with_name(topic_name(topic)).with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![topic]);
        let partition = self.wire.call(&request, 0).topics.remove(0).partitions.remove(0);
        assert_eq!(partition.error_code, 0);
        partition.active_producers
    }

    pub fn producer(&mut self, topic: &str, id: i64) -> Option<ProducerState> {
        self.producers(topic).into_iter().find(|producer| producer.producer_id.0 == id)
    }

    /// Writes markers with one request; the codes, in order.
    pub fn write_markers(&mut self, topic: &str, markers: &[Marker]) -> Vec<i16> {
        let of_one = |marker: &Marker| {
            let topic = WritableTxnMarkerTopic::default().with_name(topic_name(topic)).with_partition_indexes(vec![0]);
            WritableTxnMarker::default()
                .with_producer_id(marker.producer_id.into())
                .with_producer_epoch(marker.epoch)
                .with_transaction_result(marker.is_commit)
                .with_coordinator_epoch(marker.coordinator_epoch)
                .with_topics(vec![topic])
        };
        let request = WriteTxnMarkersRequest::default().with_markers(markers.iter().map(of_one).collect());
        let response = self.wire.call(&request, 1);
        let code = |id: i64| {
            let of_producer = response.markers.iter().find(|marker| marker.producer_id.0 == id).expect("an outcome");
            of_producer.topics[0].partitions[0].error_code
        };
        markers.iter().map(|marker| code(marker.producer_id)).collect()
    }

    pub fn delete_records(&mut self, topic: &str, offset: i64) -> (i16, i64) {
        let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let answer = self.wire.call(&request, 2).topics.remove(0).partitions.remove(0);
        (answer.error_code, answer.low_watermark)
    }

    pub fn set_topic_config(&mut self, topic: &str, name: &str, value: &str) {
        use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let config = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(self.wire.call(&request, 1).responses[0].error_code, 0);
    }

    /// Fetches partition 0 by name, without a session.
    pub fn fetch(&mut self, topic: &str, offset: i64, isolation: i8) -> PartitionData {
        self.fetch_with(topic, offset, isolation, |request| request)
    }

    pub fn fetch_with(
        &mut self,
        topic: &str,
        offset: i64,
        isolation: i8,
        change: impl FnOnce(FetchRequest) -> FetchRequest,
    ) -> PartitionData {
        let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![fetch_partition(offset)]);
        let request = change(fetch_request(vec![topic]).with_isolation_level(isolation));
        let mut response = self.wire.call(&request, 12);
        assert_eq!(response.error_code, 0);
        response.responses.remove(0).partitions.remove(0)
    }

    pub fn batches(&mut self, topic: &str, offset: i64, isolation: i8) -> Vec<Header> {
        headers(self.fetch(topic, offset, isolation).records.unwrap_or_default())
    }

    /// InitProducerId; repeated while the coordinator isn't ready or the id is busy.
    pub fn init(&mut self, transactional_id: Option<&str>, timeout_ms: i32) -> InitProducerIdResponse {
        wait_until("a producer id", || {
            let response = self.try_init(transactional_id, timeout_ms, -1, -1);
            (!matches!(response.error_code, 14..=16 | 51)).then_some(response)
        })
    }

    pub fn try_init(
        &mut self,
        transactional_id: Option<&str>,
        timeout_ms: i32,
        producer_id: i64,
        epoch: i16,
    ) -> InitProducerIdResponse {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
        self.wire.call(&request, 4)
    }
}

/// A marker to be written.
#[derive(Debug, Clone, Copy)]
pub struct Marker {
    pub producer_id: i64,
    pub epoch: i16,
    pub is_commit: bool,
    pub coordinator_epoch: i32,
}

pub fn produce_request(transactional_id: Option<&str>, topic: &str, bytes: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_index(0).with_records(Some(bytes));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

pub fn produced(response: &kafka_protocol::messages::ProduceResponse) -> Produced {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

pub fn fetch_partition(offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(1 << 20)
}

/// One that returns at once, and opens no session.
pub fn fetch_request(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(10 << 20)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics)
}
