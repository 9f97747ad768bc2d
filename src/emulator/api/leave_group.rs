//! LeaveGroup 0 to 5.

use std::ops::RangeInclusive;

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Api, Call};

pub(crate) struct LeaveGroup;

/// From this version on several members can leave in one request.
const FIRST_WITH_SEVERAL: i16 = 3;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "s s@0-2 (ss s@5)@3";

    async fn answer(call: Call, mut request: LeaveGroupRequest) -> Option<LeaveGroupResponse> {
        let now_ms = call.cluster.now_ms();
        let has_several = call.version >= FIRST_WITH_SEVERAL;
        if !has_several {
            request.members = vec![MemberIdentity::default().with_member_id(request.member_id.clone())];
        }
        let response = {
            let mut state = call.lock();
            match call.check().and_then(|()| state.check_coordinator(call.broker, &request.group_id)) {
                Ok(()) => state.coordinators.groups.leave(&request, now_ms),
                Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
            }
        };
        call.cluster.coordinators_changed();
        let first_error = response.members.first().map_or(response.error_code, |member| member.error_code);
        Some(if has_several { response } else { LeaveGroupResponse::default().with_error_code(first_error) })
    }
}
