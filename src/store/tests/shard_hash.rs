use crate::store::Key;
use crate::store::shard_hash::{SHARDS, of_key, of_link, of_partition};
use crate::types::{LinkName, PartitionIndex, TopicName};

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// Computed by another implementation.
#[test]
fn the_hash_never_changes() {
    assert_eq!(SHARDS, 32);
    let links = ["a", "a-to-b", "onprem-to-aws"].map(|name| of_link(&link(name)));
    assert_eq!(links, [27, 6, 25]);
    let partitions = [("a-to-b", "orders", 0), ("a-to-b", "orders", 1), ("a-to-b", "orders", 10), ("x", "logs.eu", 7)];
    let partitions = partitions.map(|(name, of, index)| of_partition(&link(name), &topic(of), PartitionIndex(index)));
    assert_eq!(partitions, [30, 19, 9, 29]);
    assert_eq!(of_key(&Key::Daemon { id: "causeway-1".to_owned() }), 14);
}

#[test]
fn partitions_spread_evenly() {
    let mut counts = [0; 32];
    for name in ["orders", "payments", "logs.eu", "t"] {
        for index in 0..800 {
            let shard = of_partition(&link("a-to-b"), &topic(name), PartitionIndex(index));
            counts[usize::try_from(shard).unwrap()] += 1;
        }
    }
    assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
}

#[test]
fn what_one_owner_writes_together_lies_in_one_shard() {
    let (link, topic, partition) = (link("a-to-b"), topic("orders"), PartitionIndex(3));
    let shard = of_partition(&link, &topic, partition);
    for key in [
        Key::Position { link: link.clone(), topic: topic.clone(), partition },
        Key::Plan { link: link.clone(), topic: topic.clone(), partition },
        Key::Map { link: link.clone(), topic: topic.clone(), partition, chunk: 4 },
        Key::Takeover { shard },
    ] {
        assert_eq!(of_key(&key), shard);
    }
    for key in [
        Key::Link { link: link.clone() },
        Key::Topic { link: link.clone(), topic: topic.clone() },
        Key::Resolution { link: link.clone(), topic, partition },
        Key::Group { link: link.clone(), group: crate::types::GroupName::new("billing").unwrap() },
        Key::Request { link: link.clone(), id: uuid::Uuid::nil() },
    ] {
        assert_eq!(of_key(&key), of_link(&link));
    }
}
