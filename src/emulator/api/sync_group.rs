//! SyncGroup 0 to 5. A follower is answered when the leader has assigned.

use std::ops::RangeInclusive;

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use tokio::sync::oneshot;

use super::{Api, Call};

pub(crate) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "s4s s@3 s@5 s@5 (sb)";

    async fn answer(call: Call, request: SyncGroupRequest) -> Option<SyncGroupResponse> {
        let receiver = {
            let now_ms = call.cluster.now_ms();
            let mut state = call.lock();
            let allowed = call.check().and_then(|()| state.check_coordinator(call.broker, &request.group_id));
            if let Err(error) = allowed {
                return Some(SyncGroupResponse::default().with_error_code(error.code()));
            }
            let (answer, receiver) = oneshot::channel();
            state.coordinators.groups.sync(&request, answer, now_ms);
            receiver
        };
        call.cluster.coordinators_changed();
        receiver.await.ok()
    }
}
