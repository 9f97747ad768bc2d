//! An append without an answer whose leader is another broker by now.
//!
//! Owns: when to ask for the leader again while appends are under way.
//! Promises: an append is given up only when another broker leads the partition, and what became of it is settled there
//! before anything is sent again; where the broker may not know our producer id, it is waited for.
//! Does not know: how appends are settled.
//!
//! A broker that freezes keeps its connections, so its answers are missed only by their deadline, minutes later. Its
//! partitions have other leaders after seconds. What it still holds of ours harms nobody: it leads no more, and should
//! it ever lead again, it has replicated what was written since, with our sequences.

use std::time::Duration;

use tokio::time::Instant;

use super::partition::Ended;
use super::producer::Outcome;
use super::stream::Stream;
use crate::wire::WireError;

/// How long an append may be under way before the leader is asked for again.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long that question may take: answers may come meanwhile.
const QUESTION_MAX: Duration = Duration::from_secs(5);

impl Stream<'_> {
    /// Appends have been under way for long: if another broker leads now, they are given up.
    pub(super) async fn look_for_another_leader(&mut self) -> Option<Ended> {
        self.patience_ends = Instant::now() + PATIENCE;
        // Without producer state nothing but waiting keeps an append that arrives late from being taken twice.
        let leader = self.leader.filter(|_| self.sure_since.is_some())?;
        let partition = self.partition;
        let (target, at) = (&partition.services.target, &partition.assignment.target);
        target.client().forget_leader(at);
        let asked = partition.unless_stopped(tokio::time::timeout(QUESTION_MAX, target.leader(at))).await?;
        let Ok(Ok(now)) = asked else { return None };
        if now.broker == leader.broker {
            return None;
        }
        let (was, is) = (leader.broker, now.broker);
        tracing::warn!(partition = %at, %was, %is, "another broker leads: appends without an answer are given up");
        let reason = "another broker leads the partition, and no answer came".to_owned();
        let outcome = Outcome::Unknown(WireError::Closed { address: format!("broker {}", leader.broker), reason });
        self.window.give_up(&outcome);
        self.take_answers().await
    }
}
