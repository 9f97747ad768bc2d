//! How far a mirror partition is, with its offset map, and the stored form of both.
//!
//! Owns: [`Position`]; which part of the map is closed into chunks and which is still open.
//! Promises: what is written at one checkpoint is enough to go on from it.
//! Does not know: when a checkpoint is due.

use super::identity::Relation;
use super::plan::{Plan, cut, lay_out};
use super::target::Landed;
use crate::batch::SourceRun;
use crate::offset_map::{MapError, OffsetMap};
use crate::store::{Key, MapRecord, PositionRecord, Value, Write};
use crate::types::{LeaderEpoch, LinkName, Run, Sequence, SourceOffset, TargetOffset, TopicPartition};

/// Runs in the open part of the map before some are closed into a chunk.
const OPEN_RUNS_MAX: usize = 4_000;
/// Runs of one chunk.
const CHUNK_RUNS: usize = 2_000;

/// Runs of one map: over the second number, the oldest are given up until the first is left. 25 MB.
const MAP_RUNS_KEPT: usize = 1_000_000;
const MAP_RUNS_MAX: usize = 1 << 20;

/// Progress of one mirror partition, all of it acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Position {
    map: OffsetMap,
    sequence: Sequence,
    /// How many target offsets before the position were taken by others since plans count: see `place`.
    others: u64,
    /// Where the copy of this life of the source topic began on the target; opposite links want to know.
    pub(super) begun_at: Option<TargetOffset>,
    /// Leader epoch of the last source batch before the position.
    pub(super) last_epoch: Option<LeaderEpoch>,
    /// Closed chunks: number, and the target offset at which each begins.
    chunks: Vec<(u32, TargetOffset)>,
    /// Runs from this target offset on are not in a chunk.
    open_from: TargetOffset,
    /// Chunks that a cut or a pruning made void, to be removed with the next checkpoint.
    void_chunks: Vec<u32>,
    next_chunk: u32,
    relation: Relation,
}

impl Position {
    /// A copy that begins here.
    pub(super) fn new(source: SourceOffset, target: TargetOffset, sequence: Sequence) -> Self {
        Self {
            map: OffsetMap::new(source, target),
            sequence,
            others: 0,
            begun_at: None,
            last_epoch: None,
            chunks: Vec::new(),
            open_from: target,
            void_chunks: Vec::new(),
            next_chunk: 0,
            relation: Relation::wanted_translated(),
        }
    }

    /// The same, with its offsets in this relation to the source's.
    pub(super) fn related(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    /// Reads a checkpoint and its chunks back.
    pub(super) fn load(record: &PositionRecord, chunks: &[(u32, MapRecord)]) -> Result<Self, MapError> {
        let chunks = chunks.iter().map(|(number, chunk)| (*number, chunk.runs.as_str()));
        let LoadedMap { map, chunks, open_from } = LoadedMap::read(record, chunks)?;
        Ok(Self {
            map,
            sequence: record.sequence,
            others: record.others,
            begun_at: record.begun_at,
            last_epoch: record.source_leader_epoch,
            chunks,
            open_from,
            void_chunks: Vec::new(),
            next_chunk: record.open_chunk,
            relation: Relation::from_record(record.offsets.as_ref()),
        })
    }

    /// The next source offset to copy.
    pub(super) fn source(&self) -> SourceOffset {
        self.map.source_end()
    }

    /// The target offset of the next record.
    pub(super) fn target(&self) -> TargetOffset {
        self.map.target_end()
    }

    /// The place of the next record: the target offset that it would have if nobody else had written since the link
    /// began here. Plans and the window count in places, so that what others write moves none of them. Where nobody
    /// else writes, a place is a target offset.
    pub(super) fn place(&self) -> TargetOffset {
        self.target().minus(self.others)
    }

    /// By how much target offsets are ahead of places.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    /// The sequence of the next record.
    pub(super) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The sequence of the record with this place, at or after the position.
    pub(super) fn sequence_at(&self, place: TargetOffset) -> Sequence {
        self.sequence.plus(place.distance_from(self.place()))
    }

    /// The map.
    pub(super) fn map(&self) -> &OffsetMap {
        &self.map
    }

    /// Records were acknowledged.
    pub(super) fn acknowledge(&mut self, runs: &[Run]) -> Result<(), MapError> {
        for run in runs {
            self.map.append(*run)?;
            self.sequence = self.sequence.plus(run.length);
            if let Some(account) = self.relation.account_mut() {
                account.copied(run.length);
            }
        }
        if self.map.runs().len() >= MAP_RUNS_MAX {
            self.keep_newest_runs(MAP_RUNS_KEPT);
        }
        Ok(())
    }

    /// Records were acknowledged whose runs are in places; the first of them is at `base`.
    pub(super) fn acknowledge_at(&mut self, runs: &[Run], base: TargetOffset) -> Result<(), MapError> {
        let Some(first) = runs.first().map(|run| run.target) else { return Ok(()) };
        if first == base && self.others == 0 {
            return self.acknowledge(runs);
        }
        let others = base.distance_from(self.target());
        let moved = |run: &Run| Run { target: base.plus(run.target.distance_from(first)), ..*run };
        self.acknowledge(&runs.iter().map(moved).collect::<Vec<_>>())?;
        self.others += others;
        Ok(())
    }

    /// Records landed that the target no longer holds: it can't be told any more where they were.
    pub(super) fn pass_over(&mut self, runs: &[Run]) {
        for run in runs {
            self.map.advance_source(run.source_end());
            self.map.advance_target(self.target().plus(run.length));
            self.sequence = self.sequence.plus(run.length);
        }
    }

    /// All up to this target offset that is not in the map is not ours, and from here on places are target offsets.
    /// A plan made before no longer fits.
    pub(super) fn settle_at(&mut self, log_end: TargetOffset) {
        self.map.advance_target(log_end);
        self.others = 0;
    }

    /// Gives the oldest runs up: offsets there are below the map from now on.
    pub(super) fn keep_newest_runs(&mut self, count: usize) {
        let runs = self.map.runs();
        let first = runs.len().checked_sub(count).filter(|given_up| *given_up > 0).and_then(|index| runs.get(index));
        if let Some(first) = first.copied() {
            self.prune_below(first.source);
        }
    }

    /// How its offsets relate to the source's.
    pub(super) fn relation(&self) -> &Relation {
        &self.relation
    }

    pub(super) fn relation_mut(&mut self) -> &mut Relation {
        &mut self.relation
    }

    /// Whether every record has its source offset on the target.
    pub(super) fn is_identical(&self) -> bool {
        matches!(self.relation, Relation::Identical(_))
    }

    /// Both sides are alike up to here.
    pub(super) fn level(&mut self, end: i64) -> Result<(), MapError> {
        self.map.level(end)
    }

    /// The target's log goes up to here: control records, of which it is not known yet whether the source has records
    /// in their places.
    pub(super) fn advance_target(&mut self, target: TargetOffset) {
        self.map.advance_target(target);
    }

    /// Everything before this source offset is copied or holds no data.
    pub(super) fn advance_source(&mut self, source: SourceOffset) {
        if source > self.map.source_end() {
            self.map.advance_source(source);
        }
    }

    /// The target lost everything from `target` on: go back to the record that was there. Gives the runs that were
    /// lost. `None`, with nothing changed, when the map no longer goes back that far.
    pub(super) fn rewind(&mut self, target: TargetOffset, sequence: Sequence) -> Option<Vec<Run>> {
        if target < self.map.target_start() {
            return None;
        }
        let lost = cut(self.map.runs(), target, self.map.target_end());
        self.map.cut_at(target);
        self.sequence = sequence;
        // The source epoch of the new last record is not known; the broker's own checks must do until the next batch.
        self.last_epoch = None;
        while let Some((number, start)) = self.chunks.last().copied()
            && self.open_from >= target
        {
            self.chunks.pop();
            self.void_chunks.push(number);
            self.open_from = start;
        }
        self.open_from = self.open_from.min(target);
        Some(lost)
    }

    /// The target lost the last `count` records of ours; `sequence` is that of the first of them. Gives the runs that
    /// were lost, in places. `None`, with nothing changed, when the map no longer goes back that far.
    pub(super) fn rewind_by(&mut self, count: u64, sequence: Sequence) -> Option<Vec<Run>> {
        let place = self.place().minus(count);
        let mut left = count;
        let mut begin = None;
        for run in self.map.runs().iter().rev() {
            if left <= run.length {
                begin = Some(run.target.plus(run.length - left));
                break;
            }
            left -= run.length;
        }
        let lost = self.rewind(begin?, sequence)?;
        self.others = self.target().distance_from(place);
        Some(lay_out(place, lost.iter().map(|run| SourceRun { source: run.source, length: run.length })))
    }

    /// Takes in this link's own batches beyond the position, where somebody else's lie between. `plan` is what they
    /// were sent by: it tells which records they hold, their sequences tell which part of it each is. Stops at the
    /// first one that the plan does not explain.
    pub(super) fn take_in(&mut self, plan: &Plan, landed: &[Landed]) {
        let (start, first) = (self.place(), self.sequence);
        for batch in landed {
            let planned_at = start.plus(batch.sequence.distance_from(first));
            let planned = plan.between(planned_at, planned_at.plus(batch.length));
            let is_next = batch.sequence == self.sequence && batch.target >= self.target();
            let is_whole = planned.iter().map(|run| run.length).sum::<u64>() == batch.length;
            if !is_next || !is_whole {
                return;
            }
            if self.acknowledge_at(&planned, batch.target).is_err() {
                return;
            }
        }
    }

    /// Starts a map of its own from here on: what lies between is not ours, or not there.
    pub(super) fn restart(&mut self, source: SourceOffset, target: TargetOffset, sequence: Sequence) {
        let mut void_chunks = std::mem::take(&mut self.void_chunks);
        void_chunks.extend(self.chunks.iter().map(|(number, _)| *number));
        let (next_chunk, begun_at) = (self.next_chunk, self.begun_at);
        let parted = Relation::parted(source, "begun again behind what the target holds");
        *self = Self { begun_at, void_chunks, next_chunk, ..Self::new(source, target, sequence) }.related(parted);
    }

    /// Goes on at another place of both logs, keeping the map before it.
    pub(super) fn jump(&mut self, source: SourceOffset, target: TargetOffset, sequence: Sequence) {
        self.map.advance_source(source);
        self.settle_at(target);
        self.sequence = sequence;
        self.last_epoch = None;
    }

    /// Forgets the map before the source's log start.
    pub(super) fn prune_below(&mut self, log_start: SourceOffset) {
        self.map.prune_below(log_start);
        let first = self.map.runs().first().map_or(self.map.target_end(), |run| run.target);
        // A chunk is void when the one after it still lies at or below the first run that is left.
        while let Some((number, _)) = self.chunks.first().copied()
            && self.chunks.get(1).map_or(self.open_from, |(_, start)| *start) <= first
        {
            self.chunks.remove(0);
            self.void_chunks.push(number);
        }
    }

    /// What to write before the position record: chunks to close, and behind it: chunks to remove. So a reader in
    /// between finds what its position record is about. Called once per checkpoint.
    pub(super) fn close_chunks(&mut self, link: &LinkName, partition: &TopicPartition) -> (Vec<Write>, Vec<Write>) {
        let key = |chunk| Key::Map {
            link: link.clone(),
            topic: partition.topic.clone(),
            partition: partition.partition,
            chunk,
        };
        let removals = self.void_chunks.drain(..).map(|chunk| Write::Remove(key(chunk))).collect();
        let mut writes = Vec::new();
        while self.open_runs().len() > OPEN_RUNS_MAX {
            let closed: Vec<Run> = self.open_runs().iter().take(CHUNK_RUNS).copied().collect();
            let (Some(first), Some(last)) = (closed.first(), closed.last()) else { break };
            let record = MapRecord { runs: OffsetMap::encode(&closed) };
            writes.push(Write::Put(key(self.next_chunk), Value::Map(record)));
            self.chunks.push((self.next_chunk, first.target));
            self.next_chunk += 1;
            self.open_from = last.target_end();
        }
        (writes, removals)
    }

    /// The runs that stand in the position record itself.
    pub(super) fn open_runs(&self) -> &[Run] {
        let runs = self.map.runs();
        let start = runs.partition_point(|run| run.target_end() <= self.open_from);
        runs.get(start..).unwrap_or_default()
    }

    /// The number of the chunk that the open runs will become part of.
    pub(super) fn open_chunk(&self) -> u32 {
        self.next_chunk
    }
}

/// An offset map as it was stored.
pub(super) struct LoadedMap {
    pub(super) map: OffsetMap,
    /// The closed chunks: number, and where each begins.
    chunks: Vec<(u32, TargetOffset)>,
    /// Where the part begins that stands in the position record itself.
    pub(super) open_from: TargetOffset,
}

impl LoadedMap {
    /// Reads a checkpoint and its chunks back.
    pub(super) fn read<'a>(
        record: &PositionRecord,
        chunks: impl IntoIterator<Item = (u32, &'a str)>,
    ) -> Result<Self, MapError> {
        let (mut runs, mut starts) = (Vec::new(), Vec::new());
        for (number, chunk) in chunks.into_iter().filter(|(number, _)| *number < record.open_chunk) {
            let of_chunk = OffsetMap::decode(chunk)?;
            starts.extend(of_chunk.first().map(|first| (number, first.target)));
            runs.extend(of_chunk);
        }
        let open = OffsetMap::decode(&record.open_runs)?;
        let open_from = open.first().map_or(record.target_position, |run| run.target);
        runs.extend(open);
        let end = (record.source_position, record.target_position);
        let first = runs.first().map_or(end, |run| (run.source, run.target));
        let start = record.map_start.unwrap_or(first);
        // Chunks are kept whole, so the first one may begin before a start that was pruned since.
        let mut map = OffsetMap::restore((start.0.min(first.0), start.1.min(first.1)), runs, end)?;
        map.prune_below(start.0);
        if map.target_end() != end.1 || map.source_end() != end.0 {
            let is = (map.source_end(), map.target_end());
            return Err(MapError::Malformed(format!("the map ends at {is:?}, the position is {end:?}")));
        }
        Ok(Self { map, chunks: starts, open_from })
    }
}

#[cfg(test)]
mod tests;
