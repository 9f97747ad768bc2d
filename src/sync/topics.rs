//! The loop over the topics of a link.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::SyncError;
use super::drift::Drift;
use super::stop::Stop;
use crate::cluster::{Cluster, ClusterError};
use crate::selection::Selection;
use crate::store::{Lease, StartAt, Store};
use crate::types::{ClusterName, LinkName, TopicName};

/// Each so many partitions lengthen the time between two rounds by an interval.
const PARTITIONS_PER_INTERVAL: usize = 10_000;
/// No pause is longer than so many intervals.
const INTERVALS_MAX: u32 = 4;

/// What the loop needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The link.
    pub link: LinkName,
    /// From the end of a round to the next one; longer with more than 10,000 partitions.
    pub interval: Duration,
    /// Whether settings of source topics are followed after the mirror topic was created.
    pub is_config_sync_on: bool,
    /// What becomes of settings that somebody changes on a mirror topic.
    pub drift: Drift,
    /// Where topics begin that exist when the link first starts; later ones begin at their beginning.
    pub start: StartAt,
    /// Whether mirror topics must take filler at first, so that offsets can be the same on both sides.
    pub are_offsets_preserved: bool,
}

/// Something that a person should know, and that does not stop a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The source topic that it is about; `None`: the link as a whole.
    pub topic: Option<TopicName>,
    /// A sentence.
    pub message: String,
}

impl Problem {
    pub(super) fn about(topic: &TopicName, message: impl Into<String>) -> Self {
        Self { topic: Some(topic.clone()), message: message.into() }
    }
}

/// What a round found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundReport {
    /// How many topics are mirrored, paused ones included.
    pub mirrored: usize,
    /// The partitions of those.
    pub(super) partitions: usize,
    /// How many are not, for a reason that their record has.
    pub stopped: usize,
    /// Source topics whose target topic was created in this round.
    pub created: Vec<TopicName>,
    /// Topics that stopped in this round, or stopped for another reason than before.
    pub(super) newly_stopped: Vec<(TopicName, Stop)>,
    /// What a person should know besides.
    pub problems: Vec<Problem>,
    /// The clusters that withhold a permission, once for each topic that waits for one.
    pub denied_by: Vec<ClusterName>,
}

impl RoundReport {
    /// Counts a refusal, if it is for want of a permission.
    pub(super) fn count_denial(&mut self, error: &ClusterError) {
        let (ClusterError::Wire { cluster, .. } | ClusterError::Refused { cluster, .. }) = error;
        self.denied_by.extend(error.is_permission_missing().then(|| cluster.clone()));
    }
}

/// What the loop remembers from round to round. All of it may be lost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether a round was made: topics that appear afterwards are later ones.
    pub(super) has_made_a_round: bool,
    /// Values that the target refused, by target topic and setting: not offered again.
    pub(super) refused: BTreeMap<(TopicName, String), Option<String>>,
    /// The source topic up to which settings were compared last.
    pub(super) compared_up_to: Option<TopicName>,
}

/// The control loop over the topics of one link. Runs where the link's shard is owned.
#[derive(Debug)]
pub struct TopicSync {
    pub(super) settings: Settings,
    pub(super) source: Cluster,
    pub(super) target: Cluster,
    pub(super) store: Store,
    pub(super) selection: Selection,
    /// One permit: whoever has it may read topic records in order to write them.
    pub(super) turn: Semaphore,
    memory: Mutex<Memory>,
    wake: Notify,
    reports: watch::Sender<RoundReport>,
}

impl TopicSync {
    /// Puts it together; nothing is asked yet.
    #[must_use]
    pub fn new(settings: Settings, source: Cluster, target: Cluster, store: Store, selection: Selection) -> Self {
        Self {
            settings,
            source,
            target,
            store,
            selection,
            turn: Semaphore::new(1),
            memory: Mutex::default(),
            wake: Notify::new(),
            reports: watch::Sender::new(RoundReport::default()),
        }
    }

    /// Makes a round every interval, until the lease is lost. Can be dropped at any await: what a round left undone,
    /// the next one does.
    pub async fn run(&self, lease: &Lease) {
        loop {
            let outcome = tokio::select! {
                () = lease.lost() => return,
                outcome = self.round(lease) => outcome,
            };
            match outcome {
                Ok(report) => self.tell(&report),
                Err(error) if error.is_final() => {
                    tracing::warn!(link = %self.settings.link, %error, "the loop over the topics ends");
                    return;
                }
                Err(error) => {
                    let problem = Problem { topic: None, message: error.to_string() };
                    let so_far = self.reports.borrow().clone();
                    let mut report = RoundReport {
                        problems: vec![problem],
                        mirrored: so_far.mirrored,
                        partitions: so_far.partitions,
                        stopped: so_far.stopped,
                        ..RoundReport::default()
                    };
                    if let SyncError::Cluster(error) = &error {
                        report.count_denial(error);
                    }
                    self.tell(&report);
                }
            }
            tokio::select! {
                () = lease.lost() => return,
                () = tokio::time::sleep(self.pause()) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// From the end of the last round to the next one. A round reads what both clusters say of every partition: with
    /// very many of them it is made less often, so that a link at rest stays cheap.
    fn pause(&self) -> Duration {
        let stretched = self.reports.borrow().partitions / PARTITIONS_PER_INTERVAL;
        self.settings.interval * u32::try_from(stretched + 1).unwrap_or(INTERVALS_MAX).min(INTERVALS_MAX)
    }

    /// Makes the next round begin at once: a topic was resolved, or resumed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The last round's report, and a sign of each new one.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<RoundReport> {
        self.reports.subscribe()
    }

    /// Publishes a report; logs what was not in the one before.
    fn tell(&self, report: &RoundReport) {
        let link = &self.settings.link;
        for topic in &report.created {
            tracing::info!(%link, %topic, "created the mirror topic");
        }
        for (topic, stop) in &report.newly_stopped {
            stop.tell(link, topic);
        }
        let before = self.reports.send_replace(report.clone());
        for problem in report.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            let topic = problem.topic.as_ref().map(tracing::field::display);
            tracing::warn!(%link, topic, "{}", problem.message);
        }
    }

    pub(super) fn with_memory<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One round: looks at both sides, decides, and makes it so. Errors are those that concern all topics.
    pub async fn round(&self, lease: &Lease) -> Result<RoundReport, SyncError> {
        super::round::round(self, lease).await
    }
}
