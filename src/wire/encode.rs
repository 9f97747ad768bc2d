//! Requests as bytes, responses from bytes.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::{WireError, api_name, form, throttle};

/// A response with what its sender asks of us.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    pub(super) response: T,
    /// How long the broker wants us to keep quiet.
    pub(super) throttle: Duration,
}

/// A request as it goes over the wire, length included.
pub(super) fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, WireError> {
    let refuse = |reason: String| WireError::Encode { api: api_name::<R>(), reason };
    // The codec panics nowhere, but it would happily write an unknown version's header.
    if !(R::VERSIONS.min..=R::VERSIONS.max).contains(&version) {
        return Err(refuse(format!("we speak versions {}, not {version}", R::VERSIONS)));
    }
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let header_version = R::header_version(version);
    let length = header
        .compute_size(header_version)
        .and_then(|header_bytes| Ok(header_bytes + request.compute_size(version)?))
        .map_err(|error| refuse(error.to_string()))?;
    let prefix = i32::try_from(length).map_err(|_| refuse(format!("{length} bytes are too many for one request")))?;
    let mut buffer = BytesMut::with_capacity(4 + length);
    buffer.put_i32(prefix);
    header.encode(&mut buffer, header_version).map_err(|error| refuse(error.to_string()))?;
    request.encode(&mut buffer, version).map_err(|error| refuse(error.to_string()))?;
    Ok(buffer.freeze())
}

/// How long the broker may take over this request because the request says so. Only a fetch says it, in its first
/// fields: `replica_id` (up to version 14) and `max_wait_ms`.
pub(super) fn wait_asked_for<R: Request>(version: i16, frame: &Bytes, client_id: &str) -> Duration {
    if R::KEY != ApiKey::Fetch as i16 {
        return Duration::ZERO;
    }
    // Length, key, version, correlation id, client id with its length; then, in flexible versions, no tagged fields.
    let header = 4 + 2 + 2 + 4 + 2 + client_id.len() + usize::from(R::header_version(version) >= 2);
    let at = header + if version <= 14 { 4 } else { 0 };
    let mut field = frame.get(at..).unwrap_or_default();
    let wait_ms = field.try_get_i32().unwrap_or_default();
    Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default())
}

/// Decodes a response frame, which begins with its correlation id.
pub(super) fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<Decoded<R::Response>, String> {
    let mut body = response_body::<R>(frame, version)?;
    let throttle = throttle::asked_for(R::KEY, version, &body);
    let response = R::Response::decode(&mut body, version).map_err(|error| error.to_string())?;
    Ok(Decoded { response, throttle })
}

/// The same for what somebody sent who is not trusted to have it from a broker.
pub(super) fn decode_judged<R: Request>(frame: Bytes, version: i16) -> Result<Decoded<R::Response>, String> {
    judge::<R>(&frame, version)?;
    decode_response::<R>(frame, version)
}

/// Whether a response frame may be decoded.
pub(super) fn judge<R: Request>(frame: &Bytes, version: i16) -> Result<(), String> {
    let is_flexible = <R::Response as HeaderVersion>::header_version(version) >= 1;
    // The correlation id, and in flexible headers no tagged fields: nobody has defined any.
    let body = match frame.get(4..) {
        Some([0, body @ ..]) if is_flexible => body,
        Some(body) if !is_flexible => body,
        Some(_) | None => return Err("its header has not the form of one".to_owned()),
    };
    form::judge(R::KEY, version, body).map_err(str::to_owned)
}

/// The beginning of a response as it stands on the line, its length first; only what it asks of us is looked at.
pub(super) fn beginning<R: Request>(frame: Bytes, version: i16) -> Result<Decoded<Bytes>, String> {
    let mut after_length = frame.clone();
    after_length.advance(4.min(frame.len()));
    let throttle = throttle::asked_for(R::KEY, version, &response_body::<R>(after_length, version)?);
    Ok(Decoded { response: frame, throttle })
}

/// Takes the response header off.
pub(super) fn response_body<R: Request>(mut frame: Bytes, version: i16) -> Result<Bytes, String> {
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    ResponseHeader::decode(&mut frame, header_version).map_err(|error| error.to_string())?;
    Ok(frame)
}
