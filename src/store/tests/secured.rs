//! Permissions, on a broker that the test starts; and tokens, on one at `CAUSEWAY_TEST_SASL_BOOTSTRAP`
//! (`SASL_PLAINTEXT`) that takes unsecured ones for OAUTHBEARER, better with a `connections.max.reauth.ms` of a few
//! seconds.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::engine::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::mpsc;

use crate::cluster::tests::broker::{Broker, Right};
use crate::secrets::SecretSource;
use crate::shards::WriterMeasures;
use crate::store::tests::kafka::{SESSION, new_group};
use crate::store::{Key, MapRecord, Settings, ShardEvent, Store, StoreError, Value, Write};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;
use crate::types::{LinkName, PartitionIndex, Secret, TopicId, TopicName};
use crate::wire::{self, Client, SaslSettings};

fn bootstrap() -> String {
    std::env::var("CAUSEWAY_TEST_SASL_BOOTSTRAP").expect("CAUSEWAY_TEST_SASL_BOOTSTRAP names a broker")
}

/// An unsigned token that is good for so long.
fn write_token(file: &Path, lifetime: Duration) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (issued, expires) = (now.as_secs(), (now + lifetime).as_secs());
    let claims = format!(r#"{{"sub":"dave","iat":{issued},"exp":{expires}}}"#);
    let token = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
    let fresh = file.with_extension("fresh");
    std::fs::write(&fresh, token).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}

fn settings(group: &str, token: &Path, topic_id: Option<TopicId>) -> Settings {
    let token = SecretSource::File(token.to_owned());
    let sasl = SaslSettings::OAuthBearer { token: token.clone(), extensions: Vec::new() };
    let wire = wire::Settings { sasl: Some(sasl), ..wire::Settings::plain(vec![bootstrap()], "store-test") };
    let properties = [
        ("bootstrap.servers", bootstrap()),
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
    ];
    Settings {
        client: Client::new(wire),
        kafka_properties: properties.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        oauth_token: Some(token),
        topic_id,
        group: group.to_owned(),
        daemon_id: "one".to_owned(),
        session_timeout: SESSION,
    }
}

async fn open(settings: Settings, tasks: &TaskGroup) -> Result<(Store, mpsc::Receiver<ShardEvent>), StoreError> {
    Store::open(settings, WriterMeasures::new(&Metrics::new(), "target"), tasks).await
}

/// Twice as long as a token is good, so that every client has to show several.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker at CAUSEWAY_TEST_SASL_BOOTSTRAP"]
async fn state_is_written_across_the_lives_of_tokens() {
    const LIFETIME: Duration = Duration::from_secs(20);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    write_token(&token, LIFETIME);
    let (group, tasks) = (new_group(), TaskGroup::new());
    let (store, mut events) = open(settings(&group, &token, None), &tasks).await.unwrap();
    let Some(ShardEvent::Acquired(lease)) = events.recv().await else { panic!("no lease") };
    let (link, topic) = (LinkName::new("a-to-b").unwrap(), TopicName::new("orders").unwrap());
    let is_ours = |partition: &PartitionIndex| store.shard_of_partition(&link, &topic, *partition) == lease.shard();
    let partition = (0..10_000).map(PartitionIndex).find(is_ours).unwrap();
    let started = std::time::Instant::now();
    let mut count = 0;
    while started.elapsed() < 2 * LIFETIME {
        if count % 20 == 0 {
            write_token(&token, LIFETIME);
        }
        let key = Key::Map { link: link.clone(), topic: topic.clone(), partition, chunk: 0 };
        let value = Value::Map(MapRecord { runs: count.to_string() });
        store.write(&lease, vec![Write::Put(key, value)]).await.unwrap();
        count += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(lease.is_held() && store.is_ready());
    let runs = || store.view().map_chunks(&link, &topic, partition).pop().unwrap().1.runs;
    while runs() != (count - 1).to_string() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
    tasks.close().await;

    let tasks = TaskGroup::new();
    // The same state, opened again by a process that knows it, and refused where it was another one.
    let (again, _events) = open(settings(&group, &token, store.topic_id()), &tasks).await.unwrap();
    assert_eq!(again.topic_id(), store.topic_id());
    again.close().await;
    let other = Some(TopicId(uuid::Uuid::new_v4()));
    let error = open(settings(&group, &token, other), &tasks).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable(reason) if reason.contains("made anew")), "{error}");
    let error = open(settings(&new_group(), &token, other), &tasks).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable(reason) if reason.contains("deleted")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker at CAUSEWAY_TEST_SASL_BOOTSTRAP"]
async fn a_refused_or_missing_token_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let (group, tasks) = (new_group(), TaskGroup::new());
    let error = open(settings(&group, &token, None), &tasks).await.map(|_| ()).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains(&token.display().to_string()), "{error}");
    std::fs::write(&token, "not-a-jwt").unwrap();
    let error = open(settings(&group, &token, None), &tasks).await.map(|_| ()).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("OAUTHBEARER") && !error.contains("not-a-jwt"), "{error}");
}

const USER: &str = "causeway";

fn guarded(broker: &Broker) -> Settings {
    let properties = [
        ("bootstrap.servers", broker.guarded()),
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "PLAIN".to_owned()),
        ("sasl.username", USER.to_owned()),
        ("sasl.password", USER.to_owned()),
    ];
    let password = SecretSource::Literal(Secret::new(USER.to_owned()));
    let sasl = SaslSettings::Plain { username: USER.to_owned(), password };
    let wire = wire::Settings { sasl: Some(sasl), ..wire::Settings::plain(vec![broker.guarded()], "store-test") };
    Settings {
        client: Client::new(wire),
        kafka_properties: properties.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        oauth_token: None,
        topic_id: None,
        group: "prod".to_owned(),
        daemon_id: "one".to_owned(),
        session_timeout: SESSION,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real broker"]
async fn each_missing_permission_is_named() {
    let broker = Broker::start().await;
    let tasks = TaskGroup::new();
    let topic = |operation| Right::new(2, "__causeway.prod", false, operation);
    // Each is given after its lack was named: create, describe configs, read of the group, read.
    for (right, named) in [
        (topic(5), "__causeway.prod was refused: TopicAuthorizationFailed (29)"),
        (topic(10), "DescribeConfigs on topic __causeway.prod was refused: TopicAuthorizationFailed (29)"),
        (Right::new(3, "prod", false, 3), "by group prod: Message consumption error: GroupAuthorizationFailed"),
        (
            topic(3),
            "topic __causeway.prod can't be read by group prod: Message consumption error: TopicAuthorizationFailed",
        ),
    ] {
        let error = open(guarded(&broker), &tasks.child()).await.map(|_| ()).unwrap_err().to_string();
        println!("{error}");
        assert!(error.contains(named), "{error}");
        let describe = topic(8);
        broker.allow(USER, &[right, describe]).await;
    }
    broker.allow(USER, &[topic(4), Right::new(5, "causeway-prod-one", true, 4)]).await;
    let (store, mut events) = open(guarded(&broker), &tasks).await.unwrap();
    assert!(matches!(events.recv().await, Some(ShardEvent::Acquired(_))));
    assert!(store.is_ready() && store.obstacle().is_none());
    store.close().await;
}
