//! Walking the target's log behind a checkpoint, where offsets are the same on both sides.
//!
//! Owns: what each batch header there is to us, and bringing a position in line with it.
//! Promises: a position that comes out explains every batch, or there is none; where a batch does not lie at its
//! source offset, offsets count as parted from there on, and the map stays exact.
//! Does not know: what follows, brokers' moods.

use super::identity::Relation;
use super::plan::{Plan, lay_out};
use super::position::Position;
use super::target::{Landed, headers_from};
use crate::batch::{BatchHeader, SourceRun};
use crate::cluster::{Cluster, ClusterError};
use crate::types::{ProducerEpoch, ProducerId, Sequence, TargetOffset, TopicPartition};

/// What one batch in the target's log is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// Records that this link wrote.
    Records(Landed),
    /// What lay here is deleted.
    Deleted,
    /// A control record by one of our fillers.
    Filler,
    /// Anything else.
    Foreign,
}

/// Whose batches are ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authors<'a> {
    pub(super) writer: (ProducerId, ProducerEpoch),
    pub(super) fillers: &'a [ProducerId],
    /// Of empty transactions, before and now.
    pub(super) transactional: [Option<ProducerId>; 2],
}

impl Authors<'_> {
    pub(super) fn piece(&self, header: &BatchHeader) -> Piece {
        let id = ProducerId(header.producer_id);
        let is_writer = id == self.writer.0 && header.producer_epoch == self.writer.1.0;
        if header.is_control() {
            let is_filler = self.fillers.contains(&id) || self.transactional.contains(&Some(id));
            if is_filler { Piece::Filler } else { Piece::Foreign }
        } else if is_writer {
            Landed::of(header).map_or(Piece::Foreign, Piece::Records)
        } else {
            Piece::Foreign
        }
    }
}

/// The batches between two target offsets.
pub(super) async fn walk(
    target: &Cluster,
    partition: &TopicPartition,
    authors: Authors<'_>,
    from: TargetOffset,
    to: TargetOffset,
) -> Result<Vec<Piece>, ClusterError> {
    let mut at = from.get();
    let mut pieces = Vec::new();
    while let Some(headers) = headers_from(target, partition, &mut at, to).await? {
        if pieces.is_empty() && headers.first().is_some_and(|first| first.base_offset > from.get()) {
            pieces.push(Piece::Deleted);
        }
        let between = |header: &&BatchHeader| header.last_offset() >= from.get() && header.base_offset < to.get();
        for header in headers.iter().filter(between) {
            let piece = authors.piece(header);
            // Long stretches of filler are of no more interest than one.
            if piece != Piece::Filler || pieces.last() != Some(&Piece::Filler) {
                pieces.push(piece);
            }
        }
    }
    if pieces.is_empty() && from < to {
        pieces.push(Piece::Deleted);
    }
    Ok(pieces)
}

/// What is said of a record that does not have its source offset.
pub(super) const SHIFTED: &str = "a control record of a former owner arrived late, between two records";

/// The position after all of `pieces`, with the log ending at `log_end`. `former_at`: the batch there is known to be
/// the former owner's. `None`: the plan does not explain them.
pub(super) fn follow(
    position: &Position,
    plan: &Plan,
    pieces: &[Piece],
    log_end: TargetOffset,
    former_at: Option<TargetOffset>,
) -> Option<Position> {
    let mut position = position.clone();
    for (number, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Deleted => {
                // The first batch that is left tells how many there were.
                let next = pieces.iter().skip(number).find_map(|piece| match piece {
                    Piece::Records(landed) => Some(*landed),
                    Piece::Deleted | Piece::Filler | Piece::Foreign => None,
                });
                if let Some(next) = next {
                    take_in_deleted(&mut position, plan, next.sequence, next.target)?;
                }
            }
            Piece::Records(landed) => take_in(&mut position, plan, landed, former_at)?,
            Piece::Filler => {}
            Piece::Foreign => return None,
        }
    }
    (log_end >= position.target()).then(|| position.advance_target(log_end))?;
    Some(position)
}

/// Takes our own batches in, whatever lies between them; stops at the first that the plan does not explain. Offsets
/// have parted then.
pub(super) fn follow_among_others(mut position: Position, plan: &Plan, pieces: &[Piece]) -> Position {
    for piece in pieces {
        if let Piece::Records(landed) = piece {
            let mut next = position.clone();
            if take_in(&mut next, plan, landed, None).is_none() {
                break;
            }
            position = next;
        }
    }
    position
}

/// Takes in records of ours that the log no longer holds at its beginning: those behind them, or what the leader knows
/// of us, tell by their sequence that they were there, each in its place.
pub(super) fn take_in_deleted(
    position: &mut Position,
    plan: &Plan,
    next: Sequence,
    before: TargetOffset,
) -> Option<()> {
    let missing = next.distance_from(position.sequence());
    if missing == 0 || !position.is_identical() {
        return Some(());
    }
    let records = plan.ours_at(position.sequence(), missing)?;
    let end = records.last().map(|last| last.source.plus(last.length))?;
    if end.get() > before.get() || records.first()?.source < position.source() {
        return None;
    }
    for record in records {
        position.level(record.source.get()).ok()?;
        position.acknowledge(&lay_out(position.target(), [record])).ok()?;
    }
    position.last_epoch = None;
    Some(())
}

/// The target's log does not say under which leader epoch the source had a record: held against another one than its
/// own, the source would look as if it had another history.
fn take_in(position: &mut Position, plan: &Plan, landed: &Landed, former_at: Option<TargetOffset>) -> Option<()> {
    if landed.sequence != position.sequence() || landed.target < position.target() {
        return None;
    }
    let ours = plan.ours_at(landed.sequence, landed.length);
    let theirs = plan.theirs_at(landed.sequence, landed.length);
    let is_in_place = |records: &Option<Vec<SourceRun>>| match records.as_deref() {
        Some([one]) => one.source.get() == landed.target.get(),
        Some(_) | None => false,
    };
    let records = if former_at == Some(landed.target) {
        theirs
    } else if is_in_place(&ours) || !is_in_place(&theirs) {
        ours.or(theirs)
    } else {
        theirs
    };
    let is_in_place = is_in_place(&records);
    let records = records?;
    let first = records.first()?.source;
    if position.is_identical() {
        if is_in_place && position.source() <= first {
            position.level(landed.target.get()).ok()?;
        } else {
            *position.relation_mut() = Relation::parted(first, SHIFTED);
        }
    }
    let runs = lay_out(landed.target, records);
    position.last_epoch = None;
    position.acknowledge(&runs).ok()
}

#[cfg(test)]
mod tests;
