//! The bare replay: batches that are ready in memory, sent as fast as the broker takes them. It is the limit.
//!
//! Owns: reading a topic into memory, preparing all of it, and sending it.
//! Promises: what is timed is sending alone; the time is on the last line of its output.
//! Does not know: order across failures; a failure ends it.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use causeway::batch::{Limits, Prepared, RawBatch, Stamp, Step, prepare, split};
use causeway::cluster::{Cluster, Isolation, OffsetQuery};
use causeway::types::{PartitionIndex, Sequence, SourceOffset, TopicName, TopicPartition};
use causeway::wire::{Client, PartitionAppend, ProduceRequest, Settings, TopicAppends};

use crate::plain::Job;

/// Requests under way, as many as the daemon has on one connection.
const IN_FLIGHT: usize = 5;
const READ_BYTES: usize = 8 << 20;

/// Prepares all, says "ready", waits until the file `begin` exists, sends, and says what that took.
pub fn run(job: &Job, busy: i32, begin: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let source = cluster("source", &job.source);
        let target = cluster("target", &job.target);
        let topic = TopicName::new(&job.topic).expect("a name");
        let mut queues = Vec::new();
        for index in 0..busy {
            let partition = TopicPartition::new(topic.clone(), PartitionIndex(index));
            queues.push((PartitionIndex(index), read(&source, &partition).await));
        }
        let target_topic = TopicName::new(&job.target_topic).expect("a name");
        wait_until_led(&target, &target_topic, busy).await;
        println!("ready");
        while !begin.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let start = Instant::now();
        send(&target, &target_topic, queues).await;
        println!("done {}", start.elapsed().as_secs_f64());
    });
}

fn cluster(name: &str, bootstrap: &str) -> Cluster {
    let settings = Settings::plain(vec![bootstrap.to_owned()], "bare-replay");
    Cluster::new(causeway::types::ClusterName::new(name).expect("a name"), Client::new(settings))
}

/// A broker takes a while until it leads all partitions of a large topic that was just made.
async fn wait_until_led(target: &Cluster, topic: &TopicName, busy: i32) {
    let of_topic = |index| TopicPartition::new(topic.clone(), PartitionIndex(index));
    let partitions: Vec<_> = (0..busy).map(of_topic).collect();
    let begin = Instant::now();
    loop {
        let listed = target.list_offsets(&partitions, OffsetQuery::HighWatermark).await;
        if listed.is_ok_and(|listed| partitions.iter().all(|p| listed.get(p).is_some_and(Result::is_ok))) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "the target topic has no leaders");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// All batches of a partition, merged as far as the daemon would.
async fn read(source: &Cluster, partition: &TopicPartition) -> VecDeque<Prepared> {
    let listed =
        source.list_offsets(std::slice::from_ref(partition), OffsetQuery::HighWatermark).await.expect("an end");
    let end = listed[partition].as_ref().expect("an end").offset.expect("an end");
    let mut raw: VecDeque<RawBatch> = VecDeque::new();
    let mut at = 0;
    while at < end {
        let fetched = source.fetch_once(partition, at, READ_BYTES, Isolation::ReadUncommitted).await.expect("batches");
        let batches = split(fetched.records).expect("whole batches");
        at = batches.last().expect("progress").header.last_offset() + 1;
        raw.extend(batches.into_iter().filter(|batch| !batch.header.is_control()));
    }
    let limits = Limits {
        batch_bytes_max: 1_000_000,
        decompressed_bytes_max: 64 << 20,
        merge_compressed_below: 16 << 10,
        records_max: 100_000,
        is_dense: false,
    };
    let mut ready = VecDeque::new();
    let mut from = SourceOffset::ZERO;
    loop {
        match prepare(&mut raw, from, &limits).expect("a good batch") {
            Step::Send(prepared) => {
                from = prepared.next_source;
                ready.push_back(prepared);
            }
            Step::Skip { next_source } => from = next_source,
            Step::Idle => return ready,
        }
    }
}

async fn send(target: &Cluster, topic: &TopicName, mut queues: Vec<(PartitionIndex, VecDeque<Prepared>)>) {
    let (producer_id, producer_epoch) = target.allocate_producer_id().await.expect("a producer id");
    let metadata = target.metadata(Some(std::slice::from_ref(topic))).await.expect("metadata");
    let id = metadata.topics[topic].id;
    let leader = target.leader(&TopicPartition::new(topic.clone(), PartitionIndex(0))).await.expect("a leader");
    let connection = target.client().connect(leader.broker).await.expect("a connection");
    let mut counts = vec![0_u64; queues.len()];
    let mut under_way = VecDeque::new();
    loop {
        let mut appends = Vec::new();
        for ((partition, queue), count) in queues.iter_mut().zip(&mut counts) {
            let Some(prepared) = queue.pop_front() else { continue };
            let stamp = Stamp { producer_id, producer_epoch, base_sequence: Sequence::of_count(*count) };
            *count += u64::from(prepared.record_count);
            let stamped = prepared.stamp(&stamp);
            appends.push(PartitionAppend { partition: *partition, header: stamped.header, body: stamped.body });
        }
        let is_done = appends.is_empty();
        if !is_done {
            let topics = vec![TopicAppends { name: topic.clone(), id, partitions: appends }];
            let request = ProduceRequest { timeout: Duration::from_secs(30), topics };
            under_way.push_back(connection.start_produce(&request).await.expect("a request"));
        }
        while under_way.len() >= IN_FLIGHT || (is_done && !under_way.is_empty()) {
            let Some(pending) = under_way.pop_front() else { break };
            let response = pending.await.expect("an answer");
            let codes = response.responses.iter().flat_map(|topic| &topic.partition_responses);
            codes.for_each(|answer| assert_eq!(answer.error_code, 0, "the broker refuses a batch"));
        }
        if is_done {
            return;
        }
    }
}
