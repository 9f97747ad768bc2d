//! The doors to Kafka by librdkafka.
//!
//! Owns: the threads on which librdkafka is polled.
//! Promises: each thread ends soon after its tasks are told to stop, unless a silent cluster holds it up.
//! Does not know: what the records say.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use rdkafka::consumer::ConsumerGroupMetadata;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::doors::{Doors, Sink};
use super::reader::Reader;
use super::{Settings, StoreError};
use crate::shards::{
    Access, Holdings, JobQueue, KafkaMember, KafkaTransactions, MemberSettings, MembershipEnd, Ownership, Poster,
    Record, WriterLimits, WriterMeasures, WriterSettings, keep_membership, run_writer,
};
use crate::tasks::TaskGroup;

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long [`Doors::close`] waits for threads.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct KafkaDoors {
    access: Access,
    group: String,
    daemon_id: String,
    session_timeout: Duration,
    topic: String,
    pub(super) ownership: Arc<Ownership<ConsumerGroupMetadata>>,
    poster: Poster,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for KafkaDoors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaDoors").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl KafkaDoors {
    pub(super) fn new(settings: &Settings, topic: &str) -> Result<Self, StoreError> {
        let access = settings.access();
        Ok(Self {
            poster: Poster::new(&access, &settings.daemon_id, topic).map_err(StoreError::Unavailable)?,
            access,
            group: settings.group.clone(),
            daemon_id: settings.daemon_id.clone(),
            session_timeout: settings.session_timeout,
            topic: topic.to_owned(),
            // Half the session: whoever slept longer must assume that the coordinator has given up on it.
            ownership: Arc::new(Ownership::new(settings.session_timeout / 2)),
            threads: Mutex::default(),
        })
    }

    fn start_thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread: JoinHandle<()> = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("can't start a thread: {error}")))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    async fn join_threads(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A thread may sit in a call to a cluster that doesn't answer, which nothing interrupts; it ends by itself.
        let deadline = tokio::time::Instant::now() + CLOSE_PATIENCE;
        while threads.iter().any(|thread| !thread.is_finished()) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Doors for KafkaDoors {
    fn holdings(&self) -> Arc<dyn Holdings> {
        Arc::clone(&self.ownership) as Arc<dyn Holdings>
    }

    fn post(&self, record: Record) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.poster.post(&record).await })
    }

    fn read(&self, sink: Sink, tasks: &TaskGroup) -> Result<(), StoreError> {
        let reader = Reader::new(&self.access, &self.group, &self.topic, sink).map_err(StoreError::Unavailable)?;
        let stop = tasks.token();
        self.start_thread("state reader", move || reader.run(&stop))
    }

    fn write(&self, jobs: JobQueue, measures: WriterMeasures, tasks: &TaskGroup) -> Result<(), StoreError> {
        let (group, daemon_id) = (&self.group, &self.daemon_id);
        let producer = KafkaTransactions::new(WriterSettings {
            access: self.access.clone(),
            topic: self.topic.clone(),
            // The same again after a restart, so that a killed daemon's open transaction is ended at once: under a new
            // id it would hold back everybody's reading, and so the takeover, until its time-out (16 to 18 s measured,
            // against 2 s). It is no lease: a daemon of the same name that still runs takes the id back until its
            // membership tells it that it is fenced, but commits nothing.
            transactional_id: super::open::transactional_id(group, daemon_id),
            transaction_timeout: TRANSACTION_TIMEOUT,
        });
        let (poster, stop) = (self.poster.clone(), tasks.token());
        self.start_thread("state poster", move || poster.run(&stop))?;
        let (ownership, stop, runtime) = (Arc::clone(&self.ownership), tasks.token(), Handle::current());
        self.start_thread("state writer", move || {
            runtime.block_on(run_writer(producer, ownership, jobs, WriterLimits::default(), measures, stop));
        })
    }

    fn join(&self, trouble: watch::Sender<Option<String>>, tasks: &TaskGroup) -> Result<(), StoreError> {
        let member = MemberSettings {
            access: self.access.clone(),
            group: self.group.clone(),
            topic: self.topic.clone(),
            daemon_id: self.daemon_id.clone(),
            session_timeout: self.session_timeout,
        };
        let ownership = Arc::clone(&self.ownership);
        let pause_max = self.session_timeout / 2;
        let mut unusable = trouble.subscribe();
        // A state topic that can't be used ends the membership, too, so that nothing is ours.
        let until = tasks.token().child_token();
        let end = until.clone();
        tasks.spawn_until_stopped("membership end", async move {
            drop(unusable.wait_for(Option::is_some).await);
            end.cancel();
        });
        self.start_thread("state member", move || {
            let join = || KafkaMember::join(&member, &ownership);
            match keep_membership(join, &ownership, pause_max, &until) {
                MembershipEnd::Stopped => {}
                MembershipEnd::Fenced(reason) => {
                    tracing::error!(daemon = member.daemon_id, reason, "this daemon stops working");
                    trouble.send_if_modified(|trouble| {
                        let is_first = trouble.is_none();
                        trouble.get_or_insert(reason);
                        is_first
                    });
                }
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.join_threads())
    }
}
