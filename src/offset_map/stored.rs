//! The stored form of runs.
//!
//! Owns: a format byte, then three numbers a run (gap on the source, gap on the target, length), each seven bits a
//! byte, in base64. Where both sides run on without holes but for a marker now and then, a run takes five bytes.
//! Promises: reading gives exactly what was written, or an error.
//! Does not know: maps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::MapError;
use crate::types::{Run, SourceOffset, TargetOffset};

const FORMAT: u8 = 1;

pub(super) fn encode(runs: &[Run]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let mut bytes = vec![FORMAT];
    let mut source_end = SourceOffset::ZERO;
    let mut target_end = TargetOffset::ZERO;
    for run in runs {
        write(&mut bytes, run.source.distance_from(source_end));
        write(&mut bytes, run.target.distance_from(target_end));
        write(&mut bytes, run.length);
        source_end = run.source_end();
        target_end = run.target_end();
    }
    STANDARD_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Result<Vec<Run>, MapError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| MapError::Malformed(error.to_string()))?;
    let mut rest = match bytes.split_first() {
        Some((&FORMAT, rest)) => rest,
        Some((format, _)) => return Err(MapError::Malformed(format!("its format is {format}, not {FORMAT}"))),
        None => return Err(MapError::Malformed("it has no format".to_owned())),
    };
    // The number of runs is not stored: it follows from the bytes, so it can't promise more than there are.
    let mut runs = Vec::new();
    let mut source_end = 0_i64;
    let mut target_end = 0_i64;
    while !rest.is_empty() {
        let (run, after) = read_run(rest, source_end, target_end)
            .ok_or_else(|| MapError::Malformed(format!("run {} can't be read", runs.len())))?;
        rest = after;
        source_end = run.source_end().get();
        target_end = run.target_end().get();
        runs.push(run);
    }
    Ok(runs)
}

fn read_run(bytes: &[u8], source_end: i64, target_end: i64) -> Option<(Run, &[u8])> {
    let (source_gap, bytes) = read(bytes)?;
    let (target_gap, bytes) = read(bytes)?;
    let (length, bytes) = read(bytes)?;
    let source = source_end.checked_add_unsigned(source_gap)?;
    let target = target_end.checked_add_unsigned(target_gap)?;
    source.checked_add_unsigned(length)?;
    target.checked_add_unsigned(length)?;
    let run = Run { source: SourceOffset::new(source).ok()?, target: TargetOffset::new(target).ok()?, length };
    (length > 0).then_some((run, bytes))
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_byte(number));
}

const fn low_byte(number: u64) -> u8 {
    (number & 0x7f) as u8
}

fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let low = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(index).ok()?;
        if shift == 63 && low > 1 {
            return None;
        }
        number |= low << shift;
        if byte < 0x80 {
            return bytes.get(index + 1..).map(|rest| (number, rest));
        }
    }
    None
}
