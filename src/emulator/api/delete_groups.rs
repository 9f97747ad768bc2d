//! DeleteGroups 0 to 2.

use std::ops::RangeInclusive;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use super::{Api, Call, code};

pub(crate) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const SHAPE: &'static str = "[s]";

    async fn answer(call: Call, request: DeleteGroupsRequest) -> Option<DeleteGroupsResponse> {
        let delete = |id: GroupId| {
            let mut state = call.lock();
            let outcome = call
                .check()
                .and_then(|()| state.check_coordinator(call.broker, &id))
                .and_then(|()| state.coordinators.groups.delete(&id));
            DeletableGroupResult::default().with_group_id(id).with_error_code(code(&outcome))
        };
        Some(DeleteGroupsResponse::default().with_results(request.groups_names.into_iter().map(delete).collect()))
    }
}
