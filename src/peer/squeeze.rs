//! Compression of single frames, for expensive lines.
//!
//! Owns: the form of a compressed payload: the length of what it restores to, then one zstd frame.
//! Promises: what is restored is what was squeezed, byte for byte; nothing restores to more than a frame may carry.
//! Does not know: which streams are worth it.

use bytes::{Buf, BufMut, Bytes};

use super::frame::{PAYLOAD_BYTES_MAX, Violation};

/// The fastest level: the line is the bottleneck, and must not be exchanged for the processor.
const LEVEL: i32 = 1;
/// Shorter payloads are not worth it.
const WORTH_BYTES_MIN: usize = 512;
/// After a payload that did not shrink, so many are sent as they are: most topics are compressed already.
const SKIPPED_AFTER_FAILURE: u32 = 31;

/// Squeezes the payloads of one connection.
#[derive(Debug, Default)]
pub(super) struct Squeezer {
    skip: u32,
}

impl Squeezer {
    /// The payload compressed, if that makes it a good deal smaller.
    pub(super) fn squeeze(&mut self, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < WORTH_BYTES_MIN {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let squeezed = zstd::bulk::compress(payload, LEVEL).ok()?;
        if squeezed.len() + 4 > payload.len() / 10 * 9 {
            self.skip = SKIPPED_AFTER_FAILURE;
            return None;
        }
        let mut whole = Vec::with_capacity(squeezed.len() + 4);
        whole.put_u32(u32::try_from(payload.len()).ok()?);
        whole.extend_from_slice(&squeezed);
        Some(whole.into())
    }
}

/// Restores a payload.
pub(super) fn restore(mut payload: Bytes) -> Result<Bytes, Violation> {
    if payload.len() < 4 {
        return Err(Violation::Compression);
    }
    let length = usize::try_from(payload.get_u32()).unwrap_or(usize::MAX);
    if length == 0 || length > PAYLOAD_BYTES_MAX {
        return Err(Violation::Compression);
    }
    // Never writes beyond the capacity that it is given, whatever the zstd frame claims.
    let restored = zstd::bulk::decompress(&payload, length).map_err(|_| Violation::Compression)?;
    if restored.len() == length { Ok(restored.into()) } else { Err(Violation::Compression) }
}
