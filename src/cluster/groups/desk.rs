//! One broker's groups, asked over connections of their own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::list_groups_response::ListedGroup as Told;
use kafka_protocol::messages::{ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest};
use kafka_protocol::protocol::Request;
use tokio::time::Instant;

use super::offsets;
use super::{GroupAnswers, GroupCommit, GroupCommitOutcome, LIST, ListedGroup, WhichGroups};
use crate::cluster::{Cluster, ClusterError, text};
use crate::types::{BrokerId, GroupKind, GroupName};
use crate::wire::{Connection, WireError};

/// A coordinator answers requests of one connection one after the other, and a commit waits for its replicas: so many
/// connections commit at the same time.
const LINES: usize = 16;
/// Groups of one request.
const GROUPS_AT_ONCE: usize = 500;
/// Longer than an ordinary answer of a busy coordinator; a silent one is given up sooner than by other requests.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// From here on states are told, and can be filtered by.
const LIST_FIRST_WITH_STATES: i16 = 4;
/// From here on a request asks for several groups.
const FETCH_FIRST_WITH_MANY: i16 = 8;
/// States of groups with members, of all protocols.
const ACTIVE_STATES: [&str; 6] =
    ["Stable", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "NotReady"];

/// A place to ask one broker about the groups that it coordinates.
#[derive(Debug)]
pub struct GroupDesk {
    cluster: Cluster,
    broker: BrokerId,
    lines: Mutex<Vec<Option<Connection>>>,
}

impl GroupDesk {
    pub(super) fn new(cluster: Cluster, broker: BrokerId) -> Self {
        Self { cluster, broker, lines: Mutex::new(vec![None; LINES]) }
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The groups that this broker coordinates. A broker that can't tell states tells of no active ones: those will
    /// show when they refuse a commit.
    pub async fn list(&self, which: WhichGroups) -> Result<Vec<ListedGroup>, ClusterError> {
        let line = self.line(0).await?;
        let version = self.answered(line.version::<ListGroupsRequest>())?;
        let states = match which {
            WhichGroups::All => Vec::new(),
            WhichGroups::Active if version >= LIST_FIRST_WITH_STATES => ACTIVE_STATES.map(text).to_vec(),
            WhichGroups::Active => return Ok(Vec::new()),
        };
        let request = ListGroupsRequest::default().with_states_filter(states);
        let response = self.ask(&line, &request, version).await?;
        self.cluster.accepted(LIST, || "groups".to_owned(), response.error_code, None)?;
        Ok(response.groups.iter().filter_map(listed).collect())
    }

    /// The committed offsets of these groups, many in a request. Each group has its offsets (none where there is no
    /// such group) or its error.
    pub async fn offsets(&self, groups: &[GroupName]) -> Result<GroupAnswers, ClusterError> {
        let line = self.line(0).await?;
        let version = self.answered(line.version::<OffsetFetchRequest>())?;
        let mut answers = GroupAnswers::new();
        if version >= FETCH_FIRST_WITH_MANY {
            for some in groups.chunks(GROUPS_AT_ONCE) {
                let response = self.ask(&line, &offsets::fetch_many(some), version).await?;
                offsets::read_many(&self.cluster, some, response, &mut answers);
            }
        } else {
            for group in groups {
                let response = self.ask(&line, &offsets::fetch_one(group), version).await?;
                answers.insert(group.clone(), offsets::read_one(&self.cluster, group, response));
            }
        }
        Ok(answers)
    }

    /// Commits positions of groups from outside of them, which their coordinator takes only while a group has no
    /// members. Each position was taken or has its error. Nothing is sent after `until`: groups whose turn comes later
    /// have no outcome.
    pub async fn commit(
        &self,
        groups: &BTreeMap<GroupName, Vec<GroupCommit>>,
        until: Instant,
    ) -> Vec<(GroupName, Result<GroupCommitOutcome, ClusterError>)> {
        let lines = (0..LINES.min(groups.len())).map(|line| self.commit_on(line, groups, until));
        join_all(lines).await.into_iter().flatten().collect()
    }

    /// The share of one line, one group after the other.
    async fn commit_on(
        &self,
        line: usize,
        groups: &BTreeMap<GroupName, Vec<GroupCommit>>,
        until: Instant,
    ) -> Vec<(GroupName, Result<GroupCommitOutcome, ClusterError>)> {
        let mut outcomes = Vec::new();
        for (group, commits) in groups.iter().skip(line).step_by(LINES) {
            match self.commit_one(line, group, commits, until).await {
                Ok(Some(outcome)) => outcomes.push((group.clone(), Ok(outcome))),
                Ok(None) => break,
                Err(error) => outcomes.push((group.clone(), Err(error))),
            }
        }
        outcomes
    }

    async fn commit_one(
        &self,
        line: usize,
        group: &GroupName,
        commits: &[GroupCommit],
        until: Instant,
    ) -> Result<Option<GroupCommitOutcome>, ClusterError> {
        let line = self.line(line).await?;
        let version = self.answered(line.version::<OffsetCommitRequest>())?;
        if line.throttled_until().is_some_and(|throttled| throttled >= until) || Instant::now() >= until {
            return Ok(None);
        }
        let response = self.ask(&line, &offsets::commit_request(group, commits), version).await?;
        Ok(Some(offsets::read_commits(&self.cluster, group, commits, response)))
    }

    async fn ask<R: Request>(&self, line: &Connection, request: &R, version: i16) -> Result<R::Response, ClusterError> {
        if let Some(until) = line.throttled_until() {
            tokio::time::sleep_until(until).await;
        }
        let pending = self.answered(line.start_with_deadline(request, version, ANSWER_LIMIT).await)?;
        self.answered(pending.await)
    }

    async fn line(&self, index: usize) -> Result<Connection, ClusterError> {
        let open = self.lock().get(index).cloned().flatten().filter(|line| !line.is_closed());
        if let Some(open) = open {
            return Ok(open);
        }
        let opened = self.answered(self.cluster.client.connect(self.broker).await)?;
        if let Some(slot) = self.lock().get_mut(index) {
            *slot = Some(opened.clone());
        }
        Ok(opened)
    }

    fn answered<T>(&self, answer: Result<T, WireError>) -> Result<T, ClusterError> {
        answer.map_err(|error| self.cluster.unanswered(error))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Connection>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: a group of another kind of program, such as Connect's workers, which keeps no offsets.
fn listed(told: &Told) -> Option<ListedGroup> {
    let kind = match (told.group_type.as_str().to_ascii_lowercase().as_str(), told.protocol_type.as_str()) {
        ("share", _) | ("", "share") => GroupKind::Share,
        ("streams", _) | ("", "streams") => GroupKind::Streams,
        ("consumer", _) => GroupKind::Consumer,
        ("classic" | "", "consumer" | "") => GroupKind::Classic,
        ("classic" | "", _) => return None,
        _ => GroupKind::Other,
    };
    let state = (!told.group_state.is_empty()).then(|| told.group_state.to_string());
    Some(ListedGroup { group: GroupName::new(told.group_id.as_str()).ok()?, kind, state })
}
