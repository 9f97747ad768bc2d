//! What is stored of the ACLs that we have set.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::types::TopicName;

/// What we have added to the ACLs of a mirror topic: nothing else is ever removed. Written before it is added, so some
/// of it may not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclsRecord {
    /// The mirror topic that all entries are about, by its exact name.
    pub target_topic: TopicName,
    /// What came from the source topic.
    #[serde(default)]
    pub copied: BTreeSet<AclEntry>,
    /// What keeps others from writing.
    #[serde(default)]
    pub protecting: BTreeSet<AclEntry>,
}

/// One entry of an authorizer about a known topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AclEntry {
    /// Who, such as `User:alice`.
    pub principal: String,
    /// From where; `*` is everywhere.
    pub host: String,
    /// What, as `kafka-acls` spells it.
    pub operation: String,
    /// Whether it takes the right, and does not give it.
    pub is_denied: bool,
}
