//! Batches at the source that came from our own target, and whose origin is gone there: they go back.
//!
//! Owns: the judgement about one batch of an opposite link.
//! Promises: a batch goes back only if the life of the target topic that it came from has ended, by records that were
//! read after the batch was seen and by metadata that was asked for after that; in doubt it is left out.
//! Does not know: how the records are read (see `loops`).
//!
//! An opposite link stores which life of the topic it copies from, and where in its own target that copy began, before
//! it sends anything. So a batch of it came from that life, or, before that place, from an earlier one; and if the life
//! that we write to is the one that the target has now, any other life is a former one.
//!
//! Not done: records that the target lost from a topic that lives on (its log end lies below their origin's offset).
//! What was read before the loss is not read again, so this would help only a link that starts later; it takes the
//! opposite link's whole map, and its plan for what is not in the map yet.

use std::time::Duration;

use super::loops::Origin;
use super::stream::Stream;
use super::target;
use crate::batch::BatchHeader;
use crate::tasks::Backoff;
use crate::types::SourceOffset;

/// What is known while the batches of one response are looked at.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// Whether the life that we write to is the one that the target has, asked for since the response came.
    is_target_current: Option<bool>,
}

impl Stream<'_> {
    /// Whether a batch of a link from our target must go back there.
    pub(super) async fn goes_back(&mut self, header: &BatchHeader, freshness: &mut Freshness) -> bool {
        let has_unread = self.partition.services.loops.has_unread(header.producer_id);
        if !has_unread && !self.is_origin_gone(header) {
            return false;
        }
        let is_current = match freshness.is_target_current {
            Some(is_current) if !has_unread => is_current,
            Some(_) | None => {
                let is_current = self.read_again(header.producer_id).await;
                freshness.is_target_current = Some(is_current);
                is_current
            }
        };
        is_current && self.is_origin_gone(header)
    }

    /// By what is known at the moment.
    fn is_origin_gone(&self, header: &BatchHeader) -> bool {
        let assignment = &self.partition.assignment;
        let (Some(ours), Ok(offset)) = (assignment.target_topic_id, SourceOffset::new(header.base_offset)) else {
            return false;
        };
        let at = (&assignment.source, offset);
        match self.partition.services.loops.origin(header.producer_id, at, &assignment.target.topic) {
            Origin::Untold => false,
            Origin::Life(id) => id != ours,
            Origin::Before(_) => true,
        }
    }

    /// Reads what the opposite link stored, and then which life the target's topic has.
    async fn read_again(&mut self, producer_id: i64) -> bool {
        let partition = self.partition;
        let (assignment, services) = (&partition.assignment, &partition.services);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while let Err(error) = services.loops.read_all_of(producer_id).await {
            partition.wait_out_source(&error, &mut backoff).await;
        }
        loop {
            match target::is_same_topic(&services.target, &assignment.target, assignment.target_topic_id).await {
                Ok(is_same) => return is_same,
                Err(error) => partition.wait_out(&error, &mut backoff).await,
            }
        }
    }
}
