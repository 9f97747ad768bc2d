//! Against a real broker at `WIRE_TEST_BOOTSTRAP` (plain text).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{CreateTopicsRequest, FetchRequest, OffsetFetchRequest, TopicName as KafkaTopicName};
use kafka_protocol::protocol::StrBytes;

use crate::secrets::SecretSource;
use crate::types::Secret;
use crate::types::{PartitionIndex, TopicId, TopicName, TopicPartition};
use crate::wire::{Client, PartitionAppend, ProduceRequest, Route, SaslSettings, Settings, TopicAppends, WireError};
use crate::wire::{PemSource, TlsSettings};

/// A batch of one record without key, header and body apart.
pub(crate) fn one_record(value: &[u8]) -> ([u8; 61], Bytes) {
    let zigzag = |n: usize| u64::try_from(n).unwrap() << 1;
    let varint = |out: &mut BytesMut, mut n: u64| {
        while n >= 0x80 {
            out.put_u8(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        out.put_u8(u8::try_from(n).unwrap());
    };
    let mut record = BytesMut::from(&[0, 0, 0, 1][..]);
    varint(&mut record, zigzag(value.len()));
    record.put_slice(value);
    record.put_u8(0);
    let mut body = BytesMut::new();
    varint(&mut body, zigzag(record.len()));
    body.put_slice(&record);
    let mut crced = BytesMut::new();
    crced.put_i16(0);
    crced.put_i32(0);
    crced.put_i64(1_700_000_000_000);
    crced.put_i64(1_700_000_000_000);
    crced.put_i64(-1);
    crced.put_i16(-1);
    crced.put_i32(-1);
    crced.put_i32(1);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&crced), &body);
    let mut header = BytesMut::new();
    header.put_i64(0);
    header.put_i32(i32::try_from(49 + body.len()).unwrap());
    header.put_i32(-1);
    header.put_u8(2);
    header.put_u32(crc);
    header.put_slice(&crced);
    (header.as_ref().try_into().unwrap(), body.freeze())
}

fn settings() -> Settings {
    let bootstrap = std::env::var("WIRE_TEST_BOOTSTRAP").unwrap();
    Settings::plain(vec!["127.0.0.1:1".to_owned(), bootstrap], "wire-test")
}

async fn created_topic(client: &Client) -> (TopicName, TopicId) {
    let name = TopicName::new(&format!("wire-{}", uuid::Uuid::new_v4())).unwrap();
    let topic = CreatableTopic::default()
        .with_name(KafkaTopicName(StrBytes::from_string(name.to_string())))
        .with_num_partitions(2)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000);
    let created = client.call(Route::Controller, &request).await.unwrap();
    assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
    (name, TopicId(created.topics[0].topic_id))
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_BOOTSTRAP"]
async fn appends_and_fetches() {
    append_and_fetch(&Client::new(settings())).await;
}

async fn append_and_fetch(client: &Client) {
    let (name, id) = created_topic(client).await;
    let partition = TopicPartition::new(name.clone(), PartitionIndex(1));
    let leader = client.leader(&partition).await.unwrap();
    let metadata = client.metadata(Some(std::slice::from_ref(&name))).await.unwrap();
    assert_eq!(metadata.topics[&name].id, Some(id));
    assert_eq!(metadata.topics[&name].partitions.len(), 2);
    let connection = client.connect(leader.broker).await.unwrap();
    let mut pending = Vec::new();
    for n in 0..20_usize {
        let (header, body) = one_record(&vec![b'x'; n * 1_000]);
        let append = PartitionAppend { partition: partition.partition, header, body };
        let id = (n % 2 == 0).then_some(id);
        let topics = vec![TopicAppends { name: name.clone(), id, partitions: vec![append] }];
        pending
            .push(connection.start_produce(&ProduceRequest { timeout: Duration::from_secs(5), topics }).await.unwrap());
    }
    for (offset, pending) in pending.into_iter().enumerate() {
        let response = pending.await.unwrap();
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::try_from(offset).unwrap()), "{answer:?}");
    }
    let partition = FetchPartition::default().with_partition(1).with_partition_max_bytes(10 << 20);
    let topic = FetchTopic::default()
        .with_topic(KafkaTopicName(StrBytes::from_string(name.to_string())))
        .with_topic_id(id.0)
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(10 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let fetched = connection.call(&request).await.unwrap();
    let fetched = &fetched.responses[0].partitions[0];
    assert_eq!((fetched.error_code, fetched.high_watermark), (0, 20));
    assert!(fetched.records.as_ref().unwrap().len() > 190_000);
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_BOOTSTRAP"]
async fn finds_coordinators_and_refuses_what_is_not_there() {
    let client = Client::new(settings());
    let group = Route::Group("wire-test".to_owned());
    client.version::<OffsetFetchRequest>(group).await.unwrap();
    client.version::<OffsetFetchRequest>(Route::Transaction("wire-test".to_owned())).await.unwrap();
    let missing = TopicPartition::new(TopicName::new("no-such-topic").unwrap(), PartitionIndex(0));
    assert!(client.leader(&missing).await.unwrap_err().to_string().contains("no-such-topic"));
    let all = client.metadata(None).await.unwrap();
    assert!(all.topics.keys().any(|name| name.as_str() == "__consumer_offsets"));
}

fn with_sasl(sasl: SaslSettings) -> Settings {
    let bootstrap = std::env::var("WIRE_TEST_SASL_BOOTSTRAP").unwrap();
    Settings { sasl: Some(sasl), ..Settings::plain(vec![bootstrap], "wire-test") }
}

fn literal(text: &str) -> SecretSource {
    SecretSource::Literal(Secret::new(text.to_owned()))
}

/// The broker's `connections.max.reauth.ms` is a few seconds, so this outlives several sessions.
async fn stays_connected(sasl: SaslSettings) {
    let client = Client::new(with_sasl(sasl));
    let all = client.metadata(None).await.unwrap();
    let connection = client.connect(*all.brokers.keys().next().unwrap()).await.unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(12) {
        let request = kafka_protocol::messages::MetadataRequest::default().with_topics(Some(Vec::new()));
        let version = connection.version::<kafka_protocol::messages::MetadataRequest>().unwrap();
        let first = connection.start(&request, version).await.unwrap();
        let second = connection.start(&request, version).await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_SASL_BOOTSTRAP"]
async fn authenticates_by_plain_and_stays() {
    stays_connected(SaslSettings::Plain { username: "alice".to_owned(), password: literal("alice-secret") }).await;
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_SASL_BOOTSTRAP"]
async fn authenticates_by_scram_256_and_stays() {
    stays_connected(SaslSettings::ScramSha256 { username: "bob".to_owned(), password: literal("bob-secret") }).await;
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_SASL_BOOTSTRAP"]
async fn authenticates_by_scram_512_and_stays() {
    stays_connected(SaslSettings::ScramSha512 { username: "carol".to_owned(), password: literal("carol-secret") })
        .await;
}

/// An unsigned token that expires at this second.
fn token(expires: &str) -> String {
    use base64::engine::{Engine, general_purpose::URL_SAFE_NO_PAD};
    let claims = format!(r#"{{"sub":"dave","iat":0,"exp":{expires}}}"#);
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_SASL_BOOTSTRAP"]
async fn authenticates_by_token_and_stays() {
    stays_connected(SaslSettings::OAuthBearer { token: literal(&token("32503680000")), extensions: vec![] }).await;
}

#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_SASL_BOOTSTRAP"]
async fn names_what_the_broker_refuses() {
    let wrong = [
        SaslSettings::Plain { username: "alice".to_owned(), password: literal("wrong") },
        SaslSettings::ScramSha256 { username: "bob".to_owned(), password: literal("wrong") },
        SaslSettings::ScramSha512 { username: "nobody".to_owned(), password: literal("wrong") },
        SaslSettings::OAuthBearer { token: literal(&token("1")), extensions: vec![] },
    ];
    for sasl in wrong {
        let error = Client::new(with_sasl(sasl)).metadata(None).await.unwrap_err();
        println!("{error}");
        assert!(matches!(error, WireError::Authentication { .. }), "{error:?}");
    }
    let bootstrap = std::env::var("WIRE_TEST_SASL_BOOTSTRAP").unwrap();
    println!("{}", Client::new(Settings::plain(vec![bootstrap], "wire-test")).metadata(None).await.unwrap_err());
}

/// `WIRE_TEST_TLS_DIR` has `ca.pem`, `client.pem` and `client.key`; the listener wants a client certificate.
#[tokio::test]
#[ignore = "needs a broker at WIRE_TEST_TLS_BOOTSTRAP"]
async fn speaks_tls_with_certificates_on_both_sides() {
    let bootstrap = std::env::var("WIRE_TEST_TLS_BOOTSTRAP").unwrap();
    let folder = std::path::PathBuf::from(std::env::var("WIRE_TEST_TLS_DIR").unwrap());
    let pem = |name: &str| Some(PemSource::File(folder.join(name)));
    let plain = Settings::plain(vec![bootstrap], "wire-test");
    let tls = TlsSettings {
        ca: pem("ca.pem"),
        certificate: pem("client.pem"),
        key: pem("client.key"),
        is_hostname_checked: true,
    };
    let with = |tls| Client::new(Settings { tls: Some(tls), ..plain.clone() });
    append_and_fetch(&with(tls.clone())).await;
    println!("{}", with(TlsSettings { ca: None, ..tls.clone() }).metadata(None).await.unwrap_err());
    let anonymous = TlsSettings { certificate: None, key: None, ..tls };
    println!("{}", with(anonymous).metadata(None).await.unwrap_err());
    println!("{}", Client::new(plain).metadata(None).await.unwrap_err());
}
