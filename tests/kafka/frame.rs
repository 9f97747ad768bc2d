//! Just enough of Kafka's framing: lengths, API keys, correlation ids, and whether a Produce belongs to a transaction.

use std::io::{self, Read};

/// Larger frames than this don't occur in the tests.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// What a request's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The API key.
    pub api: i16,
    /// The correlation id.
    pub correlation: i32,
    /// A Produce request without a transactional id. The daemon's state is written in transactions, its data never:
    /// so this tells the two apart.
    pub is_data_produce: bool,
}

/// Reads one frame, with its length in front.
pub fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let length = usize::try_from(i32::from_be_bytes(head)).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("a frame beyond all limits"));
    }
    let mut frame = vec![0; length + 4];
    frame[..4].copy_from_slice(&head);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Reads the head of a request frame.
pub fn look(frame: &[u8]) -> Seen {
    let api = i16_at(frame, 4);
    let version = i16_at(frame, 6);
    let correlation = i32_at(frame, 8);
    let is_data_produce = api == crate::relay::PRODUCE && !is_transactional(frame, version);
    Seen { api, correlation, is_data_produce }
}

/// The correlation id of a response frame.
pub fn correlation_of_answer(frame: &[u8]) -> i32 {
    i32_at(frame, 4)
}

/// After the client id comes, in flexible versions (from 9), a byte for no tagged fields, and then the transactional
/// id: a length of -1, or a compact length of 0, means none.
fn is_transactional(frame: &[u8], version: i16) -> bool {
    let client_id = usize::try_from(i16_at(frame, 12)).unwrap_or(0);
    let body = 14 + client_id;
    if version >= 9 { frame.get(body + 1).copied().unwrap_or(0) != 0 } else { i16_at(frame, body) != -1 }
}

fn i16_at(frame: &[u8], at: usize) -> i16 {
    frame.get(at..at + 2).map_or(-1, |b| i16::from_be_bytes([b[0], b[1]]))
}

fn i32_at(frame: &[u8], at: usize) -> i32 {
    frame.get(at..at + 4).map_or(-1, |b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}
