//! Record-batch surgery: looking at batches and making them acceptable to a broker. Bytes in, bytes out.
//!
//! Owns: the layout of record batches (magic 2) and of the records in them, CRC, codecs.
//! Promises: keys, values, headers (their order and doubles too) and timestamps stay as they are; what is prepared
//! keeps every rule of a broker that its header shows; decompression is bounded.
//! Does not know: tokio, clocks, logs, brokers, offsets of the target.

mod aborted;
mod codec;
mod crc;
mod error;
mod prepare;
mod record;
mod varint;
mod view;

pub use aborted::{AbortedFilter, Admission};
pub use codec::Codec;
pub use error::BatchError;
pub use prepare::{Limits, Prepared, SourceRun, Stamp, Stamped, Step, Surgery, prepare};
pub use record::{Record, decode, encode_batch};
pub use view::{BatchHeader, HEADER_BYTES, RawBatch, split};

#[cfg(test)]
mod tests;
