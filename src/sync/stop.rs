//! Why a topic as a whole is not mirrored, and what a person may decide about it.

use crate::store::{SettingsRecord, StartAt, StopRecord, TopicRecord, TopicState};
use crate::types::{LinkName, ResolveVerb, TopicName};

/// Why a topic as a whole is not mirrored. All but those with a verb end by themselves when the cause is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Another source topic has the same target topic.
    NameCollision,
    /// The configuration points at another target topic than the one that is being written.
    MappingChanged,
    /// No entry selects it any more.
    NotSelected,
    /// Source and target are one cluster, and the link writes to this very topic.
    OntoItself,
    /// The source topic is gone.
    SourceDeleted,
    /// The source topic is another one of the same name.
    SourceRecreated,
    /// The target topic is gone.
    TargetDeleted,
    /// The target topic is another one of the same name.
    TargetRecreated,
    /// The target topic holds records that did not come from this link.
    TargetNotEmpty,
    /// The target topic could not be created, or is not ready yet.
    TargetNotCreated,
    /// The target topic's settings could not be made fit.
    SettingsRefused,
}

impl StopReason {
    /// The word in state records and in the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NameCollision => "name_collision",
            Self::MappingChanged => "mapping_changed",
            Self::NotSelected => "not_selected",
            Self::OntoItself => "onto_itself",
            Self::SourceDeleted => "source_deleted",
            Self::SourceRecreated => "source_recreated",
            Self::TargetDeleted => "target_deleted",
            Self::TargetRecreated => "target_recreated",
            Self::TargetNotEmpty => "target_not_empty",
            Self::TargetNotCreated => "target_not_created",
            Self::SettingsRefused => "settings_refused",
        }
    }

    /// Tells of a topic that stops for this reason: as an error where a person must look.
    fn tell(self, link: &LinkName, topic: &TopicName, message: &str) {
        match self {
            Self::NameCollision
            | Self::MappingChanged
            | Self::OntoItself
            | Self::SourceRecreated
            | Self::TargetDeleted
            | Self::TargetRecreated
            | Self::TargetNotEmpty => {
                tracing::error!(%link, %topic, reason = self.word(), "the topic is not mirrored: {message}");
            }
            Self::TargetNotCreated | Self::SettingsRefused => {
                tracing::warn!(%link, %topic, reason = self.word(), "the topic is not mirrored yet: {message}");
            }
            Self::NotSelected | Self::SourceDeleted => {
                tracing::info!(%link, %topic, reason = self.word(), "the topic is no longer mirrored: {message}");
            }
        }
    }

    /// What a person may decide.
    #[must_use]
    pub fn verbs(self) -> Vec<ResolveVerb> {
        match self {
            Self::SourceRecreated | Self::TargetDeleted | Self::TargetRecreated => vec![ResolveVerb::Remirror],
            Self::TargetNotEmpty => vec![ResolveVerb::Translate, ResolveVerb::Remirror],
            Self::NameCollision
            | Self::MappingChanged
            | Self::NotSelected
            | Self::OntoItself
            | Self::SourceDeleted
            | Self::TargetNotCreated
            | Self::SettingsRefused => Vec::new(),
        }
    }
}

/// A stop of a topic, before it is known whether it is news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) reason: StopReason,
    /// A sentence with the particulars and the remedy.
    pub(super) message: String,
}

impl Stop {
    pub(super) fn new(reason: StopReason, message: String) -> Self {
        Self { reason, message }
    }

    /// Whether the topic had stopped for the same reason.
    pub(super) fn is_like(&self, earlier: Option<&StopRecord>) -> bool {
        earlier.is_some_and(|earlier| earlier.reason == self.reason.word())
    }

    /// Logs it.
    pub(super) fn tell(&self, link: &LinkName, topic: &TopicName) {
        self.reason.tell(link, topic, &self.message);
    }

    /// The record of it; the time is that of the earlier one while the reason stays the same.
    pub(super) fn record(self, earlier: Option<&StopRecord>, now_ms: i64) -> StopRecord {
        let since_ms = earlier.filter(|_| self.is_like(earlier)).map_or(now_ms, |earlier| earlier.since_ms);
        StopRecord {
            reason: self.reason.word().to_owned(),
            message: self.message,
            since_ms,
            source_offset: None,
            resolve: self.reason.verbs(),
        }
    }
}

/// The record of a topic after a person decided about its stop; `None` where the verb is not among those the stop
/// allows. The next round goes on from it: `partitions` is 0 until the target topic is there and fit.
///
/// `remirror` begins a new life of the mirror topic: positions whose topic ids are not those of the new record belong
/// to the old one and are not to be used.
#[must_use]
pub fn resolve_topic(record: &TopicRecord, verb: ResolveVerb) -> Option<TopicRecord> {
    let stop = record.stop.as_ref().filter(|stop| stop.resolve.contains(&verb))?;
    let state = match record.state {
        TopicState::Paused => TopicState::Paused,
        TopicState::Mirroring | TopicState::Stopped => TopicState::Mirroring,
    };
    let accepted = TopicRecord { state, stop: None, partitions: 0, ..record.clone() };
    match verb {
        ResolveVerb::Translate => Some(accepted),
        ResolveVerb::Remirror => Some(TopicRecord {
            // The side that is still the same keeps its id, so that it is watched without a break.
            source_topic_id: record.source_topic_id.filter(|_| stop.reason != StopReason::SourceRecreated.word()),
            target_topic_id: record.target_topic_id.filter(|_| stop.reason == StopReason::SourceRecreated.word()),
            start: StartAt::Earliest,
            settings: SettingsRecord::default(),
            ..accepted
        }),
        ResolveVerb::Retry | ResolveVerb::Skip | ResolveVerb::AcceptGap => None,
    }
}
