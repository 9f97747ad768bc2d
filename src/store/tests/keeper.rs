use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::shards::{
    Failure, Ownership, Record, StateOffset, Transactions, WriterHandle, WriterLimits, WriterMeasures, run_writer,
};
use crate::store::keeper::Keeper;
use crate::store::{ShardEvent, View};
use crate::tasks::TaskGroup;
use crate::telemetry::Metrics;

/// Hands committed records to whoever plays the reader.
struct Committed {
    open: Vec<Record>,
    committed: mpsc::Sender<Vec<Record>>,
}

impl Transactions for Committed {
    type Proof = u32;

    async fn open(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.open.clear();
        Ok(())
    }

    async fn send(&mut self, record: &Record) -> Result<(), Failure> {
        self.open.push(record.clone());
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<StateOffset>, Failure> {
        Ok(self.open.iter().map(|record| StateOffset { shard: record.shard, next: 1 }).collect())
    }

    async fn send_offsets(&mut self, _offsets: &[StateOffset], _proof: &Arc<u32>) -> Result<(), Failure> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        drop(self.committed.send(std::mem::take(&mut self.open)).await);
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

struct Bench {
    ownership: Arc<Ownership<u32>>,
    view: View,
    committed: mpsc::Receiver<Vec<Record>>,
    events: mpsc::Receiver<ShardEvent>,
    tasks: TaskGroup,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

fn bench() -> Bench {
    let ownership = Arc::new(Ownership::new(Duration::from_mins(10)));
    let tasks = TaskGroup::new();
    let view = View::new();
    let limits = WriterLimits::default();
    let (writer, jobs) = WriterHandle::new(&limits);
    let (committed_sender, committed) = mpsc::channel(64);
    let (owned, stop, runtime) = (Arc::clone(&ownership), tasks.token(), Handle::current());
    let producer = Committed { open: Vec::new(), committed: committed_sender };
    let measures = WriterMeasures::new(&Metrics::new(), "target");
    std::thread::spawn(move || runtime.block_on(run_writer(producer, owned, jobs, limits, measures, stop)));
    let (sender, events) = mpsc::channel(64);
    let keeper =
        Keeper { daemon_id: "one".to_owned(), view: view.clone(), writer, events: sender, tasks: tasks.clone() };
    let owned = Arc::clone(&ownership);
    tasks.spawn("keeper", async move { keeper.run(&*owned).await });
    Bench { ownership, view, committed, events, tasks }
}

impl Bench {
    fn read(&self, record: &Record) {
        self.view.apply(record.shard, &record.key, record.value.as_deref());
    }

    async fn next_committed(&mut self) -> Vec<Record> {
        self.committed.recv().await.unwrap()
    }

    async fn next_event(&mut self) -> (&'static str, i32) {
        match self.events.recv().await.unwrap() {
            ShardEvent::Acquired(lease) => {
                assert!(lease.is_held());
                ("acquired", lease.shard())
            }
            ShardEvent::Lost(shard) => ("lost", shard),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_acquired_only_when_its_takeover_was_read_back() {
    let mut bench = bench();
    bench.ownership.assign(&[1, 2, 3], 1);
    let records = bench.next_committed().await;
    assert_eq!(records.len(), 3, "many shards are taken over in one transaction");
    assert!(bench.events.try_recv().is_err());
    bench.read(&records[1]);
    assert_eq!(bench.next_event().await, ("acquired", 2));
    assert!(bench.events.try_recv().is_err());
    bench.read(&records[0]);
    bench.read(&records[2]);
    let mut rest = [bench.next_event().await, bench.next_event().await];
    rest.sort_unstable();
    assert_eq!(rest, [("acquired", 1), ("acquired", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_lost_and_came_back_is_taken_over_anew() {
    let mut bench = bench();
    bench.ownership.assign(&[1], 1);
    let first = bench.next_committed().await;
    bench.read(&first[0]);
    assert_eq!(bench.next_event().await, ("acquired", 1));
    bench.ownership.revoke(&[1]);
    assert_eq!(bench.next_event().await, ("lost", 1));
    bench.ownership.assign(&[1], 2);
    let second = bench.next_committed().await;
    assert_ne!(first[0].value, second[0].value);
    bench.read(&second[0]);
    assert_eq!(bench.next_event().await, ("acquired", 1));
    bench.tasks.close().await;
    assert_eq!(bench.next_event().await, ("lost", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_lost_before_it_was_acquired_is_never_heard_of() {
    let mut bench = bench();
    bench.ownership.assign(&[1], 1);
    let records = bench.next_committed().await;
    bench.ownership.revoke(&[1]);
    bench.read(&records[0]);
    bench.ownership.assign(&[2], 2);
    let records = bench.next_committed().await;
    bench.read(&records[0]);
    assert_eq!(bench.next_event().await, ("acquired", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_with_an_unreadable_record_is_not_acquired() {
    let mut bench = bench();
    let key = br#"{"type":"link","link":"a-to-b"}"#;
    let shard = crate::store::shard_hash::of_link(&crate::types::LinkName::new("a-to-b").unwrap());
    bench.view.apply(shard, key, Some(br#"{"v":7}"#));
    let other = (shard + 1) % 32;
    bench.ownership.assign(&[shard, other], 1);
    for record in bench.next_committed().await {
        bench.read(&record);
    }
    assert_eq!(bench.next_event().await, ("acquired", other));
    assert!(bench.events.try_recv().is_err());
    bench.view.apply(shard, key, None);
    assert_eq!(bench.next_event().await, ("acquired", shard));
}
