//! What each error code of a produce response means to an append. One table, without a default for known codes.
//!
//! Owns: [`Answer`] and [`answer_of`].
//! Promises: every code that a broker can send has a row; a code of a newer Kafka counts as unknown.
//! Does not know: whether the attempt was the first one. So a refusal is believed only after the log was looked at.

/// What an answer to one append amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// No error. Good only if the base offset is the one expected.
    Done,
    /// Nothing can be concluded: look at the log, then send the same bytes again.
    Look,
    /// The broker won't take this batch. Look at the log first: an earlier attempt may have landed.
    Refused(Refusal),
    /// We may not write; a person must grant it. Keep trying, slowly.
    Forbidden,
    /// A higher producer epoch was used: somebody promoted.
    Fenced,
}

/// Why a broker won't take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Larger than the topic's `max.message.bytes`, or than `segment.bytes`.
    TooLarge,
    /// A timestamp outside the topic's limits.
    Timestamp,
    /// A null key for a compacted topic, a corrupt or otherwise unacceptable record.
    Record,
    /// The topic's or broker's settings exclude this codec or format.
    Format,
}

/// Looks a code up.
#[expect(clippy::match_same_arms, reason = "rows belong together by meaning, and each says why")]
pub(super) fn answer_of(code: i16) -> Answer {
    match code {
        0 => Answer::Done,
        // Unknown server error; request timed out; not enough replicas after append; disk error; network exception:
        // the append may have happened.
        -1 | 7 | 20 | 56 | 13 => Answer::Look,
        // Leader not available, not leader, replica not available, not enough replicas, broker not available:
        // this attempt wrote nothing, an earlier one may have.
        5 | 6 | 8 | 9 | 19 => Answer::Look,
        // Unknown topic or partition, unknown or inconsistent topic id: recreated, or metadata on its way.
        3 | 100 | 103 => Answer::Look,
        // Out of order sequence, duplicate sequence, unknown producer id: the log is not where we thought.
        45 | 46 | 59 => Answer::Look,
        // Fenced or unknown leader epoch, offset not available, not controller, coordinator codes, throttling,
        // rebootstrap: passing states that should not come for an append; looking is always right.
        74 | 75 | 78 | 41 | 14 | 15 | 16 | 51 | 88 | 89 | 129 => Answer::Look,
        10 | 18 => Answer::Refused(Refusal::TooLarge),
        32 => Answer::Refused(Refusal::Timestamp),
        2 | 87 => Answer::Refused(Refusal::Record),
        35 | 42 | 43 | 76 => Answer::Refused(Refusal::Format),
        // Topic, cluster, transactional id authorization; SASL state; policy; security disabled; invalid topic.
        29 | 31 | 53 | 58 | 34 | 44 | 54 | 17 => Answer::Forbidden,
        // Invalid producer epoch, producer fenced.
        47 | 90 => Answer::Fenced,
        // Invalid transaction state, concurrent transactions, invalid producer id mapping, transaction coordinator
        // fenced, transaction abortable, invalid required acks: we use none of it; nothing was appended as far as
        // Kafka's sources tell, and the log will say.
        48 | 49 | 52 | 120 | 21 => Answer::Look,
        // A code of a newer Kafka, or one that no append can get.
        _ => Answer::Look,
    }
}

#[cfg(test)]
mod tests;
