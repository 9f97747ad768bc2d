//! What applications do at the source.
//!
//! Owns: topics, and writing to them: plain and compressed batches, transactions that end and that don't.
//! Promises: what is written follows from the dice and from what the brokers answer.
//! Does not know: mirroring. What is in the source's log in the end is what counts, not what was meant to be there.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use causeway::emulator::{self, Clock};
use causeway::types::{PartitionIndex, TopicName, TopicPartition};
use causeway::wire::{Client, Route, Settings};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use crate::clusters;
use crate::dice::Dice;

/// The topics, with how many partitions they have.
pub const TOPICS: [(&str, i32); 3] = [("plain", 2), ("squeezed", 1), ("sure", 1)];
const TRANSACTIONAL: &str = "sure";
/// Records that brokers no longer remember the producer of.
const OLD: Duration = Duration::from_hours(49);

/// All partitions of all topics.
pub fn partitions() -> Vec<TopicPartition> {
    let all = TOPICS.iter().flat_map(|(topic, count)| (0..*count).map(move |index| (topic, index)));
    all.map(|(topic, index)| TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))).collect()
}

pub fn create_topics(cluster: &emulator::Cluster) {
    for (topic, count) in TOPICS {
        cluster.create_topic(topic, count, 3, &[("message.timestamp.before.max.ms", "9223372036854775807")]).unwrap();
    }
}

/// An application.
pub struct Application {
    client: Client,
    clock: Clock,
    dice: Dice,
    /// How old records say that they are.
    is_old: bool,
    written: u64,
    transactional: Option<(i64, i16)>,
    sequence: i32,
}

impl Application {
    pub fn new(source: &emulator::Cluster, clock: Clock, dice: Dice, is_old: bool) -> Self {
        let settings = Settings::plain(vec!["a:9092".to_owned()], "app");
        let client = clusters::client(source, "app", settings);
        Self { client, clock, dice, is_old, written: 0, transactional: None, sequence: 0 }
    }

    /// Writes until it is dropped.
    pub async fn run(mut self, pause_ms: u64) {
        let partitions = partitions();
        loop {
            tokio::time::sleep(self.dice.pause(1, pause_ms)).await;
            let partition = self.dice.pick(&partitions).clone();
            // Whatever an application does about an error, it does it in the next round.
            let limit = Duration::from_secs(2);
            if partition.topic.as_str() == TRANSACTIONAL {
                if tokio::time::timeout(limit, self.transaction(&partition)).await.ok().flatten().is_none() {
                    self.transactional = None;
                }
            } else {
                let batches = self.dice.between(1, 3);
                for _ in 0..batches {
                    let batch = self.batch(partition.topic.as_str() == "squeezed", None);
                    drop(tokio::time::timeout(limit, self.produce(&partition, batch, None)).await);
                }
            }
        }
    }

    async fn transaction(&mut self, partition: &TopicPartition) -> Option<()> {
        let id = TransactionalId(StrBytes::from_static_str("app"));
        let route = || Route::Transaction("app".to_owned());
        if self.transactional.is_none() {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(Some(id.clone()))
                .with_transaction_timeout_ms(5_000)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            let told = self.client.call(route(), &request).await.ok().filter(|told| told.error_code == 0)?;
            self.transactional = Some((told.producer_id.0, told.producer_epoch));
            self.sequence = 0;
        }
        let (producer_id, producer_epoch) = self.transactional?;
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(StrBytes::from_string(partition.topic.to_string()).into())
            .with_partitions(vec![partition.partition.0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id.clone())
            .with_v3_and_below_producer_id(producer_id.into())
            .with_v3_and_below_producer_epoch(producer_epoch)
            .with_v3_and_below_topics(vec![topic]);
        let told = self.client.call_at_most(route(), &request, 3).await.ok()?;
        let codes = told.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
        if codes.map(|result| result.partition_error_code).any(|code| code != 0) {
            return None;
        }
        for _ in 0..self.dice.between(1, 3) {
            let batch = self.batch(false, Some((producer_id, producer_epoch)));
            self.produce(partition, batch, Some(&id)).await?;
        }
        if self.dice.is(12) {
            // It is left open, and ends by its time-out or by the next one that begins.
            return None;
        }
        let request = EndTxnRequest::default()
            .with_transactional_id(id)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(producer_epoch)
            .with_committed(!self.dice.is(3));
        let told = self.client.call_at_most(route(), &request, 4).await.ok()?;
        (told.error_code == 0).then_some(())
    }

    async fn produce(&self, partition: &TopicPartition, batch: Bytes, id: Option<&TransactionalId>) -> Option<()> {
        let leader = self.client.leader(partition).await.ok()?;
        let data = PartitionProduceData::default().with_index(partition.partition.0).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(StrBytes::from_string(partition.topic.to_string()).into())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(id.cloned())
            .with_acks(-1)
            .with_timeout_ms(1_500)
            .with_topic_data(vec![topic]);
        let told = self.client.call_at_most(Route::Broker(leader.broker), &request, 12).await.ok();
        let code = told.map(|told| told.responses[0].partition_responses[0].error_code);
        if code != Some(0) {
            self.client.forget_leader(partition);
        }
        (code == Some(0)).then_some(())
    }

    /// A batch of a few records, each different from every other one.
    fn batch(&mut self, is_compressed: bool, by: Option<(i64, i16)>) -> Bytes {
        let age = if self.is_old { OLD } else { Duration::ZERO };
        let timestamp = self.clock.now_ms() - i64::try_from(age.as_millis()).unwrap();
        let (producer_id, producer_epoch) = by.unwrap_or((-1, -1));
        let count = i64::try_from(self.dice.between(1, 5)).unwrap();
        let records: Vec<Record> = (0..count)
            .map(|offset| {
                self.written += 1;
                let value = format!("{}-{}", self.written, "x".repeat(usize::try_from(self.dice.below(40)).unwrap()));
                let header = (StrBytes::from_static_str("number"), Some(Bytes::from(self.written.to_string())));
                Record {
                    transactional: by.is_some(),
                    control: false,
                    delete_horizon: false,
                    partition_leader_epoch: -1,
                    producer_id,
                    producer_epoch,
                    timestamp_type: TimestampType::Creation,
                    offset,
                    sequence: if by.is_some() {
                        self.sequence + i32::try_from(offset).unwrap()
                    } else {
                        -1 + i32::try_from(offset).unwrap()
                    },
                    timestamp: timestamp + offset,
                    key: (!self.dice.is(4)).then(|| Bytes::from(format!("key-{}", self.written % 7))),
                    value: (!self.dice.is(9)).then(|| Bytes::from(value)),
                    headers: self.dice.is(3).then_some(header).into_iter().collect(),
                }
            })
            .collect();
        if by.is_some() {
            self.sequence += i32::try_from(count).unwrap();
        }
        let compression = if is_compressed { Compression::Zstd } else { Compression::None };
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression };
        RecordBatchEncoder::encode_with_custom_compression(
            &mut bytes,
            &records,
            &options,
            Some(|plain: &mut BytesMut, to: &mut BytesMut, kind| {
                match kind {
                    Compression::Zstd => to.extend_from_slice(&zstd::encode_all(plain.as_ref(), 0)?),
                    _ => to.extend_from_slice(plain),
                }
                Ok(())
            }),
        )
        .unwrap();
        bytes.freeze()
    }
}
