//! Why a batch can't be copied.
//!
//! Owns: the reasons, each with the source offset that it concerns.
//! Promises: a reason is said, never worked around.
//! Does not know: what is done about it.

/// A batch that can't be copied as it is. Nothing is skipped: the caller stops the partition with this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The CRC in the header does not fit the bytes.
    #[error("the CRC of the batch at source offset {base_offset} does not fit its bytes")]
    Crc {
        /// Base offset of the batch.
        base_offset: i64,
    },
    /// Message format v0 or v1, written by clients before Kafka 0.11.
    #[error("the batch at source offset {base_offset} has message format v{magic}; only v2 is supported")]
    OldFormat {
        /// Base offset of the batch.
        base_offset: i64,
        /// The format.
        magic: i8,
    },
    /// The bytes don't follow the format.
    #[error("the batch at source offset {base_offset} is malformed: {reason}")]
    Malformed {
        /// Base offset of the batch, as far as it can be read.
        base_offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// The records take more memory than allowed when decompressed.
    #[error("the batch at source offset {base_offset} decompresses to more than {bytes_max} bytes")]
    DecompressionLimit {
        /// Base offset of the batch.
        base_offset: i64,
        /// The limit.
        bytes_max: usize,
    },
}

impl BatchError {
    pub(super) fn malformed(base_offset: i64, reason: impl Into<String>) -> Self {
        Self::Malformed { base_offset, reason: reason.into() }
    }
}
