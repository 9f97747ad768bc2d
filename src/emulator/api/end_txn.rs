//! EndTxn 0 to 3. Answered once the outcome is decided; the markers may come later.

use std::ops::RangeInclusive;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::add_partitions_to_txn::older_fence;
use super::{Api, Call, code};
use crate::emulator::transactions::Holder;

pub(crate) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const SHAPE: &'static str = "s821";

    async fn answer(call: Call, request: EndTxnRequest) -> Option<EndTxnResponse> {
        let id = &request.transactional_id;
        let holder = Holder { producer_id: request.producer_id.0, epoch: request.producer_epoch };
        let now_ms = call.cluster.now_ms();
        let outcome = {
            let mut state = call.lock();
            let outcome = call
                .check()
                .and_then(|()| state.check_coordinator(call.broker, id))
                .and_then(|()| state.coordinators.transactions.end(id, holder, request.committed, now_ms))
                .map_err(|error| older_fence(error, call.version));
            let _ = state.write_markers(now_ms);
            outcome
        };
        call.cluster.changed();
        call.cluster.coordinators_changed();
        Some(EndTxnResponse::default().with_error_code(code(&outcome)))
    }
}
