//! Why a mirror partition stops, what a person is told, and what they may answer.
//!
//! Owns: [`StopReason`] and its words.
//! Promises: every reason names the offset it is about, a remedy, and the verbs of `resolve` that fit it.
//! Does not know: how a verb is carried out.

use super::fetch::FetchStop;
use super::outcome::Refusal;
use crate::batch::BatchError;
use crate::store::StopRecord;
use crate::types::{ResolveVerb, SourceOffset, TargetOffset};

/// Why a partition stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The target won't take a batch.
    Refused {
        refusal: Refusal,
        code: i16,
        message: Option<String>,
        bytes: usize,
        source_offset: SourceOffset,
        skip_to: SourceOffset,
    },
    /// A source batch can't be copied as it is.
    Batch { error: BatchError, source_offset: SourceOffset, skip_to: Option<SourceOffset> },
    /// The source no longer has what comes next.
    Fetch { stop: FetchStop, source_offset: SourceOffset },
    /// The target holds records that this link did not write.
    ForeignWrite { expected: TargetOffset, log_end: TargetOffset, source_offset: SourceOffset },
    /// The target topic is another one than the one that was mirrored into.
    TargetRecreated { source_offset: SourceOffset },
    /// Somebody wrote with a higher producer epoch.
    Fenced { source_offset: SourceOffset },
    /// Among other writers' records: what was sent last can't be found, and the target no longer holds what would tell.
    Unproven { source_offset: SourceOffset },
    /// Offsets can't stay the same, and the configuration wants nothing else.
    Parted { because: String, source_offset: SourceOffset },
    /// The stored position and the stored plan contradict each other.
    State { message: String, source_offset: SourceOffset },
}

impl StopReason {
    /// The fixed word of this reason.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => match refusal {
                Refusal::TooLarge => "batch_too_large",
                Refusal::Timestamp => "timestamp_refused",
                Refusal::Record => "record_refused",
                Refusal::Format => "format_refused",
            },
            Self::Batch { error, .. } | Self::Fetch { stop: FetchStop::Batch(error), .. } => word_of_batch(error),
            Self::Fetch { stop, .. } => word_of_fetch(stop),
            Self::ForeignWrite { .. } => "foreign_write",
            Self::TargetRecreated { .. } => "target_recreated",
            Self::Fenced { .. } => "fenced",
            Self::Unproven { .. } => "append_unproven",
            Self::Parted { .. } => "offsets_parted",
            Self::State { .. } => "state_contradiction",
        }
    }

    /// Whether the target's log or topic is not what this link left there.
    pub(super) fn is_breach(&self) -> bool {
        match self {
            Self::ForeignWrite { .. } | Self::TargetRecreated { .. } | Self::Fenced { .. } => true,
            Self::Refused { .. }
            | Self::Batch { .. }
            | Self::Fetch { .. }
            | Self::Unproven { .. }
            | Self::Parted { .. }
            | Self::State { .. } => false,
        }
    }

    /// Whether the source no longer has what comes next.
    pub(super) fn is_gap(&self) -> bool {
        matches!(self, Self::Fetch { stop: FetchStop::Gap { .. }, .. })
    }

    /// The sentence for people, with the remedy.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Refused { refusal, code, message, bytes, source_offset, .. } => {
                let said = message.as_deref().map(|said| format!(" (\"{said}\")")).unwrap_or_default();
                let remedy = match refusal {
                    Refusal::TooLarge => "raise max.message.bytes of the target topic, then resolve --with retry",
                    Refusal::Timestamp => {
                        "widen message.timestamp.before.max.ms / after.max.ms of the target topic, \
                                           then resolve --with retry"
                    }
                    Refusal::Record => {
                        "if the target topic is compacted, records need keys: change cleanup.policy, \
                                        then resolve --with retry"
                    }
                    Refusal::Format => "check compression.type and the message format of the target topic",
                };
                format!(
                    "the target refused the batch of {bytes} bytes at source offset {source_offset} with error \
                     {code}{said}; {remedy}, or leave it out with --with skip"
                )
            }
            Self::Batch { error, .. } => format!("{error}; it can only be left out with resolve --with skip"),
            Self::Fetch { stop, .. } => match stop {
                FetchStop::Gap { .. } => format!("{stop}; go on after the gap with resolve --with accept-gap"),
                FetchStop::Diverged { .. } => format!(
                    "{stop}: an unclean election or a recreated topic; what was mirrored beyond stays on the target; \
                     go on with resolve --with accept-gap, or begin again with --with remirror"
                ),
                FetchStop::Recreated { .. } | FetchStop::Deleted | FetchStop::Batch(_) => stop.to_string(),
            },
            Self::ForeignWrite { expected, log_end, .. } if log_end < expected => format!(
                "the target partition ends at {log_end}, but records up to {expected} were acknowledged: it lost them, \
                 and what it holds now can't be told; go on without the lost records with resolve --with translate, or \
                 copy everything again behind it with --with remirror"
            ),
            Self::ForeignWrite { expected, log_end, .. } => format!(
                "the target partition ends at {log_end} where this link's own records end at {expected}: another \
                 writer wrote into the mirror topic; stop it, then go on after its records with \
                 resolve --with translate"
            ),
            Self::TargetRecreated { .. } => "the target topic was deleted and created again; \
                 begin again with resolve --with remirror"
                .to_owned(),
            Self::Fenced { .. } => {
                "a higher producer epoch was used on the target partition: it was promoted or failed over".to_owned()
            }
            Self::Unproven { source_offset } => format!(
                "the records from source offset {source_offset} on were about to be sent when the former owner ended; \
                 the target has compacted or deleted records since and has forgotten our producer id, so nothing tells \
                 whether they arrived: send what can't be found there again with resolve --with translate"
            ),
            Self::Parted { because, .. } => format!(
                "offsets can't stay the same on both sides: {because}; mend that and resolve --with retry, or go on \
                 with translated offsets with --with translate"
            ),
            Self::State { message, .. } => message.clone(),
        }
    }

    /// What `resolve --with` may be told.
    pub(super) fn verbs(&self) -> Vec<ResolveVerb> {
        use ResolveVerb::{AcceptGap, Remirror, Retry, Skip, Translate};
        match self {
            Self::Refused { .. } | Self::Batch { skip_to: Some(_), .. } => vec![Retry, Skip],
            Self::Batch { skip_to: None, .. } | Self::Fenced { .. } => vec![Retry],
            Self::Fetch { stop, .. } => match stop {
                FetchStop::Gap { .. } | FetchStop::Diverged { .. } => vec![AcceptGap, Remirror],
                FetchStop::Recreated { .. } | FetchStop::Deleted => vec![Retry, Remirror],
                FetchStop::Batch(_) => vec![Retry],
            },
            Self::ForeignWrite { expected, log_end, .. } if log_end < expected => vec![Retry, Translate, Remirror],
            Self::ForeignWrite { .. } | Self::Unproven { .. } | Self::Parted { .. } | Self::State { .. } => {
                vec![Retry, Translate]
            }
            Self::TargetRecreated { .. } => vec![Remirror],
        }
    }

    /// Where the next record is to be copied from if a person lets what is in the way go.
    pub(super) fn beyond(&self) -> Option<SourceOffset> {
        match self {
            Self::Refused { skip_to, .. } => Some(*skip_to),
            Self::Batch { skip_to, .. } => *skip_to,
            Self::Fetch { stop: FetchStop::Gap { log_start, .. }, .. } => Some(*log_start),
            Self::Fetch { stop: FetchStop::Diverged { diverged_at, .. }, .. } => Some(*diverged_at),
            Self::Fetch { stop: FetchStop::Recreated { .. } | FetchStop::Deleted | FetchStop::Batch(_), .. }
            | Self::ForeignWrite { .. }
            | Self::TargetRecreated { .. }
            | Self::Fenced { .. }
            | Self::Unproven { .. }
            | Self::Parted { .. }
            | Self::State { .. } => None,
        }
    }

    fn source_offset(&self) -> SourceOffset {
        match self {
            Self::Refused { source_offset, .. }
            | Self::Batch { source_offset, .. }
            | Self::Fetch { source_offset, .. }
            | Self::ForeignWrite { source_offset, .. }
            | Self::TargetRecreated { source_offset }
            | Self::Fenced { source_offset }
            | Self::Unproven { source_offset }
            | Self::Parted { source_offset, .. }
            | Self::State { source_offset, .. } => *source_offset,
        }
    }

    /// The stored form.
    pub(super) fn to_record(&self, since_ms: i64) -> StopRecord {
        StopRecord {
            reason: self.word().to_owned(),
            message: self.message(),
            since_ms,
            source_offset: Some(self.source_offset()),
            resolve: self.verbs(),
        }
    }
}

fn word_of_batch(error: &BatchError) -> &'static str {
    match error {
        BatchError::Crc { .. } => "source_batch_corrupt",
        BatchError::OldFormat { .. } => "old_message_format",
        BatchError::Malformed { .. } => "source_batch_malformed",
        BatchError::DecompressionLimit { .. } => "decompression_limit",
    }
}

fn word_of_fetch(stop: &FetchStop) -> &'static str {
    match stop {
        FetchStop::Gap { .. } => "retention_gap",
        FetchStop::Diverged { .. } => "source_diverged",
        FetchStop::Recreated { .. } => "source_recreated",
        FetchStop::Deleted => "source_deleted",
        FetchStop::Batch(error) => word_of_batch(error),
    }
}
