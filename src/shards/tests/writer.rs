use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::fake::{Fake, Step};
use crate::shards::{
    Failure, Grant, JobError, Ownership, Record, WriterHandle, WriterLimits, WriterMeasures, run_writer,
};
use crate::telemetry::Metrics;

struct Bench {
    fake: Fake,
    metrics: Metrics,
    ownership: Arc<Ownership<u32>>,
    writer: WriterHandle,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(std::thread::panicking() || result.is_ok(), "the writer panicked");
        }
    }
}

fn bench(limits: WriterLimits) -> Bench {
    let fake = Fake::default();
    fake.lock().generation = 1;
    let ownership = Arc::new(Ownership::new(Duration::from_mins(10)));
    let (writer, jobs) = WriterHandle::new(&limits);
    let stop = CancellationToken::new();
    let (runtime, producer) = (Handle::current(), fake.clone());
    let (owned, until) = (Arc::clone(&ownership), stop.clone());
    let metrics = Metrics::new();
    let measures = WriterMeasures::new(&metrics, "target");
    let thread =
        std::thread::spawn(move || runtime.block_on(run_writer(producer, owned, jobs, limits, measures, until)));
    Bench { fake, metrics, ownership, writer, stop, thread: Some(thread) }
}

impl Bench {
    fn grant(&self, shard: i32) -> Grant {
        self.ownership.grants().into_iter().find(|grant| grant.shard() == shard).unwrap()
    }

    fn keys(&self, shard: i32) -> Vec<String> {
        let cluster = self.fake.lock();
        let text = |record: &Record| String::from_utf8(record.key.clone()).unwrap();
        cluster.log.get(&shard).map(|log| log.iter().map(text).collect()).unwrap_or_default()
    }

    /// Transactions with this outcome.
    fn counted(&self, outcome: &str) -> u64 {
        let start = format!("causeway_state_writes_total{{cluster=\"target\",outcome=\"{outcome}\"}} ");
        self.metrics.render().lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap()
    }

    fn fail(&self, step: Step, failure: Failure) {
        self.fake.lock().failures.push_back((step, failure));
    }

    /// Waits until the writer has made a step so often.
    async fn until(&self, step: Step, times: usize) {
        while self.fake.lock().steps.iter().filter(|made| **made == step).count() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn record(shard: i32, key: &str) -> Record {
    Record { shard, key: key.as_bytes().to_vec(), value: Some(b"v".to_vec()) }
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_acknowledged_before_the_proof_and_the_proof_comes_before_the_commit() {
    let bench = bench(WriterLimits::default());
    bench.ownership.assign(&[3], 1);
    bench.writer.write(bench.grant(3), vec![record(3, "a"), record(3, "b")]).await.unwrap();
    assert_eq!(bench.keys(3), ["a", "b"]);
    let steps = bench.fake.lock().steps.clone();
    assert_eq!(steps, [Step::Open, Step::Begin, Step::Send, Step::Send, Step::Flush, Step::Offsets, Step::Commit]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_waits_for_the_rebalance_and_succeeds_in_the_next_generation() {
    let bench = bench(WriterLimits::default());
    bench.ownership.assign(&[3], 1);
    bench.fake.lock().generation = 2;
    let write = bench.writer.write(bench.grant(3), vec![record(3, "a")]);
    let rebalance = async {
        bench.until(Step::Abort, 1).await;
        bench.ownership.assign(&[4], 2);
    };
    let (written, ()) = tokio::join!(write, rebalance);
    assert_eq!(written, Ok(()));
    assert_eq!(bench.keys(3), ["a"]);
    assert_eq!(bench.counted("committed"), 1);
    assert!(bench.counted("refused") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_whose_shard_goes_is_lost() {
    let bench = bench(WriterLimits::default());
    bench.ownership.assign(&[3, 4], 1);
    bench.fake.lock().generation = 2;
    let lost = bench.writer.write(bench.grant(3), vec![record(3, "a")]);
    let rebalance = async {
        bench.until(Step::Abort, 1).await;
        bench.ownership.revoke(&[3]);
    };
    let (written, ()) = tokio::join!(lost, rebalance);
    assert_eq!(written, Err(JobError::Lost));
    bench.ownership.assign(&[], 2);
    bench.writer.write(bench.grant(4), vec![record(4, "b")]).await.unwrap();
    assert_eq!(bench.keys(3), Vec::<String>::new());
    assert_eq!(bench.keys(4), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_grant_writes_nothing_even_when_the_shard_came_back() {
    let bench = bench(WriterLimits::default());
    bench.ownership.assign(&[3], 1);
    let old = bench.grant(3);
    bench.ownership.lose_all();
    bench.ownership.assign(&[3], 1);
    assert_eq!(bench.writer.write(old, vec![record(3, "a")]).await, Err(JobError::Lost));
    bench.writer.write(bench.grant(3), vec![record(3, "b")]).await.unwrap();
    assert_eq!(bench.keys(3), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_commit_is_settled_by_reopening_and_written_again() {
    for took_effect in [false, true] {
        let bench = bench(WriterLimits::default());
        bench.ownership.assign(&[3], 1);
        bench.fake.lock().commits_although_failing = took_effect;
        bench.fail(Step::Commit, Failure::Broken(text("timed out")));
        bench.writer.write(bench.grant(3), vec![record(3, "a")]).await.unwrap();
        assert_eq!(bench.keys(3), if took_effect { vec!["a", "a"] } else { vec!["a"] });
        assert_eq!(bench.fake.lock().steps.iter().filter(|step| **step == Step::Open).count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_at_any_step_is_retried() {
    for step in [Step::Open, Step::Begin, Step::Send, Step::Flush, Step::Offsets, Step::Commit, Step::Abort] {
        let bench = bench(WriterLimits::default());
        bench.ownership.assign(&[3], 1);
        bench.fail(step, Failure::Retry(text("not now")));
        bench.writer.write(bench.grant(3), vec![record(3, "a")]).await.unwrap();
        assert_eq!(bench.keys(3), ["a"], "{step:?}");
        let is_of_transaction = !matches!(step, Step::Open | Step::Abort);
        assert_eq!(bench.counted("failed"), u64::from(is_of_transaction), "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_record_does_not_keep_its_neighbours_from_being_written() {
    let bench = bench(WriterLimits { patience: Duration::from_mins(1), ..WriterLimits::default() });
    bench.fake.lock().poison = Some(b"bad".to_vec());
    bench.ownership.assign(&[1, 2, 3], 1);
    let parts = [(1, "good"), (2, "bad"), (3, "fine")];
    let parts = parts.map(|(shard, key)| (bench.grant(shard), vec![record(shard, key)])).to_vec();
    let results = bench.writer.write_together(parts).await;
    assert_eq!(results, [Ok(()), Err(JobError::Unavailable(text("poison"))), Ok(())]);
    assert_eq!((bench.keys(1), bench.keys(2).len(), bench.keys(3)), (vec![text("good")], 0, vec![text("fine")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_share_transactions_within_the_limits() {
    let limits = WriterLimits { transaction_records_max: 10, ..WriterLimits::default() };
    let bench = bench(limits);
    let shards: Vec<i32> = (0..32).collect();
    bench.ownership.assign(&shards, 1);
    let parts = shards.iter().map(|shard| (bench.grant(*shard), vec![record(*shard, "a")])).collect();
    assert!(bench.writer.write_together(parts).await.iter().all(Result::is_ok));
    assert_eq!(bench.fake.lock().commits, 4);
    assert!(shards.iter().all(|shard| bench.keys(*shard) == ["a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_never_succeeds_is_answered_in_time() {
    let bench = bench(WriterLimits { patience: Duration::from_millis(200), ..WriterLimits::default() });
    bench.ownership.assign(&[3], 1);
    bench.fake.lock().generation = 9;
    let written = bench.writer.write(bench.grant(3), vec![record(3, "a")]).await;
    assert!(matches!(written, Err(JobError::Unavailable(_))), "{written:?}");
    // With no membership at all, too.
    let grant = bench.grant(3);
    bench.ownership.lose_all();
    assert_eq!(bench.writer.write(grant, vec![record(3, "a")]).await, Err(JobError::Lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_without_a_pulse_writes_nothing() {
    let ownership: Ownership<u32> = Ownership::new(Duration::from_millis(500));
    ownership.pulse().beat();
    ownership.assign(&[3], 1);
    let grant = ownership.grants().pop().unwrap();
    while grant.is_held() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ownership.assign(&[4], 2);
    assert_eq!(ownership.grants().len(), 1, "an assignment handled after a pause is void");
    assert_eq!(ownership.membership().unwrap().number, 1);
}
