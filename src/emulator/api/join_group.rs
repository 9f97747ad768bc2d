//! JoinGroup 0 to 9, of the classic protocol. Answered when the rebalance is over.

use std::ops::RangeInclusive;

use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use tokio::sync::oneshot;

use super::{Api, Call, text};
use crate::emulator::groups::JoinCall;

pub(crate) struct JoinGroup;

/// The emulator listens on the loopback address only.
const CLIENT_HOST: &str = "/127.0.0.1";

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=9;
    const SHAPE: &'static str = "s4 4@1 s s@5 s(sb) s@8";

    async fn answer(call: Call, request: JoinGroupRequest) -> Option<JoinGroupResponse> {
        let receiver = {
            let now_ms = call.cluster.now_ms();
            let mut state = call.lock();
            let allowed = call.check().and_then(|()| state.check_coordinator(call.broker, &request.group_id));
            if let Err(error) = allowed {
                let refusal = JoinGroupResponse::default()
                    .with_error_code(error.code())
                    .with_generation_id(-1)
                    .with_protocol_name(Some(text("")))
                    .with_member_id(request.member_id);
                return Some(refusal);
            }
            let (answer, receiver) = oneshot::channel();
            let (client_id, client_host) = (call.client_id.clone(), CLIENT_HOST.to_owned());
            let join = JoinCall { request, version: call.version, client_id, client_host, answer };
            state.coordinators.groups.join(join, now_ms);
            receiver
        };
        call.cluster.coordinators_changed();
        receiver.await.ok()
    }
}
