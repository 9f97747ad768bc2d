//! Looking leaders up: what many look-ups ask for goes into one request, and requests keep a distance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::view::Lookup;
use super::{Inner, PAUSE_FIRST, PAUSE_LONGEST};
use crate::tasks::Backoff;
use crate::types::{BrokerId, TopicName, TopicPartition};
use crate::wire::{Leader, ResponseError, WireError, lock};

/// The least time from one refresh to the next.
const REFRESH_DISTANCE: Duration = Duration::from_millis(100);
/// How long a topic that the cluster does not know is asked for: one just created spreads in far less.
const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(5);

/// What waits for the next refresh.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    is_running: bool,
    next: Option<Round>,
    last: Option<Instant>,
}

/// One metadata request, and who waits for it.
#[derive(Debug)]
struct Round {
    topics: BTreeSet<TopicName>,
    done: watch::Sender<Option<Result<(), WireError>>>,
}

/// The leader of a partition, asking until there is one or the request timeout has passed.
pub(super) async fn leader(inner: &Arc<Inner>, partition: &TopicPartition) -> Result<Leader, WireError> {
    let age_max = inner.settings.metadata_age_max;
    let known = lock(&inner.view).leader(partition, age_max);
    if let Lookup::Leader(leader) = known {
        return Ok(leader);
    }
    let start = Instant::now();
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    loop {
        refresh(inner, Some(&partition.topic)).await?;
        let (reason, patience) = match lock(&inner.view).leader(partition, age_max) {
            Lookup::Leader(leader) => return Ok(leader),
            Lookup::None(Some(error @ ResponseError::TopicAuthorizationFailed)) => {
                return Err(WireError::Denied {
                    what: format!("topic {}", partition.topic),
                    reason: error.to_string(),
                });
            }
            Lookup::None(Some(error @ ResponseError::UnknownTopicOrPartition)) => {
                (error.to_string(), UNKNOWN_TOPIC_PATIENCE)
            }
            Lookup::None(Some(error)) => (error.to_string(), inner.settings.request_timeout),
            Lookup::None(None) | Lookup::Unknown => {
                ("metadata names no leader".to_owned(), inner.settings.request_timeout)
            }
        };
        let pause = backoff.next_pause();
        if start.elapsed() + pause >= patience.min(inner.settings.request_timeout) {
            return Err(WireError::NotAvailable { what: format!("a leader of {partition}"), reason });
        }
        tokio::time::sleep(pause).await;
    }
}

/// Asks for the brokers alone. Answers with the controller.
pub(super) async fn refresh_brokers(inner: &Arc<Inner>) -> Result<Option<BrokerId>, WireError> {
    refresh(inner, None).await?;
    Ok(lock(&inner.view).controller())
}

/// Takes part in the next refresh, which also asks for this topic.
async fn refresh(inner: &Arc<Inner>, topic: Option<&TopicName>) -> Result<(), WireError> {
    let mut done = {
        let mut refresh = lock(&inner.refresh);
        let round =
            refresh.next.get_or_insert_with(|| Round { topics: BTreeSet::new(), done: watch::Sender::new(None) });
        round.topics.extend(topic.cloned());
        let done = round.done.subscribe();
        if !refresh.is_running {
            refresh.is_running = true;
            inner.tasks.spawn_until_stopped("refresh metadata", run(Arc::clone(inner)));
        }
        done
    };
    let outcome = done.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    outcome.unwrap_or_else(|| {
        let reason = "the client is gone".to_owned();
        Err(WireError::NotAvailable { what: "metadata".to_owned(), reason })
    })
}

/// Runs one round after the other until nobody asks any more.
async fn run(inner: Arc<Inner>) {
    loop {
        let last = lock(&inner.refresh).last;
        if let Some(last) = last {
            tokio::time::sleep_until(last + REFRESH_DISTANCE).await;
        }
        let round = {
            let mut refresh = lock(&inner.refresh);
            refresh.last = Some(Instant::now());
            let Some(round) = refresh.next.take() else {
                refresh.is_running = false;
                return;
            };
            round
        };
        let topics: Vec<TopicName> = round.topics.into_iter().collect();
        let outcome = inner.metadata(Some(&topics)).await.map(|_| ());
        round.done.send_replace(Some(outcome));
    }
}
