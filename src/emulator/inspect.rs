//! What can be said of a produced batch without knowing the log that it is for.
//!
//! Owns: the checks of the request (one batch, magic 2), the checksum, and a look at every record.
//! Promises: takes no lock, so that a large batch holds up nobody.
//! Does not know: topic settings, producers, offsets; the log puts these findings into the broker's order of checks.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::codec::Codec;
use super::records::{self, BEFORE_LENGTH_ENDS, HEADER_BYTES, Header};

/// No batch may decompress to more, whatever a topic allows.
pub(crate) const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// A "no" as it goes into a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) message: &'static str,
    /// The record that is to blame, counted within its batch.
    pub(crate) record: Option<i32>,
}

impl Refusal {
    pub(crate) const fn new(code: ResponseError, message: &'static str) -> Self {
        Self { code, message, record: None }
    }

    const fn at(code: ResponseError, message: &'static str, record: i32) -> Self {
        Self { code, message, record: Some(record) }
    }

    const fn invalid(message: &'static str) -> Self {
        Self::new(ResponseError::InvalidRecord, message)
    }
}

impl From<ResponseError> for Refusal {
    fn from(code: ResponseError) -> Self {
        Self::new(code, "")
    }
}

/// A timestamp, and which record has it.
type Stamped = (i64, i32);

/// A batch with all that was found in it.
#[derive(Debug, Clone)]
pub(crate) struct Inspected {
    pub(crate) bytes: Bytes,
    pub(crate) header: Header,
    has_good_checksum: bool,
    contents: Option<Contents>,
}

/// What a look at every record tells.
#[derive(Debug, Clone)]
struct Contents {
    null_key: Option<i32>,
    earliest: Option<Stamped>,
    latest: Option<Stamped>,
    max_timestamp: i64,
    is_counted_up: bool,
}

/// What the topic says about the batches that it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) is_compacted: bool,
    pub(crate) is_log_append_time: bool,
    pub(crate) before_max_ms: i64,
    pub(crate) after_max_ms: i64,
    pub(crate) max_message_bytes: i64,
    /// `None`: as the producer did it.
    pub(crate) codec: Option<Codec>,
}

/// Takes the records of one partition out of a Produce request of this version.
pub(crate) fn inspect(records: Option<Bytes>, version: i16) -> Result<Inspected, Refusal> {
    let bytes = records.unwrap_or_default();
    let header = Header::read(&bytes).ok_or(Refusal::invalid("there must be exactly one record batch"))?;
    if header.magic != 2 {
        return Err(Refusal::invalid("only record batches of magic version 2"));
    }
    let length = usize::try_from(header.length).ok().and_then(|length| length.checked_add(BEFORE_LENGTH_ENDS));
    if length.is_none_or(|length| length < HEADER_BYTES || length > bytes.len()) {
        return Err(Refusal::new(ResponseError::CorruptMessage, "the length of the batch is wrong"));
    }
    if length != Some(bytes.len()) {
        return Err(Refusal::invalid("there must be exactly one record batch"));
    }
    if header.codec() == Some(Codec::Zstd) && version < 7 {
        return Err(ResponseError::UnsupportedCompressionType.into());
    }
    let has_good_checksum = records::checksum(&bytes) == header.crc;
    let contents = has_good_checksum.then(|| look(&bytes, &header)).flatten();
    Ok(Inspected { bytes, header, has_good_checksum, contents })
}

fn look(bytes: &Bytes, header: &Header) -> Option<Contents> {
    let mut found = Contents { null_key: None, earliest: None, latest: None, max_timestamp: -1, is_counted_up: true };
    let mut expected = 0;
    records::visit(bytes, header, DECOMPRESSED_BYTES_MAX, |record| {
        if record.key.is_none() && found.null_key.is_none() {
            found.null_key = Some(expected);
        }
        let timestamp = header.timestamp_of(&record);
        found.max_timestamp = found.max_timestamp.max(timestamp);
        if timestamp != -1 {
            if found.earliest.is_none_or(|(earliest, _)| timestamp < earliest) {
                found.earliest = Some((timestamp, expected));
            }
            if found.latest.is_none_or(|(latest, _)| timestamp > latest) {
                found.latest = Some((timestamp, expected));
            }
        }
        found.is_counted_up &= record.offset_delta == expected;
        expected += 1;
    })?;
    Some(found)
}

impl Inspected {
    /// The checks of the log and of its validator, in their order, and the batch as it is to be stored (its base
    /// offset and leader epoch are not set yet).
    pub(crate) fn admit(self, rules: &Rules, now_ms: i64) -> Result<(Header, Bytes), Refusal> {
        self.check_header(rules)?;
        let contents = self.contents.as_ref().ok_or(Refusal::invalid("the records are broken"))?;
        if let (true, Some(record)) = (rules.is_compacted, contents.null_key) {
            return Err(Refusal::at(ResponseError::InvalidRecord, "compacted topics need keys", record));
        }
        check_timestamps(&self.header, contents, rules, now_ms)?;
        let stored = self.stored(contents, rules, now_ms)?;
        if i64::try_from(stored.1.len()).unwrap_or(i64::MAX) > rules.max_message_bytes {
            return Err(ResponseError::MessageTooLarge.into());
        }
        Ok(stored)
    }

    fn check_header(&self, rules: &Rules) -> Result<(), Refusal> {
        let header = &self.header;
        if header.base_offset != 0 {
            return Err(Refusal::invalid("the base offset must be 0"));
        }
        if i64::try_from(self.bytes.len()).unwrap_or(i64::MAX) > rules.max_message_bytes {
            return Err(ResponseError::MessageTooLarge.into());
        }
        if !self.has_good_checksum {
            return Err(Refusal::new(ResponseError::CorruptMessage, "the checksum is wrong"));
        }
        if header.last_offset_delta < 0 || header.count <= 0 {
            return Err(Refusal::invalid("there are no records"));
        }
        if i64::from(header.last_offset_delta) + 1 != i64::from(header.count) {
            return Err(Refusal::invalid("the count of records does not fit the offsets"));
        }
        if header.has_producer() && header.base_sequence < 0 {
            return Err(Refusal::invalid("a producer id needs a sequence"));
        }
        if header.is_control() {
            return Err(Refusal::invalid("clients must not write control batches"));
        }
        Ok(())
    }

    /// What the broker changes in a batch: the kind of timestamp, the largest of them, the compression.
    fn stored(&self, contents: &Contents, rules: &Rules, now_ms: i64) -> Result<(Header, Bytes), Refusal> {
        let mut header = self.header;
        header.set_log_append_time(rules.is_log_append_time);
        header.max_timestamp = if rules.is_log_append_time { now_ms } else { contents.max_timestamp };
        let codec = self.header.codec().unwrap_or(Codec::None);
        let wanted = rules.codec.unwrap_or(codec);
        let is_kept = wanted == codec && (codec == Codec::None || contents.is_counted_up);
        if is_kept {
            return Ok((header, self.bytes.slice(HEADER_BYTES..)));
        }
        let broken = Refusal::invalid("the records are broken");
        let mut records = records::records(&self.bytes, &self.header, DECOMPRESSED_BYTES_MAX).ok_or(broken)?;
        for (record, delta) in records.iter_mut().zip(0..) {
            record.offset_delta = delta;
        }
        header.set_codec(wanted);
        let encoded = records::encode(&records, wanted).map_err(|_| broken)?;
        Ok((header, Bytes::from(encoded)))
    }
}

fn check_timestamps(header: &Header, contents: &Contents, rules: &Rules, now_ms: i64) -> Result<(), Refusal> {
    let refuse = |record| Refusal::at(ResponseError::InvalidTimestamp, "the timestamp is out of range", record);
    if header.is_log_append_time() && (rules.is_log_append_time || header.max_timestamp == -1) {
        return Err(refuse(0));
    }
    if rules.is_log_append_time {
        return Ok(());
    }
    match (contents.earliest, contents.latest) {
        (Some((earliest, record)), _) if now_ms.saturating_sub(earliest) > rules.before_max_ms => Err(refuse(record)),
        (_, Some((latest, record))) if latest.saturating_sub(now_ms) > rules.after_max_ms => Err(refuse(record)),
        _ => Ok(()),
    }
}
