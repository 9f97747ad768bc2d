//! Starting the store: the order in which its parts come to life, and its watch over the state topic.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::doors::{Doors, Sink};
use super::handle::Inner;
use super::hanging::Hanging;
use super::kafka::KafkaDoors;
use super::keeper::Keeper;
use super::topic::{Presence, StateTopic};
use super::{Settings, ShardEvent, Store, StoreError, View};
use crate::shards::{Grant, WriterHandle, WriterLimits, WriterMeasures};
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

const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// See [`Store::open`].
pub(super) async fn open(
    settings: Settings,
    measures: WriterMeasures,
    tasks: &TaskGroup,
) -> Result<(Store, mpsc::Receiver<ShardEvent>), StoreError> {
    let topic = topic_name(&settings.group);
    open_with(&settings, || Ok(Arc::new(KafkaDoors::new(&settings, &topic)?) as Arc<dyn Doors>), measures, tasks).await
}

/// See [`Store::open_with`].
pub(super) async fn open_with(
    settings: &Settings,
    doors: impl FnOnce() -> Result<Arc<dyn Doors>, StoreError>,
    measures: WriterMeasures,
    tasks: &TaskGroup,
) -> Result<(Store, mpsc::Receiver<ShardEvent>), StoreError> {
    let topic = topic_name(&settings.group);
    let name = TopicName::new(&topic).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let mut state_topic = StateTopic::new(settings.client.clone(), name.clone(), settings.topic_id);
    // Our own client comes first: its errors name broker and cause, librdkafka's would come later, as time-outs.
    let was_created = state_topic.ensure().await?;

    let (writer, jobs) = WriterHandle::new(&WriterLimits::default());
    let doors = doors()?;
    let inner = Arc::new(Inner {
        was_created,
        topic_id: state_topic.id(),
        view: View::new(),
        holdings: doors.holdings(),
        writer,
        trouble: watch::Sender::new(None),
        is_at_end: watch::Sender::new(false),
        tasks: tasks.child(),
        doors,
    });
    let store = Store { inner: Arc::clone(&inner) };

    // The parts hold what they need and never the store itself, so that dropping the last handle stops them.
    let parts = Parts { settings, topic: &topic, inner: &inner };
    let refusal = parts.start_reader()?;
    parts.read_to_end(refusal).await?;
    inner.doors.write(jobs, measures, &inner.tasks)?;
    inner.doors.join(inner.trouble.clone(), &inner.tasks)?;
    let events = parts.start_keeper();
    parts.start_watch(state_topic);
    parts.start_mending(name);
    Ok((store, events))
}

struct Parts<'a> {
    settings: &'a Settings,
    topic: &'a str,
    inner: &'a Inner,
}

impl Parts<'_> {
    /// Answers with what keeps the reader from reading.
    fn start_reader(&self) -> Result<watch::Receiver<Option<String>>, StoreError> {
        let (refusal, refused) = watch::channel(None);
        let Inner { view, is_at_end, trouble, .. } = self.inner;
        let sink = Sink { view: view.clone(), is_at_end: is_at_end.clone(), trouble: trouble.clone(), refusal };
        self.inner.doors.read(sink, &self.inner.tasks)?;
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

    fn start_keeper(&self) -> mpsc::Receiver<ShardEvent> {
        let (events, receiver) = mpsc::channel(256);
        let keeper = Keeper {
            daemon_id: self.settings.daemon_id.clone(),
            view: self.inner.view.clone(),
            writer: self.inner.writer.clone(),
            events,
            tasks: self.inner.tasks.clone(),
        };
        let holdings = Arc::clone(&self.inner.holdings);
        self.inner.tasks.spawn("shard keeper", async move { keeper.run(&*holdings).await });
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
        let holdings = Arc::clone(&self.inner.holdings);
        self.inner.tasks.spawn_until_stopped("state topic mending", async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                let shards: Vec<i32> = holdings.grants().iter().map(Grant::shard).collect();
                if let Err(error) = hanging.look(&shards).await {
                    tracing::debug!(%error, "the state topic can't be looked at for hanging transactions");
                }
            }
        });
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
