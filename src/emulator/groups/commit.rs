//! OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete.
//!
//! Owns: who may commit, and what is answered for each partition.
//! Promises: outsiders commit into empty groups only; in a transaction the empty member id is let through (KIP-447).
//! Does not know: which topics there are; it is told.

use std::collections::BTreeSet;

use kafka_protocol::messages::ConsumerProtocolSubscription;
use kafka_protocol::protocol::Decodable;

use super::ResponseError;
use super::group::{Group, State};
use super::member::Member;

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// -1 for somebody who isn't a member.
    pub(crate) generation: i32,
    /// Empty for somebody who isn't a member.
    pub(crate) member_id: &'a str,
    /// Of a static member.
    pub(crate) instance_id: Option<&'a str>,
    /// Whether the offsets belong to a transaction.
    pub(crate) is_transactional: bool,
}

impl Group {
    /// Whether this committer may.
    pub(super) fn check_commit(&self, by: Committer<'_>) -> Result<(), ResponseError> {
        if by.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let is_named = by.generation >= 0 || !by.member_id.is_empty() || by.instance_id.is_some();
        if is_named {
            self.check_generation(by.member_id, by.instance_id, by.generation)?;
        } else if !by.is_transactional && self.state != State::Empty {
            return Err(ResponseError::UnknownMemberId);
        }
        if !by.is_transactional && self.state == State::Completing {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    /// The topics that its members read; `None` when that can't be known.
    pub(super) fn subscribed(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some("consumer") || self.members.is_empty() {
            return None;
        }
        let of_member = |member: &Member| {
            let protocol = self.protocol.as_deref().or_else(|| member.protocols.first().map(|(name, _)| name.as_str()));
            let mut metadata = member.metadata(protocol);
            let version = i16::from_be_bytes(metadata.get(..2)?.try_into().ok()?);
            let _ = metadata.split_to(2);
            ConsumerProtocolSubscription::decode(&mut metadata, version.clamp(0, 3)).ok()
        };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(of_member(member)?.topics.iter().map(ToString::to_string));
        }
        Some(topics)
    }

    /// Whether offsets may be deleted at all; those of topics that are read must stay.
    pub(super) fn check_offset_delete(&self) -> Result<BTreeSet<String>, ResponseError> {
        if self.members.is_empty() {
            return Ok(BTreeSet::new());
        }
        if self.protocol_type.as_deref() != Some("consumer") {
            return Err(ResponseError::NonEmptyGroup);
        }
        Ok(self.subscribed().unwrap_or_default())
    }

    /// Forgets positions that nobody has touched for so long.
    pub(super) fn expire_offsets(&mut self, retention_ms: i64, now: i64) {
        let is_over = |since: i64| now.saturating_sub(since) >= retention_ms;
        match (self.state, &self.protocol_type) {
            (State::Empty, Some(_)) => {
                let since = self.since;
                self.offsets.expire(|_, _| is_over(since));
            }
            (State::Empty, None) => self.offsets.expire(|_, committed| is_over(committed.at)),
            (State::Preparing { .. } | State::Completing, _) => {}
            (State::Stable, _) => {
                if let Some(topics) = self.subscribed() {
                    self.offsets.expire(|(topic, _), committed| !topics.contains(topic) && is_over(committed.at));
                }
            }
        }
    }
}
