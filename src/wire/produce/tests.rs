use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{self, TopicName as KafkaTopicName};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::wire::encode::encode_request;

fn request(body_bytes: &[usize]) -> ProduceRequest {
    let append = |(index, bytes): (usize, &usize)| PartitionAppend {
        partition: PartitionIndex(i32::try_from(index).unwrap()),
        header: [u8::try_from(index).unwrap(); 61],
        body: Bytes::from(vec![7; *bytes]),
    };
    let topic = |name: &str| TopicAppends {
        name: TopicName::new(name).unwrap(),
        id: Some(TopicId(uuid::Uuid::new_v4())),
        partitions: body_bytes.iter().enumerate().map(append).collect(),
    };
    ProduceRequest { timeout: Duration::from_secs(30), topics: vec![topic("orders"), topic(&"x".repeat(200))] }
}

fn codecs_own(request: &ProduceRequest, version: i16) -> messages::ProduceRequest {
    let partition = |append: &PartitionAppend| {
        let records = [&append.header[..], &append.body].concat();
        PartitionProduceData::default().with_index(append.partition.0).with_records(Some(records.into()))
    };
    let topic = |topic: &TopicAppends| {
        let data = TopicProduceData::default().with_partition_data(topic.partitions.iter().map(partition).collect());
        match topic.id {
            Some(id) if version >= 13 => data.with_topic_id(id.0),
            _ => data.with_name(KafkaTopicName(StrBytes::from_string(topic.name.to_string()))),
        }
    };
    messages::ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(request.topics.iter().map(topic).collect())
}

#[test]
fn is_written_as_the_codec_would_in_every_version() {
    // Bodies below, at and above the size from which they are parts of their own; lengths of 1 to 3 varint bytes.
    for bodies in [&[][..], &[0], &[10, 61, 66, 67, 4_095, 4_096, 20_000, 1 << 21], &[1; 130]] {
        for version in 3..=13 {
            let request = request(bodies);
            let parts = request.encode(version, 42, "the client").unwrap();
            let expected = encode_request(&codecs_own(&request, version), version, 42, "the client").unwrap();
            assert!(parts.concat() == expected, "version {version}, bodies {bodies:?}");
        }
    }
}

#[test]
fn large_bodies_are_not_copied() {
    let request = request(&[100_000]);
    let parts = request.encode(12, 1, "").unwrap();
    let body = request.topics[0].partitions[0].body.as_ptr();
    assert!(parts.iter().any(|part| part.as_ptr() == body));
}

#[test]
fn a_topic_without_id_is_sent_by_name() {
    let mut request = request(&[1]);
    assert_eq!(request.version_max(), i16::MAX);
    request.topics[1].id = None;
    assert_eq!(request.version_max(), 12);
    assert!(matches!(request.encode(13, 1, ""), Err(WireError::Encode { api: "Produce", .. })));
}
