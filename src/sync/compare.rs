//! What is to be done about one topic, from what was seen of it. Pure.

use super::stop::{Stop, StopReason};
use crate::selection::ExistingTarget;
use crate::store::{StopRecord, TopicRecord, TopicState};
use crate::types::{TopicId, TopicName};

/// What metadata told of a topic on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// `None` from brokers that have no topic ids.
    pub(super) id: Option<TopicId>,
    pub(super) partitions: i32,
}

/// A topic on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    Present(Life),
    Absent,
    /// Could not be found out; the sentence says why.
    Unclear(String),
}

/// What the configuration wants for a source topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Mirror(Choice),
    /// Other source topics would get the same target topic; the sentence names them.
    Collision {
        choice: Choice,
        message: String,
    },
    Nothing,
}

/// How a topic is to be mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) target: TopicName,
    pub(super) priority: i32,
    pub(super) replication_factor: Option<i16>,
    pub(super) existing_target: ExistingTarget,
    pub(super) has_local_writers: bool,
}

/// All that is known of one source topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) wish: Wish,
    pub(super) record: Option<TopicRecord>,
    pub(super) source: Side,
    /// The topic that the record names, or else the one that is wished for.
    pub(super) target: Side,
    /// Whether the target topic holds records; looked at only before it becomes a mirror topic.
    pub(super) has_records: Option<bool>,
    /// Whether source and target are one cluster, and this link writes to this very topic.
    pub(super) is_own_target: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing at all: no entry selects it and none did.
    Ignore,
    /// Something could not be found out: leave everything as it is, and say so.
    Unclear(String),
    /// It can't be mirrored now.
    Stop(Stop),
    /// Make the target topic, with so many partitions.
    Create { partitions: i32 },
    /// The target topic is there; it gets so many partitions where it has fewer.
    Mirror { add_partitions_to: Option<i32>, is_adopted: bool },
}

impl Seen {
    /// The target topic that all of this is about.
    pub(super) fn target_topic(&self) -> Option<&TopicName> {
        let wished = match &self.wish {
            Wish::Mirror(choice) | Wish::Collision { choice, .. } => Some(&choice.target),
            Wish::Nothing => None,
        };
        match &self.record {
            Some(record) if is_established(record) => Some(&record.target_topic),
            Some(record) => wished.or(Some(&record.target_topic)),
            None => wished,
        }
    }
}

/// Whether a target topic was ever fit for records of this link: from then on its mapping and its life are fixed.
pub(super) fn is_established(record: &TopicRecord) -> bool {
    record.partitions > 0
}

/// Whether a person decided that what is there on the target may be used.
fn is_accepted(record: &TopicRecord) -> bool {
    !is_established(record) && record.stop.is_none() && record.state != TopicState::Stopped
}

/// Decides. First what the configuration says, then the source, then the target.
pub(super) fn compare(topic: &TopicName, seen: &Seen) -> Verdict {
    let established = seen.record.as_ref().filter(|record| is_established(record));
    let choice = match (&seen.wish, established) {
        (Wish::Nothing, _) if seen.record.is_none() => return Verdict::Ignore,
        (Wish::Nothing, _) => return not_selected(topic),
        // The older mapping stays; those that came later are told.
        (Wish::Collision { choice, .. }, Some(record)) if record.target_topic == choice.target => choice,
        (Wish::Collision { message, .. }, _) => return stop(StopReason::NameCollision, message.clone()),
        (Wish::Mirror(choice), Some(record)) if record.target_topic != choice.target => {
            return mapping_changed(topic, record, choice);
        }
        (Wish::Mirror(choice), _) => choice,
    };
    if seen.is_own_target {
        let message = format!("source and target are one cluster, and this link writes to {topic} itself");
        return stop(StopReason::OntoItself, message);
    }
    let source = match source_of(topic, seen) {
        Ok(source) => source,
        Err(verdict) => return verdict,
    };
    match &seen.target {
        Side::Unclear(reason) => Verdict::Unclear(reason.clone()),
        Side::Absent => match established {
            Some(record) => target_deleted(record),
            None => Verdict::Create { partitions: source.partitions },
        },
        Side::Present(target) => present(seen, choice, source, *target),
    }
}

/// The source topic, or why there is nothing to mirror from.
fn source_of(topic: &TopicName, seen: &Seen) -> Result<Life, Verdict> {
    let source = match &seen.source {
        Side::Present(life) => *life,
        Side::Unclear(reason) => return Err(Verdict::Unclear(reason.clone())),
        Side::Absent => {
            let message = format!(
                "the source has no topic {topic} any more (or hides it: Describe is needed); what was mirrored stays"
            );
            return Err(stop(StopReason::SourceDeleted, message));
        }
    };
    let known = seen.record.as_ref().and_then(|record| record.source_topic_id);
    if is_other_life(known, source.id) {
        let message = format!(
            "{topic} was deleted and created again on the source; `remirror` copies the new one after what the \
             target holds"
        );
        return Err(stop(StopReason::SourceRecreated, message));
    }
    Ok(source)
}

fn present(seen: &Seen, choice: &Choice, source: Life, target: Life) -> Verdict {
    let add_partitions_to = (target.partitions < source.partitions).then_some(source.partitions);
    if let Some(record) = &seen.record
        && is_established(record)
    {
        if is_other_life(record.target_topic_id, target.id) {
            let message = format!(
                "{} was deleted and created again on the target; `remirror` copies everything into the new one",
                record.target_topic
            );
            return stop(StopReason::TargetRecreated, message);
        }
        return Verdict::Mirror { add_partitions_to, is_adopted: false };
    }
    let is_allowed =
        choice.existing_target == ExistingTarget::Translate || seen.record.as_ref().is_some_and(is_accepted);
    match seen.has_records {
        _ if is_allowed => Verdict::Mirror { add_partitions_to, is_adopted: true },
        Some(false) => Verdict::Mirror { add_partitions_to, is_adopted: true },
        Some(true) => {
            let message = format!(
                "{} on the target holds records that this link did not write; `translate` appends to them, and so \
                 does `existing_target = \"translate\"` on the entry",
                choice.target
            );
            stop(StopReason::TargetNotEmpty, message)
        }
        None => Verdict::Unclear(format!("whether {} on the target is empty could not be seen", choice.target)),
    }
}

fn stop(reason: StopReason, message: String) -> Verdict {
    Verdict::Stop(Stop::new(reason, message))
}

fn not_selected(topic: &TopicName) -> Verdict {
    stop(StopReason::NotSelected, format!("no entry selects {topic} any more; its position is kept"))
}

fn mapping_changed(topic: &TopicName, record: &TopicRecord, choice: &Choice) -> Verdict {
    let message = format!(
        "{topic} is mirrored to {}, and the configuration now says {}: a mirror topic can't be moved; restore the \
         name, or use a new link",
        record.target_topic, choice.target
    );
    stop(StopReason::MappingChanged, message)
}

fn target_deleted(record: &TopicRecord) -> Verdict {
    let message =
        format!("{} is gone from the target; `remirror` creates it and copies everything again", record.target_topic);
    stop(StopReason::TargetDeleted, message)
}

/// Two ids of one name that are known and differ.
fn is_other_life(known: Option<TopicId>, now: Option<TopicId>) -> bool {
    matches!((known, now), (Some(known), Some(now)) if known != now)
}

/// The lifecycle of a topic that can be mirrored, and of one that can't. A person's pause outlives both.
pub(super) fn state(before: Option<&TopicRecord>, stop: Option<&StopRecord>) -> TopicState {
    match (before.map(|record| record.state), stop) {
        (Some(TopicState::Paused), _) => TopicState::Paused,
        (_, Some(_)) => TopicState::Stopped,
        (_, None) => TopicState::Mirroring,
    }
}
