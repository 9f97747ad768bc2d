//! DescribeGroups 0 to 6. No authorized operations.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{Api, Call, text};

pub(crate) struct DescribeGroups;

/// Kafka's number for "nobody asked for authorized operations".
const OPERATIONS_UNKNOWN: i32 = i32::MIN;
/// Up to version 5 a group that there is not is told as dead, without an error.
const FIRST_WITH_NOT_FOUND: i16 = 6;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const SHAPE: &'static str = "[s] 1@3";

    async fn answer(call: Call, request: DescribeGroupsRequest) -> Option<DescribeGroupsResponse> {
        let groups = request.groups.iter().map(|id| described(&call, id));
        Some(DescribeGroupsResponse::default().with_groups(groups.collect()))
    }
}

fn described(call: &Call, id: &GroupId) -> DescribedGroup {
    let state = call.lock();
    let refused = DescribedGroup::default().with_group_id(id.clone()).with_authorized_operations(OPERATIONS_UNKNOWN);
    if let Err(error) = call.check().and_then(|()| state.check_coordinator(call.broker, id)) {
        return refused.with_error_code(error.code());
    }
    let Some(mut group) = state.coordinators.groups.describe(id) else {
        let dead = refused.with_group_state(text("Dead"));
        let is_told = call.version >= FIRST_WITH_NOT_FOUND;
        let not_found = ResponseError::GroupIdNotFound.code();
        let message = text(&format!("Group {} not found.", id.as_str()));
        return if is_told { dead.with_error_code(not_found).with_error_message(Some(message)) } else { dead };
    };
    if call.version < 4 {
        group.members.iter_mut().for_each(|member| member.group_instance_id = None);
    }
    group.with_authorized_operations(OPERATIONS_UNKNOWN)
}
