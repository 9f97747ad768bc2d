//! The exact map between source and target offsets of one mirror partition.
//!
//! Owns: [`OffsetMap`], a list of runs, and its stored form.
//! Promises: exact at every offset that it holds; neighbours that continue each other are one run; never an
//! answer ahead of the data.
//! Does not know: tokio, clocks, logs, where it is stored.

use crate::types::{Run, SourceOffset, TargetOffset, Translation};

/// Runs in rising order on both sides, and the ends up to which the copy has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetMap {
    runs: Vec<Run>,
    source_end: SourceOffset,
    target_end: TargetOffset,
}

/// A run or a stored map that contradicts what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A run must start at or after both ends.
    #[error("run {run:?} does not follow source {source_end} / target {target_end}")]
    OutOfOrder {
        /// The run.
        run: Run,
        /// Where the map ends at the source.
        source_end: SourceOffset,
        /// Where it ends at the target.
        target_end: TargetOffset,
    },
    /// The stored form can't be read.
    #[error("the stored offset map can't be read: {0}")]
    Malformed(String),
}

impl OffsetMap {
    /// An empty map of a copy that begins at these offsets.
    #[must_use]
    pub fn new(source_end: SourceOffset, target_end: TargetOffset) -> Self {
        Self { runs: Vec::new(), source_end, target_end }
    }

    /// Appends acknowledged records.
    pub fn append(&mut self, _run: Run) -> Result<(), MapError> {
        todo!()
    }

    /// The source was read up to here without further data (a hole, markers, aborted records).
    pub fn advance_source(&mut self, _source_end: SourceOffset) {
        todo!()
    }

    /// All records before this source offset are on the target or were not there to copy.
    #[must_use]
    pub fn source_end(&self) -> SourceOffset {
        self.source_end
    }

    /// The target offset that the next record will get.
    #[must_use]
    pub fn target_end(&self) -> TargetOffset {
        self.target_end
    }

    /// Source to target: `Exact` where the record is mapped; `Next` in a hole, or between the last record and
    /// `source_end` inclusive (the next record will be at `target_end`); `NotYetMirrored` beyond; `BelowMap` before
    /// the first run.
    #[must_use]
    pub fn translate(&self, _source: SourceOffset) -> Translation<TargetOffset> {
        todo!()
    }

    /// Target to source, in the same sense.
    #[must_use]
    pub fn translate_reverse(&self, _target: TargetOffset) -> Translation<SourceOffset> {
        todo!()
    }

    /// Forgets everything before this source offset (the source's log start).
    pub fn prune_below(&mut self, _source: SourceOffset) {
        todo!()
    }

    /// Cuts everything from this target offset on (the target lost it); both ends move back.
    pub fn cut_at(&mut self, _target: TargetOffset) {
        todo!()
    }

    /// The runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The stored form of some runs of the map: delta-coded varints, base64. Empty for none.
    #[must_use]
    pub fn encode(_runs: &[Run]) -> String {
        todo!()
    }

    /// Reads what [`OffsetMap::encode`] wrote. Bounded: refuses more runs than the text can hold.
    pub fn decode(_text: &str) -> Result<Vec<Run>, MapError> {
        todo!()
    }
}
