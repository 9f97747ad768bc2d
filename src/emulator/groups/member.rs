//! One member of a group.
//!
//! Owns: what a member said when it joined, what it waits for, until when it has to be heard of again.
//! Promises: a request that is replaced by a newer one of the same member gets an answer all the same.
//! Does not know: the other members.

use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::ResponseError;

/// A protocol that a member can do, and what it tells the leader under it.
pub(super) type Protocol = (String, Bytes);

/// A JoinGroup request that waits for its answer.
#[derive(Debug)]
pub(super) struct JoinAnswer {
    pub(super) version: i16,
    pub(super) sender: oneshot::Sender<JoinGroupResponse>,
}

impl JoinAnswer {
    /// Whoever asked may be gone; nobody minds.
    pub(super) fn send(self, mut response: JoinGroupResponse) {
        if self.version < 7 {
            response.protocol_type = None;
            response.protocol_name.get_or_insert_default();
        }
        let _ = self.sender.send(response);
    }

    /// A refusal carries the member id that was asked with.
    pub(super) fn refuse(self, member_id: &str, error: ResponseError) {
        let response = JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(-1)
            .with_protocol_name(Some(StrBytes::default()))
            .with_member_id(text(member_id));
        self.send(response);
    }
}

/// A SyncGroup request that waits for its answer.
#[derive(Debug)]
pub(super) struct SyncAnswer(pub(super) oneshot::Sender<SyncGroupResponse>);

impl SyncAnswer {
    pub(super) fn send(self, response: SyncGroupResponse) {
        let _ = self.0.send(response);
    }

    pub(super) fn refuse(self, error: ResponseError) {
        self.send(SyncGroupResponse::default().with_error_code(error.code()));
    }
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout_ms: i64,
    pub(super) rebalance_timeout_ms: i64,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    pub(super) join: Option<JoinAnswer>,
    pub(super) sync: Option<SyncAnswer>,
    /// It has not been in a generation yet: it may wait long for the first one, but not for ever.
    pub(super) is_new: bool,
    /// When it counts as dead, unless it is heard of before.
    pub(super) deadline: i64,
}

impl Member {
    /// When this member counts as dead; `None` while it waits for us.
    pub(super) fn expires_at(&self) -> Option<i64> {
        let is_waiting = self.join.is_some() || self.sync.is_some();
        (self.is_new || !is_waiting).then_some(self.deadline)
    }

    /// It was heard of.
    pub(super) fn touch(&mut self, now: i64) {
        self.deadline = now.saturating_add(self.session_timeout_ms);
    }

    /// What it tells the leader under this protocol.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let of_protocol = |(name, _): &&Protocol| Some(name.as_str()) == protocol;
        self.protocols.iter().find(of_protocol).map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// The newer JoinGroup takes the place of the older one.
    pub(super) fn wait_for_join(&mut self, answer: JoinAnswer) {
        if let Some(older) = self.join.replace(answer) {
            older.refuse(&self.id, ResponseError::RebalanceInProgress);
        }
    }

    /// The newer SyncGroup takes the place of the older one.
    pub(super) fn wait_for_sync(&mut self, answer: SyncAnswer) {
        if let Some(older) = self.sync.replace(answer) {
            older.refuse(ResponseError::RebalanceInProgress);
        }
    }

    /// Answers whatever waits, because the member is no more.
    pub(super) fn refuse_all(&mut self, error: ResponseError) {
        if let Some(join) = self.join.take() {
            join.refuse(&self.id, error);
        }
        if let Some(sync) = self.sync.take() {
            sync.refuse(error);
        }
    }

    /// Roughly what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let protocols: usize = self.protocols.iter().map(|(name, metadata)| name.len() + metadata.len() + 64).sum();
        let names = self.id.len() * 2 + self.client_id.len() + self.instance_id.as_ref().map_or(0, String::len) * 2;
        protocols + names + self.assignment.len() + 256
    }
}

/// A text that doesn't keep the frame alive that it may have come in.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
