//! What the tests of fetching share.

use std::time::Duration;

use super::*;
use crate::types::{PartitionIndex, TopicName};

mod engine;
mod fake;
mod parts;
mod reading;
mod real;
mod session;

fn settings() -> Settings {
    Settings {
        link_bytes_max: 16 << 20,
        inbox_bytes_max: 4 << 20,
        response_bytes_max: 4 << 20,
        partition_bytes_max: 1 << 20,
        wait_max: Duration::from_millis(500),
        connections_per_broker: 1,
        rate: None,
    }
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))
}

fn subscription(topic: &str, index: i32, offset: i64) -> Subscription {
    Subscription {
        partition: partition(topic, index),
        topic_id: None,
        from: FetchPosition { offset: SourceOffset::new(offset).unwrap(), last_epoch: None },
        priority: 0,
    }
}
