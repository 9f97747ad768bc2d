//! AddOffsetsToTxn 0 to 3.

use std::ops::RangeInclusive;

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::add_partitions_to_txn::older_fence;
use super::{Api, Call, code};
use crate::emulator::transactions::{Holder, Place};

pub(crate) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const SHAPE: &'static str = "s82s";

    async fn answer(call: Call, request: AddOffsetsToTxnRequest) -> Option<AddOffsetsToTxnResponse> {
        let id = &request.transactional_id;
        let holder = Holder { producer_id: request.producer_id.0, epoch: request.producer_epoch };
        let places = vec![Place::Group(request.group_id.to_string())];
        let now_ms = call.cluster.now_ms();
        let mut state = call.lock();
        let outcome = call
            .check()
            .and_then(|()| state.check_coordinator(call.broker, id))
            .and_then(|()| state.coordinators.transactions.add(id, holder, places, now_ms))
            .map_err(|error| older_fence(error, call.version));
        Some(AddOffsetsToTxnResponse::default().with_error_code(code(&outcome)))
    }
}
