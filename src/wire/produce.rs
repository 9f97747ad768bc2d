//! The Produce request, written by hand so that record bytes are not copied into it.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ProduceResponse};
use kafka_protocol::protocol::Decodable;

use super::encode::{Decoded, response_body};
use super::{WireError, throttle};
use crate::types::{PartitionIndex, TopicId, TopicName};

/// From here on topics are named by their ids.
const FIRST_WITH_TOPIC_IDS: i16 = 13;
/// From here on lengths are varints and structures end with tagged fields.
const FIRST_FLEXIBLE: i16 = 9;
/// A body smaller than this is copied: that costs less than a part of its own in a vectored write.
const COPY_BELOW_BYTES: usize = 4 << 10;

/// One Produce request with `acks=all`.
#[derive(Debug, Clone)]
pub struct ProduceRequest {
    /// How long the broker may wait for its in-sync replicas.
    pub timeout: Duration,
    /// By topic; a topic stands here once.
    pub topics: Vec<TopicAppends>,
}

/// What to append to one topic.
#[derive(Debug, Clone)]
pub struct TopicAppends {
    /// Used up to Produce 12.
    pub name: TopicName,
    /// Used from Produce 13 on. Without an id the request is sent at 12 or lower.
    pub id: Option<TopicId>,
    /// Exactly one batch per partition.
    pub partitions: Vec<PartitionAppend>,
}

/// One batch for one partition: its 61-byte header, and the record bytes as they came from the source.
#[derive(Debug, Clone)]
pub struct PartitionAppend {
    /// The partition.
    pub partition: PartitionIndex,
    /// The batch header.
    pub header: [u8; 61],
    /// The bytes after the header.
    pub body: Bytes,
}

impl ProduceRequest {
    /// The newest version that this request can be written at.
    pub(super) fn version_max(&self) -> i16 {
        let have_all_ids = self.topics.iter().all(|topic| topic.id.is_some());
        if have_all_ids { i16::MAX } else { FIRST_WITH_TOPIC_IDS - 1 }
    }

    /// The request as parts to be sent one after the other, length first.
    pub(super) fn encode(&self, version: i16, correlation_id: i32, client_id: &str) -> Result<Vec<Bytes>, WireError> {
        let mut frame = Frame::new(version);
        frame.int16(ApiKey::Produce as i16);
        frame.int16(version);
        frame.int32(correlation_id);
        // The client id keeps its old form in all header versions.
        frame.int16(i16::try_from(client_id.len()).map_err(too_long)?);
        frame.bytes(client_id.as_bytes());
        frame.end_of_structure();
        frame.no_transactional_id();
        frame.int16(-1);
        frame.int32(i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX));
        frame.length(self.topics.len())?;
        for topic in &self.topics {
            match topic.id {
                Some(id) if version >= FIRST_WITH_TOPIC_IDS => frame.bytes(id.0.as_bytes()),
                None if version >= FIRST_WITH_TOPIC_IDS => return Err(refuse(format!("{} has no id", topic.name))),
                _ => frame.string(topic.name.as_str())?,
            }
            frame.length(topic.partitions.len())?;
            for append in &topic.partitions {
                frame.int32(append.partition.0);
                frame.length(append.header.len() + append.body.len())?;
                frame.bytes(&append.header);
                frame.body(&append.body);
                frame.end_of_structure();
            }
            frame.end_of_structure();
        }
        frame.end_of_structure();
        frame.finish()
    }
}

/// Decodes a response frame, which begins with its correlation id.
pub(super) fn decode_produce(frame: Bytes, version: i16) -> Result<Decoded<ProduceResponse>, String> {
    let mut body = response_body::<kafka_protocol::messages::ProduceRequest>(frame, version)?;
    let response = ProduceResponse::decode(&mut body, version).map_err(|error| error.to_string())?;
    Ok(Decoded { throttle: throttle::from_ms(response.throttle_time_ms), response })
}

/// A request that grows: small fields in one buffer, large bodies as parts of their own.
struct Frame {
    is_flexible: bool,
    parts: Vec<Bytes>,
    small: BytesMut,
}

impl Frame {
    fn new(version: i16) -> Self {
        Self { is_flexible: version >= FIRST_FLEXIBLE, parts: vec![Bytes::new()], small: BytesMut::with_capacity(512) }
    }

    fn int16(&mut self, value: i16) {
        self.small.put_i16(value);
    }

    fn int32(&mut self, value: i32) {
        self.small.put_i32(value);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.small.put_slice(bytes);
    }

    fn string(&mut self, text: &str) -> Result<(), WireError> {
        if self.is_flexible {
            self.length(text.len())?;
        } else {
            self.int16(i16::try_from(text.len()).map_err(too_long)?);
        }
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// The length of an array or of record bytes.
    fn length(&mut self, length: usize) -> Result<(), WireError> {
        let length = i32::try_from(length).map_err(too_long)?;
        if self.is_flexible {
            self.varint(length.unsigned_abs() + 1);
        } else {
            self.int32(length);
        }
        Ok(())
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.small.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.small.put_u8(value.to_le_bytes()[0]);
    }

    fn no_transactional_id(&mut self) {
        if self.is_flexible { self.varint(0) } else { self.int16(-1) }
    }

    /// Flexible structures end with their tagged fields; we send none.
    fn end_of_structure(&mut self) {
        if self.is_flexible {
            self.varint(0);
        }
    }

    fn body(&mut self, body: &Bytes) {
        if body.len() < COPY_BELOW_BYTES {
            self.small.put_slice(body);
        } else {
            self.parts.push(self.small.split().freeze());
            self.parts.push(body.clone());
        }
    }

    fn finish(mut self) -> Result<Vec<Bytes>, WireError> {
        self.parts.push(self.small.freeze());
        let length: usize = self.parts.iter().map(Bytes::len).sum();
        let length = i32::try_from(length).map_err(too_long)?;
        if let Some(first) = self.parts.first_mut() {
            *first = Bytes::copy_from_slice(&length.to_be_bytes());
        }
        Ok(self.parts)
    }
}

fn too_long(error: std::num::TryFromIntError) -> WireError {
    refuse(error.to_string())
}

fn refuse(reason: String) -> WireError {
    WireError::Encode { api: "Produce", reason }
}

#[cfg(test)]
mod tests;
