//! Consumer groups: which there are, and their committed offsets.
//!
//! Owns: turning group requests and their codes into typed values; connections of their own, so that thousands of
//! groups don't make the questions of the data path wait.
//! Promises: one attempt each; a group that can't be read or written doesn't hide the others; an offset that Kafka
//! would not give to a reader (negative ones) is none.
//! Does not know: which groups matter, what a position means on another cluster.

mod desk;
mod offsets;

use std::collections::BTreeMap;

pub use desk::GroupDesk;

use super::error::Call;
use super::{Cluster, ClusterError};
use crate::types::{BrokerId, GroupKind, GroupName, TargetOffset, TopicPartition};
use crate::wire::{ResponseError, Route, WireError};

const LIST: Call = Call::new("ListGroups", "Describe");
const FIND: Call = Call::new("FindCoordinator", "Describe");
const FETCH: Call = Call::new("OffsetFetch", "Describe");
const COMMIT: Call = Call::new("OffsetCommit", "Read");

/// Which groups are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichGroups {
    /// All that we may see.
    All,
    /// Those with members.
    Active,
}

/// A group, as its coordinator lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: GroupName,
    /// What kind it is; old brokers know one kind only.
    pub kind: GroupKind,
    /// Its state in Kafka's words, such as `Empty` or `Stable`; `None` from brokers that don't tell.
    pub state: Option<String>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read; not negative.
    pub offset: i64,
    /// What was committed with it.
    pub metadata: String,
}

/// The committed offsets of one group.
pub type GroupOffsets = BTreeMap<TopicPartition, Committed>;

/// The offsets of groups, or why they can't be told.
pub type GroupAnswers = BTreeMap<GroupName, Result<GroupOffsets, ClusterError>>;

/// What became of each position of a commit.
pub type GroupCommitOutcome = Vec<(TopicPartition, Result<(), ClusterError>)>;

/// A position to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommit {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: TargetOffset,
    /// What is committed with it.
    pub metadata: String,
}

impl Cluster {
    /// Who coordinates each of these groups; answers that are known cost nothing.
    pub async fn group_coordinators(
        &self,
        groups: &[GroupName],
    ) -> Result<BTreeMap<GroupName, Result<BrokerId, ClusterError>>, ClusterError> {
        let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let mut told = self.client.group_coordinators(&names).await.map_err(|error| self.unanswered(error))?;
        let mut all = BTreeMap::new();
        for group in groups {
            let answer = match told.remove(group.as_str()) {
                Some(Ok(broker)) => Ok(broker),
                Some(Err(WireError::Denied { .. })) => {
                    let code = ResponseError::GroupAuthorizationFailed.code();
                    Err(self.refusal(FIND, resource(group), code, None))
                }
                Some(Err(error)) => Err(self.unanswered(error)),
                None => Err(self.left_out(FIND, group.as_str())),
            };
            all.insert(group.clone(), answer);
        }
        Ok(all)
    }

    /// Forgets who coordinates a group: it turned out to be another broker.
    pub fn forget_group_coordinator(&self, group: &GroupName) {
        self.client.forget_coordinator(&Route::Group(group.to_string()));
    }

    /// A place to ask one broker about its groups.
    #[must_use]
    pub fn group_desk(&self, broker: BrokerId) -> GroupDesk {
        GroupDesk::new(self.clone(), broker)
    }
}

impl ClusterError {
    /// Whether the group was refused because it has members, or a member's generation is needed.
    #[must_use]
    pub fn is_group_active(&self) -> bool {
        [
            ResponseError::UnknownMemberId,
            ResponseError::IllegalGeneration,
            ResponseError::RebalanceInProgress,
            ResponseError::StaleMemberEpoch,
            ResponseError::FencedMemberEpoch,
            ResponseError::FencedInstanceId,
        ]
        .iter()
        .any(|code| self.code() == Some(code.code()))
    }

    /// Whether another broker coordinates the group now, or the coordinator is not there yet.
    #[must_use]
    pub fn is_coordinator_elsewhere(&self) -> bool {
        [ResponseError::NotCoordinator, ResponseError::CoordinatorNotAvailable]
            .iter()
            .any(|code| self.code() == Some(code.code()))
    }
}

fn resource(group: &GroupName) -> String {
    format!("group {group}")
}
