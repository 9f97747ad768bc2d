//! Heartbeat 0 to 4.

use std::ops::RangeInclusive;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Api, Call, code};

pub(crate) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const SHAPE: &'static str = "s4s s@3";

    async fn answer(call: Call, request: HeartbeatRequest) -> Option<HeartbeatResponse> {
        let now_ms = call.cluster.now_ms();
        let mut state = call.lock();
        let outcome = call
            .check()
            .and_then(|()| state.check_coordinator(call.broker, &request.group_id))
            .and_then(|()| state.coordinators.groups.heartbeat(&request, now_ms));
        Some(HeartbeatResponse::default().with_error_code(code(&outcome)))
    }
}
