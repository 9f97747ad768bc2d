//! `ApiVersions` 0 to 4. No features: there is nothing here that depends on one.

use std::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Encodable, Request};

use super::{Api, Call, Offer, code};

pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const SHAPE: &'static str = "s@3 s@3";

    async fn answer(call: Call, _request: ApiVersionsRequest) -> Option<ApiVersionsResponse> {
        let response = ApiVersionsResponse::default().with_error_code(code(&call.check()));
        Some(response.with_api_keys(super::offered().iter().map(told).collect()))
    }
}

fn told(offer: &Offer) -> ApiVersion {
    // librdkafka believes that a broker that starts above 0 can't compress; so Kafka 4 tells 0 too, and refuses it.
    let is_produce = offer.key == ApiKey::Produce as i16;
    let first = if is_produce { 0 } else { *offer.versions.start() };
    ApiVersion::default().with_api_key(offer.key).with_min_version(first).with_max_version(*offer.versions.end())
}

/// The answer to a version of the question that is not known: in version 0, with the versions that are (KIP-511).
pub(crate) fn unsupported(correlation_id: i32) -> Option<Bytes> {
    let own = super::offered().into_iter().find(|offer| offer.key == ApiVersionsRequest::KEY)?;
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(vec![told(&own)]);
    let mut body = BytesMut::new();
    response.encode(&mut body, 0).ok()?;
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len() + 4).ok()?);
    frame.put_i32(correlation_id);
    frame.extend_from_slice(&body);
    Some(frame.freeze())
}
