//! The exact map between source and target offsets of one mirror partition.
//!
//! Owns: [`OffsetMap`], a list of runs, and its stored form.
//! Promises: exact at every offset that it holds; neighbours that continue each other are one run; never an
//! answer ahead of the data.
//! Does not know: tokio, clocks, logs, where it is stored.

mod stored;

use crate::types::{Run, SourceOffset, TargetOffset, Translation};

/// Runs in rising order on both sides, where the map begins, and the ends up to which the copy has come.
///
/// Both sides may have offsets that are in no run: holes. Between the starts and the ends, "not in a run" means that
/// there is no record to map, so a hole has an answer, too: the record after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetMap {
    runs: Vec<Run>,
    source_start: SourceOffset,
    target_start: TargetOffset,
    source_end: SourceOffset,
    target_end: TargetOffset,
}

/// A run or a stored map that contradicts what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A run must start at or after both ends, and end at an offset that exists.
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
    /// An empty map of a copy that begins at these offsets: what the source has before them is [`BelowMap`].
    ///
    /// [`BelowMap`]: Translation::BelowMap
    #[must_use]
    pub fn new(source_end: SourceOffset, target_end: TargetOffset) -> Self {
        Self { runs: Vec::new(), source_start: source_end, target_start: target_end, source_end, target_end }
    }

    /// Appends acknowledged records. A run of length 0 changes nothing.
    ///
    /// # Errors
    /// `OutOfOrder` when it begins before one of the ends; the map is then as it was.
    pub fn append(&mut self, run: Run) -> Result<(), MapError> {
        if run.length == 0 {
            return Ok(());
        }
        // Offsets saturate, and a saturated end would not be an end.
        let is_in_range = run.source_end().distance_from(run.source) == run.length
            && run.target_end().distance_from(run.target) == run.length;
        if run.source < self.source_end || run.target < self.target_end || !is_in_range {
            return Err(MapError::OutOfOrder { run, source_end: self.source_end, target_end: self.target_end });
        }
        match self.runs.last_mut() {
            Some(last) if last.source_end() == run.source && last.target_end() == run.target => {
                last.length += run.length;
            }
            Some(_) | None => self.push(run),
        }
        self.source_end = run.source_end();
        self.target_end = run.target_end();
        Ok(())
    }

    /// Grows by an eighth: twice as much as is needed would be too much of a large map.
    fn push(&mut self, run: Run) {
        if self.runs.len() == self.runs.capacity() {
            self.runs.reserve_exact((self.runs.len() / 8).max(4));
        }
        self.runs.push(run);
    }

    /// The source was read up to here without further data (a hole, markers, aborted records). Never moves back.
    pub fn advance_source(&mut self, source_end: SourceOffset) {
        self.source_end = self.source_end.max(source_end);
    }

    /// The target's log goes up to here without further records of ours (filler, markers). Never moves back.
    pub fn advance_target(&mut self, target_end: TargetOffset) {
        self.target_end = self.target_end.max(target_end);
    }

    /// Both sides are alike up to `end`: offsets without a record there count as belonging to the last run, so that
    /// filled gaps don't make the map grow; each of them translates to itself.
    ///
    /// # Errors
    /// `OutOfOrder` when one of the ends lies behind it already; the map is then as it was.
    pub fn level(&mut self, end: i64) -> Result<(), MapError> {
        let (Ok(source_end), Ok(target_end)) = (SourceOffset::new(end), TargetOffset::new(end)) else {
            return Err(MapError::Malformed(format!("{end} is not an offset")));
        };
        let start = match self.runs.last() {
            Some(last) if last.source.get() == last.target.get() => last.source,
            Some(last) => {
                last.source_end().max(SourceOffset::new(last.target_end().get()).unwrap_or(SourceOffset::ZERO))
            }
            None => self.source_start.max(SourceOffset::new(self.target_start.get()).unwrap_or(SourceOffset::ZERO)),
        };
        let target = TargetOffset::new(start.get()).unwrap_or(TargetOffset::ZERO);
        let run = Run { source: start, target, length: source_end.distance_from(start) };
        if source_end < self.source_end || target_end < self.target_end {
            return Err(MapError::OutOfOrder { run, source_end: self.source_end, target_end: self.target_end });
        }
        match self.runs.last_mut() {
            Some(last) if last.source == start => last.length = run.length,
            Some(_) | None if run.length > 0 => self.push(run),
            Some(_) | None => {}
        }
        (self.source_end, self.target_end) = (source_end, target_end);
        Ok(())
    }

    /// Where the map begins: source offsets before are [`Translation::BelowMap`].
    #[must_use]
    pub fn source_start(&self) -> SourceOffset {
        self.source_start
    }

    /// Where the map begins on the target.
    #[must_use]
    pub fn target_start(&self) -> TargetOffset {
        self.target_start
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
    /// the start of the map (a map that was never pruned starts where it was made to).
    #[must_use]
    pub fn translate(&self, source: SourceOffset) -> Translation<TargetOffset> {
        if source < self.source_start {
            return Translation::BelowMap;
        }
        if source > self.source_end {
            return Translation::NotYetMirrored;
        }
        let (before, after) = self.split_by(|run| run.source <= source);
        match before {
            Some(run) if source < run.source_end() => {
                Translation::Exact(run.target.plus(source.distance_from(run.source)))
            }
            Some(_) | None => Translation::Next(after.map_or(self.target_end, |run| run.target)),
        }
    }

    /// Target to source, in the same sense: in a hole of the target (filler, markers) the source offset of the record
    /// after it, and at its end `source_end`.
    #[must_use]
    pub fn translate_reverse(&self, target: TargetOffset) -> Translation<SourceOffset> {
        if target < self.target_start {
            return Translation::BelowMap;
        }
        if target > self.target_end {
            return Translation::NotYetMirrored;
        }
        let (before, after) = self.split_by(|run| run.target <= target);
        match before {
            Some(run) if target < run.target_end() => {
                Translation::Exact(run.source.plus(target.distance_from(run.target)))
            }
            Some(_) | None => Translation::Next(after.map_or(self.source_end, |run| run.source)),
        }
    }

    /// The last run for which `begins` holds, and the one after it.
    fn split_by(&self, begins: impl Fn(&Run) -> bool) -> (Option<&Run>, Option<&Run>) {
        let index = self.runs.partition_point(begins);
        (index.checked_sub(1).and_then(|before| self.runs.get(before)), self.runs.get(index))
    }

    /// Forgets everything before this source offset (the source's log start): it is the new start of the map, which
    /// never moves back, nor past `source_end`. On the target the map then starts after the last record forgotten.
    pub fn prune_below(&mut self, source: SourceOffset) {
        let start = source.min(self.source_end);
        if start <= self.source_start {
            return;
        }
        self.source_start = start;
        let forgotten = self.runs.partition_point(|run| run.source_end() <= start);
        let last = self.runs.drain(..forgotten).next_back();
        if let Some(last) = last {
            self.target_start = last.target_end();
            self.runs.shrink_to(self.runs.len() + self.runs.len() / 4);
        }
        if let Some(first) = self.runs.first_mut().filter(|run| run.source < start) {
            let cut = start.distance_from(first.source);
            *first = Run { source: start, target: first.target.plus(cut), length: first.length - cut };
            self.target_start = first.target;
        }
    }

    /// Cuts everything from this target offset on (the target lost it); both ends move back: `target_end` to here,
    /// `source_end` to the source offset of the first record cut, or behind the last record left. Nothing changes
    /// when the map ends before.
    ///
    /// With no record left, `source_end` is the start of the map. A cut below [`target_start`](Self::target_start)
    /// reaches records that the map has forgotten: it can't say where on the source they were, so a caller compares
    /// first and then rewinds by other means.
    pub fn cut_at(&mut self, target: TargetOffset) {
        if target >= self.target_end {
            return;
        }
        let left = self.runs.partition_point(|run| run.target < target);
        self.runs.truncate(left);
        if let Some(last) = self.runs.last_mut() {
            last.length = last.length.min(target.distance_from(last.target));
        }
        self.source_end = self.runs.last().map_or(self.source_start, |run| run.source_end());
        self.target_end = target;
        self.target_start = self.target_start.min(target);
    }

    /// The runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Builds a map from stored parts: where it starts, its runs in order, and its ends.
    ///
    /// # Errors
    /// `OutOfOrder` when a run does not follow the one before it or the start.
    pub fn restore(
        start: (SourceOffset, TargetOffset),
        runs: impl IntoIterator<Item = Run>,
        end: (SourceOffset, TargetOffset),
    ) -> Result<Self, MapError> {
        let mut map = Self::new(start.0, start.1);
        for run in runs {
            map.append(run)?;
        }
        map.advance_source(end.0);
        map.advance_target(end.1);
        Ok(map)
    }

    /// The stored form of some runs of the map, in their order: delta-coded varints, base64. Empty for none.
    #[must_use]
    pub fn encode(runs: &[Run]) -> String {
        stored::encode(runs)
    }

    /// Reads what [`OffsetMap::encode`] wrote. Bounded: refuses more runs than the text can hold.
    ///
    /// # Errors
    /// `Malformed` for any other text, and for runs that are empty, overlap or go back on either side.
    pub fn decode(text: &str) -> Result<Vec<Run>, MapError> {
        stored::decode(text)
    }
}

#[cfg(test)]
mod tests;
