use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::states::Offsets;
use super::*;
use crate::batch::{Codec, Record, encode_batch};
use crate::cluster::{FetchedOnce, Isolation};
use crate::types::{ClusterName, PartitionIndex, TopicId, TopicName, TopicPartition};
use crate::wire::WireError;

/// State topics in memory: one batch per record.
#[derive(Clone, Default)]
struct Fake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    logs: Mutex<BTreeMap<TopicPartition, Log>>,
    reads: AtomicUsize,
    /// How long a fetch takes.
    pause: Duration,
}

#[derive(Default)]
struct Log {
    id: Option<TopicId>,
    start: i64,
    stable: Option<i64>,
    batches: Vec<Bytes>,
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))
}

fn link_value(source: &str, target: &str, producer_id: i64) -> String {
    format!(
        r#"{{"v":1,"source_cluster_id":"{source}","target_cluster_id":"{target}","producer_id":{producer_id},
            "producer_epoch":0,"state":"active","digest":"","created_at_ms":0}}"#
    )
}

impl Fake {
    fn append(&self, at: &TopicPartition, key: &str, value: Option<&str>) {
        let mut logs = self.0.logs.lock().unwrap();
        let log = logs.entry(at.clone()).or_default();
        let offset = log.start + i64::try_from(log.batches.len()).unwrap();
        let record = Record {
            offset,
            timestamp: 0,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        };
        log.batches.push(encode_batch(&[record], Codec::None).unwrap());
    }

    fn append_link(&self, at: &TopicPartition, source: &str, target: &str, producer_id: i64) {
        self.append(at, r#"{"type":"link","link":"back"}"#, Some(&link_value(source, target, producer_id)));
    }

    fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }
}

impl States for Fake {
    async fn cluster_id(&self) -> Result<String, ClusterError> {
        Ok("S".to_owned())
    }

    async fn partitions(&self) -> Result<BTreeMap<TopicPartition, Option<TopicId>>, ClusterError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.0.logs.lock().unwrap().iter().map(|(at, log)| (at.clone(), log.id)).collect())
    }

    async fn high_watermarks(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClusterError> {
        let logs = self.0.logs.lock().unwrap();
        let end = |at: &TopicPartition| logs[at].start + i64::try_from(logs[at].batches.len()).unwrap();
        Ok(partitions.iter().map(|at| (at.clone(), end(at))).collect())
    }

    async fn log_start(&self, partition: &TopicPartition) -> Result<i64, ClusterError> {
        Ok(self.0.logs.lock().unwrap()[partition].start)
    }

    async fn fetch(
        &self,
        partition: &TopicPartition,
        from: i64,
        isolation: Isolation,
    ) -> Result<FetchedOnce, ClusterError> {
        tokio::time::sleep(self.0.pause).await;
        let logs = self.0.logs.lock().unwrap();
        let log = &logs[partition];
        if from < log.start {
            return Err(ClusterError::Refused {
                cluster: ClusterName::new("source").unwrap(),
                operation: "Fetch",
                resource: partition.to_string(),
                code: 1,
                code_name: "OFFSET_OUT_OF_RANGE".to_owned(),
                message: None,
            });
        }
        let high_watermark = log.start + i64::try_from(log.batches.len()).unwrap();
        let last_stable = log.stable.unwrap_or(high_watermark);
        // Two batches at a time.
        let index = |offset: i64| usize::try_from(offset - log.start).unwrap();
        let readable = if isolation == Isolation::ReadCommitted { last_stable } else { high_watermark };
        let end = (from + 2).min(readable).max(from);
        let records = Bytes::from(log.batches[index(from)..index(end)].concat());
        Ok(FetchedOnce { records, high_watermark, last_stable, log_start: log.start, aborted: Vec::new() })
    }

    fn unreadable(&self, place: &str, reason: String) -> ClusterError {
        let error = WireError::Malformed { address: place.to_owned(), api: "Fetch", reason };
        ClusterError::Wire { cluster: ClusterName::new("source").unwrap(), error }
    }
}

fn producers(fake: &Fake) -> SourceProducers {
    SourceProducers::of(fake.clone(), "T".to_owned())
}

#[tokio::test(start_paused = true)]
async fn links_from_our_target_are_found_and_others_are_not() {
    let fake = Fake::default();
    let (a, b) = (partition("__causeway.a", 0), partition("__causeway.b", 3));
    fake.append_link(&a, "T", "S", 7);
    fake.append_link(&a, "X", "S", 8);
    fake.append_link(&b, "T", "X", 9);
    fake.append(&b, r#"{"type":"topic","link":"back","topic":"orders"}"#, Some("not even JSON"));
    fake.append_link(&b, "T", "S", 10);
    fake.append(&b, r#"{"type":"a newer type"}"#, Some("{}"));
    let producers = producers(&fake);
    assert_eq!(producers.known(7), None);
    producers.read().await.unwrap();
    let answers: Vec<_> = [-1, 7, 8, 9, 10].map(|id| producers.known(id)).into();
    assert_eq!(answers, [Some(false), Some(true), None, None, Some(true)]);
    assert!(!producers.is_from_target(8).await.unwrap());
    assert_eq!(producers.known(8), Some(false));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_reads_on_and_an_answer_stays() {
    let fake = Fake::default();
    let at = partition("__causeway.a", 0);
    let producers = producers(&fake);
    assert!(!producers.is_from_target(5).await.unwrap(), "without state topics there are no links");
    for id in 100..120 {
        fake.append_link(&at, "T", "S", id);
    }
    assert!(producers.is_from_target(119).await.unwrap());
    // Stored, replaced and removed: the ids stay.
    fake.append(&at, r#"{"type":"link","link":"back"}"#, None);
    fake.append_link(&at, "T", "S", 200);
    assert!(producers.is_from_target(200).await.unwrap());
    assert_eq!((producers.known(100), producers.known(5)), (Some(true), Some(false)));
}

#[tokio::test(start_paused = true)]
async fn questions_at_the_same_time_share_a_read_that_began_after_them() {
    let fake = Fake::default();
    fake.append_link(&partition("__causeway.a", 0), "T", "S", 7);
    let producers = producers(&fake);
    let asked = (1..=50).map(|id| {
        let producers = producers.clone();
        async move { producers.is_from_target(id).await.unwrap() }
    });
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|is_ours| **is_ours).count(), 1);
    assert!(fake.reads() <= 2, "{} reads", fake.reads());
    let before = fake.reads();
    assert!(!producers.is_from_target(1).await.unwrap());
    assert_eq!(fake.reads(), before, "a known answer costs nothing");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_read_does_not_block_the_next() {
    let fake = Fake::default();
    fake.append_link(&partition("__causeway.a", 0), "T", "S", 7);
    let producers = producers(&fake);
    {
        let mut abandoned = Box::pin(producers.read());
        assert!(futures::poll!(abandoned.as_mut()).is_pending());
    }
    assert!(producers.is_from_target(7).await.unwrap());
}

/// Over a slow line a read takes longer than anybody waits at a time.
#[tokio::test(start_paused = true)]
async fn a_read_that_was_given_up_goes_on_for_the_next_who_asks() {
    let fake = Fake(Arc::new(Inner { pause: Duration::from_secs(6), ..Inner::default() }));
    for id in 100..106 {
        fake.append_link(&partition("__causeway.a", 0), "T", "S", id);
    }
    let producers = producers(&fake);
    let patience = Duration::from_secs(5);
    let mut attempts = 1;
    while tokio::time::timeout(patience, producers.read()).await.is_err() {
        attempts += 1;
        assert!(attempts < 10, "{} bytes were read", producers.bytes_read());
    }
    let bytes: usize = fake.0.logs.lock().unwrap().values().flat_map(|log| &log.batches).map(Bytes::len).sum();
    assert_eq!((producers.known(105), producers.bytes_read()), (Some(true), bytes as u64));
}

/// Nobody waits for what may never end; only who must know what a link stored does.
#[tokio::test(start_paused = true)]
async fn links_are_found_behind_an_open_transaction_and_the_rest_is_waited_for() {
    let fake = Fake::default();
    let at = partition("__causeway.a", 0);
    fake.append(&at, r#"{"type":"daemon","id":"d"}"#, None);
    fake.append_link(&at, "T", "S", 7);
    fake.append(&partition("__causeway.b", 0), r#"{"type":"daemon","id":"d"}"#, None);
    fake.0.logs.lock().unwrap().get_mut(&at).unwrap().stable = Some(1);
    let producers = producers(&fake);
    assert!(!producers.is_from_target(8).await.unwrap());
    assert_eq!(producers.known(7), Some(true));
    assert!(producers.has_unread(7) && !producers.has_unread(8));
    let error = producers.read_all_of(7).await.unwrap_err();
    assert!(error.to_string().contains("transaction has been open at offset 1"), "{error}");
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        fake.0.logs.lock().unwrap().get_mut(&at).unwrap().stable = None;
    };
    let (read, ()) = tokio::join!(producers.read_all_of(7), ending);
    read.unwrap();
    assert!(!producers.has_unread(7));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_in_a_state_topic_that_was_deleted() {
    let fake = Fake::default();
    let at = partition("__causeway.a", 0);
    fake.append_link(&at, "T", "S", 7);
    fake.append(&at, r#"{"type":"daemon","id":"d"}"#, None);
    fake.0.logs.lock().unwrap().get_mut(&at).unwrap().stable = Some(1);
    let producers = producers(&fake);
    producers.read().await.unwrap();
    assert!(producers.has_unread(7));
    fake.0.logs.lock().unwrap().clear();
    producers.read_all_of(7).await.unwrap();
    assert!(!producers.has_unread(7));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_is_an_error_with_its_place() {
    let fake = Fake::default();
    let at = partition("__causeway.a", 0);
    fake.append_link(&at, "T", "S", 7);
    fake.append(&at, r#"{"type":"link","link":"back"}"#, Some(r#"{"v":99}"#));
    let producers = producers(&fake);
    let error = producers.read().await.unwrap_err().to_string();
    assert!(error.contains("__causeway.a-0") && error.contains("offset 1") && error.contains("version 99"), "{error}");
    assert!(producers.is_from_target(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_trimmed_or_recreated_state_topic_is_read_again() {
    let fake = Fake::default();
    let at = partition("__causeway.a", 0);
    fake.append_link(&at, "T", "S", 7);
    let producers = producers(&fake);
    producers.read().await.unwrap();
    let set_log = |id: u128, start: i64| {
        let id = Some(TopicId(uuid::Uuid::from_u128(id)));
        fake.0.logs.lock().unwrap().insert(at.clone(), Log { id, start, ..Log::default() });
    };
    set_log(1, 0);
    fake.append_link(&at, "T", "S", 8);
    assert!(producers.is_from_target(8).await.unwrap());
    set_log(1, 50);
    fake.append_link(&at, "T", "S", 9);
    assert!(producers.is_from_target(9).await.unwrap());
    assert_eq!(producers.known(7), Some(true));
}

#[test]
fn others_are_forgotten_before_links() {
    let known = Known::default();
    known.note_link(-5);
    for id in 0..120_000 {
        known.settle(id);
        known.get(0);
    }
    assert_eq!((known.get(-5), known.get(0), known.get(119_999)), (Some(true), Some(false), Some(false)));
    assert_eq!(known.get(1), None, "long not asked for");
}

fn topic_value(target: &str) -> String {
    format!(
        r#"{{"v":1,"source_topic_id":null,"target_topic":"{target}","target_topic_id":null,"partitions":1,
            "state":"mirroring","priority":0,"batch_bytes_max":1,"start":"earliest","stop":null}}"#
    )
}

fn position_value(life: u128, begun_at: i64) -> String {
    let id = uuid::Uuid::from_u128(life);
    format!(
        r#"{{"v":1,"source_topic_id":"{id}","target_topic_id":null,"source_position":5,"source_leader_epoch":null,
            "target_position":5,"sequence":5,"begun_at":{begun_at},"open_runs":"","open_chunk":0,"resolution":null,
            "status":{{"state":"mirroring","daemon":"d","at_ms":0,"source_log_start":null,
            "source_high_watermark":null,"source_last_stable":null,"lag_ms":null,"source_contact_age_ms":null,
            "stop":null}}}}"#
    )
}

/// What an opposite link stored tells from which life of the target's topic its batches came.
#[tokio::test(start_paused = true)]
async fn batches_of_an_opposite_link_are_told_apart_by_the_life_that_they_came_from() {
    let fake = Fake::default();
    let (state, at) = (partition("__causeway.a", 0), partition("orders", 0));
    let topic_key = r#"{"type":"topic","link":"back","topic":"orders"}"#;
    let position_key = r#"{"type":"position","link":"back","topic":"orders","partition":0}"#;
    fake.append_link(&state, "T", "S", 7);
    fake.append(&state, topic_key, Some(&topic_value("orders")));
    fake.append(&state, position_key, Some(&position_value(1, 0)));
    let producers = producers(&fake);
    let origin = |id, offset, name: &str| {
        producers.origin(id, (&at, SourceOffset::new(offset).unwrap()), &TopicName::new(name).unwrap())
    };
    let life = |id: u128| TopicId(uuid::Uuid::from_u128(id));
    producers.read().await.unwrap();
    assert_eq!(origin(7, 3, "orders"), Origin::Life(life(1)));
    assert_eq!(origin(8, 3, "orders"), Origin::Untold, "another producer");
    assert_eq!(origin(7, 3, "other"), Origin::Untold, "its origin has another name than where it would go");
    fake.append(&state, position_key, Some(&position_value(2, 100)));
    producers.read().await.unwrap();
    assert_eq!((origin(7, 99, "orders"), origin(7, 100, "orders")), (Origin::Before(life(2)), Origin::Life(life(2))));
    fake.append(&state, position_key, Some("a newer form"));
    producers.read().await.unwrap();
    assert_eq!(origin(7, 99, "orders"), Origin::Untold, "what can't be read must not be believed");
}
