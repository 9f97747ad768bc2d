//! Snappy, in both forms that Kafka clients write.
//!
//! Owns: the framing of Java's snappy library: 16 bytes of header, then blocks, each after its length in 4 bytes.
//! Promises: reads framed and raw data; writes framed data, because that is what every client reads.
//! Does not know: anything but bytes.

use std::io;

use bytes::Buf;

use super::DecompressError;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// The magic, the version and the oldest compatible version.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// What Java writes.
const BLOCK_BYTES: usize = 32 * 1024;
/// No snappy block expands further: its densest element makes 64 bytes out of 3.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER.len() + data.len() / 2);
    out.extend_from_slice(&HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(io::Error::other)?;
        let length = i32::try_from(compressed.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

pub(super) fn decompress(data: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let mut decoder = snap::raw::Decoder::new();
    if !data.starts_with(&MAGIC) {
        decompress_block(&mut decoder, data, &mut out, bytes_max)?;
        return Ok(out);
    }
    let Some(mut rest) = data.get(HEADER.len()..) else {
        return Err(invalid("the snappy header is cut off"));
    };
    while !rest.is_empty() {
        // Java's writer starts anew, header included, where it was flushed and reused.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEADER.len()..).ok_or_else(|| invalid("a snappy header is cut off"))?;
            continue;
        }
        let Ok(length) = rest.try_get_i32() else {
            return Err(invalid("the length of a snappy block is cut off"));
        };
        let length = usize::try_from(length).map_err(|_| invalid("the length of a snappy block is negative"))?;
        let (block, after) = rest.split_at_checked(length).ok_or_else(|| invalid("a snappy block is cut off"))?;
        decompress_block(&mut decoder, block, &mut out, bytes_max)?;
        rest = after;
    }
    Ok(out)
}

fn decompress_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    out: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), DecompressError> {
    let declared = snap::raw::decompress_len(block).map_err(|error| invalid(&error.to_string()))?;
    if declared > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(invalid("a snappy block declares more than it can hold"));
    }
    let start = out.len();
    let end = start.saturating_add(declared);
    if end > bytes_max {
        return Err(DecompressError::Limit);
    }
    out.resize(end, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = decoder.decompress(block, room).map_err(|error| invalid(&error.to_string()))?;
    out.truncate(start + written);
    Ok(())
}

fn invalid(reason: &str) -> DecompressError {
    DecompressError::Invalid(reason.to_owned())
}
