//! `WriteTxnMarkers` 1. Markers are answered once they are replicated; a request with several of one producer id tells
//! the outcome of the last, as brokers do.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{ProducerId, WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use tokio::time::{Instant, timeout_at};

use super::{Api, Call, code, topic_name};
use crate::emulator::records::Marker;

pub(crate) struct WriteTxnMarkers;

/// As `request.timeout.ms` of the brokers.
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(30);

/// By topic and partition: where the marker is, or why it is not.
type Outcomes = BTreeMap<(String, i32), Result<i64, ResponseError>>;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=1;
    const SHAPE: &'static str = "(821(s[4])4)";

    async fn answer(call: Call, request: WriteTxnMarkersRequest) -> Option<WriteTxnMarkersResponse> {
        let mut by_producer: BTreeMap<i64, Outcomes> = BTreeMap::new();
        for told in request.markers {
            let marker = Marker {
                producer_id: told.producer_id.0,
                producer_epoch: told.producer_epoch,
                coordinator_epoch: told.coordinator_epoch,
                is_commit: told.transaction_result,
            };
            let outcomes = by_producer.entry(marker.producer_id).or_default();
            for topic in told.topics {
                for index in topic.partition_indexes {
                    let outcome = call.check().and_then(|()| append(&call, &topic.name, index, marker));
                    outcomes.insert((topic.name.to_string(), index), outcome);
                }
            }
        }
        call.cluster.changed();
        await_replicas(&call, &mut by_producer).await;
        let markers = by_producer.into_iter().map(|(id, outcomes)| {
            let topics = told(outcomes);
            WritableTxnMarkerResult::default().with_producer_id(ProducerId(id)).with_topics(topics)
        });
        Some(WriteTxnMarkersResponse::default().with_markers(markers.collect()))
    }
}

fn append(call: &Call, topic: &str, index: i32, marker: Marker) -> Result<i64, ResponseError> {
    let now_ms = call.cluster.now_ms();
    let mut state = call.lock();
    state.led(call.broker, topic, index, -1)?;
    state.append_marker(topic, index, marker, now_ms)
}

async fn await_replicas(call: &Call, by_producer: &mut BTreeMap<i64, Outcomes>) {
    let deadline = Instant::now() + REPLICATION_TIMEOUT;
    let mut changes = call.cluster.changes();
    loop {
        let mut is_waiting = false;
        for ((topic, index), outcome) in by_producer.values_mut().flatten() {
            let Ok(offset) = outcome else { continue };
            match call.lock().led(call.broker, topic, *index, -1) {
                Ok((partition, _)) => is_waiting |= partition.high_watermark() <= *offset,
                Err(code) => *outcome = Err(code),
            }
        }
        if !is_waiting {
            return;
        }
        if timeout_at(deadline, changes.changed()).await.is_err() {
            let open = by_producer.values_mut().flatten().filter(|(_, outcome)| outcome.is_ok());
            // Which of them made it is not told: the marker is there, and the answer says time-out.
            open.for_each(|(_, outcome)| *outcome = Err(ResponseError::RequestTimedOut));
            return;
        }
    }
}

fn told(outcomes: Outcomes) -> Vec<WritableTxnMarkerTopicResult> {
    let mut topics: BTreeMap<String, Vec<WritableTxnMarkerPartitionResult>> = BTreeMap::new();
    for ((topic, index), outcome) in outcomes {
        let result = WritableTxnMarkerPartitionResult::default().with_partition_index(index);
        topics.entry(topic).or_default().push(result.with_error_code(code(&outcome)));
    }
    let result = |(topic, partitions): (String, _)| {
        WritableTxnMarkerTopicResult::default().with_name(topic_name(&topic)).with_partitions(partitions)
    };
    topics.into_iter().map(result).collect()
}
