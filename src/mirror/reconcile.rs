//! What the target's log end and producer state say about our appends: the one place that decides it.
//!
//! Owns: [`reconcile`], a pure judgement.
//! Promises: nothing is concluded from an answer to an append, only from what the leader's log holds.
//! Does not know: how the log was read, what follows from the finding.

use crate::types::{ProducerEpoch, Sequence, TargetOffset};

/// What a leader showed: producer state first, then the log end, which the high watermark has reached since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observation {
    /// The link's data producer id on this partition: its epoch and last sequence. `None`: not known there.
    pub(super) state: Option<(ProducerEpoch, Option<Sequence>)>,
    /// The end of the log.
    pub(super) log_end: TargetOffset,
}

/// Up to where we are sure, and what may lie behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expectation {
    /// Acknowledged, or stored as such.
    pub(super) acknowledged: TargetOffset,
    /// The sequence of the record at `acknowledged`.
    pub(super) sequence: Sequence,
    /// The end of what is planned.
    pub(super) planned_end: TargetOffset,
    /// The epoch that we write with.
    pub(super) epoch: ProducerEpoch,
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// All records up to the log end are ours, as planned.
    Ours,
    /// The log ends as if they were ours, but no producer state proves it: look at the batches themselves.
    Unproven,
    /// The log ends before what was acknowledged: the target lost data.
    Lost,
    /// Somebody else wrote, or the log ends where no plan of ours ends.
    Foreign,
    /// Somebody wrote with a higher producer epoch.
    Fenced,
}

/// Judges an observation.
pub(super) fn reconcile(expected: &Expectation, seen: &Observation) -> Finding {
    if let Some((epoch, _)) = seen.state
        && epoch > expected.epoch
    {
        return Finding::Fenced;
    }
    let proven_end = match seen.state {
        Some((epoch, Some(last))) if epoch == expected.epoch => Some(end_by_sequence(expected, last)),
        _ => None,
    };
    if seen.log_end < expected.acknowledged {
        // A log that lost its end and was written by somebody else since must not be taken for ours up to there.
        let is_ours_so_far = proven_end.is_none_or(|end| end == Some(seen.log_end));
        return if is_ours_so_far { Finding::Lost } else { Finding::Foreign };
    }
    if seen.log_end > expected.planned_end {
        return Finding::Foreign;
    }
    match proven_end {
        Some(Some(end)) if end == seen.log_end => Finding::Ours,
        Some(_) => Finding::Foreign,
        None if seen.log_end == expected.acknowledged => Finding::Ours,
        None => Finding::Unproven,
    }
}

/// Where the log ends if nobody else wrote: sequences and target offsets rise together. `None`: before offset 0.
fn end_by_sequence(expected: &Expectation, last: Sequence) -> Option<TargetOffset> {
    let next = last.plus(1);
    let ahead = next.distance_from(expected.sequence);
    if ahead < Sequence::HALF {
        return Some(expected.acknowledged.plus(ahead));
    }
    let behind = i64::try_from(expected.sequence.distance_from(next)).ok()?;
    TargetOffset::new(expected.acknowledged.get() - behind).ok()
}

#[cfg(test)]
mod tests;
