//! The compression codecs of Kafka's record batches.
//!
//! Owns: which codecs there are, compressing and decompressing the records of one batch.
//! Promises: output is bounded by the caller's limit, and no size that the data declares is believed before it is
//! reached; what is written is what Java clients and librdkafka read.
//! Does not know: records, headers, offsets.

mod snappy;

use std::io::{self, Read, Write};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// The largest window, as a power of two, that a zstd frame may ask for: 128 MiB, what zstd's own decoder takes by
/// default and what level 22 writes. The memory behind it is touched only as far as there is data.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in the frames of Java's snappy library or as one raw block.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Why bytes can't be decompressed.
#[derive(Debug)]
pub(super) enum DecompressError {
    /// There is more than the limit.
    Limit,
    /// The codec does not understand the bytes.
    Invalid(String),
}

impl From<io::Error> for DecompressError {
    fn from(error: io::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    pub(super) const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The number in a batch's attributes.
    pub(super) const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec's name in Kafka's `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Compresses at the level that Kafka's clients use by default.
    pub(super) fn compress(self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(data.to_vec()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Snappy => snappy::compress(data),
            Self::Lz4 => {
                // Java's reader takes independent blocks only.
                let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
                encoder.write_all(data)?;
                Ok(encoder.finish()?)
            }
            Self::Zstd => zstd::bulk::compress(data, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }

    /// Decompresses to at most `bytes_max` bytes.
    pub(super) fn decompress(self, data: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
        match self {
            Self::None => read_bounded(data, data.len(), bytes_max),
            Self::Gzip => read_bounded(MultiGzDecoder::new(data), data.len(), bytes_max),
            Self::Snappy => snappy::decompress(data, bytes_max),
            Self::Lz4 => read_bounded(FrameDecoder::new(data), data.len(), bytes_max),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(data)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                read_bounded(decoder, data.len(), bytes_max)
            }
        }
    }
}

/// Reads to the end or to the limit. What is reserved depends on what is there, not on what it claims.
fn read_bounded(reader: impl Read, data_bytes: usize, bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::with_capacity(data_bytes.saturating_mul(3).min(bytes_max));
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut out)?;
    if out.len() > bytes_max { Err(DecompressError::Limit) } else { Ok(out) }
}
