//! Whether a mirror partition has the offsets of its source, since when not, and why not.
//!
//! Owns: [`OffsetsMode`], [`Relation`] and its stored form, the account of what was filled.
//! Promises: once offsets have parted they never count as the same again.
//! Does not know: how gaps are filled.

use crate::store::OffsetsRecord;
use crate::types::{ProducerId, SourceOffset, TargetOffset};

/// What the configuration wants of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetsMode {
    /// The same on both sides; where that is impossible, translated from there on.
    Preserve,
    /// The same on both sides; where that is impossible, the partition stops.
    PreserveOrStop,
    /// As they come.
    Translate,
}

impl OffsetsMode {
    /// Whether offsets are to be the same on both sides.
    #[must_use]
    pub const fn is_preserved(self) -> bool {
        match self {
            Self::Preserve | Self::PreserveOrStop => true,
            Self::Translate => false,
        }
    }
}

/// Limits of keeping offsets the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FillLimits {
    pub(super) gap_max: u64,
    pub(super) ratio_max: f64,
}

/// How the offsets of a mirror partition relate to those at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    /// Every record has its source offset on the target.
    Identical(Account),
    /// The empty mirror partition is being brought to the offset where the copy begins.
    FastForwarding { to: SourceOffset },
    /// They differ. `because`: why, unless the configuration says so.
    Translated { since: Option<SourceOffset>, because: Option<String> },
}

/// What filling the gaps has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Account {
    /// The coordinator epoch that markers are written with.
    pub(super) counter: i32,
    /// Offsets filled lately.
    filled: u64,
    /// Records copied in the same time.
    copied: u64,
    /// Offsets filled since the last record. Not stored.
    since_record: u64,
    /// Where the copy begins, if the log has filler before that.
    pub(super) begins_at: Option<TargetOffset>,
    /// The producer id of the partition's transactional id, where gaps are filled by empty transactions.
    pub(super) transactional: Option<ProducerId>,
}

/// Over about so many offsets the account is kept: beyond, both sides of it are halved.
const ACCOUNT_MAX: u64 = 1_000_000;
/// So few filled offsets never count as too many: a ratio of small numbers says nothing.
const FILLED_LEAST: u64 = 10_000;
/// How far the counter jumps for each owner: whatever the former one has under way is refused from then on.
const COUNTER_STEP: i32 = 1_000;

impl Account {
    pub(super) fn beginning_at(target: TargetOffset) -> Self {
        Self { begins_at: (target > TargetOffset::ZERO).then_some(target), ..Self::default() }
    }

    pub(super) fn copied(&mut self, records: u64) {
        self.copied = self.copied.saturating_add(records);
        self.since_record = 0;
        self.age();
    }

    pub(super) fn filled(&mut self, offsets: u64) {
        self.filled = self.filled.saturating_add(offsets);
        self.since_record = self.since_record.saturating_add(offsets);
        self.age();
    }

    fn age(&mut self) {
        if self.filled.saturating_add(self.copied) > ACCOUNT_MAX {
            self.filled /= 2;
            self.copied /= 2;
        }
    }

    /// A new owner's counter; false when there is none left.
    pub(super) fn raise_counter(&mut self) -> bool {
        match self.counter.checked_add(COUNTER_STEP) {
            Some(counter) => {
                self.counter = counter;
                true
            }
            None => false,
        }
    }

    /// Why a gap must not be filled.
    pub(super) fn refuses(&self, gap: u64, limits: FillLimits) -> Option<String> {
        let in_one_place = self.since_record.saturating_add(gap);
        if in_one_place > limits.gap_max {
            let max = limits.gap_max;
            return Some(format!(
                "{in_one_place} offsets without a record in one place are more than gap_fill_max ({max})"
            ));
        }
        let filled = self.filled.saturating_add(gap);
        if filled > FILLED_LEAST.max(limits.gap_max) && per_record(filled, self.copied) > limits.ratio_max {
            let (copied, max) = (self.copied, limits.ratio_max);
            return Some(format!(
                "{filled} offsets without a record against {copied} records are more than gap_fill_ratio_max ({max})"
            ));
        }
        None
    }
}

/// Exact enough: both stay far below 2^32.
fn per_record(filled: u64, copied: u64) -> f64 {
    let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(filled) / number(copied.max(1))
}

impl Relation {
    /// Translated because the configuration wants nothing else.
    pub(super) const fn wanted_translated() -> Self {
        Self::Translated { since: None, because: None }
    }

    pub(super) fn parted(since: SourceOffset, because: impl Into<String>) -> Self {
        Self::Translated { since: Some(since), because: Some(because.into()) }
    }

    pub(super) fn account(&self) -> Option<&Account> {
        match self {
            Self::Identical(account) => Some(account),
            Self::FastForwarding { .. } | Self::Translated { .. } => None,
        }
    }

    pub(super) fn account_mut(&mut self) -> Option<&mut Account> {
        match self {
            Self::Identical(account) => Some(account),
            Self::FastForwarding { .. } | Self::Translated { .. } => None,
        }
    }

    /// The stored form.
    pub(super) fn to_record(&self) -> OffsetsRecord {
        match self {
            Self::Identical(Account { counter, filled, copied, since_record: _, begins_at, transactional }) => {
                OffsetsRecord::Identical {
                    counter: *counter,
                    filled: *filled,
                    copied: *copied,
                    begins_at: *begins_at,
                    transactional: *transactional,
                }
            }
            Self::FastForwarding { to } => OffsetsRecord::FastForwarding { to: *to },
            Self::Translated { since, because } => {
                OffsetsRecord::Translated { since: *since, because: because.clone() }
            }
        }
    }

    pub(super) fn from_record(record: Option<&OffsetsRecord>) -> Self {
        match record {
            Some(OffsetsRecord::Identical { counter, filled, copied, begins_at, transactional }) => {
                Self::Identical(Account {
                    counter: *counter,
                    filled: *filled,
                    copied: *copied,
                    since_record: 0,
                    begins_at: *begins_at,
                    transactional: *transactional,
                })
            }
            Some(OffsetsRecord::FastForwarding { to }) => Self::FastForwarding { to: *to },
            Some(OffsetsRecord::Translated { since, because }) => {
                Self::Translated { since: *since, because: because.clone() }
            }
            None => Self::wanted_translated(),
        }
    }
}

/// What a partition that was mirrored with translated offsets before is told where they are to be the same now.
pub(super) const MIRRORED_BEFORE: &str = "mirrored before with translated offsets";

#[cfg(test)]
mod tests;
