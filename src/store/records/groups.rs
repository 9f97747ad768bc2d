//! What is stored of consumer groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{GroupKind, GroupName, GroupPositionState, SourceOffset, TargetOffset, TopicName};

/// A consumer group as the owner of the link last saw it: what every daemon can tell of it, also without the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name on the target.
    pub target_group: GroupName,
    /// What kind it is at the source.
    pub kind: GroupKind,
    /// What a person should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its positions in mirrored topics, by source topic.
    pub positions: BTreeMap<TopicName, Vec<GroupPositionRecord>>,
}

/// One position of a group. There may be many thousand, so the names are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPositionRecord {
    /// The partition.
    #[serde(rename = "p")]
    pub partition: i32,
    /// The committed offset at the source.
    #[serde(rename = "s")]
    pub source_offset: SourceOffset,
    /// The committed offset on the target.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<TargetOffset>,
    /// How it stands.
    #[serde(rename = "is")]
    pub state: GroupPositionState,
}
