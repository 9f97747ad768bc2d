use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::cluster::Remedy;
use crate::emulator;
use crate::types::{ClusterName, PartitionIndex, TopicName};
use crate::wire::{self, Client};

const PATIENCE: Duration = Duration::from_mins(1);

/// Two batches: of one record, and of two.
fn fill(bootstrap: &str) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "50").create().unwrap();
    for count in [1, 2] {
        for _ in 0..count {
            producer.send(BaseRecord::<(), str>::to("found").partition(0).payload("a record")).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shown_is_told_apart_from_what_is_not_there() {
    let kafka = emulator::Cluster::start(emulator::Settings::new("found")).await.unwrap();
    kafka.create_topic("found", 1, 1, &[]).unwrap();
    let bootstrap = kafka.bootstrap();
    let addresses = bootstrap.split(',').map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || fill(&bootstrap)).await.unwrap();
    let client = Client::new(wire::Settings::plain(addresses, "test"));
    let target = Cluster::new(ClusterName::new("found").unwrap(), client);
    let partition = TopicPartition::new(TopicName::new("found").unwrap(), PartitionIndex(0));
    let at = |offset: i64| find(&target, &partition, TargetOffset::new(offset).unwrap());

    let (first, second) = (at(0).await.unwrap(), at(1).await.unwrap());
    assert!(matches!((first, second), (Found::Batch(a), Found::Batch(b)) if a != b), "{first:?} {second:?}");
    assert_eq!(at(2).await.unwrap(), Found::Other, "the second record of a batch");
    assert_eq!(at(3).await.unwrap(), Found::Nothing, "where the log ends");
    let presence = |offset: i64| presence(&target, &partition, ProducerId(7), TargetOffset::new(offset).unwrap());
    assert_eq!(presence(2).await.unwrap(), Presence::Missing, "another producer's");
    assert_eq!(presence(3).await.unwrap_err().remedy(), Remedy::Retry, "said to be there, and not shown");
    let mut from = 1;
    let (end, beyond) = (TargetOffset::new(3).unwrap(), TargetOffset::new(4).unwrap());
    assert_eq!(headers_from(&target, &partition, &mut from, beyond).await.unwrap().unwrap().len(), 1);
    assert_eq!((from, headers_from(&target, &partition, &mut from, end).await.unwrap()), (3, None));
    assert_eq!(headers_from(&target, &partition, &mut from, beyond).await.unwrap_err().remedy(), Remedy::Retry);
    kafka.close().await;
}
