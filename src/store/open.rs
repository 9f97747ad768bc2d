//! Starting the store: the order in which its parts come to life, and its watch over the state topic.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::handle::Inner;
use super::hanging::Hanging;
use super::keeper::Keeper;
use super::reader::Reader;
use super::topic::{Presence, StateTopic};
use super::{Settings, ShardEvent, Store, StoreError, View};
use crate::shards::{
    Access, Grant, KafkaMember, KafkaTransactions, MemberSettings, MembershipEnd, Ownership, Poster, WriterHandle,
    WriterLimits, WriterMeasures, WriterSettings, keep_membership, run_writer,
};
use crate::tasks::TaskGroup;
use crate::types::{InvalidName, TopicName};

/// The state topic of a daemon group.
///
/// # Errors
/// Kafka does not allow a topic of this name: the group's name is too long.
pub fn state_topic(group: &str) -> Result<TopicName, InvalidName> {
    TopicName::new(&topic_name(group))
}

pub(super) fn topic_name(group: &str) -> String {
    format!("__causeway.{group}")
}

/// What the ids that state is written with begin with.
pub(super) fn transactional_id(group: &str, daemon_id: &str) -> String {
    format!("causeway-{group}-{daemon_id}")
}

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// See [`Store::open`].
pub(super) async fn open(
    settings: Settings,
    measures: WriterMeasures,
    tasks: &TaskGroup,
) -> Result<(Store, mpsc::Receiver<ShardEvent>), StoreError> {
    let topic = topic_name(&settings.group);
    let name = TopicName::new(&topic).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let mut state_topic = StateTopic::new(settings.client.clone(), name.clone(), settings.topic_id);
    // Our own client comes first: its errors name broker and cause, librdkafka's would come later, as time-outs.
    let was_created = state_topic.ensure().await?;

    let limits = WriterLimits::default();
    let (writer, jobs) = WriterHandle::new(&limits);
    let access = settings.access();
    let inner = Arc::new(Inner {
        was_created,
        topic_id: state_topic.id(),
        view: View::new(),
        // Half the session: whoever slept longer must assume that the coordinator has given up on it.
        ownership: Arc::new(Ownership::new(settings.session_timeout / 2)),
        writer,
        poster: Poster::new(&access, &settings.daemon_id, &topic).map_err(StoreError::Unavailable)?,
        trouble: watch::Sender::new(None),
        is_at_end: watch::Sender::new(false),
        tasks: tasks.child(),
        threads: Mutex::new(Vec::new()),
    });
    let store = Store { inner: Arc::clone(&inner) };

    // The parts hold what they need and never the store itself, so that dropping the last handle stops them.
    let parts = Parts { settings: &settings, access, topic: &topic, inner: &inner };
    let refusal = parts.start_reader()?;
    parts.read_to_end(refusal).await?;
    parts.start_writer(jobs, limits, measures)?;
    parts.start_member()?;
    let events = parts.start_keeper();
    parts.start_watch(state_topic);
    parts.start_mending(name);
    Ok((store, events))
}

struct Parts<'a> {
    settings: &'a Settings,
    access: Access,
    topic: &'a str,
    inner: &'a Inner,
}

impl Parts<'_> {
    /// Answers with what keeps the reader from reading.
    fn start_reader(&self) -> Result<watch::Receiver<Option<String>>, StoreError> {
        let (refusal, refused) = watch::channel(None);
        let reader = Reader::new(
            &self.access,
            &self.settings.group,
            self.topic,
            self.inner.view.clone(),
            self.inner.is_at_end.clone(),
            self.inner.trouble.clone(),
            refusal,
        )
        .map_err(StoreError::Unavailable)?;
        let stop = self.inner.tasks.token();
        self.start_thread("state reader", move || reader.run(&stop))?;
        Ok(refused)
    }

    async fn read_to_end(&self, mut refusal: watch::Receiver<Option<String>>) -> Result<(), StoreError> {
        let mut is_at_end = self.inner.is_at_end.subscribe();
        let mut trouble = self.inner.trouble.subscribe();
        tokio::select! {
            _ = is_at_end.wait_for(|is_at_end| *is_at_end) => Ok(()),
            reason = trouble.wait_for(Option::is_some) => {
                Err(StoreError::Unusable(reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()))
            }
            // Waiting for a permission would hide why nothing happens.
            Ok(reason) = refusal.wait_for(Option::is_some) => {
                let (topic, group) = (self.topic, &self.settings.group);
                let reason = reason.clone().unwrap_or_default();
                Err(StoreError::Unavailable(format!("topic {topic} can't be read by group {group}: {reason}")))
            }
            () = self.inner.tasks.stopped() => Err(StoreError::Unavailable("told to stop".to_owned())),
        }
    }

    fn start_writer(
        &self,
        jobs: crate::shards::JobQueue,
        limits: WriterLimits,
        measures: WriterMeasures,
    ) -> Result<(), StoreError> {
        let (group, daemon_id) = (&self.settings.group, &self.settings.daemon_id);
        let producer = KafkaTransactions::new(WriterSettings {
            access: self.access.clone(),
            topic: self.topic.to_owned(),
            // The same again after a restart, so that a killed daemon's open transaction is ended at once: under a new
            // id it would hold back everybody's reading, and so the takeover, until its time-out (16 to 18 s measured,
            // against 2 s). It is no lease: a daemon of the same name that still runs takes the id back until its
            // membership tells it that it is fenced, but commits nothing.
            transactional_id: transactional_id(group, daemon_id),
            transaction_timeout: TRANSACTION_TIMEOUT,
        });
        let (ownership, stop) = (Arc::clone(&self.inner.ownership), self.inner.tasks.token());
        let runtime = Handle::current();
        self.start_thread("state writer", move || {
            run_writer(producer, ownership, jobs, limits, measures, &runtime, &stop);
        })
    }

    fn start_member(&self) -> Result<(), StoreError> {
        let member = MemberSettings {
            access: self.access.clone(),
            group: self.settings.group.clone(),
            topic: self.topic.to_owned(),
            daemon_id: self.settings.daemon_id.clone(),
            session_timeout: self.settings.session_timeout,
        };
        let (ownership, stop) = (Arc::clone(&self.inner.ownership), self.inner.tasks.token());
        let pause_max = self.settings.session_timeout / 2;
        let trouble = self.inner.trouble.clone();
        let mut unusable = self.inner.trouble.subscribe();
        // A state topic that can't be used ends the membership, too, so that nothing is ours.
        let until = stop.child_token();
        let end = until.clone();
        self.inner.tasks.spawn_until_stopped("membership end", async move {
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

    fn start_keeper(&self) -> mpsc::Receiver<ShardEvent> {
        let (events, receiver) = mpsc::channel(256);
        let keeper = Keeper {
            daemon_id: self.settings.daemon_id.clone(),
            view: self.inner.view.clone(),
            writer: self.inner.writer.clone(),
            events,
            tasks: self.inner.tasks.clone(),
        };
        let ownership = Arc::clone(&self.inner.ownership);
        self.inner.tasks.spawn("shard keeper", async move { keeper.run(&ownership).await });
        receiver
    }

    /// Looks at the topic now and then. One bad look may be a broker that doesn't know yet; two in a row are not.
    fn start_watch(&self, mut state_topic: StateTopic) {
        let trouble = self.inner.trouble.clone();
        self.inner.tasks.spawn_until_stopped("state topic watch", async move {
            let mut was_bad = false;
            loop {
                tokio::time::sleep(if was_bad { Duration::from_secs(1) } else { LOOK_INTERVAL }).await;
                let complaint = complaint(&mut state_topic).await;
                match complaint {
                    Some(reason) if was_bad => {
                        tracing::error!(reason, "the state topic can't be used, all work stops");
                        trouble.send_replace(Some(reason));
                        return;
                    }
                    complaint => was_bad = complaint.is_some(),
                }
            }
        });
    }

    /// Ends transactions that hang in our shards.
    fn start_mending(&self, topic: TopicName) {
        let (client, group) = (self.settings.client.clone(), self.settings.group.clone());
        let mut hanging = Hanging::new(client, topic, group, self.inner.view.clone());
        let ownership = Arc::clone(&self.inner.ownership);
        self.inner.tasks.spawn_until_stopped("state topic mending", async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                let shards: Vec<i32> = ownership.grants().iter().map(Grant::shard).collect();
                if let Err(error) = hanging.look(&shards).await {
                    tracing::debug!(%error, "the state topic can't be looked at for hanging transactions");
                }
            }
        });
    }

    fn start_thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread: JoinHandle<()> = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("can't start a thread: {error}")))?;
        let mut threads = self.inner.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        threads.push(thread);
        Ok(())
    }
}

async fn complaint(state_topic: &mut StateTopic) -> Option<String> {
    match state_topic.look().await {
        Ok(Presence::Good | Presence::Forming) => None,
        Ok(Presence::Absent) => Some("it was deleted".to_owned()),
        Err(StoreError::Unusable(reason)) => Some(reason),
        // The cluster doesn't answer: nothing is known, and nothing can be written either.
        Err(error @ (StoreError::Unavailable(_) | StoreError::LeaseLost { .. })) => {
            tracing::debug!(%error, "the state topic can't be looked at");
            None
        }
    }
}
