//! What each error code of a Fetch response means to us. One row per code that a fetch can get.
//!
//! Owns: the tables. Promises: a code that has no row is retried slowly and shown, never ignored.
//! Does not know: how any of it is done.

use super::slot::Trouble;
use crate::wire::{Leader, ResponseError};

/// What to do about a partition's error code; `None` for no error. `hint` is the leader that the answer named.
#[expect(clippy::match_same_arms, reason = "one row per code, so that each has its own reason")]
pub(super) fn partition_trouble(code: i16, hint: Option<Leader>) -> Option<Trouble> {
    match code {
        0 => None,
        // OFFSET_OUT_OF_RANGE: never "earliest"; what became of the offset must be found out.
        1 => Some(Trouble::OutOfRange),
        // CORRUPT_MESSAGE: the broker's own log is damaged there.
        2 => Some(Trouble::Refused { code }),
        // UNKNOWN_TOPIC_OR_PARTITION: deleted, or this broker is behind.
        3 => Some(Trouble::Missing { code }),
        // LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REPLICA_NOT_AVAILABLE.
        5 | 6 | 9 => Some(Trouble::Moved { code, hint }),
        // REQUEST_TIMED_OUT.
        7 => Some(Trouble::Busy { code }),
        // TOPIC_AUTHORIZATION_FAILED.
        29 => Some(Trouble::Refused { code }),
        // KAFKA_STORAGE_ERROR: a disk of this broker failed; another one will lead.
        56 => Some(Trouble::Moved { code, hint }),
        // FENCED_LEADER_EPOCH: we know an older leader epoch than the broker.
        74 => Some(Trouble::Moved { code, hint }),
        // UNKNOWN_LEADER_EPOCH: the broker knows an older one than we do.
        75 => Some(Trouble::Moved { code, hint }),
        // UNSUPPORTED_COMPRESSION_TYPE: zstd data, and a Fetch version too old for it.
        76 => Some(Trouble::Refused { code }),
        // OFFSET_NOT_AVAILABLE: a new leader doesn't know its high watermark yet.
        78 => Some(Trouble::Busy { code }),
        // UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID: recreated, or this broker is behind.
        100 | 103 => Some(Trouble::Missing { code }),
        // OFFSET_MOVED_TO_TIERED_STORAGE is meant for followers; the leader serves consumers from there.
        109 => Some(Trouble::Refused { code }),
        // UNKNOWN_SERVER_ERROR: said, among others, when remote storage can't be read at the moment.
        -1 => Some(Trouble::Busy { code }),
        _ => Some(Trouble::Refused { code }),
    }
}

/// What the error code of a whole response means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionVerdict {
    /// No error.
    Fine,
    /// The broker doesn't have the session: begin one.
    Forgotten,
    /// The broker and we disagree about the session: replace it.
    OutOfStep,
    /// The request as a whole failed.
    Failed,
}

/// What to do about a response's own error code.
#[expect(clippy::match_same_arms, reason = "one row per code, so that each has its own reason")]
pub(super) fn session_verdict(code: i16) -> SessionVerdict {
    match code {
        0 => SessionVerdict::Fine,
        // FETCH_SESSION_ID_NOT_FOUND: dropped to make room, or the broker was restarted.
        70 => SessionVerdict::Forgotten,
        // INVALID_FETCH_SESSION_EPOCH: a request or a response was lost.
        71 => SessionVerdict::OutOfStep,
        // FETCH_SESSION_TOPIC_ID_ERROR: a session of names is used with ids, or the other way round.
        106 => SessionVerdict::OutOfStep,
        // Early brokers with topic ids said UNKNOWN_TOPIC_ID and INCONSISTENT_TOPIC_ID for the whole response.
        100 | 103 => SessionVerdict::OutOfStep,
        _ => SessionVerdict::Failed,
    }
}

/// Kafka's name of a code as its documentation writes it, with its number.
pub(super) fn code_name(code: i16) -> String {
    let Some(known) = ResponseError::try_from_code(code).filter(|known| !matches!(known, ResponseError::Unknown(_)))
    else {
        return format!("an unknown error ({code})");
    };
    let mut name = String::new();
    for letter in known.to_string().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    format!("{name} ({code})")
}
