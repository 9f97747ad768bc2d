//! The five ways in which the records of a batch can be compressed.
//!
//! Owns: decompression within a bound, compression.
//! Promises: however the input lies, no more than the bound is set aside.
//! Does not know: what the bytes are.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};

/// How records are compressed, by the number in a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// What snappy-java puts in front: a magic, a version, the oldest version that can read it.
const XERIAL: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_MAGIC_BYTES: usize = 8;
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

impl Codec {
    pub(crate) fn of_attributes(attributes: i16) -> Option<Self> {
        match attributes & 7 {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    pub(crate) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// By the value of `compression.type`; `None` for `producer`.
    pub(crate) fn of_setting(value: &str) -> Option<Self> {
        match value {
            "uncompressed" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The bytes as they were; an error when they are broken or more than `bytes_max`.
    pub(crate) fn decompress(self, input: &Bytes, bytes_max: usize) -> io::Result<Bytes> {
        match self {
            Self::None => Ok(input.clone()),
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(input.as_ref()), bytes_max),
            Self::Snappy => snappy(input, bytes_max),
            Self::Lz4 => bounded(lz4_flex::frame::FrameDecoder::new(input.as_ref()), bytes_max),
            Self::Zstd => bounded(zstd::stream::read::Decoder::new(input.as_ref())?, bytes_max),
        }
    }

    pub(crate) fn compress(self, input: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(input.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(input)?;
                encoder.finish()
            }
            Self::Snappy => {
                let mut output = XERIAL.to_vec();
                for block in input.chunks(XERIAL_BLOCK_BYTES) {
                    let compressed = snap::raw::Encoder::new().compress_vec(block)?;
                    let length = u32::try_from(compressed.len()).map_err(io::Error::other)?;
                    output.extend_from_slice(&length.to_be_bytes());
                    output.extend_from_slice(&compressed);
                }
                Ok(output)
            }
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(input)?;
                encoder.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::encode_all(input, 0),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::other("the records are too large")
}

fn bounded(reader: impl Read, bytes_max: usize) -> io::Result<Bytes> {
    let mut output = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    reader.take(limit.saturating_add(1)).read_to_end(&mut output)?;
    if output.len() > bytes_max { Err(too_large()) } else { Ok(Bytes::from(output)) }
}

/// Blocks with their lengths behind snappy-java's header, or one bare block.
fn snappy(input: &Bytes, bytes_max: usize) -> io::Result<Bytes> {
    let mut output = Vec::new();
    let mut add = |block: &[u8]| {
        let length = snap::raw::decompress_len(block)?;
        if output.len().saturating_add(length) > bytes_max {
            return Err(too_large());
        }
        output.extend_from_slice(&snap::raw::Decoder::new().decompress_vec(block)?);
        Ok(())
    };
    let mut rest = input.clone();
    if !rest.starts_with(XERIAL.get(..XERIAL_MAGIC_BYTES).unwrap_or_default()) || rest.len() < XERIAL.len() {
        add(&rest)?;
        return Ok(Bytes::from(output));
    }
    rest.advance(XERIAL.len());
    while rest.has_remaining() {
        let length = usize::try_from(rest.try_get_u32()?).map_err(io::Error::other)?;
        if length > rest.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        add(&rest.split_to(length))?;
    }
    Ok(Bytes::from(output))
}
