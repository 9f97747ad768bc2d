//! Consumer groups of a link.

use serde::{Deserialize, Serialize};

use super::TranslationName;
use crate::types::{GroupKind, GroupName, GroupPositionState, PartitionIndex, SourceOffset, TargetOffset, TopicName};

/// The consumer groups of a link, by name: `GET /v1/links/{link}/groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// One for each selected group that has positions in mirrored topics.
    pub groups: Vec<Group>,
}

/// One consumer group: `GET /v1/links/{link}/groups/{group}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name at the source.
    pub group: GroupName,
    /// Its name on the target.
    pub target_group: GroupName,
    /// What kind it is at the source.
    pub kind: GroupKind,
    /// The state of the position that a person should care for most; `null` without positions.
    pub state: Option<GroupPositionState>,
    /// What a person should know; `null`: nothing.
    #[serde(default)]
    pub message: Option<String>,
    /// Its positions in mirrored topics.
    pub offsets: Vec<GroupOffset>,
}

/// One position of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupOffset {
    /// The topic's name at the source.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The committed offset at the source.
    pub source_offset: SourceOffset,
    /// Where that lies on the target, as of now.
    pub target_offset: Option<TargetOffset>,
    /// What kind of answer that is; `null` while the partition's map is not known.
    pub translation: Option<TranslationName>,
    /// The committed offset on the target; `null`: none.
    pub committed_on_target: Option<TargetOffset>,
    /// Whether somebody else committed another position on the target.
    pub conflict: bool,
    /// How the position stands.
    pub state: GroupPositionState,
}
