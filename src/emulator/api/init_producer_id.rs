//! InitProducerId 0 to 5, with and without a transactional id.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Api, Call};
use crate::emulator::transactions::Holder;

pub(crate) struct InitProducerId;

const FIRST_WITH_FENCED: i16 = 4;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "s4 8@3 2@3";

    async fn answer(call: Call, request: InitProducerIdRequest) -> Option<InitProducerIdResponse> {
        match init(&call, &request) {
            Ok(holder) => {
                let response = InitProducerIdResponse::default().with_producer_id(ProducerId(holder.producer_id));
                Some(response.with_producer_epoch(holder.epoch))
            }
            Err(code) => {
                let none = InitProducerIdResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
                Some(none.with_error_code(code.code()))
            }
        }
    }
}

fn init(call: &Call, request: &InitProducerIdRequest) -> Result<Holder, ResponseError> {
    call.check()?;
    let now_ms = call.cluster.now_ms();
    let mut state = call.lock();
    let (producer_id, epoch) = (request.producer_id.0, request.producer_epoch);
    // Both are said, or neither (KIP-360).
    if (producer_id < 0) != (epoch < 0) {
        return Err(ResponseError::InvalidRequest);
    }
    let Some(id) = &request.transactional_id else {
        return Ok(Holder { producer_id: state.allocate_producer_id(call.broker), epoch: 0 });
    };
    if !id.is_empty() {
        state.check_coordinator(call.broker, id)?;
    }
    let expected = (producer_id >= 0).then_some(Holder { producer_id, epoch });
    let timeout_ms = request.transaction_timeout_ms;
    let holder = state.init_transactions(call.broker, id, timeout_ms, expected, now_ms);
    // An open transaction may have been aborted.
    if state.write_markers(now_ms).are_written {
        call.cluster.changed();
    }
    drop(state);
    call.cluster.coordinators_changed();
    // Clients of older versions know a fenced producer by another number.
    let is_old = call.version < FIRST_WITH_FENCED;
    holder.map_err(|code| match code {
        ResponseError::ProducerFenced if is_old => ResponseError::InvalidProducerEpoch,
        other => other,
    })
}
