//! The answer of a translation.

use serde::{Deserialize, Serialize};

use crate::api::backend::{KnownOffset, TranslateQuestion};
use crate::types::{NegativeOffset, PartitionIndex, SourceOffset, TargetOffset, TopicName, Translation};

/// Where an offset of one side lies on the other: `GET /v1/links/{link}/translate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// The topic's name at the source, in both directions.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset at the source: what was asked, or with `direction=reverse` the answer.
    pub source_offset: Option<SourceOffset>,
    /// The offset on the target: the answer, or with `direction=reverse` what was asked.
    pub target_offset: Option<TargetOffset>,
    /// What kind of answer it is. Without an offset in the answer it is `not_yet_mirrored` or `below_map`.
    pub translation: TranslationName,
}

/// Positions to be translated in one call: the body of `POST /v1/links/{link}/translate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslateBody {
    /// At most 5,000.
    pub positions: Vec<TranslatePosition>,
    /// From target to source.
    #[serde(default)]
    pub reverse: bool,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatePosition {
    /// The topic's name at the source, in both directions.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// A source offset; with `reverse` a target offset.
    pub offset: i64,
}

/// The answers, in the order of the positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translations {
    /// One for each position.
    pub translations: Vec<Translated>,
}

impl TranslateBody {
    /// The positions as questions.
    pub(in crate::api) fn questions(&self) -> Result<Vec<TranslateQuestion>, NegativeOffset> {
        let question = |position: &TranslatePosition| {
            let offset = if self.reverse {
                KnownOffset::Target(TargetOffset::new(position.offset)?)
            } else {
                KnownOffset::Source(SourceOffset::new(position.offset)?)
            };
            Ok(TranslateQuestion { topic: position.topic.clone(), partition: position.partition, offset })
        };
        self.positions.iter().map(question).collect()
    }
}

/// What kind of answer a translation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranslationName {
    /// The very record is there.
    Exact,
    /// The record itself is not there; the first mirrored one after it is, or will be, at this offset.
    Next,
    /// The copy has not come that far.
    NotYetMirrored,
    /// Older than the map.
    BelowMap,
}

impl Translated {
    /// The answer to "where is this source offset on the target?".
    #[must_use]
    pub fn forward(
        topic: TopicName,
        partition: PartitionIndex,
        asked: SourceOffset,
        answer: Translation<TargetOffset>,
    ) -> Self {
        Self {
            topic,
            partition,
            source_offset: Some(asked),
            target_offset: answer.offset(),
            translation: TranslationName::of(&answer),
        }
    }

    /// The answer to "where was this target offset at the source?".
    #[must_use]
    pub fn reverse(
        topic: TopicName,
        partition: PartitionIndex,
        asked: TargetOffset,
        answer: Translation<SourceOffset>,
    ) -> Self {
        Self {
            topic,
            partition,
            source_offset: answer.offset(),
            target_offset: Some(asked),
            translation: TranslationName::of(&answer),
        }
    }
}

impl TranslationName {
    /// The kind of an answer.
    #[must_use]
    pub const fn of<T>(answer: &Translation<T>) -> Self {
        match answer {
            Translation::Exact(_) => Self::Exact,
            Translation::Next(_) => Self::Next,
            Translation::NotYetMirrored => Self::NotYetMirrored,
            Translation::BelowMap => Self::BelowMap,
        }
    }

    /// The word as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Next => "next",
            Self::NotYetMirrored => "not_yet_mirrored",
            Self::BelowMap => "below_map",
        }
    }
}
