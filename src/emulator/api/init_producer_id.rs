//! InitProducerId 0 to 5, without a transactional id.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Api, Call};

pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "s48@32@3";

    async fn answer(call: Call, request: InitProducerIdRequest) -> Option<InitProducerIdResponse> {
        let refusal = match (call.check(), request.transactional_id) {
            (Err(code), _) => Some(code),
            (Ok(()), Some(id)) if id.is_empty() => Some(ResponseError::InvalidRequest),
            // Without a coordinator of transactions there is none to be found.
            (Ok(()), Some(_)) => Some(ResponseError::CoordinatorNotAvailable),
            (Ok(()), None) => None,
        };
        if let Some(code) = refusal {
            let none = InitProducerIdResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
            return Some(none.with_error_code(code.code()));
        }
        let id = call.lock().allocate_producer_id(call.broker);
        Some(InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0))
    }
}
